//! Entries of the flow maps: finding, inserting, locking.

use core::ffi::c_void;
use core::mem::MaybeUninit;

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::generated::bpf_loop;
use fw_common::abi::{Flow, Key4, Key6, LOCKED, MOVED, UNLOCKED};
use fw_common::flow::FlowKey;

use super::atomic::Word;
use super::maps::{ASSURED4, ASSURED6, EMBRYO4, EMBRYO6};
use super::report::Report;

/// The two flow maps of an address family.
pub(crate) trait Table: FlowKey + Report {
    /// Slot of the family in [`OCCUPANCY`].
    const SLOT: u32;
    /// [`Flow::tag`] of this key.
    fn tag(&self) -> u32;
    /// Finds an entry among the assured.
    fn find_assured(&self) -> Option<Entry>;
    /// [`Self::find_assured`] of a key that is not in memory yet. It gets there in whole words: of a key that is
    /// written piece by piece, the map's hash function reads no word before the last piece has left the
    /// processor's store buffer.
    fn look_up_assured(self) -> Option<Entry>;
    /// Finds an entry: first among the embryonic, then among the assured. In this order, since a flow moves
    /// from the former to the latter, and one that is found in neither map would begin a second time.
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
            fn find_assured(&self) -> Option<Entry> {
                $assured.get_ptr_mut(self).map(|flow| Entry {
                    flow,
                    assured: true,
                })
            }

            #[inline(always)]
            fn look_up_assured(self) -> Option<Entry> {
                const WORDS: usize = size_of::<$key>() / size_of::<u64>();
                // SAFETY: a key is as many bytes, all of them initialised, and no words have a value that is
                // none; they are aligned as keys are.
                let words: [u64; WORDS] = unsafe { core::mem::transmute(self) };
                let mut room = MaybeUninit::<$key>::uninit();
                let place = room.as_mut_ptr().cast::<u64>();
                for (i, word) in words.into_iter().enumerate() {
                    // SAFETY: inside `room`, whose alignment is that of `u64`.
                    unsafe { place.add(i).write_volatile(word) };
                }
                // SAFETY: all of it has just been written, with the words of a key.
                let key = unsafe { room.assume_init_ref() };
                key.find_assured()
            }

            #[inline(always)]
            fn find(&self) -> Option<Entry> {
                let embryo = $embryo.get_ptr_mut(self).map(|flow| Entry {
                    flow,
                    assured: false,
                });
                match embryo {
                    Some(entry) if !entry.has_moved() => Some(entry),
                    moved => self.find_assured().or(moved),
                }
            }

            #[inline(always)]
            fn insert(&self, flow: &Flow) -> Result<(), i32> {
                $embryo.insert(self, flow, u64::from(BPF_NOEXIST))
            }

            #[inline(always)]
            fn insert_assured(&self, flow: &Flow) -> Option<Entry> {
                $assured.insert(self, flow, u64::from(BPF_NOEXIST)).ok()?;
                self.find_assured()
            }

            #[inline(always)]
            fn remove(&self, assured: bool) -> bool {
                if assured {
                    $assured.remove(self).is_ok()
                } else {
                    $embryo.remove(self).is_ok()
                }
            }
        }
    };
}

table!(Key4, 0, ASSURED4, EMBRYO4);
table!(Key6, 1, ASSURED6, EMBRYO6);

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

/// What is known of an entry without its lock.
#[derive(Clone, Copy)]
pub(crate) struct Glimpse {
    /// [`Flow::deadline`].
    pub(crate) deadline: u64,
    /// [`Flow::status`].
    pub(crate) status: u32,
    /// [`Flow::id`].
    pub(crate) id: u32,
    /// `state` of [`Flow::proto`].
    pub(crate) state: u8,
    /// [`Flow::origin`], which never changes while a flow lives.
    pub(crate) origin: u8,
}

/// How often a lock is tried: a millisecond, where its holder needs a tenth of a microsecond. It may
/// have been interrupted, or its virtual CPU taken away.
const SPINS: u32 = 1 << 15;

/// What the tries share.
#[repr(C)]
struct Spin {
    word: *mut u32,
    before: u32,
    pad: u32,
}

/// One more try. A callback of `bpf_loop`: the verifier follows it once, not once a turn.
unsafe extern "C" fn spin(_turn: u64, spin: *mut Spin) -> i64 {
    // SAFETY: `bpf_loop` hands on what `Entry::exchange` gave it.
    let spin = unsafe { &mut *spin };
    // SAFETY: as in `Entry::word`.
    spin.before = unsafe { Word::new(spin.word) }.exchange_if(UNLOCKED, LOCKED);
    i64::from(spin.before != LOCKED)
}

impl Entry {
    #[inline(always)]
    fn word(&self) -> Word {
        // SAFETY: a pointer from a look-up stays readable and writable while the program runs; the
        // memory of an LRU map is never given back, at worst it is used for another flow.
        unsafe { Word::new(&raw mut (*self.flow).lock) }
    }

    /// Takes the entry for the flow with `tag`, if that can be done at once.
    #[inline(always)]
    pub(crate) fn try_lock(&self, tag: u32) -> bool {
        if self.word().exchange_if(UNLOCKED, LOCKED) != UNLOCKED {
            return false;
        }
        let same = self.peek_tag() == tag;
        if !same {
            self.unlock();
        }
        same
    }

    /// Takes the entry for the flow with `tag`.
    #[inline(always)]
    pub(crate) fn lock(&self, tag: u32) -> Lock {
        let mut before = self.word().exchange_if(UNLOCKED, LOCKED);
        if before == LOCKED {
            before = self.spin();
        }
        match before {
            UNLOCKED if self.peek_tag() == tag => Lock::Taken,
            UNLOCKED => {
                self.unlock();
                Lock::Gone
            }
            MOVED => Lock::Gone,
            _ => Lock::Busy,
        }
    }

    /// Tries for as long as another CPU may reasonably hold the lock; the word's value before the last
    /// try.
    #[inline(always)]
    fn spin(&self) -> u32 {
        let mut state = Spin {
            // SAFETY: see `word`.
            word: unsafe { &raw mut (*self.flow).lock },
            before: LOCKED,
            pad: 0,
        };
        // SAFETY: the callback takes what it is given here, and both live through the call.
        unsafe { bpf_loop(SPINS, spin as *mut c_void, (&raw mut state).cast(), 0) };
        state.before
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

    /// What can be read without the lock; `None` if the entry is not (or no more) the one of the flow
    /// with `tag`.
    #[inline(always)]
    pub(crate) fn glimpse(&self, tag: u32) -> Option<Glimpse> {
        // SAFETY: see `word`; aligned words, each read whole. The tag is read last: if it is right
        // then, it was right before.
        let glimpse = unsafe {
            Glimpse {
                deadline: (&raw const (*self.flow).deadline).read_volatile(),
                status: (&raw const (*self.flow).status).read_volatile(),
                id: (&raw const (*self.flow).id).read_volatile(),
                state: (&raw const (*self.flow).proto.state).read_volatile(),
                origin: (&raw const (*self.flow).origin).read_volatile(),
            }
        };
        if self.peek_tag() == tag {
            Some(glimpse)
        } else {
            None
        }
    }

    /// Whether its flow is no longer this entry's.
    #[inline(always)]
    fn has_moved(&self) -> bool {
        // SAFETY: see `word`; an aligned word, read whole.
        unsafe { (&raw const (*self.flow).lock).read_volatile() == MOVED }
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
