//! Network interfaces as the kernel's rtnetlink describes them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::link::{
    BondPortState, InfoBondPort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVlan,
    LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, LinkXdp, VlanProtocol,
    XdpAttached,
};
use rtnetlink::packet_route::neighbour::{NeighbourAttribute, NeighbourFlags, NeighbourMessage};
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteType};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{MulticastGroup, RouteMessageBuilder};

/// A hardware address.
pub type Mac = [u8; 6];

/// One network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its number, which a rename does not change.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether its frames have an Ethernet header.
    pub ethernet: bool,
    /// Whether it is up, as far as the administrator is concerned.
    pub up: bool,
    /// Its hardware address; zero if it has none of six bytes.
    pub mac: Mac,
    /// Maximum transmission unit in bytes, without the Ethernet header.
    pub mtu: u32,
    /// Whether a bridge, bond or the like takes every frame that comes in here.
    pub is_port: bool,
    /// The interface below this one (VLAN, macvlan), if it is in the same network namespace.
    pub lower: Option<u32>,
    /// The bridge, bond or VRF that it is a part of.
    pub master: Option<u32>,
    /// Whether it is the member of a bond that is not in use: what comes in there is thrown away.
    pub standby: bool,
    /// VLAN id, if it is a VLAN.
    pub vlan: Option<u16>,
    /// Whether its tags are those of a service provider (802.1ad).
    pub service_vlan: bool,
    /// Whether its tags have priorities (`egress-qos-map`).
    pub vlan_priorities: bool,
    /// Kind of link layer (`ARPHRD_*`).
    pub kind: u16,
    /// Group.
    pub group: u32,
    /// Whether what comes in here was sent on this machine (veth, tun): its transport checksums may
    /// be unfinished.
    pub local_peer: bool,
    /// Whether it is in a VRF.
    pub in_vrf: bool,
    /// What its driver can do with XDP (see [`super::netdev`]); `None` if the kernel does not say.
    pub features: Option<u64>,
    /// Whether the way back to a source has to lead by this interface (`rp_filter`).
    pub strict_source: bool,
    /// What the kernel forwards of what comes in here otherwise than the interface's own switch says: bits of
    /// [`fw_common::abi::IfaceFlags`].
    pub forwarding: u32,
    /// What runs at its XDP hook.
    pub xdp: Xdp,
}

/// The XDP hook of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Xdp {
    /// Where the program of `program_id` runs.
    pub mode: Attached,
    /// Id of the program; 0 for none.
    pub program_id: u32,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Towards {
    /// To this machine.
    Local,
    /// Out by the interface with that index.
    Out(u32),
    /// Nowhere: blackhole, unreachable, prohibit.
    Nowhere,
}

/// Where an XDP program runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attached {
    /// Nowhere: there is none.
    #[default]
    None,
    /// In the driver.
    Native,
    /// In the kernel's stack.
    Generic,
    /// In the NIC.
    Offload,
    /// In more than one of these places.
    Several,
}

/// A connection to rtnetlink.
#[derive(Clone, Debug)]
pub struct Netlink {
    handle: rtnetlink::Handle,
}

