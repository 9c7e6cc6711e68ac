//! What a long ruleset costs a new flow.

use anyhow::Result;

use super::established::short;
use crate::bench::{Bench, Contest, MAX_FLOWS, Results};
use crate::measure::Fate;
use crate::report::{Cell, Section, Table};
use crate::router::{Limits, Setup, Subject};
use crate::ruleset;
use crate::traffic::{Family, Kind, Traffic};

/// Who has rules.
const SUBJECTS: [Subject; 2] = [Subject::Nft, Subject::Native];

pub(super) fn run(bench: &Bench) -> Result<Section> {
    let lengths: &[u32] = if bench.quick {
        &[10, 1000]
    } else {
        &[10, 100, 1000, 10_000]
    };
    let (mut columns, mut notes) = (Vec::new(), Vec::new());
    for rules in lengths {
        bench.say(&format!("{} rules", short(*rules)));
        let (results, caveats) = measure(bench, *rules)?;
        columns.push(results);
        notes.extend(caveats);
    }
    notes.dedup();
    let names: Vec<String> = lengths.iter().map(|rules| short(*rules)).collect();
    let headings = std::iter::once("").chain(names.iter().map(String::as_str));
    let mut table = Table::new(
        "CPU time of a new flow, by number of rules, in ns:",
        headings,
    );
    for subject in SUBJECTS {
        let cells = columns.iter().map(|results| {
            let found = results.iter().find(|(other, _)| *other == subject);
            found.map_or(Cell::None, |(_, series)| Cell::Summary(series.summary()))
        });
        table.push(subject.label(), cells.collect());
    }
    Ok(Section {
        what: "Every packet is the SYN of another connection, which no rule but the last matches: `ip saddr A \
               tcp dport N drop`, each with another address and port."
            .to_owned(),
        tables: vec![table],
        notes,
        ..Section::default()
    })
}

fn measure(bench: &Bench, rules: u32) -> Result<(Results, Vec<String>)> {
    let text = ruleset::linear(rules);
    let setup = Setup {
        max_flows: MAX_FLOWS,
        rules: &text,
        limits: Limits::Lifted,
    };
    let mut field = bench.field(&SUBJECTS, &setup)?;
    let caveats = field.caveats();
    if !caveats.is_empty() {
        field.leave(Subject::is_ours);
    }
    let traffic = Traffic {
        family: Family::V4,
        kind: Kind::Syn,
        reply: false,
        first: 1 << 24,
        flows: 1 << 23,
        port: 80,
    };
    // Ten thousand rules take some hundred microseconds.
    let packets = (40_000_000 / u64::from(rules)).clamp(4096, 1 << 17);
    let contest = Contest {
        traffic,
        packets,
        fate: Fate::Arrive,
        fresh: true,
    };
    Ok((field.compete(bench, &contest)?, caveats))
}
