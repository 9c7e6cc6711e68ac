//! Table look-ups that the BPF verifier can follow.

/// `n`, which is below `SIZE` (a power of two) anyway, masked where the verifier sees it.
///
/// The compiler knows the range of an enum and drops a plain `n & (SIZE - 1)` as redundant. The
/// verifier does not know it and refuses the access, so the value is hidden from the compiler first.
#[must_use]
#[inline(always)]
pub fn masked<const SIZE: usize>(n: usize) -> usize {
    const { assert!(SIZE.is_power_of_two()) };
    core::hint::black_box(n) & (SIZE - 1)
}
