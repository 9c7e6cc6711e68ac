//! What is to be seen of the programs from outside: counters, flows, events.

use std::fmt::Debug;

use aya::maps::{Array, HashMap, PerCpuArray, RingBuf};
use fw_common::abi::{Counter, Event, Flow, Key4, Key6, MOVED, maps};
use fw_common::flow::{self, FlowKey, Tuple};
use fw_common::{CtInfo, Dir, Reason};
use fw_user::sys::record;

use super::sending::TC_SHOT;
use super::{HZ, Program};

/// A flow as a test sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) original: Tuple,
    pub(crate) flow: Flow,
    /// Seconds left, as a listing shows them.
    pub(crate) timeout: u64,
    /// Which map holds it.
    pub(crate) assured_map: bool,
}

impl Program {
    /// The events since the last call.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        let map = self.ebpf.map_mut(maps::EVENTS).expect("EVENTS");
        let mut ring = RingBuf::try_from(map).expect("ring buffer");
        let mut events = Vec::new();
        while let Some(item) = ring.next() {
            events.push(record::read(&item).expect("an event"));
        }
        events
    }

    /// Sends a frame; the packet state it was counted under, and the action.
    pub(crate) fn classify(&mut self, frame: &[u8]) -> (Option<CtInfo>, u32) {
        let (state, action, _) = self.examine(frame);
        (state, action)
    }

    /// [`Self::classify`], and what the frame is afterwards.
    pub(crate) fn examine(&self, frame: &[u8]) -> (Option<CtInfo>, u32, Vec<u8>) {
        let (state, (action, after)) = self.counting(|| self.exchange(frame));
        (state, action, after)
    }

    /// Sends a frame out as the host's own; the packet state it was counted under, and whether it leaves.
    pub(crate) fn examine_own(&self, frame: &[u8]) -> (Option<CtInfo>, bool) {
        let (state, action) = self.counting(|| self.run_out(frame));
        (state, action != TC_SHOT)
    }

    /// The packet state that was counted while `what` was done.
    fn counting<T>(&self, what: impl FnOnce() -> T) -> (Option<CtInfo>, T) {
        let before = CtInfo::ALL.map(|info| self.counter(Counter::of_state(info)));
        let done = what();
        let state = CtInfo::ALL
            .into_iter()
            .zip(before)
            .find(|(info, before)| self.counter(Counter::of_state(*info)) != *before)
            .map(|(info, _)| info);
        (state, done)
    }

    /// Sends a frame; the reason it ended with, and the action.
    pub(crate) fn reason(&mut self, frame: &[u8]) -> (Reason, u32) {
        let count = |p: &Self| -> Vec<u64> {
            Reason::ALL
                .iter()
                .map(|r| p.counter(Counter::of_reason(*r)))
                .collect()
        };
        let before = count(self);
        let action = self.run(frame);
        let after = count(self);
        let index = (0..before.len())
            .find(|&i| before[i] != after[i])
            .expect("a reason counted");
        (Reason::ALL[index], action)
    }

    /// Packets passed on that the kernel's stack will not forward.
    pub(crate) fn left_to_die(&self) -> u64 {
        [Reason::TtlExpired, Reason::Unroutable]
            .map(|reason| self.counter(Counter::of_reason(reason)))
            .iter()
            .sum()
    }

    /// A counter, summed over all CPUs.
    pub(crate) fn counter(&self, counter: Counter) -> u64 {
        let map = self.ebpf.map(maps::COUNTERS).expect("COUNTERS");
        let counters: PerCpuArray<_, u64> = map.try_into().expect("per-CPU array");
        let all = std::iter::once(&counter).chain(counter.also());
        all.map(|counter| {
            let values = counters.get(&counter.0, 0).expect("a slot");
            values.iter().sum::<u64>()
        })
        .sum()
    }

    /// Every flow that has not expired.
    pub(crate) fn flows(&self) -> Vec<Seen> {
        let mut flows = self.table::<Key4>(maps::ASSURED4, true);
        flows.extend(self.table::<Key4>(maps::EMBRYO4, false));
        flows.extend(self.table::<Key6>(maps::ASSURED6, true));
        flows.extend(self.table::<Key6>(maps::EMBRYO6, false));
        flows
    }

    /// Every entry, also those that have expired.
    pub(crate) fn everything(&self) -> Vec<Seen> {
        let mut flows = self.entries::<Key4>(maps::ASSURED4, true);
        flows.extend(self.entries::<Key4>(maps::EMBRYO4, false));
        flows.extend(self.entries::<Key6>(maps::ASSURED6, true));
        flows.extend(self.entries::<Key6>(maps::EMBRYO6, false));
        flows
    }

    /// Assured IPv4 flows, as the programs count them.
    pub(crate) fn assured_used(&self) -> u64 {
        let map = self.ebpf.map(maps::OCCUPANCY).expect("OCCUPANCY");
        let slots: Array<_, u64> = map.try_into().expect("array");
        slots.get(&0, 0).expect("a slot")
    }

    fn table<K: FlowKey + aya::Pod + Debug>(&self, name: &str, assured_map: bool) -> Vec<Seen> {
        let mut flows = self.entries::<K>(name, assured_map);
        flows.retain(|seen| seen.flow.deadline > self.now && seen.flow.lock != MOVED);
        flows
    }

    fn entries<K: FlowKey + aya::Pod + Debug>(&self, name: &str, assured_map: bool) -> Vec<Seen> {
        let map: HashMap<_, K, Flow> = self
            .ebpf
            .map(name)
            .expect("flow map")
            .try_into()
            .expect("hash");
        let now = self.now;
        map.iter()
            .map(|item| item.expect("an entry"))
            .map(|(key, flow)| Seen {
                original: flow::tuple_of(&key, &flow, Dir::Original),
                flow,
                timeout: flow.deadline.saturating_sub(now) / u64::from(HZ),
                assured_map,
            })
            .collect()
    }
}
