//! Any bytes as a conversation of two TCP endpoints.

use fw_common::abi::Flow;
use fw_common::tcp::State;
use fw_common::wire::TcpSegment;
use fw_common::{CtInfo, status};

use crate::support::{HZ, Host, Lab};

/// Bytes that make one segment.
const STEP: usize = 9;
/// Longest timeout there is by default, in seconds: that of an established connection.
pub(crate) const LONGEST: u64 = 432_000;
/// First sequence numbers: one of them wraps soon.
const ISS: [u32; 2] = [0xffff_f000, 1_000_000];

/// Sends the segments that `data` describes through the state machine, and checks the entry after
/// each of them.
///
/// # Panics
/// If the entry is not as it must be.
pub fn talk(data: &[u8]) {
    let mut lab = Lab::new();
    for step in data.as_chunks::<STEP>().0 {
        let before = lab.entry;
        let info = send(&mut lab, step);
        check(&lab, before.map(|(flow, _)| flow), info);
    }
}

/// One segment: who and when, flags, sequence and acknowledgement number (relative to the first
/// ones), window, length, options.
fn send(lab: &mut Lab, step: &[u8; STEP]) -> CtInfo {
    let [control, flags, s0, s1, a0, a1, window, length, options] = *step;
    let from = if control & 1 == 0 { Host::A } else { Host::B };
    lab.now += u64::from(control >> 1) * HZ / 4;
    let [own, peer] = match from {
        Host::A => ISS,
        Host::B => [ISS[1], ISS[0]],
    };
    let ack = peer.wrapping_add(relative([a0, a1]));
    lab.tcp(
        from,
        TcpSegment {
            seq: own.wrapping_add(relative([s0, s1])),
            ack,
            sack: ack.wrapping_add(u32::from(options >> 6) * 1000),
            payload: u16::from(length),
            window: u16::from(window) << 8,
            flags,
            wscale: options & 0x0f,
            options: options >> 4 & 3,
            ..TcpSegment::default()
        },
    )
}

fn relative(bytes: [u8; 2]) -> u32 {
    i32::from(i16::from_be_bytes(bytes)).cast_unsigned()
}

fn check(lab: &Lab, before: Option<Flow>, info: CtInfo) {
    let Some((flow, _)) = lab.entry else {
        return;
    };
    assert!(State::from_u8(flow.proto.state).is_some());
    assert!(flow.deadline <= lab.now + LONGEST * HZ);
    assert!(flow.start <= lab.now);
    assert!(flow.status & status::CONFIRMED != 0);
    let Some(before) = before else { return };
    // Same entry: what it has become it stays.
    if before.start == flow.start && info != CtInfo::New {
        let lasting = status::SEEN_REPLY | status::ASSURED;
        assert_eq!(before.status & lasting & !flow.status, 0);
        for (old, new) in before.legs.iter().zip(&flow.legs) {
            assert!(new.packets >= old.packets);
        }
    }
}
