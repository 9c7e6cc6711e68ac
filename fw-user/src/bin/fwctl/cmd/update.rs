//! `fwctl update`: changes the flows that match.

use std::process::ExitCode;

use fw_common::edit::SETTABLE;
use fw_common::status;
use fw_user::flows::{CommonFilterArgs, Masked, mark};
use fw_user::maps::Change;
use fw_user::settings::duration;

use super::{Output, TableName};
use crate::args::{Globals, Usage};
use crate::term;

/// Options of `fwctl update`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl update -s 192.168.1.2 -m 5             mark what this host has opened
  fwctl update -p tcp --dport 443 -m 0x10/0xf0 only these bits of the mark
  fwctl update -p udp --dport 53 -t 5s         let them expire soon

The mark becomes (old without the bits of MASK) XOR VALUE, as with `conntrack -U`. The next packet of a flow
refreshes its timeout, unless it has status FIXED_TIMEOUT. Exit status 1 if no flow matched.")]
pub(crate) struct Args {
    #[arg(hide = true)]
    table: Option<TableName>,
    /// New connection mark, of which only the bits in MASK change
    #[arg(short, long, value_name = "VALUE[/MASK]", value_parser = mark)]
    mark: Option<Masked>,
    /// New time to live
    #[arg(short, long, value_name = "DURATION", value_parser = duration::parse_timeout)]
    timeout: Option<u32>,
    /// Status to set: SEEN_REPLY, ASSURED, FIXED_TIMEOUT; none can be taken back
    #[arg(short = 'u', long, value_name = "STATUS[,…]", value_parser = settable)]
    status: Option<u32>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    filter: CommonFilterArgs,
}

impl Args {
    /// Changes and prints the flows that match.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        if self.mark.is_none() && self.timeout.is_none() && self.status.is_none() {
            let what = "nothing to change: give a --mark, a --timeout or a --status";
            return Err(Usage(what.into()).into());
        }
        let filter = self.filter.filter()?;
        let table = globals.maps()?.flows()?;
        let editor = table.editor()?;
        let change = Change {
            mark: self.mark.map(|mark| (mark.value, mark.mask)),
            timeout: self.timeout.map(|secs| table.clock().ticks(secs.into())),
            status: self.status,
        };
        let mut printer = self.output.printer(&table, globals);
        table.visit(filter.family, |entry| -> anyhow::Result<()> {
            if filter.matches(entry) && editor.change(entry, &change)? {
                // As it is now; if it has ended meanwhile, as it was.
                let now = table.get(&entry.key)?;
                printer.flow(now.as_ref().unwrap_or(entry))?;
            }
            Ok(())
        })?;
        let count = printer.finish()?;
        term::note(format_args!("{count} flow entries have been updated."));
        Ok(if count == 0 {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// Status bits by name, of those that can be set.
fn settable(list: &str) -> Result<u32, String> {
    let mut names = status::NAMES.iter().filter(|(bit, _)| SETTABLE & bit != 0);
    list.split(',').try_fold(0, |all, word| {
        let found = names
            .clone()
            .find(|(_, name)| name.eq_ignore_ascii_case(word));
        match found {
            Some((bit, _)) => Ok(all | bit),
            None => {
                let known: Vec<_> = names.by_ref().map(|(_, name)| *name).collect();
                Err(format!("`{word}` is none of {}", known.join(", ")))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_set_is_accepted() {
        let both = status::ASSURED | status::FIXED_TIMEOUT;
        assert_eq!(settable("assured,FIXED_TIMEOUT"), Ok(both));
        let refused = settable("DYING").unwrap_err();
        assert!(
            refused.contains("SEEN_REPLY, ASSURED, FIXED_TIMEOUT"),
            "{refused}"
        );
    }
}
