//! The maps, and access to their memory. Fence module.
//!
//! BTF maps only: libbpf and bpftool refuse the older kind. Sizes given here are replaced by the
//! loader.

use aya_ebpf::Global;
use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::btf_maps::{Array, HashMap, LruHashMap, PerCpuArray};
use aya_ebpf::macros::btf_map;
use fw_common::abi::{
    Config, Counter, Flow, IfaceConfig, Key4, Key6, LOCKED, MOVED, MacKey, UNLOCKED, maps,
};
use fw_common::flow::FlowKey;
use fw_common::wire::Meta;

use crate::atomic::{self, Word};

#[btf_map]
static ASSURED4: LruHashMap<Key4, Flow, 65536> = LruHashMap::new();
#[btf_map]
static EMBRYO4: LruHashMap<Key4, Flow, 65536> = LruHashMap::new();
#[btf_map]
static ASSURED6: LruHashMap<Key6, Flow, 65536> = LruHashMap::new();
#[btf_map]
static EMBRYO6: LruHashMap<Key6, Flow, 65536> = LruHashMap::new();
#[btf_map]
static CONFIG: Array<Config, 1> = Array::new();
#[btf_map]
static IFACES: HashMap<u32, IfaceConfig, 1024> = HashMap::new();
#[btf_map]
static MACS: HashMap<MacKey, u32, 1024> = HashMap::new();
#[btf_map]
static COUNTERS: PerCpuArray<u64, { Counter::SLOTS as usize }> = PerCpuArray::new();
#[btf_map]
static OCCUPANCY: Array<u64, { maps::OCCUPANCY_SLOTS as usize }> = Array::new();
#[btf_map]
static SCRATCH: PerCpuArray<Scratch, 2> = PerCpuArray::new();
#[btf_map]
static TEST_CLOCK: Array<u64, 1> = Array::new();

/// See [`fw_common::abi::globals::VIRTUAL_CLOCK`].
#[unsafe(no_mangle)]
static VIRTUAL_CLOCK: Global<u8> = Global::new(0);

/// Working memory of one packet. A map value, not the stack: 512 bytes are not enough, and the
/// verifier forgets what it knows of values read back from a map, which keeps its state small.
#[repr(C)]
pub(crate) struct Scratch {
    /// The packet's headers.
    pub(crate) meta: Meta,
    /// The headers quoted in an ICMP error.
    pub(crate) inner: Meta,
    /// The entry of a flow that may begin.
    pub(crate) fresh: Flow,
}

/// The two programs may interrupt each other on one CPU only if a kernel ever nests them; each has
/// its own working memory all the same.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Hook {
    /// XDP.
    Ingress = 0,
    /// TC egress.
    Egress = 1,
}

/// This CPU's working memory.
#[inline(always)]
pub(crate) fn scratch(hook: Hook) -> Option<&'static mut Scratch> {
    let ptr = SCRATCH.get_ptr_mut(hook as u32)?;
    // SAFETY: the slot belongs to this CPU and this hook, and no program is interrupted by itself.
    Some(unsafe { &mut *ptr })
}

/// The settings; `None` until the daemon has written them.
#[inline(always)]
pub(crate) fn config() -> Option<&'static Config> {
    CONFIG.get(0).filter(|config| config.hz != 0)
}

/// What is known of an interface.
#[inline(always)]
pub(crate) fn iface(ifindex: u32) -> Option<IfaceConfig> {
    // SAFETY: only the daemon writes the map, whole values at a time; the copy is used, not the
    // reference.
    unsafe { IFACES.get(ifindex) }.copied()
}

/// Whether `key` is one of an interface's further hardware addresses.
#[inline(always)]
pub(crate) fn is_own_mac(key: &MacKey) -> bool {
    MACS.get_ptr(key).is_some()
}

/// Adds one to a counter of this CPU.
#[inline(always)]
pub(crate) fn count(counter: Counter) {
    if let Some(slot) = COUNTERS.get_ptr_mut(counter.0) {
        // SAFETY: the slot belongs to this CPU.
        unsafe { *slot = (*slot).wrapping_add(1) };
    }
}

/// Offset of the virtual clock; a constant 0 in production.
#[inline(always)]
pub(crate) fn clock_offset() -> u64 {
    if VIRTUAL_CLOCK.load() == 0 {
        return 0;
    }
    TEST_CLOCK.get(0).copied().unwrap_or(0)
}

