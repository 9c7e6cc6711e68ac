//! What rules are compiled for: the running system, as far as they ask for it.

use rustix::net::netdevice::{index_to_name, name_to_index};
use rustix::net::{AddressFamily, SocketType, socket};

use super::compile::Lookup;
use super::failsafe::Failsafe;

/// Index of an interface that is not there: no packet comes in by it.
const ABSENT: u32 = u32::MAX;

/// This machine's interfaces, and the settings that rules are compiled with.
#[derive(Clone, Debug, Default)]
pub struct System {
    failsafe: Vec<Failsafe>,
    hz: u32,
    /// Rules may name interfaces that are not there.
    offline: bool,
}

impl System {
    /// This machine, with `hz` ticks a second.
    #[must_use]
    pub fn new(failsafe: Vec<Failsafe>, hz: u32) -> Self {
        Self {
            failsafe,
            hz,
            offline: false,
        }
    }

    /// No machine in particular: rules may name interfaces that are not there.
    #[must_use]
    pub fn offline(failsafe: Vec<Failsafe>, hz: u32) -> Self {
        Self {
            offline: true,
            ..Self::new(failsafe, hz)
        }
    }
}

impl Lookup for System {
    fn ifindex(&self, name: &str) -> Option<u32> {
        let socket = socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()?;
        let found = name_to_index(socket, name).ok();
        found.or(self.offline.then_some(ABSENT))
    }

    fn hz(&self) -> u32 {
        self.hz
    }

    fn failsafe(&self) -> &[Failsafe] {
        &self.failsafe
    }
}

/// Name of the interface with that index, if there is one.
pub(super) fn interface_name(index: u128) -> Option<String> {
    let index = u32::try_from(index).ok()?;
    let socket = socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()?;
    index_to_name(socket, index).ok()
}
