//! A lab with a generator at each end and a router under test in the middle.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use xtask::lab::{Host, Lab};

use crate::router::{self, Router, Setup, Subject};
use crate::station::{Cost, Station};
use crate::traffic::{Kind, Traffic};

/// One router under test and what stands around it.
#[derive(Debug)]
pub struct Rig {
    /// What is measured.
    pub subject: Subject,
    /// The router under test. Before the lab: the daemon is to end before its namespace does.
    pub router: Router,
    /// On the client.
    pub client: Station,
    /// On the server.
    pub server: Station,
    /// On the router, where it drops all.
    door: Option<Station>,
    /// The hosts.
    pub lab: Lab,
}

/// Next hops are known and stay known: the sinks let neighbour discovery pass, but it would take place
/// while packets are counted.
const ROUTES: &str = "\
neigh replace 192.168.1.2 lladdr 02:00:00:00:01:02 dev eth0 nud permanent
neigh replace 10.0.0.2 lladdr 02:00:00:00:02:02 dev eth1 nud permanent
neigh replace 2001:db8:1::2 lladdr 02:00:00:00:01:02 dev eth0 nud permanent
neigh replace 2001:db8:2::2 lladdr 02:00:00:00:02:02 dev eth1 nud permanent
route add 198.18.0.0/16 via 192.168.1.2
route add 198.19.0.0/16 via 10.0.0.2
route add 2001:db8:18::/48 via 2001:db8:1::2
route add 2001:db8:19::/48 via 2001:db8:2::2";

impl Rig {
    /// Builds a lab, starts the router, attaches generators and sinks.
    ///
    /// # Errors
    /// When one of them fails.
    pub fn up(subject: Subject, setup: &Setup<'_>, fwctl: &Path) -> Result<Self> {
        let lab = Lab::up("bench")?;
        routes(lab.router())?;
        let router = router::start(&lab, subject, setup, fwctl)
            .with_context(|| format!("can't start {subject}"))?;
        let client = Station::open(lab.client(), "eth0")?;
        let server = Station::open(lab.server(), "eth0")?;
        let door = match subject {
            Subject::Ceiling => Some(Station::open(lab.router(), "eth0")?),
            _ => None,
        };
        Ok(Self {
            subject,
            router,
            client,
            server,
            door,
            lab,
        })
    }

    /// Sends packets from the side that `traffic` comes from.
    ///
    /// # Errors
    /// When the generator can't be run.
    pub fn send(&mut self, traffic: &Traffic, packets: u64) -> Result<Cost> {
        if traffic.reply {
            self.server.send(traffic, packets)
        } else {
            self.client.send(traffic, packets)
        }
    }

    /// Packets that have come out where `traffic` goes to.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn arrived(&self, traffic: &Traffic) -> Result<u64> {
        match &self.door {
            Some(door) => door.arrived(),
            None if traffic.reply => self.client.arrived(),
            None => self.server.arrived(),
        }
    }
}

fn routes(router: &Host) -> Result<()> {
    for line in ROUTES.lines() {
        let status = router.command("ip").args(line.split(' ')).status()?;
        ensure!(status.success(), "ip {line}: {status}");
    }
    Ok(())
}

/// How long a UDP flow must last before it is assured: two seconds, and a little.
const STREAM_AFTER: Duration = Duration::from_millis(2200);

/// Makes every flow of `traffic` an assured one in all `rigs`, and sees to it that it is.
///
/// A `group` of flows at a time: those that are not assured yet have little room of their own in fwctl's
/// table, as no honest crowd opens a million connections at once.
///
/// # Errors
/// When a router has not all of them: nothing measured would mean anything.
pub fn establish(rigs: &mut [Rig], traffic: &Traffic, group: u32) -> Result<()> {
    let mut tracking: Vec<&mut Rig> = rigs
        .iter_mut()
        .filter(|rig| !matches!(rig.router, Router::Bare))
        .collect();
    let end = traffic.first + traffic.flows;
    for first in (traffic.first..end).step_by(group.max(1) as usize) {
        let flows = group.min(end - first);
        open(
            &mut tracking,
            &Traffic {
                first,
                flows,
                ..*traffic
            },
        )?;
    }
    for rig in tracking {
        let assured = rig.router.assured(traffic)?;
        ensure!(
            assured == u64::from(traffic.flows),
            "{}: only {assured} of {} flows are assured",
            rig.subject,
            traffic.flows
        );
    }
    Ok(())
}

/// The packets that make a flow assured; of UDP all but the last.
fn opening(kind: Kind) -> &'static [(Kind, bool)] {
    match kind {
        Kind::Udp | Kind::UdpMix => &[(Kind::Udp, false), (Kind::Udp, true)],
        Kind::Acks => &[
            (Kind::Syn, false),
            (Kind::SynAck, true),
            (Kind::Ack, false),
            (Kind::Ack, true),
            (Kind::Far, true),
        ],
        _ => &[
            (Kind::Syn, false),
            (Kind::SynAck, true),
            (Kind::Ack, false),
            (Kind::Ack, true),
        ],
    }
}

fn open(rigs: &mut [&mut Rig], traffic: &Traffic) -> Result<()> {
    let flows = u64::from(traffic.flows);
    for rig in rigs.iter_mut() {
        for (kind, reply) in opening(traffic.kind) {
            rig.send(&traffic.with(*kind, *reply), flows)?;
        }
    }
    if matches!(traffic.kind, Kind::Udp | Kind::UdpMix) {
        thread::sleep(STREAM_AFTER);
        for rig in rigs.iter_mut() {
            rig.send(&traffic.with(Kind::Udp, false), flows)?;
        }
    }
    Ok(())
}
