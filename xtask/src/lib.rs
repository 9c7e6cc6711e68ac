//! What the chores share with fw-user's build script and tests.
//!
//! With no feature there is only [`ebpf`], and no dependency but anyhow: it is compiled before
//! everything else. Feature `lab` adds the network lab, `cli` what the `xtask` binary needs.
#![deny(unsafe_code)]

pub mod ebpf;
#[cfg(feature = "lab")]
pub mod lab;
pub mod paths;
#[cfg(feature = "lab")]
#[expect(unsafe_code, reason = "the fence: packet sockets")]
pub mod sys;
#[cfg(feature = "lab")]
pub mod traffic;
