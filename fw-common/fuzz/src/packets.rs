//! Any bytes as packets of any protocol, through a firewall without a network: parser, key, state
//! machine, table.

use std::collections::HashMap;

use fw_common::abi::{Config, Flow, Key4, Key6};
use fw_common::flow::{self, FlowKey, Tuple};
use fw_common::track::{self, Fate};
use fw_common::wire::{self, Family, Fragment, Meta, inner, proto};
use fw_common::{CtInfo, Dir, status};

use crate::frame::repaired;
use crate::support::{HZ, START, defaults};
use crate::talk::LONGEST;

/// The firewall.
pub(crate) struct World {
    config: Config,
    now: u64,
    flows4: HashMap<Key4, Flow>,
    flows6: HashMap<Key6, Flow>,
}

/// Sends the packets that `data` describes: a delay (quarters of a second), a length, and so many bytes,
/// again and again.
///
/// # Panics
/// If something is not as it must be.
pub fn packets(mut data: &[u8]) {
    let mut world = World::new();
    while let Some((&[delay, length], rest)) = data.split_first_chunk() {
        let (frame, next) = rest.split_at(usize::from(length).min(rest.len()));
        world.wait(delay);
        world.receive(&repaired(frame));
        data = next;
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            config: defaults(),
            now: START,
            flows4: HashMap::new(),
            flows6: HashMap::new(),
        }
    }

    /// Lets so many quarters of a second pass.
    pub(crate) fn wait(&mut self, quarters: u8) {
        self.now += u64::from(quarters) * HZ / 4;
    }

    pub(crate) fn receive(&mut self, frame: &[u8]) {
        let mut meta = Meta::default();
        if wire::parse(frame, &mut meta).is_err() || meta.fragment == Fragment::Later {
            return;
        }
        if track::admit(&meta).is_err() {
            return;
        }
        if fw_common::icmp::is_icmp(meta.family, meta.proto) && inner::quotes(&meta) {
            let mut quoted = Meta::default();
            if inner::inner(frame, &meta, &mut quoted).is_ok() {
                // Look-up only: an error makes no flow and refreshes none.
                let _ = Tuple::of(&quoted);
            }
            return;
        }
        match meta.family {
            Family::V4 => judge(&mut self.flows4, &meta, &self.config, self.now),
            Family::V6 => judge(&mut self.flows6, &meta, &self.config, self.now),
        }
    }
}

fn judge<K>(flows: &mut HashMap<K, Flow>, meta: &Meta, config: &Config, now: u64)
where
    K: FlowKey + Eq + std::hash::Hash + std::fmt::Debug,
{
    let Ok(tuple) = Tuple::of(meta) else { return };
    let (key, from_hi) = K::canonical(&tuple, 0);
    assert_eq!(
        K::canonical(&tuple.invert(), 0).0,
        key,
        "one key for both directions"
    );
    if flows.get(&key).is_some_and(|flow| flow.deadline <= now) {
        flows.remove(&key);
    }
    if let Some(flow) = flows.get_mut(&key) {
        let dir = flow::direction(flow, from_hi);
        let before = *flow;
        let outcome = track::advance(flow, dir, meta, config, now);
        check(flow, Some(&before), meta, config, now);
        check_step(flow, &before, dir, outcome.info, meta.proto);
        match outcome.fate {
            Fate::Keep => {}
            Fate::Promote => assert!(before.status & status::ASSURED == 0),
            Fate::Remove | Fate::Reopen => {
                flows.remove(&key);
            }
        }
        if outcome.fate != Fate::Reopen {
            return;
        }
    }
    let mut flow = Flow {
        origin: from_hi.into(),
        ..Flow::default()
    };
    if track::open(&mut flow, meta, config, now).is_ok() {
        check(&flow, None, meta, config, now);
        assert_eq!(flow.start, now);
        assert_eq!(flow.status, status::CONFIRMED, "nobody has answered yet");
        assert_eq!(flow::tuple_of(&key, &flow, Dir::Original), tuple);
        flows.insert(key, flow);
    }
}

/// What holds of every entry after every packet.
fn check(flow: &Flow, before: Option<&Flow>, meta: &Meta, config: &Config, now: u64) {
    assert!(flow.deadline <= now + LONGEST * HZ);
    let lifetime = track::lifetime(flow, meta.family, meta.proto, config);
    assert!(lifetime <= LONGEST * HZ);
    // A packet that prolongs a flow does so by the timeout that the entry tells.
    if before.is_none_or(|before| flow.deadline > before.deadline) {
        assert_eq!(flow.deadline - now, lifetime);
    }
}

fn check_step(flow: &Flow, before: &Flow, dir: Dir, info: CtInfo, protocol: u8) {
    assert_eq!((flow.start, flow.origin), (before.start, before.origin));
    assert_eq!(
        before.status & !flow.status,
        0,
        "what a flow has become it stays"
    );
    let answered = flow.status & !before.status & status::SEEN_REPLY != 0;
    assert!(!answered || dir == Dir::Reply);
    if info == CtInfo::Invalid {
        // An SCTP packet is INVALID from the first wrong chunk on; those before it have had their say
        // (`nf_conntrack_sctp_packet`).
        let said = if protocol == proto::SCTP {
            status::ASSURED
        } else {
            0
        };
        assert_eq!(flow.status & !said, before.status & !said);
        assert_eq!(flow.legs[0].packets, before.legs[0].packets);
        assert!(
            flow.deadline <= before.deadline,
            "INVALID refreshes nothing"
        );
    }
}
