//! Interface names in this network namespace.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::net::netdevice::{index_to_name, name_to_index};
use rustix::net::{AddressFamily, SocketType, socket};

/// Translates interface indexes and names, and remembers the answers.
#[derive(Debug, Default)]
pub struct Interfaces {
    socket: Option<OwnedFd>,
    names: HashMap<u32, Rc<str>>,
}

impl Interfaces {
    /// The name of interface `index`; its number, as nft(8) prints it, if it has gone. `None` for 0:
    /// no interface.
    pub fn name(&mut self, index: u32) -> Option<Rc<str>> {
        if index == 0 {
            return None;
        }
        if let Some(name) = self.names.get(&index) {
            return Some(Rc::clone(name));
        }
        let found = self.socket().and_then(|fd| index_to_name(fd, index).ok());
        let name: Rc<str> = found.unwrap_or_else(|| index.to_string()).into();
        self.names.insert(index, Rc::clone(&name));
        Some(name)
    }

    /// The index of the interface called `name`.
    pub fn index(&mut self, name: &str) -> Option<u32> {
        self.socket().and_then(|fd| name_to_index(fd, name).ok())
    }

    /// The kernel answers these questions on any socket.
    fn socket(&mut self) -> Option<&OwnedFd> {
        if self.socket.is_none() {
            self.socket = socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok();
        }
        self.socket.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_both_ways() {
        let mut interfaces = Interfaces::default();
        let index = interfaces.index("lo").unwrap();
        assert_eq!(interfaces.name(index).as_deref(), Some("lo"));
        assert_eq!(interfaces.name(0), None);
        assert_eq!(interfaces.name(987_654).as_deref(), Some("987654"));
        assert_eq!(interfaces.index("no-such-nic0"), None);
    }
}
