//! The maps, and access to their memory.
//!
//! BTF maps only: libbpf and bpftool refuse the older kind. Sizes given here are replaced by the
//! loader.

use aya_ebpf::Global;
use aya_ebpf::bindings::{BPF_F_NO_PREALLOC, xdp_action};
use aya_ebpf::btf_maps::{
    Array, DevMap, DevMapHash, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf, lpm_trie,
};
use aya_ebpf::macros::btf_map;
use fw_common::abi::{
    Config, Counter, Edit, Flow, IfaceConfig, IfaceFlags, Key4, Key6, MacKey, NextHop, Routing,
    SourceCount, SourceKey, WallClock, maps,
};
use fw_common::fasttrack::Outlet;
use fw_common::limit::Bucket;
use fw_common::ruleset::fib::{self, Local};
use fw_common::wire::Family;

use super::atomic;

#[btf_map]
pub(super) static ASSURED4: LruHashMap<Key4, Flow, 65536> = LruHashMap::new();
#[btf_map]
pub(super) static EMBRYO4: LruHashMap<Key4, Flow, 65536> = LruHashMap::new();
#[btf_map]
pub(super) static ASSURED6: LruHashMap<Key6, Flow, 65536> = LruHashMap::new();
#[btf_map]
pub(super) static EMBRYO6: LruHashMap<Key6, Flow, 65536> = LruHashMap::new();
#[btf_map]
static CONFIG: Array<Config, 1> = Array::new();
#[btf_map]
static IFACES: Array<IfaceConfig, { maps::NEAR_IFACES as usize }> = Array::new();
#[btf_map]
static FAR_IFACES: HashMap<u32, IfaceConfig, 1024> = HashMap::new();
#[btf_map]
static MACS: HashMap<MacKey, u32, 1024> = HashMap::new();
#[btf_map]
static COUNTERS: PerCpuArray<u64, { Counter::SLOTS as usize }> = PerCpuArray::new();
#[btf_map]
static OCCUPANCY: Array<u64, { maps::OCCUPANCY_SLOTS as usize }> = Array::new();
#[btf_map]
pub(super) static SOURCES: LruHashMap<SourceKey, SourceCount, 32768> = LruHashMap::new();
#[btf_map]
pub(super) static SOURCES_GONE: LruHashMap<SourceKey, SourceCount, 32768> = LruHashMap::new();
#[btf_map]
static INSERTS: PerCpuArray<Bucket, 1> = PerCpuArray::new();
#[btf_map]
pub(super) static NEXTHOPS: Array<NextHop, { maps::NEXTHOP_SLOTS as usize }> = Array::new();
#[btf_map]
static ROUTING: Array<Routing, 1> = Array::new();
#[btf_map]
static TARGETS: DevMap<{ maps::NEAR_IFACES as usize }> = DevMap::new();
#[btf_map]
static FAR_TARGETS: DevMapHash<1024> = DevMapHash::new();
#[btf_map]
static LOCALS: LpmTrie<
    [u32; 4],
    Local,
    { maps::LOCALS_SLOTS as usize },
    { BPF_F_NO_PREALLOC as usize },
> = LpmTrie::new();
#[btf_map]
static WALL: Array<WallClock, 1> = Array::new();
/// No value type: libbpf refuses a ring buffer with one.
#[btf_map]
pub(super) static EVENTS: RingBuf<(), { maps::EVENTS_BYTES as usize }> = RingBuf::new();
#[btf_map]
static LISTEN: Array<u64, 1> = Array::new();
#[btf_map]
static EDIT_ROOM: PerCpuArray<EditRoom, 1> = PerCpuArray::new();
/// What [`super::skb`] copies out of packets.
#[btf_map]
static COPY_ROOM: PerCpuArray<[u8; COPY_MAX], 1> = PerCpuArray::new();
#[btf_map]
static TEST_CLOCK: Array<u64, 1> = Array::new();

/// See [`fw_common::abi::globals::VIRTUAL_CLOCK`].
#[unsafe(no_mangle)]
static VIRTUAL_CLOCK: Global<u8> = Global::new(0);

/// Most bytes that are copied out of a packet at once.
pub(super) const COPY_MAX: usize = 64;

/// The time of day, by the kernel's atomic time.
#[inline(always)]
pub(crate) fn wall_clock() -> WallClock {
    WALL.get(0).copied().unwrap_or_default()
}

/// The entry of an address in the routing table `local`.
#[inline(always)]
pub(crate) fn local(family: Family, address: &[u8; 16]) -> Option<&'static Local> {
    let key = lpm_trie::Key::new(128, fib::local_key(family, address));
    LOCALS.get(&key)
}

