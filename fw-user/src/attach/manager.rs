//! Attaching to all interfaces or none, and detaching.

mod follow;

use std::collections::{BTreeMap, HashMap};

use tracing::{info, warn};

use super::cleanup::{pinned_indexes, put_back, remove_everything};
use super::ingress::Place;
use super::memory::{Changes, Memory};
use super::scene::{Scene, choose};
use super::table::{Facts, Table};
use super::tc::Side;
use super::{
    AttachError, Attachment, HOOKS, Missing, Mode, TC_EGRESS, TC_INGRESS, XDP, ingress, shown, tc,
    vlan,
};
use crate::object::Firewall;
use crate::paths::Paths;
use crate::routing::Generation;
use crate::settings::{Hook, Port, XdpMode};
use crate::sys::link;
use crate::sys::netlink::{Interface, Netlink};

/// Attaches the programs, and keeps them attached.
#[derive(Debug)]
pub struct Manager {
    firewall: Firewall,
    netlink: Netlink,
    paths: Paths,
    hook: (Hook, XdpMode),
    ports: Vec<Port>,
    table: Table,
    memory: Memory,
    attached: BTreeMap<u32, Attachment>,
    /// The last complaint about each configured name, so that it is made once.
    complaints: HashMap<String, String>,
}

impl Manager {
    /// Takes the loaded programs; attaches nothing yet.
    ///
    /// # Errors
    /// The maps of interface settings cannot be opened.
    pub fn new(
        firewall: Firewall,
        netlink: Netlink,
        paths: Paths,
        hook: (Hook, XdpMode),
        generation: Generation,
    ) -> Result<Self, AttachError> {
        Ok(Self {
            table: Table::open(&paths, generation)?,
            memory: Memory::open(&paths.state_dir),
            firewall,
            netlink,
            paths,
            hook,
            ports: Vec::new(),
            attached: BTreeMap::new(),
            complaints: HashMap::new(),
        })
    }

    /// Everything attached now, by interface number.
    #[must_use]
    pub fn attached(&self) -> Vec<Attachment> {
        self.attached.values().cloned().collect()
    }

