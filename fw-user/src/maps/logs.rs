//! What `log` statements tell: their ring buffer, and what each says.

use aya::maps::{Array, Map, MapData, RingBuf};
use fw_common::abi::{LOG_SLOTS, LogText, maps};
use fw_common::ruleset::{Facts, field};

use super::{Maps, MapsError, failed};
use crate::sys::record;

/// The ring buffer. There is one reader: what it takes is gone for others.
pub struct LogRing {
    ring: RingBuf<MapData>,
    texts: Array<MapData, LogText>,
}

/// A packet that a `log` statement tells of.
#[derive(Clone, Debug)]
pub struct Told {
    /// Bank and number of the statement.
    pub statement: (u32, u32),
    /// What it says.
    pub text: LogText,
    /// The packet.
    pub facts: Facts,
}

impl LogRing {
    pub(super) fn open(maps: &Maps) -> Result<Self, MapsError> {
        Self::from_maps(|name| maps.data(name))
    }

    /// Takes the maps that `find` finds by name.
    ///
    /// # Errors
    /// What `find` says; a map of another layout.
    pub fn from_maps(
        mut find: impl FnMut(&'static str) -> Result<MapData, MapsError>,
    ) -> Result<Self, MapsError> {
        let mut map = |name: &'static str| Map::from_map_data(find(name)?).map_err(failed(name));
        Ok(Self {
            ring: RingBuf::try_from(map(maps::LOGS)?).map_err(failed(maps::LOGS))?,
            texts: Array::try_from(map(maps::LOG_TEXTS)?).map_err(failed(maps::LOG_TEXTS))?,
        })
    }

    fn told(&self, words: &[u32; field::RECORD]) -> Option<Told> {
        let facts = Facts::of_record(words);
        let statement = (facts.get(field::BANK), facts.get(field::LOG));
        let slot = statement.0 * LOG_SLOTS + statement.1;
        let text = self.texts.get(&slot, 0).ok()?;
        Some(Told {
            statement,
            text,
            facts,
        })
    }
}

/// What there is; more may come after the last. A record of another size is none of ours, and passed over.
impl Iterator for LogRing {
    type Item = Told;

    fn next(&mut self) -> Option<Told> {
        loop {
            let words = {
                let item = self.ring.next()?;
                record::read::<Words>(&item)
            };
            if let Some(told) = words.and_then(|words| self.told(&words)) {
                return Some(told);
            }
        }
    }
}

type Words = [u32; field::RECORD];
