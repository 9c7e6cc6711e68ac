//! What is left of established flows, and what becomes of honest new ones, in a flood.

use anyhow::Result;

use super::established::short;
use crate::bench::{Bench, MAX_FLOWS, RULES};
use crate::report::{Cell, Section, Table};
use crate::rig::{Rig, establish};
use crate::router::{Limits, Setup, Subject};
use crate::ruleset;
use crate::station::Cost;
use crate::traffic::{Family, Kind, Traffic};

/// The port of the flows that are there before.
const OLD: u16 = 5300;
/// The port of the honest flows that begin during the flood.
const HONEST: u16 = 5400;
/// Honest flows that begin at each pause of the flood.
const EACH: u32 = 20;
/// Pauses. Between two of an honest flow's packets there is half of what comes between two pauses: some
/// ten milliseconds.
const PAUSES: u32 = 50;

/// A flood.
#[derive(Clone, Copy)]
struct Flood {
    title: &'static str,
    /// Packets of each flow, and whether they come from the server.
    packets: &'static [(Kind, bool)],
}

const FLOODS: [Flood; 3] = [
    Flood {
        title: "SYN",
        packets: &[(Kind::Syn, false)],
    },
    Flood {
        title: "SYN and SYN/ACK",
        packets: &[(Kind::Syn, false), (Kind::SynAck, true)],
    },
    Flood {
        title: "UDP",
        packets: &[(Kind::Udp, false)],
    },
];

pub(super) fn run(bench: &Bench) -> Result<Section> {
    let flood = if bench.quick { 200_000 } else { 1_000_000 };
    // Four tenths of the table.
    let old = if bench.quick {
        20_000
    } else {
        MAX_FLOWS * 2 / 5
    };
    let mut table = Table::new(
        "After the flood:",
        [
            "",
            "flood",
            "established before",
            "survived",
            "honest new flows",
            "succeeded",
            "in table",
            "CPU ns a packet of the flood",
        ],
    );
    let mut notes = Vec::new();
    for subject in [Subject::Nft, Subject::Native] {
        for kind in FLOODS {
            bench.say(&format!("{subject}: {} {}", short(flood), kind.title));
            let (cells, caveat) = measure(bench, subject, kind, flood, old)?;
            table.push(subject.label(), cells);
            notes.extend(caveat);
        }
    }
    notes.dedup();
    Ok(Section {
        what: format!(
            "A flood of {} flows of one packet, or two, each from another address and port, through a table for \
             {MAX_FLOWS} flows that holds idle established TCP connections. Meanwhile honest clients open connections, \
             without sending anything again: one succeeds if its SYN, the SYN/ACK and the ACK all pass and it is \
             ASSURED. {RULES} rules; all limits as by default.",
            short(flood)
        ),
        tables: vec![table],
        notes,
        ..Section::default()
    })
}

fn measure(
    bench: &Bench,
    subject: Subject,
    flood: Flood,
    flows: u32,
    old: u32,
) -> Result<(Vec<Cell>, Option<String>)> {
    let rules = ruleset::linear(RULES);
    let setup = Setup {
        max_flows: MAX_FLOWS,
        rules: &rules,
        limits: Limits::Stock,
    };
    let mut field = bench.field(&[subject], &setup)?;
    let traffic = Traffic {
        family: Family::V4,
        kind: Kind::Data,
        reply: false,
        first: 0,
        flows: old,
        port: OLD,
    };
    establish(field.rigs(), &traffic, MAX_FLOWS / 16)?;
    bench
        .globals
        .set(bench.globals.stock_buckets(), MAX_FLOWS.into())?;
    let rig = &mut field.rigs()[0];
    let cost = rage(rig, flood, flows)?;
    let survived = rig.router.assured(&traffic)?;
    let succeeded = rig.router.assured(&Traffic {
        port: HONEST,
        ..traffic
    })?;
    let number = |n: u64| Cell::Number(n as f64);
    let cells = vec![
        Cell::Text(format!("{} {}", short(flows), flood.title)),
        number(old.into()),
        number(survived),
        number((EACH * PAUSES).into()),
        number(succeeded),
        number(rig.router.flows()?),
        Cell::Number(cost.cpu.as_nanos() as f64 / cost.sent as f64),
    ];
    Ok((cells, rig.router.caveat().map(str::to_owned)))
}

/// The flood, with honest handshakes in its pauses.
fn rage(rig: &mut Rig, flood: Flood, flows: u32) -> Result<Cost> {
    let (mut cost, part) = (Cost::default(), flows / PAUSES);
    let template = Traffic {
        family: Family::V4,
        kind: Kind::Syn,
        reply: false,
        first: 0,
        flows: 0,
        port: 80,
    };
    for pause in 0..PAUSES {
        let honest = Traffic {
            first: (1 << 22) + pause * EACH,
            flows: EACH,
            port: HONEST,
            ..template
        };
        let first = (1 << 24) + pause * part;
        let halves = [(first, part / 2), (first + part / 2, part - part / 2)];
        rig.send(&honest, EACH.into())?;
        cost += burst(rig, flood, template, halves[0])?;
        rig.send(&honest.with(Kind::SynAck, true), EACH.into())?;
        cost += burst(rig, flood, template, halves[1])?;
        rig.send(&honest.with(Kind::Ack, false), EACH.into())?;
    }
    Ok(cost)
}

fn burst(
    rig: &mut Rig,
    flood: Flood,
    template: Traffic,
    (first, flows): (u32, u32),
) -> Result<Cost> {
    let mut cost = Cost::default();
    for (kind, reply) in flood.packets {
        let traffic = Traffic {
            first,
            flows,
            ..template.with(*kind, *reply)
        };
        cost += rig.send(&traffic, flows.into())?;
    }
    Ok(cost)
}