impl Netlink {
    /// Connects; needs a tokio runtime, on which the connection lives.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn connect() -> io::Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        Ok(Self { handle })
    }

    /// All interfaces of this network namespace.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn interfaces(&self) -> io::Result<Vec<Interface>> {
        let links = self.handle.link().get().execute();
        links
            .map_ok(|message| Interface::from(&message))
            .try_collect()
            .await
            .map_err(io::Error::other)
    }

    /// The unicast addresses that interfaces accept besides their own, with the interface's index:
    /// those of macvlans and VLANs on top, also of such as live in other network namespaces.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn further_macs(&self) -> io::Result<Vec<(u32, Mac)>> {
        let entries = self.handle.neighbours().get();
        let entries = entries.set_address_family(AddressFamily::Bridge).execute();
        let entries: Vec<_> = entries.try_collect().await.map_err(io::Error::other)?;
        Ok(entries.iter().filter_map(further_mac).collect())
    }

    /// Where the routing tables lead a packet that comes in by `iif`, or that this machine sends.
    ///
    /// # Errors
    /// What the kernel says: there is no route, or the source is none that comes in there.
    pub async fn route(
        &self,
        src: IpAddr,
        dst: IpAddr,
        iif: Option<u32>,
        mark: u32,
    ) -> io::Result<Towards> {
        let mut question = match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(dst, 32)
                .source_prefix(src, 32)
                .build(),
            (IpAddr::V6(src), IpAddr::V6(dst)) => RouteMessageBuilder::<Ipv6Addr>::new()
                .destination_prefix(dst, 128)
                .source_prefix(src, 128)
                .build(),
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        question.attributes.extend(iif.map(RouteAttribute::Iif));
        if mark != 0 {
            question.attributes.push(RouteAttribute::Mark(mark));
        }
        self.ask(question).await
    }

    /// Where the routing tables lead to from here.
    ///
    /// # Errors
    /// As [`Self::route`].
    pub async fn way(&self, to: IpAddr) -> io::Result<Towards> {
        self.ask(match to {
            IpAddr::V4(to) => RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(to, 32)
                .build(),
            IpAddr::V6(to) => RouteMessageBuilder::<Ipv6Addr>::new()
                .destination_prefix(to, 128)
                .build(),
        })
        .await
    }

    async fn ask(&self, question: RouteMessage) -> io::Result<Towards> {
        let answers = self.handle.route().get(question).execute();
        let answer = match answers.into_future().await {
            (Some(Ok(answer)), _) => answer,
            (Some(Err(rtnetlink::Error::NetlinkError(e))), _) => return Err(e.to_io()),
            (Some(Err(e)), _) => return Err(io::Error::other(e)),
            (None, _) => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(towards(&answer))
    }

    /// A stream with one item for each change of an interface. An event may be lost when there are
    /// too many: look at everything now and then.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn link_events() -> io::Result<impl Stream<Item = ()> + Unpin + Send> {
        let (connection, _, messages) =
            rtnetlink::new_multicast_connection(&[MulticastGroup::Link])?;
        tokio::spawn(connection);
        Ok(messages.filter_map(|(message, _)| {
            let is_link = matches!(
                message.payload,
                NetlinkPayload::InnerMessage(
                    RouteNetlinkMessage::NewLink(_) | RouteNetlinkMessage::DelLink(_)
                )
            );
            std::future::ready(is_link.then_some(()))
        }))
    }
}

impl From<&LinkMessage> for Interface {
    fn from(message: &LinkMessage) -> Self {
        let mut interface = Self {
            index: message.header.index,
            ethernet: message.header.link_layer_type == LinkLayerType::Ether,
            up: message.header.flags.contains(LinkFlags::Up),
            kind: message.header.link_layer_type.into(),
            ..Self::default()
        };
        let mut foreign_lower = false;
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => interface.name.clone_from(name),
                LinkAttribute::Address(mac) => {
                    interface.mac = mac.as_slice().try_into().unwrap_or_default();
                }
                LinkAttribute::Mtu(mtu) => interface.mtu = *mtu,
                LinkAttribute::Link(index) => interface.lower = Some(*index),
                LinkAttribute::LinkNetNsId(_) => foreign_lower = true,
                LinkAttribute::Controller(index) => interface.master = Some(*index),
                LinkAttribute::Group(group) => interface.group = *group,
                LinkAttribute::LinkInfo(infos) => {
                    note_vlan(&mut interface, infos);
                    interface.standby = is_standby(infos);
                    interface.is_port = takes_frames(infos);
                    interface.in_vrf = is_in_vrf(infos);
                    interface.local_peer = is_fed_locally(infos);
                }
                LinkAttribute::Xdp(attributes) => interface.xdp = xdp(attributes),
                _ => {}
            }
        }
        if foreign_lower {
            interface.lower = None;
        }
        interface
    }
}

