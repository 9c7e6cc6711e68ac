//! Conversations replayed from a Linux 6.18.44 kernel.
//!
//! They were sent as raw frames through a router namespace with nf_conntrack: mostly broken ones, with
//! numbers on and beside every bound that the window check knows. Of 2.2 million packets, in which
//! this code and the kernel agreed on every one, these are the shortest conversations in which every
//! combination of entry, direction, kind of segment and outcome occurs.
//!
//! Each is `[[loose, liberal, max_retrans, ignore_invalid_rst], [step, …]]`, each step
//! `[[host, flags, seq, ack, window, payload, options, wscale, sack], class, entry]`: host 0 is A;
//! options 1 window scale, 2 SACK permitted; `sack` the right edge of a SACK block or null; `entry`
//! null or `[state, seconds, replied, assured, packets, packets back, originator]`.

mod support;

use fw_common::wire::TcpSegment;
use fw_common::{CtInfo, tcp};
use serde_json::Value;
use support::{Host, Lab};

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

/// The sender and the segment of a step.
fn segment(fields: &Value) -> (Host, TcpSegment) {
    let field = |i: usize| number(&fields[i]);
    let (flags, ack) = (field(1) as u8, field(3) as u32);
    let mut segment = TcpSegment {
        seq: field(2) as u32,
        ack,
        sack: ack,
        payload: field(5) as u16,
        window: field(4) as u16,
        flags,
        ..TcpSegment::default()
    };
    if flags & tcp::header::SYN != 0 {
        segment.options = field(6) as u8;
        // None was sent without any: where there was no other it had a maximum segment size.
        segment.cursor = 4;
        segment.wscale = (field(7) as u8).min(14);
    } else if let Some(edge) = fields[8].as_u64() {
        let edge = edge as u32;
        if (ack.wrapping_sub(edge) as i32) < 0 {
            segment.sack = edge;
        }
    }
    let from = if field(0) == 0 { Host::A } else { Host::B };
    (from, segment)
}

/// Whether the entry is what the kernel listed. Its seconds are rounded down, and a second may have
/// begun between the packet and the listing.
fn agrees(lab: &Lab, listed: &Value) -> bool {
    let Some((flow, origin)) = &lab.entry else {
        return listed.is_null();
    };
    let facts = [
        u64::from(lab.replied()),
        u64::from(lab.assured()),
        flow.legs[0].packets,
        flow.legs[1].packets,
        *origin as u64,
    ];
    listed[0] == lab.state().name()
        && listed[1]
            .as_u64()
            .is_some_and(|s| lab.seconds().wrapping_sub(s) <= 2)
        && (2..7).all(|i| listed[i] == facts[i - 2])
}

fn replay(knobs: &Value, steps: &[Value]) -> Result<(), String> {
    let mut lab = Lab::new();
    lab.config.tcp_loose = number(&knobs[0]) as u8;
    lab.config.tcp_be_liberal = number(&knobs[1]) as u8;
    lab.config.tcp_max_retrans = number(&knobs[2]) as u8;
    lab.config.tcp_ignore_invalid_rst = number(&knobs[3]) as u8;
    for (i, step) in steps.iter().enumerate() {
        let (from, segment) = segment(&step[0]);
        let class = lab.tcp(from, segment);
        if CtInfo::name(class) != step[1] || !agrees(&lab, &step[2]) {
            let (class, entry) = (class.name(), lab.show());
            return Err(format!("step {i} of {steps:?}: {class}, {entry}"));
        }
    }
    Ok(())
}

#[test]
fn every_recorded_conversation() {
    let text = include_str!("data/tcp-conversations.json");
    let conversations: Vec<(Value, Vec<Value>)> = serde_json::from_str(text).expect("JSON");
    assert!(conversations.len() > 300);
    let wrong: Vec<String> = conversations
        .iter()
        .filter_map(|(knobs, steps)| replay(knobs, steps).err())
        .collect();
    assert!(
        wrong.is_empty(),
        "{} wrong, first: {}",
        wrong.len(),
        wrong[0]
    );
}
