//! The firewall's protocol logic, shared by the BPF programs and user space.
//!
//! Everything in this crate is pure: no clock, no maps, no I/O, no panic, no `unsafe` (but for the
//! `Pod` markers that user space needs). Time is always an argument, in *ticks*: the kernel's
//! jiffies, [`abi::Config::hz`] of them a second. What decides about a packet here runs unchanged in
//! the XDP program, in unit and property tests, in the fuzzers and in `fwctl explain`.
//!
//! A packet takes this way through the modules:
//!
//! 1. [`wire`] reads its headers into a [`wire::Meta`] or refuses them with a [`Reason`].
//! 2. [`flow`] makes the canonical key under which both directions of a flow are found.
//! 3. [`track`] advances the flow's state machine ([`tcp`], [`udp`], [`icmp`], [`generic`]) and says
//!    which [`CtInfo`] the packet has.
//! 4. The ruleset decides on the [`Verdict`].
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod abi;
pub mod adaptive;
pub mod ctinfo;
pub mod edit;
pub mod fasttrack;
pub mod flow;
pub mod fragments;
pub mod generic;
pub mod gre;
pub mod icmp;
pub mod index;
pub mod limit;
pub mod policy;
pub mod route;
pub mod ruleset;
pub mod sctp;
pub mod source;
pub mod status;
pub mod tcp;
pub mod timeout;
pub mod track;
pub mod udp;
pub mod verdict;
pub mod wire;

pub use ctinfo::{CtInfo, Dir};
pub use verdict::{Reason, Verdict};
