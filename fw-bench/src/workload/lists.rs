//! Listing a full table, and sweeping it.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::established::short;
use crate::bench::{Bench, MAX_FLOWS, RULES};
use crate::report::{Cell, Section, Table};
use crate::rig::establish;
use crate::router::{Limits, Router, Setup, Subject};
use crate::ruleset;
use crate::stats::Summary;
use crate::sys::child;
use crate::traffic::{Family, Kind, Traffic};

/// How long the daemon is watched while it sweeps.
const WATCH: Duration = Duration::from_secs(10);

pub(super) fn run(bench: &Bench) -> Result<Section> {
    let flows = if bench.quick { 50_000 } else { 1_000_000 };
    let max_flows = if bench.quick {
        MAX_FLOWS
    } else {
        MAX_FLOWS * 4
    };
    let rules = ruleset::linear(RULES);
    let setup = Setup {
        max_flows,
        rules: &rules,
        limits: Limits::Lifted,
    };
    let mut field = bench.field(&[Subject::Nft, Subject::Native], &setup)?;
    let traffic = Traffic {
        family: Family::V4,
        kind: Kind::Data,
        reply: false,
        first: 0,
        flows,
        port: 5300,
    };
    establish(field.rigs(), &traffic, max_flows / 8)?;
    let mut table = Table::new(
        "To `/dev/null`:",
        ["", "wall, s", "CPU, s", "most memory, MB"],
    );
    let mut notes = Vec::new();
    for rig in field.rigs() {
        match &rig.router {
            Router::Kernel(kernel) => {
                time(bench, &mut table, "conntrack -L", || kernel.list())?;
            }
            Router::Fwctl(fwctl) => {
                for words in [&["list"][..], &["list", "-o", "json"], &["count"]] {
                    let name = format!("fwctl {}", words.join(" "));
                    time(bench, &mut table, &name, || fwctl.command(words))?;
                }
                let (begin, before) = (Instant::now(), fwctl.cpu_time()?);
                thread::sleep(WATCH);
                let used = fwctl.cpu_time()? - before;
                let share = used.as_secs_f64() / begin.elapsed().as_secs_f64() * 100.0;
                notes.push(format!(
                    "The daemon, which sweeps {} flows with a pause of a second between two sweeps, uses {share:.1} % \
                     of one CPU.",
                    short(flows)
                ));
            }
            Router::Bare => {}
        }
    }
    notes.extend(field.caveats());
    Ok(Section {
        what: format!("A table with {} established TCP flows.", short(flows)),
        tables: vec![table],
        notes,
        ..Section::default()
    })
}

/// Runs a command in every round and adds what it took.
fn time(bench: &Bench, table: &mut Table, name: &str, command: impl Fn() -> Command) -> Result<()> {
    bench.say(name);
    let (mut wall, mut cpu, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let begin = Instant::now();
        let mut command = command();
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        let (status, usage) = child::wait(quiet.spawn()?)?;
        ensure!(status.success(), "{name}: {status}");
        wall.push(begin.elapsed().as_secs_f64());
        cpu.push(usage.cpu.as_secs_f64());
        memory.push(usage.memory as f64 / 1e6);
    }
    let cells =
        [&wall, &cpu, &memory].map(|values| Summary::of(values).map_or(Cell::None, Cell::Summary));
    table.push(name, cells.into());
    Ok(())
}
