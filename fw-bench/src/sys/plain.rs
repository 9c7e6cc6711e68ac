//! What is stored in BPF maps.

use crate::abi::{HEADER_WORDS, Plan, SIZES, Walk};

// SAFETY: `repr(C)` of nothing but u32, hence without padding.
unsafe impl aya::Pod for Plan {}
// SAFETY: `repr(C)` of one u64 and four u32, hence without padding.
unsafe impl aya::Pod for Walk {}

const _: () = assert!(size_of::<Plan>() == 4 * (HEADER_WORDS + SIZES + 13));
const _: () = assert!(size_of::<Walk>() == 8 + 4 * 4);
