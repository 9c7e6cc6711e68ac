//! The counts of flows by their source, set right.
//!
//! The programs see flows come, and go by a packet. They do not see those that are swept, deleted by hand
//! or pushed out of an LRU map; nor is the count of a source that was quiet for long kept for ever. So
//! each sweep counts what there is, and writes down how far the programs' counts are off. It reads these
//! before it walks: a flow that begins meanwhile may count twice until the next sweep.

use std::collections::HashMap;
use std::io;

use aya::maps::MapData;
use fw_common::abi::{Flow, SourceCount, SourceKey, maps};
use fw_common::flow::{FlowKey, tuple_of};
use fw_common::{Dir, source};

use crate::paths::Paths;
use crate::sys::batch::HashTable;

/// Sources read at a time.
const PAGE: usize = 4096;

type Table = HashTable<SourceKey, SourceCount>;
type Counts = HashMap<SourceKey, SourceCount>;

/// The maps of sources.
pub(super) struct Sources {
    come: Table,
    gone: Table,
}

/// A count under way.
pub(super) struct Recount {
    come: Counts,
    there: Counts,
}

impl Sources {
    pub(super) fn open(paths: &Paths) -> io::Result<Self> {
        Ok(Self {
            come: open(paths, maps::SOURCES)?,
            gone: open(paths, maps::SOURCES_GONE)?,
        })
    }

    /// Begins a count.
    pub(super) fn recount(&self) -> io::Result<Recount> {
        Ok(Recount {
            come: read(&self.come)?,
            there: Counts::new(),
        })
    }

    /// Writes down what has changed.
    pub(super) fn settle(&self, recount: &Recount) -> io::Result<()> {
        let (old, new) = (read(&self.gone)?, recount.gone());
        for (key, count) in &new {
            if old.get(key) != Some(count) {
                self.gone.set(key, count)?;
            }
        }
        let forgotten: Vec<_> = old.into_keys().filter(|k| !new.contains_key(k)).collect();
        self.gone.delete_many(&forgotten).map(drop)
    }
}

impl Recount {
    /// Counts a live flow, unless the host itself began it.
    pub(super) fn add<K: FlowKey>(&mut self, key: &K, flow: &Flow) {
        if flow.legs[0].ifindex == 0 {
            return;
        }
        let tuple = tuple_of(key, flow, Dir::Original);
        let source = SourceKey::of(&tuple.src, K::FAMILY, key.zone());
        let count = self.there.entry(source).or_default();
        count.flows += 1;
        count.half_open += u64::from(source::is_half_open(flow, tuple.proto));
    }

    /// What to take off for each source: the programs' count less what is there.
    fn gone(&self) -> Counts {
        let all = self.come.keys().chain(self.there.keys());
        all.map(|key| {
            let come = self.come.get(key).copied().unwrap_or_default();
            let there = self.there.get(key).copied().unwrap_or_default();
            let gone = SourceCount {
                flows: come.flows.wrapping_sub(there.flows),
                half_open: come.half_open.wrapping_sub(there.half_open),
            };
            (*key, gone)
        })
        .collect()
    }
}

fn open(paths: &Paths, name: &str) -> io::Result<Table> {
    let data = MapData::from_pin(paths.map(name)).map_err(io::Error::other)?;
    HashTable::new(data).map_err(io::Error::other)
}

fn read(table: &Table) -> io::Result<Counts> {
    let mut counts = Counts::new();
    let mut pages = table.pages(PAGE);
    while let Some((keys, values)) = pages.next_page()? {
        counts.extend(keys.iter().copied().zip(values.iter().copied()));
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use fw_common::abi::{Config, Key4, Leg};
    use fw_common::flow::Tuple;
    use fw_common::status;
    use fw_common::wire::{Family, proto};

    use super::*;

    const SOURCE: [u8; 4] = [10, 0, 0, 9];

    fn wide(four: [u8; 4]) -> [u8; 16] {
        let mut all = [0; 16];
        all[..4].copy_from_slice(&four);
        all
    }

    /// A flow from [`SOURCE`] to a lower or higher address.
    fn flow(to: [u8; 4], bits: u32, ifindex: u32) -> (Key4, Flow) {
        let tuple = Tuple {
            src: wide(SOURCE),
            dst: wide(to),
            sport: 1,
            dport: 2,
            proto: proto::UDP,
            request: false,
        };
        let (key, from_hi) = Key4::canonical(&tuple, 0);
        let mut flow = Flow {
            status: bits,
            origin: from_hi.into(),
            ..Flow::default()
        };
        flow.legs[0] = Leg {
            ifindex,
            ..Leg::default()
        };
        (key, flow)
    }

    #[test]
    fn what_is_there_is_what_counts() {
        let source = SourceKey::of(&wide(SOURCE), Family::V4, 0);
        let quiet = SourceKey::of(&wide([1, 2, 3, 4]), Family::V4, 0);
        let count = |flows, half_open| SourceCount { flows, half_open };
        let mut recount = Recount {
            come: [(source, count(7, 1)), (quiet, count(4, 4))].into(),
            there: Counts::new(),
        };
        for (to, bits, ifindex) in [
            ([9, 0, 0, 1], 0, 3),
            ([11, 0, 0, 1], 0, 3),
            ([12, 0, 0, 1], status::SEEN_REPLY, 3),
            // The host's own.
            ([13, 0, 0, 1], 0, 0),
        ] {
            let (key, flow) = flow(to, bits, ifindex);
            recount.add(&key, &flow);
        }
        let gone = recount.gone();
        assert_eq!(
            gone[&source],
            count(4, u64::MAX),
            "there are 3, 2 half open"
        );
        assert_eq!(gone[&quiet], count(4, 4));
        // The next flow of each is admitted up to exactly the cap.
        let config = Config {
            source_flows: 4,
            source_half_open: 3,
            ..Config::ZERO
        };
        assert_eq!(source::admit(count(7, 1), gone[&source], &config), Ok(()));
        assert!(source::admit(count(8, 1), gone[&source], &config).is_err());
        assert!(source::admit(count(7, 2), gone[&source], &config).is_err());
    }
}
