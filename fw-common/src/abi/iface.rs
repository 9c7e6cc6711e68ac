//! What the programs know about each NIC, and about the interfaces above and below it.

/// Settings of one interface: value of the `IFACES` and `FAR_IFACES` maps, key its index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct IfaceConfig {
    /// Bits of [`IfaceFlags`].
    pub flags: u32,
    /// Of a port: the interface that frames which come in here belong to, which is itself or, of a
    /// [`IfaceFlags::MEMBER`], the bond. Of a [`IfaceFlags::VLAN`]: the port below it.
    pub index: u32,
    /// Conntrack zone of what comes in here.
    pub zone: u16,
    /// Id of a [`IfaceFlags::VLAN`]; else 0.
    pub vlan: u16,
    /// Hardware address.
    pub mac: [u8; 6],
    /// Zero.
    pub pad: [u8; 2],
}

/// Bits of [`IfaceConfig::flags`].
#[derive(Clone, Copy, Debug)]
pub struct IfaceFlags;

impl IfaceFlags {
    /// Drop unicast frames for a hardware address that is not this interface's, as `ip_rcv` would.
    /// Off for bridge ports and other masters, whose frames belong to somebody else.
    pub const CHECK_MAC: u32 = 1 << 0;
    /// The interface has more addresses than one (macvlan, VLAN with its own): see the `MACS` map.
    pub const MORE_MACS: u32 = 1 << 1;
    /// The other end is on this machine (veth, netkit, tun), or the kernel's stack has merged segments:
    /// TCP and UDP checksums may be unfinished (`CHECKSUM_PARTIAL`), which is then no error. Of virtio's
    /// other end, too; but its driver has that switched off while it runs a program (`virtnet_xdp_set`).
    pub const LOCAL_PEER: u32 = 1 << 2;
    /// What comes in here may leave straight from XDP: the host routes it, and nobody else wants it.
    pub const FORWARD: u32 = 1 << 3;
    /// The program sees the stack's buffers, not the driver's: they may be sent to any interface.
    pub const GENERIC: u32 = 1 << 4;
    /// `rp_filter` is strict here: the way back to a source has to lead by this interface.
    pub const RP_STRICT: u32 = 1 << 5;
    /// The interface is in the `TARGETS` map.
    pub const TARGET: u32 = 1 << 6;
    /// Its driver takes frames from XDP (`NETDEV_XDP_ACT_NDO_XMIT`).
    pub const XMIT: u32 = 1 << 7;
    /// Also such as come in several buffers (`NETDEV_XDP_ACT_NDO_XMIT_SG`).
    pub const XMIT_BUFFERS: u32 = 1 << 8;
    /// The interface is in a VRF.
    pub const VRF: u32 = 1 << 9;
    /// Something is said of the interface at all.
    pub const PORT: u32 = 1 << 10;
    /// Not a port but a VLAN on top of one: [`IfaceConfig::index`] and [`IfaceConfig::vlan`] say which. Without
    /// [`Self::FORWARD`] nothing leaves straight by it, either.
    pub const VLAN: u32 = 1 << 11;
    /// A member of a bond: the kernel runs the bond's program here, and says that frames come in by the member.
    pub const MEMBER: u32 = 1 << 12;
    /// For IPv4 the kernel asks another switch than the interface's own whether to forward what comes in here (that of
    /// the bridge or VRF above it), and that one is set otherwise.
    pub const OTHER_SWITCH4: u32 = 1 << 16;
    /// The same for IPv6, whose stack asks `all.forwarding`, and the interface's `force_forwarding`.
    pub const OTHER_SWITCH6: u32 = 1 << 17;
    /// The stack forwards IPv4 packets to groups that come in here (`mc_forwarding`).
    pub const ROUTES_GROUPS4: u32 = 1 << 18;
    /// The same for IPv6.
    pub const ROUTES_GROUPS6: u32 = 1 << 19;
    /// The stack forwards IPv4 packets that come in here to the broadcast address of another network (`bc_forwarding`).
    pub const ROUTES_BROADCASTS: u32 = 1 << 20;
    /// The stack sends IPv4 packets on that name this host on the way to another (`accept_source_route`).
    pub const SOURCE_ROUTES4: u32 = 1 << 21;
    /// The same for IPv6 (`seg6_enabled`, `rpl_seg_enabled`).
    pub const SOURCE_ROUTES6: u32 = 1 << 22;
    /// Set by the programs, for a frame to a group address, which the stack does not forward, or to
    /// one of the further addresses, which are those of interfaces with routes of their own.
    pub const NOT_DIRECT: u32 = 1 << 15;
}

/// Key of the `MACS` map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct MacKey {
    /// Interface index.
    pub ifindex: u32,
    /// Unicast hardware address that is the router's as well.
    pub mac: [u8; 6],
    /// Zero.
    pub pad: [u8; 2],
}

const _: () = assert!(size_of::<IfaceConfig>() == 20);
const _: () = assert!(size_of::<MacKey>() == 12);
