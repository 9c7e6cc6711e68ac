//! Maps that an earlier run left pinned: are they what the programs of this build expect?
//!
//! aya takes whatever sits at the pin path, and checks it against the ELF file only; a map with other
//! sizes would have the kernel write past our buffers.

use std::fmt;
use std::path::Path;

use aya::maps::{MapError, MapInfo};
use aya_obj::Object;
use fw_common::abi::maps;

use super::capacity::Capacity;
use super::error::ObjectError;
use crate::paths::Paths;

/// `BPF_F_RDONLY_PROG`.
const READ_ONLY: u32 = 1 << 7;

/// Shape of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
}

/// In what a pinned map differs from what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    what: &'static str,
    found: u32,
    expected: u32,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            found,
            expected,
        } = self;
        write!(f, "{what} {found} where this version has {expected}")
    }
}

/// The maps that are pinned already.
#[derive(Debug)]
pub(super) struct Pinned {
    found: Vec<(&'static str, Shape)>,
}

impl Pinned {
    /// Looks at every pin below `paths` and compares it with its description in `elf`.
    pub(super) fn find(paths: &Paths, elf: &[u8]) -> Result<Self, ObjectError> {
        let object =
            Object::parse(elf).map_err(|e| ObjectError::from(aya::EbpfError::ParseError(e)))?;
        let mut found = Vec::new();
        for name in maps::PINNED {
            let path = paths.map(name);
            if !path.exists() {
                continue;
            }
            let expected = object.maps.get(name).map(Shape::from);
            let mut shape = Shape::read(&path)?;
            if matches!(name, maps::TARGETS | maps::FAR_TARGETS) {
                // The kernel adds it to every map of devices.
                shape.flags &= !READ_ONLY;
            }
            let expected = expected.ok_or(ObjectError::NoProgram(name))?;
            if let Some(difference) = shape.differs(&expected, is_flow_map(name)) {
                return Err(ObjectError::Layout { path, difference });
            }
            found.push((name, shape));
        }
        Ok(Self { found })
    }

    /// `wanted`, or what fits the flow maps that are there.
    pub(super) fn capacity(&self, wanted: Capacity) -> Capacity {
        let smallest = |names: [&str; 2], otherwise: u32| {
            let sizes = self.found.iter().filter(|(name, _)| names.contains(name));
            sizes.map(|(_, s)| s.max_entries).min().unwrap_or(otherwise)
        };
        let assured = smallest([maps::ASSURED4, maps::ASSURED6], wanted.assured);
        let embryo = smallest([maps::EMBRYO4, maps::EMBRYO6], wanted.embryo);
        if (assured, embryo) == (wanted.assured, wanted.embryo) {
            return wanted;
        }
        let cpus = super::possible_cpus().unwrap_or(1);
        wanted.within(cpus, assured, embryo)
    }

    /// Whether every map is there.
    pub(super) fn is_complete(&self) -> bool {
        self.found.len() == maps::PINNED.len()
    }

    /// Removes the pins that were not there when we looked: a failed load leaves nothing behind.
    pub(super) fn remove_others(&self, paths: &Paths) {
        for name in maps::PINNED {
            if self.found.iter().all(|(found, _)| *found != name) {
                // Best effort: the failure that brought us here is what the user hears of.
                drop(std::fs::remove_file(paths.map(name)));
            }
        }
    }
}

/// Whether the size of map `name` is the user's choice.
fn is_flow_map(name: &str) -> bool {
    [maps::ASSURED4, maps::ASSURED6, maps::EMBRYO4, maps::EMBRYO6].contains(&name)
}

impl Shape {
    fn read(path: &Path) -> Result<Self, ObjectError> {
        let failed = |cause: MapError| ObjectError::Map {
            path: path.into(),
            cause,
        };
        let info = MapInfo::from_pin(path).map_err(failed)?;
        Ok(Self {
            map_type: info.map_type().map_err(failed)? as u32,
            key_size: info.key_size(),
            value_size: info.value_size(),
            max_entries: info.max_entries(),
            flags: info.map_flags(),
        })
    }

    /// The first difference that matters; `any_size` ignores the number of entries.
    fn differs(&self, expected: &Self, any_size: bool) -> Option<Difference> {
        let fields = [
            ("type", self.map_type, expected.map_type),
            ("key size", self.key_size, expected.key_size),
            ("value size", self.value_size, expected.value_size),
            ("flags", self.flags, expected.flags),
            ("entries", self.max_entries, expected.max_entries),
        ];
        fields
            .into_iter()
            .filter(|(what, ..)| !(any_size && *what == "entries"))
            .find(|(_, found, expected)| found != expected)
            .map(|(what, found, expected)| Difference {
                what,
                found,
                expected,
            })
    }
}

impl From<&aya_obj::Map> for Shape {
    fn from(map: &aya_obj::Map) -> Self {
        Self {
            map_type: map.map_type(),
            key_size: map.key_size(),
            value_size: map.value_size(),
            max_entries: map.max_entries(),
            flags: map.map_flags(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOWS: Shape = Shape {
        map_type: 9,
        key_size: 16,
        value_size: 192,
        max_entries: 1000,
        flags: 0,
    };

    #[test]
    fn only_flow_maps_may_have_another_size() {
        let larger = Shape {
            max_entries: 2000,
            ..FLOWS
        };
        assert_eq!(larger.differs(&FLOWS, true), None);
        let difference = larger.differs(&FLOWS, false).expect("a difference");
        assert_eq!(
            difference.to_string(),
            "entries 2000 where this version has 1000"
        );
    }

    #[test]
    fn every_part_of_the_layout_counts() {
        for other in [
            Shape {
                map_type: 1,
                ..FLOWS
            },
            Shape {
                key_size: 12,
                ..FLOWS
            },
            Shape {
                value_size: 200,
                ..FLOWS
            },
            Shape { flags: 2, ..FLOWS },
        ] {
            assert!(other.differs(&FLOWS, true).is_some(), "{other:?}");
        }
    }
}
