//! `fwctl` as a library: what the binary, the tests and the benchmarks share.
//!
//! `unsafe` is allowed only below [`sys`].
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod attach;
pub mod clock;
pub mod control;
pub mod daemon;
pub mod doctor;
pub mod error;
pub mod explain;
pub mod flows;
pub mod life;
pub mod maps;
pub mod object;
pub mod paths;
pub mod routing;
pub mod rules;
pub mod settings;
#[expect(unsafe_code, reason = "the fence: raw bpf(2) and ioctl(2) calls")]
pub mod sys;
pub mod top;
