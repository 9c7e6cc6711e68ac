//! Packets that each begin a flow: what a flood is made of, and the most connections a second.

use anyhow::Result;

use crate::bench::{Bench, Contest, MAX_FLOWS, RULES, Results};
use crate::measure::Fate;
use crate::report::{Cell, Section, Table};
use crate::router::{Limits, Setup, Subject};
use crate::ruleset::{self, REFUSED_PORT};
use crate::stats::{Summary, ratio};
use crate::traffic::{Family, Kind, Traffic};

/// More flows than are sent in all rounds: no flow comes twice.
const FLOWS: u32 = 1 << 23;
/// Far from the numbers of established flows.
const FIRST: u32 = 1 << 24;

/// SYNs that the rules accept: each makes an entry.
pub(super) fn accepted(bench: &Bench) -> Result<Section> {
    let (results, notes) = flood(bench, 80, Fate::Arrive)?;
    let what = format!(
        "Every packet is the SYN of another connection, and accepted: an entry is made. {RULES} rules. The \
         tables are emptied before each round; the kernel's takes all, ours evicts embryonic flows once it has \
         a quarter of --max-flows {MAX_FLOWS} of them. Limits on new flows are lifted."
    );
    Ok(section(what, &results, notes))
}

/// SYNs that the rules drop: no entry is made.
pub(super) fn refused(bench: &Bench) -> Result<Section> {
    let (results, notes) = flood(bench, REFUSED_PORT, Fate::Refused)?;
    let what = format!(
        "Every packet is the SYN of another connection, to a port that the last but one of {RULES} rules drops."
    );
    Ok(section(what, &results, notes))
}

fn flood(bench: &Bench, port: u16, fate: Fate) -> Result<(Results, Vec<String>)> {
    let rules = ruleset::linear(RULES);
    let setup = Setup {
        max_flows: MAX_FLOWS,
        rules: &rules,
        limits: Limits::Lifted,
    };
    let mut subjects = bench.subjects(MAX_FLOWS);
    if fate == Fate::Refused {
        subjects.retain(|subject| *subject != Subject::Forward);
    }
    let mut field = bench.field(&subjects, &setup)?;
    let caveats = field.caveats();
    if fate == Fate::Refused && !caveats.is_empty() {
        // Without rules nothing is refused.
        field.leave(Subject::is_ours);
    }
    let contest = Contest {
        traffic: Traffic {
            family: Family::V4,
            kind: Kind::Syn,
            reply: false,
            first: FIRST,
            flows: FLOWS,
            port,
        },
        packets: if bench.quick { 1 << 17 } else { 1 << 19 },
        fate,
        fresh: fate == Fate::Arrive,
    };
    Ok((field.compete(bench, &contest)?, caveats))
}

fn section(what: String, results: &Results, notes: Vec<String>) -> Section {
    let mut table = Table::new(
        "CPU time of a new flow, generator and sink included:",
        ["", "ns", "million a second and core", "times fwctl native"],
    );
    let native = results
        .iter()
        .find(|(subject, _)| *subject == Subject::Native);
    for (subject, series) in results {
        let rates: Vec<f64> = series.cpu.iter().map(|ns| 1000.0 / ns).collect();
        let rate = Summary::of(&rates).map_or(Cell::None, Cell::Summary);
        let times = native.and_then(|(_, native)| ratio(&series.cpu, &native.cpu));
        let times = times.map_or(Cell::None, Cell::Ratio);
        let ns = Cell::Summary(series.summary());
        table.push(subject.label(), vec![ns, rate, times]);
    }
    Section {
        what,
        tables: vec![table],
        notes,
        ..Section::default()
    }
}
