//! What is stored in BPF maps.

use crate::abi::{Plan, Walk};

// SAFETY: `repr(C)` of nothing but u32, hence without padding.
unsafe impl aya::Pod for Plan {}
// SAFETY: `repr(C)` of one u64 and four u32, hence without padding.
unsafe impl aya::Pod for Walk {}

const _: () = assert!(size_of::<Plan>() % size_of::<u32>() == 0);
const _: () = assert!(size_of::<Walk>() == 8 + 4 * 4);
