//! One TCP connection with as much as it can carry, between real sockets.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use xtask::lab::{Host, Lab, SERVER_V4};

use crate::bench::{Bench, MAX_FLOWS, RULES};
use crate::report::{Cell, Section, Table};
use crate::router::{self, Limits, Setup, Subject};
use crate::ruleset;
use crate::station::measuring_cpu;
use crate::stats::Summary;

/// How the segments cross the veth pairs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wire {
    /// One by one, as from a NIC that joins none.
    Single,
    /// One by one, and the router joins them (GRO).
    Joined,
    /// Up to 64 kB at once: segmentation is left to a NIC that is not there, checksums too.
    Whole,
}

/// A way through the router.
struct Path {
    subject: Subject,
    wire: Wire,
    name: &'static str,
}

const PATHS: [Path; 8] = [
    Path {
        subject: Subject::Nft,
        wire: Wire::Single,
        name: "nft + conntrack, segments of 1,500 bytes, no GRO",
    },
    Path {
        subject: Subject::Nft,
        wire: Wire::Joined,
        name: "nft + conntrack, segments of 1,500 bytes, GRO",
    },
    Path {
        subject: Subject::Nft,
        wire: Wire::Whole,
        name: "nft + conntrack, TSO",
    },
    Path {
        subject: Subject::Native,
        wire: Wire::Single,
        name: "fwctl, XDP native, segments of 1,500 bytes",
    },
    Path {
        subject: Subject::Generic,
        wire: Wire::Single,
        name: "fwctl, XDP generic, segments of 1,500 bytes",
    },
    Path {
        subject: Subject::Tc,
        wire: Wire::Single,
        name: "fwctl, tc, segments of 1,500 bytes, no GRO",
    },
    Path {
        subject: Subject::Tc,
        wire: Wire::Joined,
        name: "fwctl, tc, segments of 1,500 bytes, GRO",
    },
    Path {
        subject: Subject::Tc,
        wire: Wire::Whole,
        name: "fwctl, tc, TSO",
    },
];

/// A lab in which a server listens.
struct Stand {
    name: &'static str,
    router: router::Router,
    server: std::process::Child,
    lab: Lab,
}

pub(super) fn run(bench: &Bench) -> Result<Section> {
    let rules = ruleset::linear(RULES);
    let setup = Setup {
        max_flows: MAX_FLOWS,
        rules: &rules,
        limits: Limits::Stock,
    };
    let hooks = router::supports(&bench.fwctl, "--hook");
    let paths = PATHS
        .iter()
        .filter(|path| hooks || path.subject != Subject::Tc);
    let stands: Vec<Stand> = paths
        .map(|path| stand(bench, path, &setup))
        .collect::<Result<_>>()?;
    let seconds = if bench.quick { 1 } else { 3 };
    let mut figures = vec![(Vec::new(), Vec::new()); stands.len()];
    for round in 0..bench.rounds {
        bench.say(&format!("round {}", round + 1));
        for (stand, (rates, repeats)) in stands.iter().zip(&mut figures) {
            let (rate, repeated) = transfer(&stand.lab, seconds).with_context(|| stand.name)?;
            rates.push(rate);
            repeats.push(repeated);
        }
    }
    let mut table = Table::new("Throughput:", ["", "Gbit/s", "segments sent again"]);
    for (stand, (rates, repeats)) in stands.iter().zip(&figures) {
        let cells = [rates, repeats].map(|of| Summary::of(of).map_or(Cell::None, Cell::Summary));
        table.push(stand.name, cells.into());
    }
    let mut notes: Vec<String> = stands
        .iter()
        .filter_map(|stand| stand.router.caveat().map(str::to_owned))
        .collect();
    notes.dedup();
    Ok(Section {
        what: format!(
            "iperf3, one connection, {seconds} s a round; client on one CPU, server on the other, and each does the \
             router's work on its side. The sockets' own TCP is most of it, so that differences are muted."
        ),
        tables: vec![table],
        notes,
        ..Section::default()
    })
}

fn stand(bench: &Bench, path: &Path, setup: &Setup<'_>) -> Result<Stand> {
    let lab = Lab::up("bench")?;
    for (host, interfaces) in [
        (lab.client(), &["eth0"][..]),
        (lab.server(), &["eth0"]),
        (lab.router(), &["eth0", "eth1"]),
    ] {
        for interface in interfaces {
            set_offloads(host, interface, path.wire, host.role() == "router")?;
        }
    }
    let router = router::start(&lab, path.subject, setup, &bench.fwctl)
        .with_context(|| format!("can't start {}", path.subject))?;
    let mut command = lab.server().command("taskset");
    command.args(["-c", &measuring_cpu().to_string(), "iperf3", "-s"]);
    let server = command
        .stdout(Stdio::null())
        .spawn()
        .context("can't start iperf3")?;
    await_listener(lab.server())?;
    Ok(Stand {
        name: path.name,
        router,
        server,
        lab,
    })
}

fn set_offloads(host: &Host, interface: &str, wire: Wire, router: bool) -> Result<()> {
    let on = |on| if on { "on" } else { "off" };
    let whole = on(wire == Wire::Whole);
    // The ends join in any case, as hosts do.
    let joins = on(!router || wire != Wire::Single);
    let mut command = host.command("ethtool");
    command.args([
        "-K", interface, "tx", whole, "tso", whole, "gso", whole, "gro", joins,
    ]);
    let status = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    ensure!(status.success(), "ethtool -K {interface}: {status}");
    Ok(())
}

/// Waits until the server's port is open.
fn await_listener(server: &Host) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        let tcp = server.enter(|| std::fs::read_to_string("/proc/thread-self/net/tcp6"))??;
        // Port 5201 in state LISTEN.
        if tcp
            .lines()
            .any(|line| line.contains(":1451 ") && line.contains(" 0A "))
        {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("iperf3 does not listen")
}

/// Gbit/s, and segments that were sent again.
fn transfer(lab: &Lab, seconds: u32) -> Result<(f64, f64)> {
    let mut command: Command = lab.client().command("timeout");
    command
        .args([
            &(seconds + 10).to_string(),
            "taskset",
            "-c",
            "0",
            "iperf3",
            "-J",
        ])
        .args(["-c", &SERVER_V4.to_string(), "-t", &seconds.to_string()]);
    let done = command.output()?;
    ensure!(done.status.success(), "iperf3: {}", done.status);
    let report: Value = serde_json::from_slice(&done.stdout)?;
    let end = &report["end"];
    let rate = end["sum_received"]["bits_per_second"].as_f64();
    let repeated = end["sum_sent"]["retransmits"].as_f64();
    Ok((
        rate.context("iperf3 names no rate")? / 1e9,
        repeated.unwrap_or(0.0),
    ))
}

impl Drop for Stand {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
