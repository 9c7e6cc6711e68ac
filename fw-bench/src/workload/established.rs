//! Packets of flows that are established: what nearly all packets are.

use anyhow::Result;

use crate::bench::{Bench, Contest, MAX_FLOWS, RULES, Results};
use crate::measure::{Fate, Series};
use crate::report::{Cell, Section, Table};
use crate::rig::establish;
use crate::router::{Limits, Setup, Subject};
use crate::ruleset;
use crate::stats::ratio;
use crate::traffic::{Family, Kind, Traffic};

pub(super) fn udp4(bench: &Bench) -> Result<Section> {
    let flows: &[u32] = if bench.quick {
        &[1000, 100_000]
    } else {
        &[1, 1000, 100_000, 1_000_000]
    };
    run(bench, Family::V4, Kind::Udp, flows)
}

pub(super) fn udp6(bench: &Bench) -> Result<Section> {
    run(bench, Family::V6, Kind::Udp, &[1, 1000, 100_000, 1_000_000])
}

pub(super) fn tcp4(bench: &Bench) -> Result<Section> {
    run(
        bench,
        Family::V4,
        Kind::Data,
        &[1, 1000, 100_000, 1_000_000],
    )
}

pub(super) fn tcp6(bench: &Bench) -> Result<Section> {
    run(bench, Family::V6, Kind::Data, &[1000, 100_000])
}

pub(super) fn acks(bench: &Bench) -> Result<Section> {
    run(bench, Family::V4, Kind::Acks, &[1000, 100_000])
}

pub(super) fn imix(bench: &Bench) -> Result<Section> {
    run(bench, Family::V4, Kind::UdpMix, &[1000, 100_000])
}

fn run(bench: &Bench, family: Family, kind: Kind, flows: &[u32]) -> Result<Section> {
    let (mut columns, mut notes) = (Vec::new(), Vec::new());
    for flows in flows {
        bench.say(&format!("{} flows", short(*flows)));
        let (column, caveats) = measure(bench, family, kind, *flows)?;
        columns.push(column);
        for caveat in caveats {
            if !notes.contains(&caveat) {
                notes.push(caveat);
            }
        }
    }
    notes.extend(losses(&columns));
    let names: Vec<String> = flows.iter().map(|flows| short(*flows)).collect();
    Ok(Section {
        what: describe(kind),
        tables: tables(&names, &columns),
        notes,
        ..Section::default()
    })
}

fn describe(kind: Kind) -> String {
    let packets = match kind {
        Kind::UdpMix => "Frames of 60, 590 and 1514 bytes, 7 : 4 : 1",
        Kind::Acks => "Segments without data, each acknowledging a little more",
        Kind::Data => "Segments with six bytes of data, in order, inside the window",
        _ => "The shortest datagrams",
    };
    format!(
        "{packets}, from client to server, of flows that were established in both directions before and are \
         ASSURED in every contestant's table (counted). Ruleset of {RULES} rules."
    )
}

fn measure(
    bench: &Bench,
    family: Family,
    kind: Kind,
    flows: u32,
) -> Result<(Results, Vec<String>)> {
    let rules = ruleset::linear(RULES);
    // A flow table for a million flows, where a million flows are.
    let max_flows = if flows > MAX_FLOWS / 2 {
        MAX_FLOWS * 4
    } else {
        MAX_FLOWS
    };
    let setup = Setup {
        max_flows,
        rules: &rules,
        limits: Limits::Lifted,
    };
    let mut field = bench.field(&bench.subjects(flows), &setup)?;
    let traffic = Traffic {
        family,
        kind,
        reply: false,
        first: 0,
        flows,
        port: 5300,
    };
    establish(field.rigs(), &traffic, max_flows / 8)?;
    let least = if bench.quick { 1 << 18 } else { 1 << 20 };
    let packets = u64::from(flows).max(least);
    let contest = Contest {
        traffic,
        packets,
        fate: Fate::Arrive,
        fresh: false,
    };
    let column = field.compete(bench, &contest)?;
    Ok((column, field.caveats()))
}

fn tables(names: &[String], columns: &[Results]) -> Vec<Table> {
    let headings = || std::iter::once("").chain(names.iter().map(String::as_str));
    let mut whole = Table::new(
        "CPU time of a packet, in ns, generator and sink included:",
        headings(),
    );
    let mut alone = Table::new(
        "The router alone, in ns (generator and first hop subtracted):",
        headings(),
    );
    let mut times = Table::new(
        "How many times the CPU time of fwctl in XDP native, whole pipeline / router alone:",
        headings(),
    );
    for subject in subjects(columns) {
        let series = || columns.iter().map(move |column| find(column, subject));
        let cells = |of: &dyn Fn(&Results, &Series) -> Cell| -> Vec<Cell> {
            let pairs = columns.iter().zip(series());
            pairs
                .map(|(column, found)| found.map_or(Cell::None, |found| of(column, found)))
                .collect()
        };
        whole.push(
            subject.label(),
            cells(&|_, found| Cell::Summary(found.summary())),
        );
        if subject == Subject::Ceiling {
            continue;
        }
        alone.push(
            subject.label(),
            cells(&|column, found| {
                router_alone(column, found)
                    .map_or(Cell::None, |alone| Cell::Summary(alone.summary()))
            }),
        );
        if subject != Subject::Native {
            times.push(
                subject.label(),
                cells(&|column, found| compare(column, found)),
            );
        }
    }
    vec![whole, alone, times]
}

/// Everybody who is in at least one column, in the order of the contest.
fn subjects(columns: &[Results]) -> Vec<Subject> {
    let mut all: Vec<Subject> = columns
        .iter()
        .flatten()
        .map(|(subject, _)| *subject)
        .collect();
    all.sort();
    all.dedup();
    all
}

fn find(column: &Results, subject: Subject) -> Option<&Series> {
    column
        .iter()
        .find(|(other, _)| *other == subject)
        .map(|(_, series)| series)
}

fn router_alone(column: &Results, series: &Series) -> Option<Series> {
    Some(series.without(find(column, Subject::Ceiling)?))
}

/// `series` by XDP native, whole and alone.
fn compare(column: &Results, series: &Series) -> Cell {
    let native = find(column, Subject::Native);
    let whole = native.and_then(|native| ratio(&series.cpu, &native.cpu));
    let alone = native.and_then(|native| {
        let (series, native) = (router_alone(column, series)?, router_alone(column, native)?);
        ratio(&series.cpu, &native.cpu)
    });
    match (whole, alone) {
        (Some(whole), Some(alone)) => Cell::Ratios(whole, alone),
        _ => Cell::None,
    }
}

/// Packets that did not arrive, if any.
fn losses(columns: &[Results]) -> Vec<String> {
    let all = columns.iter().flatten();
    let lossy = all.filter(|(_, series)| series.lost > 0.0);
    lossy
        .map(|(subject, series)| {
            format!(
                "{subject}: {:.3} % of the packets lost",
                series.lost * 100.0
            )
        })
        .collect()
}

/// A number of flows in a heading.
pub(super) fn short(number: u32) -> String {
    match number {
        n if n >= 1_000_000 && n.is_multiple_of(1_000_000) => format!("{} M", n / 1_000_000),
        n if n >= 1000 && n.is_multiple_of(1000) => format!("{} k", n / 1000),
        n => n.to_string(),
    }
}
