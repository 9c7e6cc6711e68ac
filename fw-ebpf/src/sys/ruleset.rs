//! The compiled ruleset in maps, and its evaluation by `bpf_loop`.

use core::ffi::c_void;

use aya_ebpf::bindings::BPF_F_INNER_MAP;
use aya_ebpf::btf_maps::{Array, ArrayOfMaps, HashMap, PerCpuArray, RingBuf};
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_loop, bpf_ringbuf_output};
use aya_ebpf::macros::btf_map;
use fw_common::abi::{
    Active, Hits, LOG_SLOTS, LOGS_BYTES, LinkKey, LogText, METER_SLOTS, RULE_SLOTS, RulesHead,
    TALLY_SLOTS,
};
use fw_common::ruleset::seek::BLOCK;
use fw_common::ruleset::{
    Entry, Env, Facts, Found, Insn, Link, MAX_STEPS, Outcome, Rate, field, op, step,
};

use super::atomic;
use super::connections;
use super::scratch::Scratch;
use super::sets::{DELETE, UPDATE};
use super::tracing;

#[btf_map]
static RULES: Array<Insn, { 2 * RULE_SLOTS as usize }> = Array::new();
#[btf_map]
static RULE_HEADS: Array<RulesHead, 2> = Array::new();
#[btf_map]
static ACTIVE: Array<u64, 1> = Array::new();
#[btf_map]
static TALLIES: PerCpuArray<Hits, { 2 * TALLY_SLOTS as usize }> = PerCpuArray::new();
#[btf_map]
pub(super) static RATES: Array<Rate, { 2 * METER_SLOTS as usize }> = Array::new();
#[btf_map]
static QUOTAS: Array<u64, { 2 * METER_SLOTS as usize }> = Array::new();
#[btf_map]
static LOG_TEXTS: Array<LogText, { 2 * LOG_SLOTS as usize }> = Array::new();
#[btf_map]
static LOGS: RingBuf<(), { LOGS_BYTES as usize }> = RingBuf::new();
#[btf_map]
static LINKS: HashMap<LinkKey, Link, 4096> = HashMap::new();

type Vectors = Array<[u64; BLOCK], 1, { BPF_F_INNER_MAP as usize }>;

#[btf_map]
static VECTORS: ArrayOfMaps<Vectors, 2> = ArrayOfMaps::new();

/// The ruleset in force.
#[inline(always)]
pub(crate) fn active() -> Active {
    match ACTIVE.get_ptr(0) {
        // SAFETY: an aligned word of an array map, read whole.
        Some(word) => Active(unsafe { word.read_volatile() }),
        None => Active::NONE,
    }
}

/// What the bank of a ruleset holds.
#[inline(always)]
pub(crate) fn head(active: Active) -> Option<&'static RulesHead> {
    RULE_HEADS.get(active.bank())
}

/// A number that no path of this bank has yet.
#[inline(always)]
pub(super) fn next_path(active: Active) -> Option<u32> {
    let head = RULE_HEADS.get_ptr_mut(active.bank())?;
    // SAFETY: an aligned word of an array map.
    let before = unsafe { atomic::fetch_add32(&raw mut (*head).paths, 1) };
    Some(before.wrapping_add(1))
}

/// The instruction at which packets of `entry` begin; `None` if no chain is hooked in there.
#[inline(always)]
pub(crate) fn entry(active: Active, entry: Entry, v6: bool) -> Option<u32> {
    let [v4_pc, v6_pc] = head(active)?.entries[entry as usize];
    let pc = if v6 { v6_pc } else { v4_pc };
    pc.checked_sub(1)
}

/// What rules know of the interface by which packets of NIC `port` with VLAN id `vlan` come in.
#[inline(always)]
pub(crate) fn link(port: u32, vlan: u16) -> Option<&'static Link> {
    let key = LinkKey {
        port,
        vlan: u32::from(vlan),
    };
    // SAFETY: only the daemon writes the map; a value that is replaced stays readable while the program
    // runs.
    unsafe { LINKS.get(key) }
}

/// Whether what accepted the packet was neither a rule nor a policy, but a failsafe port's guard in front of them.
#[inline(always)]
pub(crate) fn is_guarded(scratch: &Scratch) -> bool {
    let pc = scratch.machine.accepted.wrapping_sub(1) & (RULE_SLOTS - 1);
    let insn = RULES.get(Active(scratch.job.rules).bank() * RULE_SLOTS + pc);
    insn.is_some_and(|insn| insn.op == op::PASS)
}

/// What the turns of one evaluation share.
#[repr(C)]
struct Walk {
    scratch: *mut Scratch,
    now: u64,
    active: u64,
}

/// One instruction. A callback of `bpf_loop`: the verifier follows it once, not once a turn.
unsafe extern "C" fn turn(_turn: u64, walk: *mut Walk) -> i64 {
    // SAFETY: `bpf_loop` hands on what `fw_walk` gave it.
    let walk = unsafe { &mut *walk };
    // SAFETY: a map value that is this CPU's own.
    let (machine, trace) = unsafe { (&mut (*walk.scratch).machine, &mut (*walk.scratch).trace) };
    let active = Active(walk.active);
    // An index beyond the bank must not lead into the other one.
    let pc = machine.pc & (RULE_SLOTS - 1);
    let depth = machine.depth;
    match RULES.get(active.bank() * RULE_SLOTS + pc) {
        Some(insn) => {
            let mut shared = Shared {
                scratch: walk.scratch,
                now: walk.now,
                active,
            };
            step(machine, insn, &mut shared);
            if trace.on != 0 {
                tracing::note(trace, insn, (pc, depth), machine);
            }
        }
        None => machine.outcome = Outcome::Broken as u32,
    }
    i64::from(machine.outcome != Outcome::Running as u32)
}