/// The same, where the stack has no room for the key: it is where bytes of packets are copied to otherwise. (Before
/// Linux 6.2 a key may be in a map, but not in memory that a global function was given.)
#[inline(always)]
pub(crate) fn local_by(family: Family, address: &[u8; 16]) -> Option<&'static Local> {
    const { assert!(size_of::<lpm_trie::Key<[u32; 4]>>() <= COPY_MAX) };
    let room = copy_room()?.cast::<lpm_trie::Key<[u32; 4]>>();
    // SAFETY: this CPU's own, large enough, and aligned as values of maps are.
    let key = unsafe {
        room.write(lpm_trie::Key::new(128, fib::local_key(family, address)));
        &*room
    };
    LOCALS.get(key)
}

/// Whether somebody listens to events at tick `now`.
#[inline(always)]
pub(crate) fn is_heard(now: u64) -> bool {
    LISTEN.get(0).is_some_and(|until| *until > now)
}

/// Copies an entry, word by word, for the reason of [`blank`].
#[inline(always)]
pub(crate) fn copy(to: &mut Flow, from: &Flow) {
    let (to, from) = (
        core::ptr::from_mut(to).cast::<u64>(),
        core::ptr::from_ref(from).cast::<u64>(),
    );
    let mut i = 0;
    while i < size_of::<Flow>() / size_of::<u64>() {
        // SAFETY: inside the two entries, whose alignment is that of `u64`.
        unsafe { to.add(i).write_volatile(from.add(i).read_volatile()) };
        i += 1;
    }
}

/// Working memory of `fw_edit`. Before Linux 6.10 a packet may interrupt a test run, so it has no part in
/// the working memory of packets.
#[repr(C)]
pub(crate) struct EditRoom {
    /// What is asked for.
    pub(crate) edit: Edit,
    /// The key of an IPv4 flow.
    pub(crate) key4: Key4,
    /// The entry that is removed.
    pub(crate) flow: Flow,
}

/// This CPU's working memory of `fw_edit`.
#[inline(always)]
pub(crate) fn edit_room() -> Option<&'static mut EditRoom> {
    let ptr = EDIT_ROOM.get_ptr_mut(0)?;
    // SAFETY: the slot belongs to this CPU and to this program.
    Some(unsafe { &mut *ptr })
}

/// Where this CPU copies bytes of a packet to.
#[inline(always)]
pub(super) fn copy_room() -> Option<*mut [u8; COPY_MAX]> {
    COPY_ROOM.get_ptr_mut(0)
}

/// Zeroes an entry, word by word: of an assignment the compiler makes one whose words wait on the stack,
/// of which the callers have none to spare.
#[inline(always)]
pub(crate) fn blank(flow: &mut Flow) {
    let words = core::ptr::from_mut(flow).cast::<u64>();
    let mut i = 0;
    while i < size_of::<Flow>() / size_of::<u64>() {
        // SAFETY: inside `flow`, whose alignment is that of `u64`; all zeroes is a valid `Flow`.
        unsafe { words.add(i).write_volatile(0) };
        i += 1;
    }
}

/// The settings; `None` until the daemon has written them.
#[inline(always)]
pub(crate) fn config() -> Option<&'static Config> {
    CONFIG.get(0).filter(|config| config.hz != 0)
}

/// What is known of an interface.
///
/// An array's value is replaced in place, so while the daemon writes it this may be partly the old one. Its
/// flags and its zone are words, each the old or the new one; a mixture of two MAC addresses is nobody's, and
/// the frame is dropped.
#[inline(always)]
pub(crate) fn iface(ifindex: u32) -> Option<IfaceConfig> {
    any_iface(ifindex)
        .filter(|config| config.flags & IfaceFlags::PORT != 0)
        .copied()
}

/// Of a port, or of a VLAN on top of one.
#[inline(always)]
fn any_iface(ifindex: u32) -> Option<&'static IfaceConfig> {
    if ifindex < maps::NEAR_IFACES {
        IFACES.get(ifindex)
    } else {
        // SAFETY: only the daemon writes the map, whole values at a time; what is used of it are words, each
        // read once.
        unsafe { FAR_IFACES.get(ifindex) }
    }
}

/// Flags of an interface; none if nothing is said of it.
#[inline(always)]
pub(crate) fn iface_flags(ifindex: u32) -> u32 {
    any_iface(ifindex).map_or(0, |config| config.flags)
}

