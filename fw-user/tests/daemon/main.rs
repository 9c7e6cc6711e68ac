//! The daemon on a lab's router: its socket, its settings at run time, interfaces that come and go,
//! what it leaves behind.

mod control;
mod fixture;
mod interfaces;
mod leftovers;
mod lockout;
mod logs;
mod memory;
mod overlaps;
mod pressure;
#[path = "../conformance/rng.rs"]
#[expect(dead_code, reason = "conformance uses the rest")]
mod rng;
mod routes;
mod rules;
mod settings;
mod sweep;
