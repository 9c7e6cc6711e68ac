//! The generator itself: every packet that it is told to send arrives, and is of the flow that it
//! should be. Counted, not timed.

use fw_bench::rig::{Rig, establish};
use fw_bench::router::{Limits, Setup, Subject};
use fw_bench::ruleset;
use fw_bench::traffic::{Family, Kind, Traffic};
use std::fs;
use std::path::Path;
use std::time::Duration;
use xtask::lab::{eventually, root_or_skip};

const FLOWS: u32 = 300;

fn traffic(family: Family, kind: Kind) -> Traffic {
    Traffic {
        family,
        kind,
        reply: false,
        first: 7,
        flows: FLOWS,
        port: 5300,
    }
}

/// How long is waited for a machine on which nothing is lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// What has arrived, once no more has for a while: a CPU that is busy takes it later.
fn settled(rig: &Rig, traffic: &Traffic) -> u64 {
    let mut before = rig.arrived(traffic).unwrap();
    eventually("the last packet", PATIENCE, || {
        std::thread::sleep(Duration::from_millis(100));
        let now = rig.arrived(traffic).unwrap();
        (std::mem::replace(&mut before, now) == now).then_some(now)
    })
}

/// A router that is the kernel's: what it has tracked is what was sent.
fn kernel() -> Rig {
    let setup = Setup {
        max_flows: 1 << 16,
        rules: &ruleset::linear(20),
        limits: Limits::Lifted,
    };
    let rig = Rig::up(Subject::Nft, &setup, Path::new("fwctl")).unwrap();
    // Packets with a wrong checksum are INVALID then, and the rules drop them.
    let path = "/proc/sys/net/netfilter/nf_conntrack_checksum";
    rig.lab
        .router()
        .enter(|| fs::write(path, "1"))
        .unwrap()
        .unwrap();
    rig
}

#[test]
fn every_packet_arrives_and_every_flow_is_tracked() {
    if !root_or_skip() {
        return;
    }
    let mut rigs = [kernel()];
    for family in [Family::V4, Family::V6] {
        for kind in [Kind::Udp, Kind::UdpMix, Kind::Data, Kind::Acks] {
            let traffic = traffic(family, kind);
            // A wire loses what comes while the CPU at its other end stands still; a generator that loses
            // packets does so each time.
            eventually(&format!("every packet of {traffic:?}"), PATIENCE, || {
                rigs[0].router.flush().unwrap();
                if let Err(error) = establish(&mut rigs, &traffic, FLOWS) {
                    println!("{error:#}");
                    return None;
                }
                let before = rigs[0].arrived(&traffic).unwrap();
                // No multiple of the batch, and more than one round.
                rigs[0].send(&traffic, 2001).unwrap();
                let arrived = settled(&rigs[0], &traffic) - before;
                assert!(arrived <= 2001, "{arrived} of {traffic:?}");
                let flows = rigs[0].router.flows().unwrap();
                println!("{arrived} packets, {flows} flows");
                (arrived == 2001 && flows == u64::from(FLOWS)).then_some(())
            });
        }
    }
}

#[test]
fn a_router_that_drops_all_is_seen() {
    if !root_or_skip() {
        return;
    }
    let setup = Setup {
        max_flows: 1 << 16,
        rules: "",
        limits: Limits::Lifted,
    };
    let mut rig = Rig::up(Subject::Ceiling, &setup, Path::new("fwctl")).unwrap();
    let traffic = traffic(Family::V4, Kind::Udp);
    eventually("1000 packets at once", PATIENCE, || {
        let before = rig.arrived(&traffic).unwrap();
        rig.send(&traffic, 1000).unwrap();
        (settled(&rig, &traffic) == before + 1000).then_some(())
    });
    assert_eq!(rig.server.arrived().unwrap(), 0);
}
