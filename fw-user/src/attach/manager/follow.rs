//! Interfaces that go, come back, are renamed or lose our program while the firewall runs.

use std::collections::BTreeSet;

use tracing::{info, warn};

use super::Manager;
use crate::attach::scene::{Scene, check_ethernet};
use crate::attach::table::Facts;
use crate::attach::tc::{self, Side};
use crate::attach::{AttachError, Attachment, HOOKS, Mode, TC_INGRESS, followers, shown};
use crate::settings::Port;
use crate::sys::link;
use crate::sys::netlink::Interface;

impl Manager {
    /// Brings attachments in line with the machine's interfaces as they are now: forgets those that
    /// have gone, attaches to those that have come (back), notes new names and addresses.
    ///
    /// # Errors
    /// The interfaces cannot be listed, or a map cannot be changed. A failure to attach is only
    /// logged: the next change is the next attempt.
    pub async fn follow(&mut self) -> Result<(), AttachError> {
        let scene = Scene::look(&self.netlink).await?;
        self.forget_gone(&scene)?;
        self.note_names(&scene);
        for port in self.ports.clone() {
            self.attach_if_new(&port, &scene).await;
        }
        self.refresh(&scene)
    }

    fn forget_gone(&mut self, scene: &Scene) -> Result<(), AttachError> {
        for (index, attachment) in self.attached.clone() {
            let ours = self.program_id(attachment.mode);
            let name = shown(&attachment.name);
            match scene.by_index(index) {
                None => info!("{name} has gone: waiting for it to come back"),
                Some(interface) if !self.is_there(interface, attachment.mode, ours) => {
                    warn!("{name}: somebody detached the firewall: attaching again");
                }
                Some(_) => continue,
            }
            self.attached.remove(&index);
            for hook in HOOKS {
                let path = self.paths.link(hook, index);
                link::remove(&path).map_err(|cause| AttachError::Pin { path, cause })?;
            }
            if scene.by_index(index).is_none() {
                self.memory.remove(index)?;
                self.table.remove(index)?;
            }
        }
        Ok(())
    }

    /// Whether the program with number `ours` filters what comes in by `interface`.
    fn is_there(&self, interface: &Interface, mode: Mode, ours: Option<u32>) -> bool {
        if mode != Mode::Tc {
            return Some(interface.xdp.program_id) == ours;
        }
        // A filter without a link has no pin; nobody can tell whose it is.
        let linked = self.paths.link(TC_INGRESS, interface.index).exists();
        !linked || ours.is_some_and(|id| tc::has(&interface.name, Side::Ingress, id))
    }

    fn note_names(&mut self, scene: &Scene) {
        for attachment in self.attached.values_mut() {
            let Some(now) = scene.by_index(attachment.index) else {
                continue;
            };
            if now.name != attachment.name {
                let (old, new) = (shown(&attachment.name), shown(&now.name));
                info!("{old} is now called {new}: still filtered");
                attachment.name.clone_from(&now.name);
            }
        }
    }

    /// Attaches to the interface that now has a configured name, unless that is done already.
    async fn attach_if_new(&mut self, port: &Port, scene: &Scene) {
        let Some(interface) = scene.by_name(&port.name) else {
            return;
        };
        if self.attached.contains_key(&interface.index) {
            self.complaints.remove(&port.name);
            return;
        }
        let result = match check_ethernet(interface) {
            Ok(()) => self.attach(port, interface, scene).await,
            Err(e) => Err(e),
        };
        match result {
            Ok(()) => {
                self.complaints.remove(&port.name);
                if let Some(attachment) = self.attached.get(&interface.index) {
                    info!("filtering {attachment}");
                }
            }
            Err(error) => {
                let text = error.to_string();
                if self.complaints.get(&port.name) != Some(&text) {
                    warn!("{text}; {} is NOT filtered", shown(&port.name));
                    self.complaints.insert(port.name.clone(), text);
                }
            }
        }
    }

    /// Writes the settings of every attached interface anew.
    pub(super) fn refresh(&mut self, scene: &Scene) -> Result<(), AttachError> {
        self.table.write_links(&scene.interfaces)?;
        for attachment in self.attached.values() {
            if let Some(interface) = scene.by_index(attachment.index) {
                let all = &scene.interfaces;
                let facts = Facts::of(interface, attachment.zone, all, &scene.further_macs);
                let facts = facts.in_mode(attachment.mode);
                self.table.write(interface.index, &facts)?;
            }
        }
        self.table.write_followers(&scene.interfaces)?;
        self.note_left(scene);
        Ok(())
    }

    /// Notes which VLANs each interface forwards as well, and why established flows are left to the kernel there.
    pub(super) fn note_left(&mut self, scene: &Scene) {
        let driver = |a: &Attachment| matches!(a.mode, Mode::Native | Mode::Offload);
        let from_drivers = self.attached.values().any(driver);
        let ports: BTreeSet<u32> = self.attached.keys().copied().collect();
        for attachment in self.attached.values_mut() {
            let (index, all) = (attachment.index, &scene.interfaces);
            attachment.left = self.table.left(index, from_drivers);
            let (vlans, left) = followers::vlans(index, all, |vlan| ports.contains(&vlan));
            attachment.vlans = vlans;
            attachment.left.extend(left);
        }
    }
}
