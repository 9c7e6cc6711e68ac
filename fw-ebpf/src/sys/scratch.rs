//! Working memory of one packet.

use aya_ebpf::btf_maps::PerCpuArray;
use aya_ebpf::macros::btf_map;
use fw_common::abi::{Datagram, Flow, FragmentKey, Key4, Key6, Member, NextHop};
use fw_common::route::{Fib, Route};
use fw_common::ruleset::Machine;
use fw_common::ruleset::reject::MAX_ANSWER;
use fw_common::wire::Meta;

use super::tracing::Trace;

#[btf_map]
static SCRATCH: PerCpuArray<Scratch, 2> = PerCpuArray::new();

/// A map value, not the stack: 512 bytes are not enough, and the
/// verifier forgets what it knows of values read back from a map, which keeps its state small.
#[repr(C)]
pub(crate) struct Scratch {
    /// The packet's headers.
    pub(crate) meta: Meta,
    /// The headers quoted in an ICMP error.
    pub(crate) inner: Meta,
    /// The entry of a flow that may begin.
    pub(crate) fresh: Flow,
    /// What holds for the packet whatever it contains.
    pub(crate) job: Job,
    /// Where the packet goes.
    pub(crate) way: Way,
    /// Where the datagram of a fragment is to be found.
    pub(crate) fragment_key: FragmentKey,
    /// The datagram of a fragment.
    pub(crate) datagram: Datagram,
    /// Where an IPv4 packet's flow is to be found.
    pub(crate) place4: Place<Key4>,
    /// Where an IPv6 packet's flow is to be found.
    pub(crate) place6: Place<Key6>,
    /// The evaluation of the ruleset.
    pub(crate) machine: Machine,
    /// The connection that `ct count` counts.
    pub(crate) member: Member,
    /// What is told of it, if somebody follows it through the rules.
    pub(crate) trace: Trace,
    /// The [`Hook`] whose working memory this is.
    pub(crate) hook: u32,
    /// Zero.
    pub(crate) pad: u32,
    /// The answer to a packet that is rejected.
    pub(crate) answer: [u8; MAX_ANSWER],
}

/// The way of a packet through the host, once it was asked for.
#[repr(C)]
pub(crate) struct Way {
    /// The kernel helper's question and answer.
    pub(crate) fib: Fib,
    /// What it means.
    pub(crate) route: Route,
    /// What [`crate::fast::choose`] has to know of the packet: bit 0, its direction; then what its flow is.
    pub(crate) question: u32,
    /// Zero.
    pub(crate) pad: u32,
    /// Where to send the packet straight from XDP, unless its interface is 0.
    pub(crate) hop: NextHop,
}

/// The flow of a packet: the key of its maps, and which end of it the packet came from.
#[repr(C)]
pub(crate) struct Place<K> {
    pub(crate) key: K,
    /// 1 if the packet came from the key's higher endpoint.
    pub(crate) from_hi: u8,
}

/// What holds for one packet, whatever it contains.
#[repr(C)]
pub(crate) struct Job {
    /// Now, in ticks.
    pub(crate) now: u64,
    /// The ruleset in force when it came ([`fw_common::abi::Active`]).
    pub(crate) rules: u64,
    /// The NIC by which it came in; 0 if the host itself sends it.
    pub(crate) came_in_by: u32,
    /// Conntrack zone of the NIC.
    pub(crate) zone: u16,
    /// Bits of [`fw_common::abi::IfaceFlags`] of the NIC.
    pub(crate) iface: u16,
    /// The NIC of the hook.
    pub(crate) port: u32,
    /// Generation of routes and interfaces: a kept verdict holds for one, and none for 0.
    pub(crate) routes: u32,
    /// Index of the flow's leg that may keep the verdict, plus one; 0 if there is none.
    pub(crate) leg: u8,
    /// The packet's [`fw_common::CtInfo`] as a number, if `leg` is not 0.
    pub(crate) info: u8,
    /// 1 if no verdict is kept or recalled: the packet is not like others of its flow.
    pub(crate) odd: u8,
    /// Not 0 if it is a first fragment, whose verdict others share.
    pub(crate) first: u8,
    /// Not 0 if it was counted in a flow.
    pub(crate) counted: u8,
    /// 1 if it came in by an interface that nobody knows, for which rules ask.
    pub(crate) unknown: u8,
    /// Zero.
    pub(crate) pad: [u8; 2],
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

impl Scratch {
    /// This CPU's.
    #[inline(always)]
    pub(crate) fn of(hook: Hook) -> Option<&'static mut Self> {
        let scratch = Self::at(hook as u32)?;
        scratch.hook = hook as u32;
        Some(scratch)
    }

    /// That which a global function was handed, looked up again. What the verifier knows of an argument is its size
    /// alone, and older ones (Linux 6.1, no more 6.12) let no map take a key or a value from memory of which they know
    /// no more.
    #[inline(always)]
    pub(super) fn again(scratch: *mut Self) -> Option<&'static mut Self> {
        // Whoever calls has to expect that its memory changes, although not by the pointer that it hands over.
        let scratch = core::hint::black_box(scratch);
        // SAFETY: null or memory of the type's size, this CPU's own.
        let hook = unsafe { scratch.as_ref() }?.hook;
        Self::at(hook)
    }

    #[inline(always)]
    fn at(hook: u32) -> Option<&'static mut Self> {
        let ptr = SCRATCH.get_ptr_mut(hook)?;
        // SAFETY: the slot belongs to this CPU and this hook, and no program is interrupted by itself.
        Some(unsafe { &mut *ptr })
    }
}
