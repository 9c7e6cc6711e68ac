//! The generator itself: every packet that it is told to send arrives, and is of the flow that it
//! should be. Counted, not timed.

use fw_bench::rig::{Rig, establish};
use fw_bench::router::{Limits, Setup, Subject};
use fw_bench::ruleset;
use fw_bench::traffic::{Family, Kind, Traffic};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
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

/// How long for packets that a busy CPU takes later, before they count as lost.
const NOTHING: Duration = Duration::from_secs(2);

/// Sends `count` packets; whether all have arrived. No more have, at any rate.
fn all_arrive(rig: &mut Rig, traffic: &Traffic, count: u64) -> bool {
    let before = rig.arrived(traffic).unwrap();
    rig.send(traffic, count).unwrap();
    let end = Instant::now() + NOTHING;
    loop {
        let arrived = rig.arrived(traffic).unwrap() - before;
        assert!(arrived <= count, "{arrived} of {traffic:?}");
        if arrived == count || Instant::now() > end {
            println!("{arrived} packets of {count}");
            return arrived == count;
        }
        std::thread::yield_now();
    }
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
                let all = all_arrive(&mut rigs[0], &traffic, 2001);
                let flows = rigs[0].router.flows().unwrap();
                let arrived = rigs[0].arrived(&traffic).unwrap() - before;
                assert!(arrived <= 2001, "{arrived} of {traffic:?}");
                (all && flows == u64::from(FLOWS)).then_some(())
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
        all_arrive(&mut rig, &traffic, 1000).then_some(())
    });
    assert_eq!(rig.server.arrived().unwrap(), 0);
}
