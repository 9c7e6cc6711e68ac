//! A set of a million prefixes: to load it, to change it, to look a new flow up in it.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::established::short;
use crate::bench::{Bench, Contest, MAX_FLOWS, RULES};
use crate::machine::used_memory;
use crate::measure::Fate;
use crate::report::{Cell, Section, Table};
use crate::router::{Limits, Router, Setup, Subject};
use crate::ruleset;
use crate::stats::{Summary, less};
use crate::traffic::{Family, Kind, Traffic};

pub(super) fn run(bench: &Bench) -> Result<Section> {
    let elements = if bench.quick { 100_000 } else { 1_000_000 };
    let rules = ruleset::linear(RULES);
    let setup = Setup {
        max_flows: MAX_FLOWS,
        rules: &rules,
        limits: Limits::Lifted,
    };
    let mut field = bench.field(&[Subject::Nft, Subject::Native], &setup)?;
    let mut notes = field.caveats();
    if !notes.is_empty() {
        field.leave(Subject::is_ours);
    }
    let text = ruleset::prefixes(elements);
    let mut loads = Vec::new();
    for (subject, rig) in field.routers() {
        bench.say(&format!("{subject}: loading {} elements", short(elements)));
        loads.push((subject, load(&rig.router, &text, elements)));
    }
    loads.retain(|(subject, load)| match load {
        Ok(_) => true,
        Err(error) => {
            notes.push(format!("{subject}: {error:#}"));
            false
        }
    });
    field.leave(|subject| !loads.iter().any(|(loaded, _)| *loaded == subject));
    let with_set = field.compete(bench, &new_flows())?;
    for (_, rig) in field.routers() {
        rig.router.load(&ruleset::no_prefixes())?;
    }
    let without = field.compete(bench, &new_flows())?;
    let mut table = Table::new(
        "",
        [
            "",
            "load, s",
            "memory, MB",
            "add one, ms",
            "new flow, CPU ns",
            "of that, the look-up",
        ],
    );
    for (((subject, load), (_, series)), (_, base)) in loads.iter().zip(&with_set).zip(&without) {
        let mut cells: Vec<Cell> = load.as_ref().map_or(Vec::new(), Clone::clone);
        cells.push(Cell::Summary(series.summary()));
        let look_up = Summary::of(&less(&series.cpu, &base.cpu));
        cells.push(look_up.map_or(Cell::None, Cell::Summary));
        table.push(subject.label(), cells);
    }
    Ok(Section {
        what: format!(
            "A ruleset with a set of {} IPv4 prefixes, of lengths from 26 to 32, in which each new flow's source is \
             looked up, and found. Loading takes the place of {RULES} rules, and begins with the program that reads \
             the text. Memory is what the kernel and, of fwctl, the daemon have more of afterwards. The look-up is the \
             difference to the same chain without it, measured afterwards.",
            short(elements)
        ),
        tables: vec![table],
        notes,
        ..Section::default()
    })
}

/// Loads the set; time, memory, and the time to add one element.
fn load(router: &Router, text: &str, elements: u32) -> Result<Vec<Cell>> {
    let before = used_memory();
    let begin = Instant::now();
    router.load(text)?;
    let took = begin.elapsed().as_secs_f64();
    let memory = used_memory().saturating_sub(before) as f64 / 1e6;
    let element = ruleset::prefix(elements + 1);
    let begin = Instant::now();
    match router {
        Router::Kernel(kernel) => {
            let element = format!("{{ {element} }}");
            kernel.nft(&["add", "element", "inet", "bench", "known", &element])?;
        }
        Router::Fwctl(fwctl) => {
            let add = ["set", "add", "inet", "bench", "known", &element];
            let done = fwctl.command(&add).output()?;
            let said = String::from_utf8_lossy(&done.stderr);
            ensure!(done.status.success(), "fwctl set add: {said}");
        }
        Router::Bare => return Ok(vec![Cell::None; 3]),
    }
    let add = Cell::Number(begin.elapsed().as_secs_f64() * 1000.0);
    Ok(vec![Cell::Number(took), Cell::Number(memory), add])
}

fn new_flows() -> Contest {
    Contest {
        traffic: Traffic {
            family: Family::V4,
            kind: Kind::Syn,
            reply: false,
            first: 1 << 24,
            flows: 1 << 23,
            port: 80,
        },
        packets: 1 << 17,
        fate: Fate::Arrive,
        fresh: true,
    }
}
