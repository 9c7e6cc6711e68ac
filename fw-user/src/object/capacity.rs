//! How large the flow maps are for a given `--max-flows`.

use fw_common::abi::maps;

/// What each CPU may hold back of an LRU map: entries on its free list and those on their way there
/// (`LOCAL_FREE_TARGET` is 128 in the kernel's `bpf_lru_list.h`; with room).
const PER_CPU: u32 = 512;
/// Smallest and largest number of half-open flows that are kept.
const EMBRYO_MIN: u32 = 1024;
const EMBRYO_MAX: u32 = 1 << 20;

/// Sizes of the flow maps, in entries of each family.
///
/// LRU maps are allocated whole when they are made. An entry takes 256 bytes for IPv4 and 280 for
/// IPv6 and its share of the hash table 16 to 32 more, so that `--max-flows N` costs about 900 bytes
/// of kernel memory a flow: 0.24 GB for the default, 15 GB for the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Flows of each family that can be ASSURED.
    pub flows: u32,
    /// Entries of each assured map. More than `flows`: an LRU map evicts before it is full.
    pub assured: u32,
    /// Entries of each embryonic map.
    pub embryo: u32,
}

impl Capacity {
    /// Sizes for `flows` assured flows on a machine with `cpus` possible CPUs.
    #[must_use]
    pub fn of(flows: u32, cpus: u32) -> Self {
        let held_back = PER_CPU.saturating_mul(cpus);
        let embryo = (flows / 4).max(EMBRYO_MIN).saturating_add(held_back);
        Self {
            flows,
            assured: flows.saturating_add(flows / 4).saturating_add(held_back),
            embryo: embryo.min(EMBRYO_MAX),
        }
    }

    /// The same number of flows in maps that exist already, or as many as those can hold.
    #[must_use]
    pub fn within(self, cpus: u32, assured: u32, embryo: u32) -> Self {
        let held_back = PER_CPU.saturating_mul(cpus);
        let room = u64::from(assured.saturating_sub(held_back)) * 4 / 5;
        Self {
            flows: self
                .flows
                .min(u32::try_from(room).unwrap_or(u32::MAX))
                .max(1),
            assured,
            embryo,
        }
    }

    /// Each flow map with its size.
    #[must_use]
    pub const fn entries(&self) -> [(&'static str, u32); 4] {
        [
            (maps::ASSURED4, self.assured),
            (maps::ASSURED6, self.assured),
            (maps::EMBRYO4, self.embryo),
            (maps::EMBRYO6, self.embryo),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assured_maps_have_headroom_for_every_cpu() {
        let small = Capacity::of(16, 2);
        assert_eq!((small.assured, small.embryo), (20 + 1024, 1024 + 1024));
        let default = Capacity::of(262_144, 4);
        assert_eq!(default.assured, 327_680 + 2048);
        assert_eq!(default.embryo, 65_536 + 2048);
        assert_eq!(Capacity::of(16_777_216, 64).embryo, 1 << 20);
    }

    #[test]
    fn existing_maps_bound_the_flows_and_keep_their_size() {
        for flows in [1, 16, 1000, 262_144] {
            let old = Capacity::of(flows, 2);
            let same = old.within(2, old.assured, old.embryo);
            assert!(same.flows <= flows && flows - same.flows <= 1, "{flows}");
            let more = Capacity::of(flows * 4, 2).within(2, old.assured, old.embryo);
            assert!(more.flows.abs_diff(flows) <= 1, "{flows}");
            assert_eq!((more.assured, more.embryo), (old.assured, old.embryo));
            let fewer = Capacity::of(1, 2).within(2, old.assured, old.embryo);
            assert_eq!(fewer.flows, 1);
        }
    }
}
