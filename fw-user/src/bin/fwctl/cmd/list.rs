//! `fwctl list`: the flow table.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use fw_user::flows::{Filter, FilterArgs, Format, Meter};
use fw_user::maps::{FlowTable, MapsError};

use super::{Output, TableName};
use crate::args::Globals;
use crate::term;

/// Time between the two readings that rates are computed from.
const RATE_INTERVAL: Duration = Duration::from_secs(1);

/// Options of `fwctl list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl list                                   as `conntrack -L`
  fwctl list -p tcp --dport 22 --state ESTABLISHED
  fwctl list -s 192.168.1.0/24 -o extended,id
  fwctl list -o json | jq '.[] | .original.src'
  fwctl list -o table                          for people; takes a second to measure rates")]
pub(crate) struct Args {
    #[arg(hide = true)]
    table: Option<TableName>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    filter: FilterArgs,
}

impl Args {
    /// Prints the flows that match.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        let filter = self.filter.filter()?;
        let table = globals.maps()?.flows()?;
        let layout = self.output.layout(&table);
        let mut printer = self.output.printer(&table, globals);
        if layout.format == Format::Table && layout.accounting {
            let mut meter = first_reading(&table, &filter)?;
            thread::sleep(RATE_INTERVAL);
            meter.begin(Instant::now());
            printer.measure_by(meter);
        }
        table.visit(filter.family, |entry| -> anyhow::Result<()> {
            if filter.matches(entry) {
                printer.flow(entry)?;
            }
            Ok(())
        })?;
        let count = printer.finish()?;
        term::note(format_args!("{count} flow entries have been shown."));
        Ok(ExitCode::SUCCESS)
    }
}

fn first_reading(table: &FlowTable, filter: &Filter) -> Result<Meter, MapsError> {
    let mut meter = Meter::default();
    meter.begin(Instant::now());
    table.visit(filter.family, |entry| {
        if filter.matches(entry) {
            meter.measure(entry, Instant::now());
        }
        Ok::<_, MapsError>(())
    })?;
    Ok(meter)
}
