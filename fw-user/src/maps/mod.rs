//! The pinned maps: found, checked against this build's layout, and read.

mod counters;
mod editor;
mod events;
mod flows;
mod links;
mod logs;
mod ruleset;
mod surroundings;
mod tracing;

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use aya::Pod;
use aya::maps::{Array, Map, MapData, MapError};
use aya::programs::ProgramError;
use fw_common::abi::{ABI_VERSION, Config, maps};
use rustix::net::sockopt::socket_peercred;

use crate::clock::NoClock;
use crate::paths::Paths;
use crate::sys::batch::{HashTable, LayoutError};

pub use counters::{CounterTable, Counters};
pub use editor::{Change, Editor};
pub use events::{EventRing, Lease};
pub use flows::{FlowTable, Remover};
pub use links::LinkTable;
pub use logs::{LogRing, Told};
pub use ruleset::{ChangeError, RulesetMaps};
pub use surroundings::Surroundings;
pub use tracing::Tracing;

/// Why the maps cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MapsError {
    /// Nothing is pinned where it should be.
    #[error("no firewall here: {} does not exist; start one with `fwctl run`", .0.display())]
    NotRunning(PathBuf),
    /// The pins may not be opened.
    #[error("{} may only be read by root: try again with sudo", .0.display())]
    Permission(PathBuf),
    /// A map is not what this build expects.
    #[error(
        "map {name} was made by another version of fwctl (this one has layout {ABI_VERSION}): \
         {reason}; use the version that started the firewall"
    )]
    Layout {
        /// Name of the map.
        name: &'static str,
        /// What is different.
        reason: LayoutError,
    },
    /// The daemon has pinned its maps and not yet filled them.
    #[error(transparent)]
    NoClock(#[from] NoClock),
    /// A system call on an open map failed.
    #[error("map {name}")]
    Io {
        /// Name of the map.
        name: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// aya reports a failure.
    #[error("map {name}")]
    Map {
        /// Name of the map.
        name: &'static str,
        /// What aya said.
        source: MapError,
    },
    /// A program cannot be opened or run.
    #[error("program {name}")]
    Program {
        /// Name of the program.
        name: &'static str,
        /// What aya said.
        source: ProgramError,
    },
    /// Packets, or a CPU that has stopped, hold a flow.
    #[error("a flow is locked by its own packets: try again")]
    Busy,
}

/// The pinned maps of one running (or left) firewall.
#[derive(Clone, Debug)]
pub struct Maps {
    paths: Paths,
}

impl Maps {
    /// Finds the pins: below `paths`, or, if they are not visible here, in the mount namespace of
    /// the daemon behind the control socket. `ip netns exec` mounts a fresh `/sys`, which hides them.
    ///
    /// # Errors
    /// [`MapsError::NotRunning`] if neither is there, [`MapsError::Permission`] if the caller may
    /// not even look.
    pub fn find(paths: &Paths) -> Result<Self, MapsError> {
        if visible(paths)? {
            return Ok(Self {
                paths: paths.clone(),
            });
        }
        let through = daemon_pid(&paths.socket).map(|pid| paths.through(pid));
        match through {
            Some(paths) if visible(&paths)? => Ok(Self { paths }),
            _ => Err(MapsError::NotRunning(paths.pins())),
        }
    }

    /// Where they are pinned, as seen from here.
    pub(crate) const fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The flow table.
    ///
    /// # Errors
    /// See [`MapsError`].
    pub fn flows(&self) -> Result<FlowTable, MapsError> {
        FlowTable::open(self)
    }

    /// What `log` statements tell.
    ///
    /// # Errors
    /// See [`MapsError`].
    pub fn logs(&self) -> Result<LogRing, MapsError> {
        LogRing::open(self)
    }

    /// Packets followed through the rules.
    ///
    /// # Errors
    /// See [`MapsError`].
    pub fn tracing(&self) -> Result<Tracing, MapsError> {
        Tracing::open(self)
    }

    /// The counters.
    ///
    /// # Errors
    /// See [`MapsError`].
    pub fn counters(&self) -> Result<CounterTable, MapsError> {
        CounterTable::open(self)
    }

    /// What changes and removes single flows.
    ///
    /// # Errors
    /// See [`MapsError`].
    pub fn editor(&self) -> Result<Editor, MapsError> {
        Editor::open(self)
    }

    /// The word by which the programs know whether anybody listens to events.
    ///
    /// # Errors
    /// See [`MapsError`].
    pub fn lease(&self) -> Result<Lease, MapsError> {
        Lease::open(self)
    }

    /// The ring buffer of events.
    ///
    /// # Errors
    /// See [`MapsError`].
    pub fn events(&self) -> Result<EventRing, MapsError> {
        EventRing::open(self)
    }

    /// The settings that the programs work by.
    ///
    /// # Errors
    /// See [`MapsError`].
    pub fn config(&self) -> Result<Config, MapsError> {
        let name = maps::CONFIG;
        let map = self.config_map()?;
        map.get(&0, 0).map_err(failed(name))
    }

    /// Replaces the settings; the programs use them from the next packet on.
    ///
    /// # Errors
    /// See [`MapsError`].
    pub fn set_config(&self, config: &Config) -> Result<(), MapsError> {
        let mut map = self.config_map()?;
        map.set(0, config, 0).map_err(failed(maps::CONFIG))
    }

    fn config_map(&self) -> Result<Array<MapData, Config>, MapsError> {
        // The conversion compares type and sizes with the kernel's: a map opened by its pin has
        // no other description.
        let map = Map::from_map_data(self.data(maps::CONFIG)?).map_err(failed(maps::CONFIG))?;
        Array::try_from(map).map_err(failed(maps::CONFIG))
    }

    fn hash<K: Pod, V: Pod>(&self, name: &'static str) -> Result<HashTable<K, V>, MapsError> {
        HashTable::new(self.data(name)?).map_err(|reason| MapsError::Layout { name, reason })
    }

    fn data(&self, name: &'static str) -> Result<MapData, MapsError> {
        let path = self.paths.map(name);
        MapData::from_pin(&path).map_err(|error| match io_kind(&error) {
            Some(io::ErrorKind::NotFound) => MapsError::NotRunning(path),
            Some(io::ErrorKind::PermissionDenied) => MapsError::Permission(path),
            _ => failed(name)(error),
        })
    }
}

fn failed(name: &'static str) -> impl Fn(MapError) -> MapsError {
    move |source| MapsError::Map { name, source }
}

/// The kernel's answer inside an error of aya's.
fn io_kind(error: &(dyn std::error::Error + 'static)) -> Option<io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        next = error.source();
    }
    None
}

fn visible(paths: &Paths) -> Result<bool, MapsError> {
    let dir = paths.pins();
    match dir.try_exists() {
        Ok(there) => Ok(there),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Err(MapsError::Permission(dir)),
        Err(_) => Ok(false),
    }
}

/// Process id of the daemon that listens on the control socket.
fn daemon_pid(socket: &Path) -> Option<u32> {
    let stream = UnixStream::connect(socket).ok()?;
    let peer = socket_peercred(&stream).ok()?;
    u32::try_from(peer.pid.as_raw_nonzero().get()).ok()
}
