//! Where a packet comes from and goes to: what rules ask of interfaces and routes.

use std::io;
use std::net::IpAddr;

use fw_common::ruleset::Link;

use crate::attach::links::link;
use crate::sys::netlink::{Interface, Netlink, Towards};

/// The way of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Interface that it comes in by; none: the router itself sends it.
    pub from: Option<Side>,
    /// Where it goes.
    pub to: To,
}

/// An interface by its name, with what rules can ask of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The name.
    pub name: String,
    /// For the programs.
    pub link: Link,
}

/// Where a packet goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// To the router itself.
    Local,
    /// Out by that interface.
    Out(Side),
    /// A route that throws packets away: the kernel answers, and no chain behind routing sees it.
    Nowhere,
}

/// What the user says of the way.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Interface that the packet comes in by.
    pub iif: Option<String>,
    /// Interface that it leaves by.
    pub oif: Option<String>,
    /// It is for the router itself.
    pub local: bool,
}

/// Why the way is not known.
#[derive(Debug, thiserror::Error)]
pub enum WayError {
    /// The interface by which the packet comes in is not there, so the kernel can't be asked.
    #[error(
        "there is no interface {0}: `ip link` shows which there are; of one that is to come, say where the packet \
         goes, with `--oif IFACE` or `--local`"
    )]
    NoInterface(String),
    /// The routing tables don't say.
    #[error(
        "the routing tables of this machine do not say where {dst} leads to: {cause}; say it \
         with `--oif IFACE` (forwarded or sent) or `--local` (for the router itself)"
    )]
    Route {
        /// The destination.
        dst: IpAddr,
        /// What the kernel says.
        cause: io::Error,
    },
}

impl Wanted {
    /// Finds out what the user did not say from this machine's interfaces and routing tables.
    ///
    /// # Errors
    /// [`WayError`]: they do not say.
    pub fn resolve(&self, src: IpAddr, dst: IpAddr, mark: u32) -> Result<Way, WayError> {
        let failed = |cause| WayError::Route { dst, cause };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let way = async {
            let netlink = Netlink::connect().map_err(failed)?;
            let known = netlink.interfaces().await.map_err(failed)?;
            let from = self.iif.as_deref().map(|name| side(&known, name));
            let to = match &self.oif {
                Some(name) => To::Out(side(&known, name)),
                None if self.local || is_for_all(dst) => To::Local,
                None => {
                    let iif = from.as_ref().map(index).transpose()?;
                    let towards = netlink.route(src, dst, iif, mark).await;
                    match towards.map_err(failed)? {
                        Towards::Local => To::Local,
                        Towards::Nowhere => To::Nowhere,
                        Towards::Out(index) => To::Out(numbered(&known, index)),
                    }
                }
            };
            Ok(Way { from, to })
        };
        runtime.map_err(failed)?.block_on(way)
    }
}

/// Multicast and broadcast are not routed by what is asked here.
fn is_for_all(dst: IpAddr) -> bool {
    match dst {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}

/// Index of an interface that must be there.
fn index(side: &Side) -> Result<u32, WayError> {
    match side.link.index {
        0 => Err(WayError::NoInterface(side.name.clone())),
        index => Ok(index),
    }
}

/// What the kernel says of an interface; of one that is not there only its name is known.
fn side(known: &[Interface], name: &str) -> Side {
    let found = known.iter().find(|interface| interface.name == name);
    let unknown = Interface {
        name: name.into(),
        ..Interface::default()
    };
    Side {
        name: name.into(),
        link: link(found.unwrap_or(&unknown)),
    }
}

fn numbered(known: &[Interface], index: u32) -> Side {
    let found = known.iter().find(|interface| interface.index == index);
    side(
        known,
        found.map_or("?", |interface| interface.name.as_str()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_without_privileges() {
        let local: IpAddr = "127.0.0.1".parse().unwrap();
        let said = |wanted: Wanted| wanted.resolve(local, local, 0).unwrap();
        let way = said(Wanted::default());
        assert_eq!((way.from, way.to), (None, To::Local));
        let way = said(Wanted {
            oif: Some("lo".into()),
            iif: Some("no-such-one".into()),
            local: false,
        });
        let To::Out(lo) = way.to else {
            panic!("out by lo");
        };
        assert_eq!((lo.link.index, lo.link.kind), (1, 772));
        assert_eq!(lo.link.name, [0x6c6f_0000, 0, 0, 0]);
        assert_eq!(way.from.map(|side| side.link.index), Some(0));
    }

    #[test]
    fn what_is_not_known_can_be_said() {
        let said = Wanted {
            iif: Some("no-such-one".into()),
            ..Wanted::default()
        };
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let error = said.resolve(at("10.0.0.1"), at("10.0.0.2"), 0).unwrap_err();
        assert!(error.to_string().contains("--oif IFACE"), "{error}");
    }
}