    /// The names of all interfaces that are to be filtered.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.ports.iter().map(|port| port.name.as_str())
    }

    /// Every port that should be filtered and is not.
    #[must_use]
    pub fn missing(&self) -> Vec<Missing> {
        let attached = |port: &&Port| self.attached.values().any(|a| a.configured == port.name);
        let missing = self.ports.iter().filter(|port| !attached(port));
        missing
            .map(|port| Missing {
                name: port.name.clone(),
                reason: match self.complaints.get(&port.name) {
                    Some(complaint) => complaint.clone(),
                    None => "there is no interface of that name now".into(),
                },
            })
            .collect()
    }

    /// Attaches to all of `ports`, or to none: what was newly attached is detached again if one
    /// fails. What an earlier run left on other interfaces is removed at the end.
    ///
    /// # Errors
    /// The first interface that fails.
    pub async fn attach_all(&mut self, ports: &[Port]) -> Result<(), AttachError> {
        let scene = Scene::look(&self.netlink).await?;
        let chosen = choose(ports, &scene)?;
        self.check_pins(&scene)?;
        self.table.write_links(&scene.interfaces)?;
        for (port, interface) in chosen {
            if let Err(error) = self.attach(port, &interface, &scene).await {
                self.roll_back();
                return Err(error);
            }
        }
        self.ports = ports.to_vec();
        self.note_left(&scene);
        self.remove_leftovers(&scene)
    }

    /// Changes which interfaces are filtered. New ones are attached first; if one fails, all stays
    /// as it was.
    ///
    /// # Errors
    /// The first interface that fails.
    pub async fn set_ports(&mut self, ports: &[Port]) -> Result<(), AttachError> {
        let scene = Scene::look(&self.netlink).await?;
        let known = |port: &Port| self.attached.values().any(|a| a.configured == port.name);
        let fresh: Vec<Port> = ports.iter().filter(|p| !known(p)).cloned().collect();
        let before: Vec<u32> = self.attached.keys().copied().collect();
        self.table.write_links(&scene.interfaces)?;
        for (port, interface) in choose(&fresh, &scene)? {
            if let Err(error) = self.attach(port, &interface, &scene).await {
                let new = self.attached.keys().copied();
                for index in new.filter(|i| !before.contains(i)).collect::<Vec<_>>() {
                    self.detach(index);
                }
                return Err(error);
            }
        }
        self.ports = ports.to_vec();
        let gone = self.attached.values();
        let gone = gone.filter(|a| ports.iter().all(|p| p.name != a.configured));
        for index in gone.map(|a| a.index).collect::<Vec<_>>() {
            self.detach(index);
        }
        for attachment in self.attached.values_mut() {
            let port = ports.iter().find(|p| p.name == attachment.configured);
            attachment.zone = port.map_or(0, |p| p.zone);
        }
        self.refresh(&scene)
    }

    /// Detaches everything, puts back what was changed, removes every pin.
    ///
    /// # Errors
    /// A pin cannot be removed; the others are removed all the same.
    pub fn detach_all(mut self) -> Result<(), AttachError> {
        for index in self.attached.keys().copied().collect::<Vec<_>>() {
            self.detach(index);
        }
        let Self { paths, .. } = self;
        remove_everything(&paths)
    }

    /// Attaches to one interface: settings first, so that the first packet finds them.
    async fn attach(
        &mut self,
        port: &Port,
        interface: &Interface,
        scene: &Scene,
    ) -> Result<(), AttachError> {
        let index = interface.index;
        let facts = Facts::of(interface, port.zone, &scene.interfaces, &scene.further_macs);
        self.table.write(index, &facts)?;
        self.table.write_followers(&scene.interfaces)?;
        // What an earlier run left here goes on filtering, whatever fails now.
        let left = [XDP, TC_INGRESS].map(|hook| self.paths.link(hook, index).exists());
        let result = self.attach_hooks(port, interface).await;
        if result.is_err() && left == [false; 2] {
            self.undo(index);
        }
        result?;
        let Some(attachment) = self.attached.get(&index) else {
            return Ok(());
        };
        self.table.write(index, &facts.in_mode(attachment.mode))?;
        self.table.write_followers(&scene.interfaces)
    }

    async fn attach_hooks(
        &mut self,
        port: &Port,
        interface: &Interface,
    ) -> Result<(), AttachError> {
        self.stop_vlan_stripping(interface)?;
        let place = ingress::attach(
            &mut self.firewall,
            interface,
            self.hook,
            (&self.paths, &mut self.memory),
        )?;
        let finished = self.finish(&place, interface).await;
        if finished.is_err() && !place.taken_over {
            ingress::undo(&place, interface, &self.paths)?;
        }
        let attachment = Attachment {
            name: interface.name.clone(),
            index: interface.index,
            mode: finished?,
            reason: place.reason,
            taken_over: place.taken_over,
            configured: port.name.clone(),
            zone: port.zone,
            left: Vec::new(),
            vlans: Vec::new(),
        };
        self.attached.insert(interface.index, attachment);
        Ok(())
    }

    /// Attaches what belongs to a program at `place`, which filters by now: so whatever an earlier run had
    /// elsewhere can go.
    async fn finish(&mut self, place: &Place, interface: &Interface) -> Result<Mode, AttachError> {
        self.attach_egress(interface)?;
        let mode = match place.hook {
            TC_INGRESS => Mode::Tc,
            _ => self.read_mode(interface).await?,
        };
        ingress::leave_other(place, interface, (&self.paths, &mut self.memory))?;
        Ok(mode)
    }

    fn attach_egress(&mut self, interface: &Interface) -> Result<(), AttachError> {
        let pin = self.paths.link(TC_EGRESS, interface.index);
        let program = self.firewall.egress()?;
        if tc::attach(program, interface, Side::Egress, &pin)? != tc::Attached::Clsact {
            return Ok(());
        }
        let changes = Changes {
            name: interface.name.clone(),
            clsact: true,
            ..Changes::default()
        };
        self.memory.add(interface.index, changes)
    }

    fn stop_vlan_stripping(&mut self, interface: &Interface) -> Result<(), AttachError> {
        let switched = vlan::switch_off(&interface.name);
        if !switched.fixed.is_empty() {
            warn!(
                "{}: the NIC takes VLAN tags out of frames ({}) and cannot be told not to: \
                 tagged frames are judged as untagged ones",
                shown(&interface.name),
                switched.fixed.join(", ")
            );
        }
        if switched.off.is_empty() {
            return Ok(());
        }
        let changes = Changes {
            name: interface.name.clone(),
            features: switched.off,
            ..Changes::default()
        };
        self.memory.add(interface.index, changes)
    }

    /// Where the kernel says that our program runs.
    async fn read_mode(&mut self, interface: &Interface) -> Result<Mode, AttachError> {
        let not_there = || AttachError::NotThere {
            name: interface.name.clone(),
        };
        let ours = self.program_id(Mode::Native).ok_or_else(not_there)?;
        let interfaces = self.netlink.interfaces().await;
        let interfaces = interfaces.map_err(AttachError::Netlink)?;
        let now = interfaces.iter().find(|i| i.index == interface.index);
        let xdp = now.ok_or_else(not_there)?.xdp;
        if xdp.program_id != ours {
            return Err(not_there());
        }
        Mode::try_from(xdp.mode).map_err(|()| not_there())
    }

    /// The number of the program that filters what comes in, in this mode.
    fn program_id(&mut self, mode: Mode) -> Option<u32> {
        let info = if mode == Mode::Tc {
            self.firewall.ingress_tc(&self.paths).ok()?.info()
        } else {
            self.firewall.ingress().ok()?.info()
        };
        info.ok().map(|info| info.id())
    }

    /// Undoes what this run has attached anew.
    fn roll_back(&mut self) {
        let new = self.attached.values().filter(|a| !a.taken_over);
        for index in new.map(|a| a.index).collect::<Vec<_>>() {
            self.undo(index);
        }
    }

    /// Detaches from one interface, and says so.
    fn detach(&mut self, index: u32) {
        let name = self.attached.get(&index).map(|a| shown(&a.name));
        self.undo(index);
        if let Some(name) = name {
            info!("{name}: no longer filtered");
        }
    }

    /// Detaches from one interface and puts back what was changed there. Goes on after a failure:
    /// what can be undone is undone.
    fn undo(&mut self, index: u32) {
        let name = self.attached.remove(&index).map(|a| a.name);
        for hook in HOOKS {
            let pin = self.paths.link(hook, index);
            if let Err(e) = link::remove(&pin) {
                warn!("{}: cannot remove: {e}", pin.display());
            }
        }
        match self.memory.remove(index) {
            Ok(Some(changes)) => put_back(&changes, name.as_deref()),
            Ok(None) => {}
            Err(e) => warn!("{e}"),
        }
        if let Err(e) = self.table.remove(index) {
            warn!("{e}");
        }
    }

    /// Whether every living link that is pinned is on an interface that we see: one that is not must
    /// neither be taken over for ours nor removed as a leftover.
    fn check_pins(&self, scene: &Scene) -> Result<(), AttachError> {
        for index in pinned_indexes(&self.paths)? {
            for hook in [XDP, TC_INGRESS] {
                let pin = self.paths.link(hook, index);
                let Ok(info) = link::info(&pin) else { continue };
                let here = scene.by_index(info.ifindex).is_some_and(|interface| {
                    if hook == XDP {
                        interface.xdp.program_id == info.program_id
                    } else {
                        tc::has(&interface.name, Side::Ingress, info.program_id)
                    }
                });
                // 0: its interface has gone.
                if info.ifindex != 0 && !here {
                    return Err(AttachError::Elsewhere { pin });
                }
            }
        }
        Ok(())
    }

    /// Removes what an earlier run left on interfaces that are no longer configured.
    fn remove_leftovers(&mut self, scene: &Scene) -> Result<(), AttachError> {
        let mut left = pinned_indexes(&self.paths)?;
        left.extend(self.memory.indexes());
        left.extend(self.table.indexes());
        left.sort_unstable();
        left.dedup();
        for index in left {
            if self.attached.contains_key(&index) {
                continue;
            }
            if let Some(interface) = scene.by_index(index) {
                let name = shown(&interface.name);
                info!("{name}: filtered by an earlier run and no longer configured: detached");
            }
            self.undo(index);
        }
        self.table.write_followers(&scene.interfaces)
    }
}
