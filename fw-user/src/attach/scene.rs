//! The machine's interfaces at one moment, and which of them are meant.

use super::{AttachError, forwarding, shown};
use crate::settings::Port;
use crate::settings::names::nearest;
use crate::sys::netdev;
use crate::sys::netlink::{Interface, Mac, Netlink};

/// Everything about the machine's interfaces at one moment.
pub(crate) struct Scene {
    pub(super) interfaces: Vec<Interface>,
    pub(super) further_macs: Vec<(u32, Mac)>,
}

impl Scene {
    /// Asks the kernel.
    pub(crate) async fn look(netlink: &Netlink) -> Result<Self, AttachError> {
        let interfaces = netlink.interfaces().await;
        let mut interfaces = interfaces.map_err(AttachError::Netlink)?;
        let further_macs = netlink.further_macs().await;
        let features = netdev::features().unwrap_or_default();
        let forwarding = forwarding::of(&interfaces);
        for (interface, forwarding) in interfaces.iter_mut().zip(forwarding) {
            interface.features = features.get(&interface.index).copied();
            interface.strict_source = is_strict(&interface.name);
            interface.forwarding = forwarding;
        }
        Ok(Self {
            interfaces,
            further_macs: further_macs.map_err(AttachError::Netlink)?,
        })
    }

    /// Every interface of this network namespace.
    pub(crate) fn interfaces(self) -> Vec<Interface> {
        self.interfaces
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|i| i.name == name)
    }

    pub(super) fn by_index(&self, index: u32) -> Option<&Interface> {
        self.interfaces.iter().find(|i| i.index == index)
    }
}

/// Whether `rp_filter` is strict on an interface: the larger of its own setting and that of all counts.
fn is_strict(name: &str) -> bool {
    let read = |name: &str| {
        let path = format!("/proc/sys/net/ipv4/conf/{name}/rp_filter");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    };
    read("all").max(read(name)) == 1
}

/// Whether every port names an interface that can be filtered.
///
/// # Errors
/// The first that does not.
pub async fn check(netlink: &Netlink, ports: &[Port]) -> Result<(), AttachError> {
    choose(ports, &Scene::look(netlink).await?).map(drop)
}

/// The interface of each port; every name is checked before anything is touched.
pub(super) fn choose<'a>(
    ports: &'a [Port],
    scene: &Scene,
) -> Result<Vec<(&'a Port, Interface)>, AttachError> {
    let chosen = ports.iter().map(|port| {
        let interface = scene.by_name(&port.name);
        let interface = interface.ok_or_else(|| unknown(&port.name, scene))?;
        check_ethernet(interface)?;
        Ok((port, interface.clone()))
    });
    chosen.collect()
}

fn unknown(name: &str, scene: &Scene) -> AttachError {
    let ethernet = scene.interfaces.iter().filter(|i| i.ethernet);
    let names: Vec<&str> = ethernet.map(|i| i.name.as_str()).collect();
    let hint = match nearest(name, names.iter().copied()) {
        Some(near) => {
            let all: Vec<String> = names.iter().map(|n| shown(n).to_string()).collect();
            format!(
                "did you mean `{}`? There are: {}",
                shown(near),
                all.join(", ")
            )
        }
        None => "this network namespace has no Ethernet interface at all".into(),
    };
    AttachError::UnknownInterface {
        name: name.into(),
        hint,
    }
}

pub(super) fn check_ethernet(interface: &Interface) -> Result<(), AttachError> {
    if interface.ethernet {
        return Ok(());
    }
    Err(AttachError::NotEthernet {
        name: interface.name.clone(),
    })
}
