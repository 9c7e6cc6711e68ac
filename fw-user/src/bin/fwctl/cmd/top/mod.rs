//! `fwctl top`: the busiest flows, and what the firewall does meanwhile.

mod live;
mod pages;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use fw_user::flows::{FilterArgs, Sort};
use fw_user::settings::duration;
use fw_user::top::Watch;
use tokio::runtime::{Builder, Runtime};

use super::rule_names;
use crate::args::Globals;
use crate::cmd::Format;
use crate::screen::Screen;

/// Options of `fwctl top`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl top
  fwctl top -p tcp --dport 443 --sort packets
  fwctl top --once --interval 10s              one page, of what ten seconds brought
  fwctl top -o json --iterations 2 | jq '.top[] | .rates.original.bytes'

Filters select the flows; packets, drops and how full the table is are always those of the whole firewall.
Rates are what was counted between two readings, so flows that end between two are missing in them, and so
are packets without a flow; `packets` and `drops` have every packet. Traffic is that of the first packet's
direction (UP) and of its answers (DOWN), IP packets without Ethernet headers. While it reads, it takes no
more than half of a CPU: with very many flows pages come more slowly than asked for.
Keys: q quits, s sorts by bytes, packets, age (oldest first), timeout (soonest to expire first).
Where standard output is no terminal, plain pages are printed, without end unless --iterations says so.")]
pub(crate) struct Args {
    /// Time between two pages, 100ms to 1h
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// What stands first: bytes or packets a second, age, timeout
    #[arg(
        long,
        value_name = "ORDER",
        default_value = "bytes",
        hide_possible_values = true
    )]
    sort: Sort,
    /// Most flows to show [default: as many as fit on the terminal, otherwise 20]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    count: Option<u16>,
    /// Print plain pages, on a terminal as well
    #[arg(short, long)]
    batch: bool,
    /// Print this many pages, and end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    iterations: Option<u64>,
    /// Print one page, and end
    #[arg(long, conflicts_with = "iterations")]
    once: bool,
    /// json: one object a line
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Flows that a page has where there is no terminal.
const FLOWS: u16 = 20;

/// Flows that are kept for a terminal, which may grow.
const MOST: u16 = 500;

impl Args {
    /// Shows pages until it is told to stop.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        let filter = self.filter.filter()?;
        let live = self.is_live();
        let flows = self.count.unwrap_or(if live { MOST } else { FLOWS });
        let mut watch = Watch::new(globals.paths(), filter, flows.into(), self.sort);
        // The first reading, before the terminal is taken: there may be no firewall at all.
        let first = watch.look()?;
        let runtime = runtime()?;
        let color = globals.color.enabled();
        if live {
            live::run(&runtime, watch, first, self.interval, color)?;
        } else {
            let pages = self.iterations.or(self.once.then_some(1));
            let print = pages::Print::new(self.output.is_some(), color, rule_names(globals));
            pages::run(&runtime, watch, self.interval, pages, print)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn is_live(&self) -> bool {
        let plain = self.batch || self.once || self.iterations.is_some() || self.output.is_some();
        !plain && Screen::is_there()
    }
}

fn runtime() -> anyhow::Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.context("cannot wait for signals and keys")
}

/// A time between two readings.
fn interval(text: &str) -> Result<Duration, String> {
    let range = Duration::from_millis(100)..=Duration::from_secs(3600);
    let interval = duration::parse(text).ok();
    interval
        .filter(|interval| range.contains(interval))
        .ok_or_else(|| format!("100ms to 1h, written `250ms` or {}", duration::SYNTAX))
}

/// How long to wait after a reading that took `took`, lest readings take more than half of a CPU.
fn pause(interval: Duration, took: Duration) -> Duration {
    interval.saturating_sub(took).max(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_a_range() {
        for (text, millis) in [
            ("1", 1000),
            ("100ms", 100),
            ("1m", 60_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(interval(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["0", "99ms", "1h1s", "-1", "often", ""] {
            let expected = interval(text).expect_err(text);
            assert!(expected.starts_with("100ms to 1h, written"), "{expected}");
        }
    }

    #[test]
    fn readings_take_half_of_a_cpu_at_most() {
        let ms = Duration::from_millis;
        assert_eq!(pause(ms(1000), ms(10)), ms(990));
        assert_eq!(pause(ms(1000), ms(500)), ms(500));
        assert_eq!(pause(ms(1000), ms(800)), ms(800));
        assert_eq!(pause(ms(1000), ms(3000)), ms(3000));
    }
}
