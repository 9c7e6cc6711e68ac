//! The `LINKS` map: interfaces as rules see them.

use aya::maps::{HashMap, Map, MapData};
use fw_common::abi::{LinkKey, maps};
use fw_common::ruleset::Link;

use super::{MapsError, failed};

/// The map.
pub struct LinkTable {
    links: HashMap<MapData, LinkKey, Link>,
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
        })
    }

    /// Writes `links`; what is not among them is forgotten. Whether anything is new: then the generation of the
    /// routes has to be raised, so that flows forget what was concluded from the old names.
    ///
    /// # Errors
    /// A map can't be written.
    pub fn write(&mut self, links: &[(LinkKey, Link)]) -> Result<bool, MapsError> {
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
