//! `fwctl events`: follows what happens to flows.

use std::io::{self, BufWriter, StdoutLock};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::str::FromStr;

use fw_user::clock::TickClock;
use fw_user::control::client::Client;
use fw_user::control::stream::{Decoder, EVENTS, Frame};
use fw_user::daemon::stop_signal;
use fw_user::flows::{EventKind, EventPrinter, Filter, FilterArgs, FlowEvent, Format, Layout};

use super::{TableName, rule_names};
use crate::args::{Globals, Usage};
use crate::term;

/// Options of `fwctl events`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl events                                 as `conntrack -E`
  fwctl events -e DESTROY -p tcp --dport 443
  fwctl events -o timestamp,extended,id
  fwctl events -o json | jq 'select(.event == \"destroy\") | .reply.bytes'
  fwctl events --count 1 -e NEW -s 192.168.1.7 wait for the first flow of a host

Nothing is reported from before it began to listen. What it could not keep up with is counted on standard
error; packets never wait. SIGINT and SIGTERM end it with status 0.")]
pub(crate) struct Args {
    #[arg(hide = true)]
    table: Option<TableName>,
    /// Only these events: NEW, UPDATES, DESTROY, ALL
    #[arg(
        short,
        long,
        value_name = "EVENT[,…]",
        default_value = "ALL",
        hide_default_value = true
    )]
    event_mask: Vec<Mask>,
    /// End after this many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Format and details: extended, id, timestamp, ktimestamp; json (one object a line)
    #[arg(short, long, value_name = "FORMAT[,…]")]
    output: Vec<Layout>,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Value of `-e`: which kinds of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mask {
    new: bool,
    update: bool,
    destroy: bool,
}

impl Mask {
    const fn takes(self, kind: EventKind) -> bool {
        match kind {
            EventKind::New => self.new,
            EventKind::Update => self.update,
            EventKind::Destroy => self.destroy,
        }
    }

    const fn and(self, other: Self) -> Self {
        Self {
            new: self.new || other.new,
            update: self.update || other.update,
            destroy: self.destroy || other.destroy,
        }
    }
}

impl FromStr for Mask {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, String> {
        let mut mask = Self::default();
        for word in list.split(',') {
            match word.to_ascii_uppercase().as_str() {
                "NEW" => mask.new = true,
                "UPDATES" | "UPDATE" => mask.update = true,
                "DESTROY" => mask.destroy = true,
                "ALL" => {
                    mask = Self {
                        new: true,
                        update: true,
                        destroy: true,
                    }
                }
                _ => return Err(format!("`{word}` is none of NEW, UPDATES, DESTROY, ALL")),
            }
        }
        Ok(mask)
    }
}

impl Args {
    /// Prints the events that match, until it is told to stop.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        let filter = self.filter.filter()?;
        let layout = self.layout()?;
        let client = Client::connect(&globals.socket)?;
        let config = globals.maps()?.config()?;
        let layout = Layout {
            accounting: config.accounting != 0,
            age: config.timestamp != 0,
            ..layout
        };
        let mask = self.event_mask.into_iter().fold(Mask::default(), Mask::and);
        let mut show = Show {
            printer: EventPrinter::new(term::output(), layout).with_rules(rule_names(globals)),
            decoder: Decoder::default(),
            clock: TickClock::new(&config)?,
            filter,
            mask,
            left: self.count,
            shown: 0,
        };
        let stop = || -> io::Result<_> { Ok(Box::pin(stop_signal()?) as _) };
        client.follow(EVENTS, stop, |piece| show.piece(piece))?;
        term::note(format_args!("{} flow events have been shown.", show.shown));
        Ok(ExitCode::SUCCESS)
    }

    fn layout(&self) -> Result<Layout, Usage> {
        let all = self.output.iter();
        let layout = all.fold(Layout::default(), |all, one| all.and(*one));
        match layout.format {
            Format::Line | Format::Json | Format::Ndjson => Ok(layout),
            Format::Table | Format::Xml | Format::Save => Err(Usage(
                "-o: events are shown as lines or as json, not as table, xml or save".into(),
            )),
        }
    }
}

/// From the stream to the screen.
struct Show {
    printer: EventPrinter<BufWriter<StdoutLock<'static>>>,
    decoder: Decoder,
    clock: TickClock,
    filter: Filter,
    mask: Mask,
    /// How many more to show.
    left: Option<u64>,
    shown: u64,
}

impl Show {
    fn piece(&mut self, piece: &[u8]) -> anyhow::Result<ControlFlow<()>> {
        self.decoder.push(piece);
        let mut flow = ControlFlow::Continue(());
        while let Some(frame) = self.decoder.frame()? {
            match frame {
                Frame::Event(event) => {
                    let event = FlowEvent::read(&event, &self.clock);
                    let wanted = |event: &FlowEvent| {
                        self.mask.takes(event.kind) && self.filter.matches(&event.entry)
                    };
                    if let Some(event) = event.filter(wanted) {
                        self.printer.event(&event)?;
                        self.shown += 1;
                        self.left = self.left.map(|left| left - 1);
                    }
                }
                Frame::Lost(count) => {
                    term::note(format_args!("{count} events were lost: too many at a time"));
                }
            }
            if self.left == Some(0) {
                flow = ControlFlow::Break(());
                break;
            }
        }
        // Nothing waits for more: whoever reads sees each event as it happens.
        self.printer.flush()?;
        Ok(flow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_lists_of_conntracks_words() {
        let mask: Mask = "NEW,destroy".parse().unwrap();
        assert!(mask.takes(EventKind::New) && mask.takes(EventKind::Destroy));
        assert!(!mask.takes(EventKind::Update));
        let all: Mask = "ALL".parse().unwrap();
        assert!(all.takes(EventKind::Update));
        assert!("NEWS".parse::<Mask>().unwrap_err().contains("UPDATES"));
    }
}