/// The two flow maps of an address family.
pub(crate) trait Table: FlowKey {
    /// Slot of the family in [`OCCUPANCY`].
    const SLOT: u32;
    /// [`Flow::tag`] of this key.
    fn tag(&self) -> u32;
    /// Finds an entry: first among the assured, then among the embryonic.
    fn find(&self) -> Option<Entry>;
    /// Inserts an embryonic flow; false if there is one already or no room.
    fn insert(&self, flow: &Flow) -> Result<(), i32>;
    /// Inserts an assured flow, with the entry locked.
    fn insert_assured(&self, flow: &Flow) -> Option<Entry>;
    /// Removes the flow from the map it is in.
    fn remove(&self, assured: bool) -> bool;
}

macro_rules! table {
    ($key:ty, $slot:literal, $assured:ident, $embryo:ident) => {
        impl Table for $key {
            const SLOT: u32 = $slot;

            #[inline(always)]
            fn tag(&self) -> u32 {
                <$key>::tag(self)
            }

            #[inline(always)]
            fn find(&self) -> Option<Entry> {
                if let Some(flow) = $assured.get_ptr_mut(self) {
                    return Some(Entry { flow, assured: true });
                }
                let flow = $embryo.get_ptr_mut(self)?;
                Some(Entry { flow, assured: false })
            }

            #[inline(always)]
            fn insert(&self, flow: &Flow) -> Result<(), i32> {
                $embryo.insert(self, flow, u64::from(BPF_NOEXIST))
            }

            #[inline(always)]
            fn insert_assured(&self, flow: &Flow) -> Option<Entry> {
                $assured.insert(self, flow, u64::from(BPF_NOEXIST)).ok()?;
                $assured.get_ptr_mut(self).map(|flow| Entry { flow, assured: true })
            }

            #[inline(always)]
            fn remove(&self, assured: bool) -> bool {
                if assured { $assured.remove(self).is_ok() } else { $embryo.remove(self).is_ok() }
            }
        }
    };
}

table!(Key4, 0, ASSURED4, EMBRYO4);
table!(Key6, 1, ASSURED6, EMBRYO6);

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

/// An entry of a flow map, in place.
pub(crate) struct Entry {
    flow: *mut Flow,
    /// Which of the two maps it is in.
    pub(crate) assured: bool,
}

/// What came of trying to lock an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// It is ours.
    Taken,
    /// The flow moved to the assured map, or the entry was recycled for another flow.
    Gone,
    /// Another CPU held it all the time.
    Busy,
}

/// How often a lock is tried: some microseconds, where its holder needs a tenth of one.
const SPINS: u32 = 256;

impl Entry {
    #[inline(always)]
    fn word(&self) -> Word {
        // SAFETY: a pointer from a look-up stays readable and writable while the program runs; the
        // memory of an LRU map is never given back, at worst it is used for another flow.
        unsafe { Word::new(&raw mut (*self.flow).lock) }
    }

    /// Takes the entry for the flow with `tag`.
    #[inline(always)]
    pub(crate) fn lock(&self, tag: u32) -> Lock {
        let mut spins = 0;
        while spins < SPINS {
            match self.word().exchange_if(UNLOCKED, LOCKED) {
                UNLOCKED => {
                    if self.peek_tag() == tag {
                        return Lock::Taken;
                    }
                    self.unlock();
                    return Lock::Gone;
                }
                MOVED => return Lock::Gone,
                _ => spins += 1,
            }
        }
        Lock::Busy
    }

    /// Gives the entry back.
    #[inline(always)]
    pub(crate) fn unlock(&self) {
        self.word().release(UNLOCKED);
    }

    /// Gives the entry back for good: its flow is in the assured map now.
    #[inline(always)]
    pub(crate) fn retire(&self) {
        self.word().release(MOVED);
    }

    /// When the flow expires, and its status, read without the lock.
    #[inline(always)]
    pub(crate) fn peek(&self) -> (u64, u32) {
        // SAFETY: see `word`; two aligned words, each read whole.
        unsafe {
            ((&raw const (*self.flow).deadline).read_volatile(), (&raw const (*self.flow).status).read_volatile())
        }
    }

    #[inline(always)]
    fn peek_tag(&self) -> u32 {
        // SAFETY: see `word`.
        unsafe { (&raw const (*self.flow).tag).read_volatile() }
    }

    /// The flow, while it is locked.
    #[inline(always)]
    pub(crate) fn flow(&mut self) -> &mut Flow {
        // SAFETY: see `word`. The caller holds the lock, so no other program writes; the daemon
        // only reads copies.
        unsafe { &mut *self.flow }
    }
}