/// Flags of VLAN `id` on top of the port `below`, if that is the interface `ifindex`.
#[inline(always)]
pub(crate) fn vlan(ifindex: u32, (below, id): (u32, u16)) -> Option<u32> {
    let config = any_iface(ifindex)?;
    let flags = config.flags;
    (flags & IfaceFlags::VLAN != 0 && config.index == below && config.vlan == id).then_some(flags)
}

/// By which port packets leave that are routed to an interface. One that is not filtered has no flags, nor one below a
/// VLAN whose frames only the kernel makes right.
#[inline(always)]
pub(crate) fn outlet(ifindex: u32) -> Outlet {
    let mut outlet = Outlet {
        port: ifindex,
        flags: 0,
        vlan: 0,
    };
    if let Some(vlan) = any_iface(ifindex)
        && vlan.flags & IfaceFlags::VLAN != 0
    {
        outlet.port = vlan.index;
        outlet.vlan = vlan.vlan;
        if vlan.flags & IfaceFlags::FORWARD == 0 {
            return outlet;
        }
    }
    if let Some(port) = any_iface(outlet.port)
        && port.flags & IfaceFlags::PORT != 0
    {
        outlet.flags = port.flags;
    }
    outlet
}

/// Whether `key` is one of an interface's further hardware addresses.
#[inline(always)]
pub(crate) fn is_own_mac(key: &MacKey) -> bool {
    MACS.get_ptr(key).is_some()
}

/// The generation of routes for which cached next hops hold at tick `now`, 0 if none do; and which packets may
/// leave straight from XDP: bits of [`Routing::enabled`], and none without the daemon's word. Nobody would see then what
/// has come that they must not bypass.
#[inline(always)]
pub(crate) fn routing(now: u64) -> (u32, u32) {
    match ROUTING.get(0) {
        Some(routing) if now < routing.until => (routing.generation, routing.enabled),
        _ => (0, 0),
    }
}

/// The generation of [`routing`]; `None` also if no packet may leave straight.
#[inline(always)]
pub(crate) fn forwarding_generation(now: u64) -> Option<u32> {
    let routing = ROUTING.get(0)?;
    (routing.enabled & Routing::ESTABLISHED != 0 && now < routing.until)
        .then_some(routing.generation)
}

/// Sends the packet to interface `ifindex`; the XDP action, which is "aborted" if that has just gone.
#[inline(always)]
pub(crate) fn redirect(ifindex: u32) -> u32 {
    const OTHERWISE: u64 = xdp_action::XDP_ABORTED as u64;
    let sent = if ifindex < maps::NEAR_IFACES {
        TARGETS.redirect(ifindex, OTHERWISE)
    } else {
        FAR_TARGETS.redirect(ifindex, OTHERWISE)
    };
    match sent {
        Ok(action) | Err(action) => action,
    }
}

/// Adds one to a counter of this CPU.
#[inline(always)]
pub(crate) fn count(counter: Counter) {
    if let Some(slot) = COUNTERS.get_ptr_mut(counter.0) {
        // SAFETY: the slot belongs to this CPU.
        unsafe { *slot = (*slot).wrapping_add(1) };
    }
}

/// Whether this CPU may begin one more flow.
#[inline(always)]
pub(crate) fn may_insert(config: &Config, now: u64) -> bool {
    if config.insert_rate == 0 {
        return true;
    }
    let Some(bucket) = INSERTS.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: the slot belongs to this CPU. Were one hook interrupted by the other here, a token too many
    // or too few would be taken.
    unsafe { &mut *bucket }.take(config.insert_rate, config.hz, now)
}

/// The tick that a test has set; `None` in production, a constant that the verifier folds away.
#[inline(always)]
pub(crate) fn virtual_now() -> Option<u64> {
    if VIRTUAL_CLOCK.load() == 0 {
        None
    } else {
        TEST_CLOCK.get(0).copied()
    }
}

/// How many assured flows a family has: promoted and not removed by us, less what the daemon removed.
#[inline(always)]
pub(crate) fn assured_used(slot: u32) -> u64 {
    let used = OCCUPANCY.get(slot).copied().unwrap_or(0);
    let swept = OCCUPANCY.get(slot + 2).copied().unwrap_or(0);
    used.saturating_sub(swept)
}

/// Notes that an assured flow came (`1`) or went (`u64::MAX`, that is −1).
#[inline(always)]
pub(crate) fn assured_add(slot: u32, n: u64) {
    if let Some(used) = OCCUPANCY.get_ptr_mut(slot) {
        // SAFETY: an aligned slot of an array map.
        unsafe { atomic::add(used, n) };
    }
}
