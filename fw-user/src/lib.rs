//! `fwctl` as a library: what the binary, the tests and the benchmarks share.
//!
//! `unsafe` is allowed only below [`sys`].
#![deny(unsafe_code)]

pub mod paths;
pub mod settings;
