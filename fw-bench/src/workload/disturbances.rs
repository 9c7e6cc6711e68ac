//! Whether packets are lost while the firewall is busy with something else.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::bench::{Bench, MAX_FLOWS, RULES};
use crate::report::{Cell, Section, Table};
use crate::rig::{Rig, establish};
use crate::router::{Limits, Router, Setup, Subject};
use crate::ruleset;
use crate::traffic::{Family, Kind, Traffic};
use xtask::lab::Host;

/// What goes on while packets pass.
type Disturbance = fn(&Router, &Host) -> Result<()>;

pub(super) fn run(bench: &Bench) -> Result<Section> {
    let flows = 100_000;
    let rules = ruleset::linear(RULES);
    let setup = Setup {
        max_flows: MAX_FLOWS,
        rules: &rules,
        limits: Limits::Lifted,
    };
    let mut field = bench.field(&[Subject::Native], &setup)?;
    let caveats = field.caveats();
    let traffic = Traffic {
        family: Family::V4,
        kind: Kind::Data,
        reply: false,
        first: 0,
        flows,
        port: 5300,
    };
    establish(field.rigs(), &traffic, MAX_FLOWS / 8)?;
    let mut cases: Vec<(&str, Disturbance)> = vec![
        ("the sweep, every second", wait_for_a_sweep),
        ("a route changes, again and again", change_route),
        ("timeouts change, again and again", change_timeout),
    ];
    if caveats.is_empty() {
        cases.push(("the rules are loaded again and again", reload));
    }
    let packets = if bench.quick { 1 << 20 } else { 1 << 22 };
    let mut table = Table::new("", ["", "times", "packets", "lost"]);
    let rig = &mut field.rigs()[0];
    for (name, disturb) in cases {
        bench.say(name);
        let (times, lost) = disturbed(rig, &traffic, packets, disturb)?;
        let cells = [times, packets, lost].map(|n| Cell::Number(n as f64));
        table.push(name, cells.into());
    }
    Ok(Section {
        what: format!(
            "Packets of {flows} established TCP flows through fwctl in XDP native, and what happens meanwhile."
        ),
        tables: vec![table],
        notes: caveats,
        ..Section::default()
    })
}

/// Sends packets, and disturbs until they are through. How often, and how many were lost.
fn disturbed(
    rig: &mut Rig,
    traffic: &Traffic,
    packets: u64,
    disturb: Disturbance,
) -> Result<(u64, u64)> {
    let before = rig.arrived(traffic)?;
    let done = AtomicBool::new(false);
    let Rig {
        client,
        router,
        lab,
        ..
    } = rig;
    let times = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let sent = client.send(traffic, packets);
            done.store(true, Ordering::Release);
            sent
        });
        let mut times = 0;
        while !done.load(Ordering::Acquire) {
            disturb(router, lab.router())?;
            times += 1;
        }
        let sent = sender.join();
        sent.map_err(|_| anyhow::anyhow!("the sender panicked"))??;
        anyhow::Ok(times)
    })?;
    let arrived = rig.arrived(traffic)? - before;
    Ok((times, packets - arrived))
}

fn wait_for_a_sweep(_: &Router, _: &Host) -> Result<()> {
    thread::sleep(Duration::from_secs(1));
    Ok(())
}

/// The packets' own route, with another MTU.
fn change_route(_: &Router, host: &Host) -> Result<()> {
    for mtu in ["1400", "1500"] {
        let mut command = host.command("ip");
        command.args(["route", "replace", "198.19.0.0/16", "via", "10.0.0.2"]);
        let status = command.args(["mtu", mtu]).status()?;
        ensure!(status.success(), "ip route: {status}");
    }
    Ok(())
}

fn change_timeout(router: &Router, _: &Host) -> Result<()> {
    if let Router::Fwctl(fwctl) = router {
        for seconds in ["udp=30", "udp=31"] {
            let mut command = fwctl.command(&["timeouts", "set", seconds]);
            let status = command.stdout(Stdio::null()).status()?;
            ensure!(status.success(), "fwctl timeouts set: {status}");
        }
    }
    Ok(())
}

fn reload(router: &Router, _: &Host) -> Result<()> {
    router.load(&ruleset::linear(RULES)).context("a reload")
}
