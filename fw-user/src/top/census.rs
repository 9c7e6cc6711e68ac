//! How many flows of which kind there are, and how fast they are together.

use std::collections::BTreeMap;

use fw_common::status;
use fw_common::wire::{Family, proto};

use crate::flows::{FlowEntry, Rate, Rates, proto_word};

/// The flow table as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// IPv4 flows there are.
    pub ipv4: u64,
    /// IPv6 flows there are.
    pub ipv6: u64,
    /// How many of both are ASSURED.
    pub assured: u64,
    /// ASSURED flows that there may be, of each family.
    pub capacity: u64,
}

impl Room {
    /// Counts a flow.
    pub(super) const fn add(&mut self, entry: &FlowEntry) {
        match entry.family {
            Family::V4 => self.ipv4 += 1,
            Family::V6 => self.ipv6 += 1,
        }
        self.assured += entry.has(status::ASSURED) as u64;
    }
}

/// The flows that the filter selects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Census {
    /// How many.
    pub count: u64,
    /// By protocol.
    protocols: BTreeMap<u8, u64>,
    /// Those of TCP, by state.
    states: BTreeMap<&'static str, u64>,
    /// In both directions together, of those whose rate is known.
    pub speed: Rate,
}

impl Census {
    /// Counts a flow.
    pub(super) fn add(&mut self, entry: &FlowEntry, rates: Option<Rates>) {
        self.count += 1;
        *self.protocols.entry(entry.proto).or_default() += 1;
        if let Some(state) = entry.state.filter(|_| entry.proto == proto::TCP) {
            *self.states.entry(state).or_default() += 1;
        }
        for rate in rates.into_iter().flatten() {
            self.speed.packets += rate.packets;
            self.speed.bytes += rate.bytes;
        }
    }

    /// How many flows each protocol has, most first.
    #[must_use]
    pub fn protocols(&self) -> Vec<(String, u64)> {
        let counts = self.protocols.iter();
        most_first(counts.map(|(number, count)| (proto_word(*number), *count)))
    }

    /// How many of TCP's are in each state, most first.
    #[must_use]
    pub fn states(&self) -> Vec<(String, u64)> {
        most_first(
            self.states
                .iter()
                .map(|(name, count)| ((*name).into(), *count)),
        )
    }
}

fn most_first(counts: impl Iterator<Item = (String, u64)>) -> Vec<(String, u64)> {
    let mut counts: Vec<_> = counts.collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

#[cfg(test)]
mod tests {
    use fw_common::tcp::State;

    use super::*;
    use crate::flows::fixtures::*;

    #[test]
    fn flows_are_counted_by_what_they_are() {
        let closing = |sport| Spec {
            sport,
            state: State::TimeWait as u8,
            status: ANSWERED,
            ..ssh()
        };
        let esp = Spec {
            proto: proto::ESP,
            ..Spec::default()
        };
        let (mut room, mut census) = (Room::default(), Census::default());
        let rate = Rate {
            packets: 1.0,
            bytes: 100.0,
        };
        for flow in [ssh(), closing(1), closing(2), ping(), esp, dns6()] {
            let entry = flow.build();
            room.add(&entry);
            census.add(&entry, Some([rate, Rate::default()]));
        }
        census.add(&ping().build(), None);
        assert_eq!((room.ipv4, room.ipv6, room.assured), (5, 1, 1));
        assert_eq!(census.count, 7);
        let words = |counts: Vec<(String, u64)>| -> Vec<String> {
            let each = counts.iter().map(|(name, count)| format!("{name} {count}"));
            each.collect()
        };
        let protocols = words(census.protocols());
        assert_eq!(protocols, ["tcp 3", "icmp 2", "udp 1", "50 1"]);
        assert_eq!(words(census.states()), ["TIME_WAIT 2", "ESTABLISHED 1"]);
        assert_eq!((census.speed.packets, census.speed.bytes), (6.0, 600.0));
    }
}
