//! Where packets go: cached next hops, and for how long they hold.

/// One next hop: value of the `NEXTHOPS` map, in which flows of one way share a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct NextHop {
    /// The routing generation for which the rest holds; [`FILLING`] while it is written. Once it
    /// stands, nothing but `confirm_at` changes before the generation is over.
    pub generation: u32,
    /// The interface by which packets leave; of those for a VLAN, the port below it.
    pub oif: u32,
    /// Hardware addresses of the next hop and of the interface, as they stand at the beginning of a frame: in
    /// words, since an address that is taken to pieces is written in pieces.
    pub macs: [u32; 3],
    /// Longest IP packet that the way takes, in bytes.
    pub mtu: u16,
    /// The `flags` of `IFACES` of the interface by which packets leave.
    pub egress: u16,
    /// Id of the VLAN in which they leave; 0: without a tag.
    pub vlan: u16,
    /// Zero.
    pub pad: u16,
    /// Tick at which a packet goes by way of the kernel's stack, which looks then whether the
    /// neighbour still answers.
    pub confirm_at: u64,
}

/// [`super::Leg::nexthop`]: the next hop was not asked for in this generation, or there was no room for it.
pub const NOT_ASKED: u16 = u16::MAX;

/// [`super::Leg::nexthop`]: packets of this direction are the kernel's.
pub const THE_KERNELS: u16 = 0;

/// The same, since the interface by which they leave takes no frames from XDP.
pub const NO_EGRESS: u16 = u16::MAX - 1;

/// [`NextHop::generation`]: some CPU is writing the slot.
pub const FILLING: u32 = u32::MAX;

/// For how long cached next hops hold: the one value of the `ROUTING` map. Written by the daemon, which
/// follows what happens to routes, rules, links, addresses and neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Routing {
    /// Generation of the routing tables; 0 and [`FILLING`] are no generations.
    pub generation: u32,
    /// Bits: which packets may leave straight from XDP, as far as the daemon has seen.
    pub enabled: u32,
    /// Tick until which the daemon vouches for the generation, and for [`Self::enabled`]. When it is late, because it
    /// is dead or stopped, no packet leaves straight: the kernel forwards what is accepted.
    pub until: u64,
}

impl Routing {
    /// [`Self::enabled`]: those of established flows. Nothing is configured that would be bypassed with harm (IPsec,
    /// policy rules on marks).
    pub const ESTABLISHED: u32 = 1 << 0;
    /// Also the first ones of a flow: nothing of the kernel's sees forwarded packets, and might change or drop them
    /// (netfilter hooks).
    pub const FIRST: u32 = 1 << 1;
}

const _: () = assert!(size_of::<NextHop>() == 40);
const _: () = assert!(size_of::<Routing>() == 16);
