//! Fields of headers, where the `network-types` crate lays them out.
//!
//! A header is read as one array of bytes; [`field!`] takes a field out of it by the layout of the
//! corresponding structure. No pointer is cast, and an offset beyond the array does not compile.

/// The bytes of `$field` of a `$header` that starts `$raw`, an array by value or place.
macro_rules! field {
    ($raw:expr, $header:ty, $field:ident) => {
        $crate::wire::layout::bytes::<{ ::core::mem::offset_of!($header, $field) }, _, _>(&$raw)
    };
}

/// A big-endian 16-bit field.
macro_rules! be16 {
    ($raw:expr, $header:ty, $field:ident) => {
        u16::from_be_bytes($crate::wire::layout::field!($raw, $header, $field))
    };
}

/// A big-endian 32-bit field.
macro_rules! be32 {
    ($raw:expr, $header:ty, $field:ident) => {
        u32::from_be_bytes($crate::wire::layout::field!($raw, $header, $field))
    };
}

/// A field of one byte.
macro_rules! byte {
    ($raw:expr, $header:ty, $field:ident) => {
        u8::from_be_bytes($crate::wire::layout::field!($raw, $header, $field))
    };
}

pub(super) use {be16, be32, byte, field};

/// The `N` bytes at `AT`.
#[inline(always)]
pub(super) fn bytes<const AT: usize, const N: usize, const LEN: usize>(
    header: &[u8; LEN],
) -> [u8; N] {
    const { assert!(AT + N <= LEN) };
    // The assertion makes `None` impossible, which the optimiser sees: nothing can fail here.
    match header.get(AT..).and_then(<[u8]>::first_chunk) {
        Some(chunk) => *chunk,
        None => [0; N],
    }
}
