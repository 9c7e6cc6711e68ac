//! The generator itself: every packet that it is told to send arrives, and is of the flow that it
//! should be. Counted, not timed.

use fw_bench::rig::{Rig, establish};
use fw_bench::router::{Limits, Setup, Subject};
use fw_bench::ruleset;
use fw_bench::traffic::{Family, Kind, Traffic};
use std::fs;
use std::path::Path;
use xtask::lab::root_or_skip;

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
            rigs[0].router.flush().unwrap();
            establish(&mut rigs, &traffic, FLOWS).unwrap();
            let before = rigs[0].arrived(&traffic).unwrap();
            // No multiple of the batch, and more than one round.
            rigs[0].send(&traffic, 2001).unwrap();
            let arrived = rigs[0].arrived(&traffic).unwrap() - before;
            assert_eq!(arrived, 2001, "{traffic:?}");
            assert_eq!(
                rigs[0].router.flows().unwrap(),
                u64::from(FLOWS),
                "{traffic:?}"
            );
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
    rig.send(&traffic, 1000).unwrap();
    assert_eq!(rig.arrived(&traffic).unwrap(), 1000);
    assert_eq!(rig.server.arrived().unwrap(), 0);
}