/// Whether the interface's master takes its frames. A VRF does not: it only chooses the table.
fn takes_frames(infos: &[LinkInfo]) -> bool {
    infos
        .iter()
        .any(|info| matches!(info, LinkInfo::PortKind(kind) if !matches!(kind, InfoPortKind::Vrf)))
}

/// Notes what there is to know of a VLAN.
fn note_vlan(interface: &mut Interface, infos: &[LinkInfo]) {
    let attributes = infos.iter().find_map(|info| match info {
        LinkInfo::Data(InfoData::Vlan(attributes)) => Some(attributes),
        _ => None,
    });
    for attribute in attributes.into_iter().flatten() {
        match attribute {
            InfoVlan::Id(id) => interface.vlan = Some(*id),
            InfoVlan::Protocol(protocol) => {
                interface.service_vlan = *protocol != VlanProtocol::Ieee8021Q;
            }
            InfoVlan::EgressQos(map) => interface.vlan_priorities = !map.is_empty(),
            _ => {}
        }
    }
}

fn is_standby(infos: &[LinkInfo]) -> bool {
    infos.iter().any(|info| {
        let LinkInfo::PortData(InfoPortData::BondPort(attributes)) = info else {
            return false;
        };
        attributes.contains(&InfoBondPort::BondPortState(BondPortState::Backup))
    })
}

fn is_in_vrf(infos: &[LinkInfo]) -> bool {
    infos
        .iter()
        .any(|info| matches!(info, LinkInfo::PortKind(InfoPortKind::Vrf)))
}

/// Whether frames come in from a process or another namespace, not from a wire.
fn is_fed_locally(infos: &[LinkInfo]) -> bool {
    infos.iter().any(|info| {
        matches!(
            info,
            LinkInfo::Kind(InfoKind::Veth | InfoKind::Netkit | InfoKind::Tun)
        )
    })
}

fn xdp(attributes: &[LinkXdp]) -> Xdp {
    let mut xdp = Xdp::default();
    for attribute in attributes {
        match attribute {
            LinkXdp::Attached(attached) => {
                xdp.mode = match attached {
                    XdpAttached::None => Attached::None,
                    XdpAttached::Driver => Attached::Native,
                    XdpAttached::SocketBuffer => Attached::Generic,
                    XdpAttached::Hardware => Attached::Offload,
                    _ => Attached::Several,
                };
            }
            LinkXdp::ProgId(id) => xdp.program_id = *id,
            // With a program in the NIC as well, ours is the other one.
            LinkXdp::DrvProgId(id) | LinkXdp::SkbProgId(id) if xdp.program_id == 0 => {
                xdp.program_id = *id;
            }
            _ => {}
        }
    }
    xdp
}

/// A unicast address that an entry of a NIC's own list gives.
fn further_mac(entry: &NeighbourMessage) -> Option<(u32, Mac)> {
    if !entry.header.flags.contains(NeighbourFlags::Own) {
        return None;
    }
    entry.attributes.iter().find_map(|attribute| {
        let NeighbourAttribute::LinkLayerAddress(bytes) = attribute else {
            return None;
        };
        let mac: Mac = bytes.as_slice().try_into().ok()?;
        // The lowest bit of the first byte marks groups.
        (mac[0] & 1 == 0).then_some((entry.header.ifindex, mac))
    })
}

fn towards(route: &RouteMessage) -> Towards {
    let oif = route
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            RouteAttribute::Oif(index) => Some(*index),
            _ => None,
        });
    match (route.header.kind, oif) {
        (
            RouteType::Local | RouteType::Broadcast | RouteType::Multicast | RouteType::Anycast,
            _,
        ) => Towards::Local,
        (RouteType::Unicast, Some(index)) => Towards::Out(index),
        _ => Towards::Nowhere,
    }
}
