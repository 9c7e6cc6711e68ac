//! The `LINKS` map: interfaces as rules see them.

use aya::maps::{Array, HashMap, Map, MapData};
use fw_common::abi::{LinkKey, maps};
use fw_common::ruleset::Link;

use super::{MapsError, failed};

/// Slot of the `ACTIVE` map with the number of changes.
const GENERATION: u32 = 1;

/// The map.
pub struct LinkTable {
    links: HashMap<MapData, LinkKey, Link>,
    active: Array<MapData, u64>,
}

impl std::fmt::Debug for LinkTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkTable").finish_non_exhaustive()
    }
}

impl LinkTable {
    /// Takes the maps that `find` finds by name.
    ///
    /// # Errors
    /// What `find` says; a map of another layout.
    pub fn from_maps(
        mut find: impl FnMut(&'static str) -> Result<MapData, MapsError>,
    ) -> Result<Self, MapsError> {
        let mut map = |name: &'static str| Map::from_map_data(find(name)?).map_err(failed(name));
        Ok(Self {
            links: HashMap::try_from(map(maps::LINKS)?).map_err(failed(maps::LINKS))?,
            active: Array::try_from(map(maps::ACTIVE)?).map_err(failed(maps::ACTIVE))?,
        })
    }

    /// Writes `links`; what is not among them is forgotten. If anything is new, flows forget what was
    /// concluded from the old names.
    ///
    /// # Errors
    /// A map can't be written.
    pub fn write(&mut self, links: &[(LinkKey, Link)]) -> Result<(), MapsError> {
        if !self.change(links)? {
            return Ok(());
        }
        let failed = failed(maps::ACTIVE);
        let generation = self.active.get(&GENERATION, 0).map_err(&failed)?;
        let set = self.active.set(GENERATION, generation.wrapping_add(1), 0);
        set.map_err(failed)
    }

    fn change(&mut self, links: &[(LinkKey, Link)]) -> Result<bool, MapsError> {
        let failed = failed(maps::LINKS);
        let mut changed = false;
        for (key, link) in links {
            if self.links.get(key, 0).ok().as_ref() != Some(link) {
                self.links.insert(key, link, 0).map_err(&failed)?;
                changed = true;
            }
        }
        let known: Vec<LinkKey> = self
            .links
            .keys()
            .collect::<Result<_, _>>()
            .map_err(&failed)?;
        for key in known {
            if links.iter().all(|(there, _)| *there != key) {
                self.links.remove(&key).map_err(&failed)?;
                changed = true;
            }
        }
        Ok(changed)
    }
}
