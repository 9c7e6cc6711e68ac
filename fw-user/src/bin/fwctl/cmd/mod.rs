//! One module for each command.

pub(crate) mod completions;
pub(crate) mod count;
pub(crate) mod delete;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod flush;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod rules;
pub(crate) mod run;
pub(crate) mod set;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod sysctl;
pub(crate) mod timeouts;
pub(crate) mod top;
pub(crate) mod trace;
pub(crate) mod update;

use std::io::{BufWriter, StdoutLock};

use fw_user::control::rule_names::ask;
use fw_user::flows::{Layout, Printer, RuleNames};
use fw_user::maps::FlowTable;

use crate::args::Globals;
use crate::term;

/// `-o` of the commands that show flows.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Output {
    /// Format and details: extended, id, ktimestamp; json, ndjson, table, xml, save
    #[arg(short, long, value_name = "FORMAT[,…]")]
    output: Vec<Layout>,
}

impl Output {
    /// What to print of the flows of `table`.
    fn layout(&self, table: &FlowTable) -> Layout {
        let wanted = self
            .output
            .iter()
            .fold(Layout::default(), |all, one| all.and(*one));
        Layout {
            accounting: table.config().accounting != 0,
            age: table.config().timestamp != 0,
            ..wanted
        }
    }

    /// A printer to standard output.
    fn printer(
        &self,
        table: &FlowTable,
        globals: &Globals,
    ) -> Printer<BufWriter<StdoutLock<'static>>> {
        let color = globals.color.enabled();
        Printer::new(term::output(), self.layout(table), color).with_rules(rule_names(globals))
    }
}

/// Names of the rules that let flows in.
fn rule_names(globals: &Globals) -> RuleNames {
    let paths = globals.paths();
    RuleNames::new(move || ask(&paths))
}

/// `-o` of the commands that print one thing for people and one for programs.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Format {
    /// For programs
    Json,
}

/// The table that conntrack(8) lets one name; we have no other.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum TableName {
    /// The flow table
    Conntrack,
}