/// Evaluates the ruleset from where `scratch.machine` stands to its outcome, which it returns.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_walk(scratch: *mut Scratch) -> u64 {
    let Some(scratch) = Scratch::again(scratch) else {
        return Outcome::Broken as u64;
    };
    scratch.trace.record.count = 0;
    let mut walk = Walk {
        now: scratch.job.now,
        active: scratch.job.rules,
        scratch,
    };
    // SAFETY: the callback takes what it is given here, and both live through the call.
    unsafe { bpf_loop(MAX_STEPS, turn as *mut c_void, (&raw mut walk).cast(), 0) };
    if scratch.trace.on != 0 {
        tracing::send(scratch);
    }
    u64::from(scratch.machine.outcome)
}

/// [`fw_walk`] of this packet.
#[inline(always)]
pub(crate) fn walk(scratch: &mut Scratch) -> u64 {
    fw_walk(scratch)
}

/// What all packets share, in maps.
pub(super) struct Shared {
    scratch: *mut Scratch,
    pub(super) now: u64,
    pub(super) active: Active,
}

/// Index of slot `index` of this bank in a map with `slots` a bank.
#[inline(always)]
pub(super) fn slot(active: Active, index: u32, slots: u32) -> u32 {
    active.bank() * slots + (index & (slots - 1))
}

impl Env for Shared {
    #[inline(always)]
    fn find(&mut self, insn: &Insn, facts: &Facts) -> Option<Found> {
        let element = self.look_up(insn, facts)?;
        self.touch(element, insn, insn.a[2], facts).then(|| Found {
            // SAFETY: see `look_up`.
            data: unsafe { (*element).data },
        })
    }

    #[inline(always)]
    fn update(&mut self, insn: &Insn, facts: &Facts) -> bool {
        match insn.a[2] {
            DELETE => self.delete(insn, facts),
            how => self.put(insn, facts, how == UPDATE),
        }
    }

    #[inline(always)]
    fn count(&mut self, index: u32, bytes: u32) {
        if let Some(tally) = TALLIES.get_ptr_mut(slot(self.active, index, TALLY_SLOTS)) {
            add(tally, bytes, self.now);
        }
    }

    #[inline(always)]
    fn limit(&mut self, index: u32, bytes: u32) -> bool {
        let Some(rate) = RATES.get_ptr_mut(slot(self.active, index, METER_SLOTS)) else {
            return false;
        };
        // SAFETY: an element of an array map; only `empty_at` is ever written while it is in force.
        let (empty_at, rate) = unsafe { (&raw mut (*rate).empty_at, &*rate) };
        take(empty_at, rate, bytes)
    }

    #[inline(always)]
    fn quota(&mut self, index: u32, bytes: u32) -> u64 {
        let Some(used) = QUOTAS.get_ptr_mut(slot(self.active, index, METER_SLOTS)) else {
            return u64::MAX;
        };
        // SAFETY: an aligned element of an array map.
        let before = unsafe { atomic::fetch_add(used, u64::from(bytes)) };
        before.wrapping_add(u64::from(bytes))
    }

    #[inline(always)]
    fn bits(&mut self, block: u32, word: u32) -> Option<u64> {
        let block = VECTORS.get_value(self.active.bank(), &block)?;
        block.get(word as usize & (BLOCK - 1)).copied()
    }

    #[inline(always)]
    fn connections(&mut self, insn: &Insn, _facts: &Facts) -> Option<u32> {
        connections::count(self.scratch, insn.a[1], insn.a[2])
    }

    #[inline(always)]
    fn log(&mut self, facts: &Facts) {
        // Full: whoever reads is not quick enough for what happens, or is not there.
        // SAFETY: the record is that many words.
        unsafe {
            bpf_ringbuf_output(
                (&raw const LOGS).cast_mut().cast(),
                facts.record().as_ptr().cast_mut().cast(),
                (field::RECORD * size_of::<u32>()) as u64,
                0,
            );
        }
    }
}

/// Tries of a word that other CPUs change, too.
const TRIES: u32 = 8;

/// Takes what a packet costs out of a bucket, if it is in there.
#[inline(always)]
pub(super) fn take(empty_at: *mut u64, rate: &Rate, bytes: u32) -> bool {
    // SAFETY: takes no argument, reads a kernel clock.
    let now = unsafe { bpf_ktime_get_ns() };
    let price = rate.price(bytes);
    let mut tries = 0;
    while tries < TRIES {
        tries += 1;
        // SAFETY: an aligned word of a map element, read whole.
        let before = unsafe { empty_at.read_volatile() };
        let Some(after) = Rate::take(before, rate.depth, price, now) else {
            return false;
        };
        // SAFETY: as above.
        if unsafe { atomic::exchange_if(empty_at, before, after) } == before {
            return true;
        }
    }
    // Others were quicker each time: they have used the rate.
    false
}

#[inline(always)]
pub(super) fn add(hits: *mut Hits, bytes: u32, now: u64) {
    // SAFETY: the slot belongs to this CPU.
    unsafe {
        (*hits).tally.packets = (*hits).tally.packets.wrapping_add(1);
        (*hits).tally.bytes = (*hits).tally.bytes.wrapping_add(u64::from(bytes));
        (*hits).last = now;
    }
}
