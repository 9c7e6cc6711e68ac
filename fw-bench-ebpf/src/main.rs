//! The benchmarks' BPF programs: a generator that `BPF_PROG_TEST_RUN` runs over live frames, and a
//! sink that counts what arrives.
//!
//! `unsafe` is confined to [`sys`].
#![no_std]
#![no_main]
#![expect(
    clippy::needless_pass_by_value,
    reason = "the hook macros hand the context over by value"
)]
#![deny(unsafe_code)]

mod abi;
mod generator;
mod layout;
mod sink;
#[expect(unsafe_code, reason = "the fence: packet and map memory, helpers")]
mod sys;

use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;

use layout::{Tcp4, Tcp6, Udp4, Udp6};

#[xdp]
fn udp4(ctx: XdpContext) -> u32 {
    generator::run::<Udp4>(&ctx)
}

#[xdp]
fn tcp4(ctx: XdpContext) -> u32 {
    generator::run::<Tcp4>(&ctx)
}

#[xdp]
fn udp6(ctx: XdpContext) -> u32 {
    generator::run::<Udp6>(&ctx)
}

#[xdp]
fn tcp6(ctx: XdpContext) -> u32 {
    generator::run::<Tcp6>(&ctx)
}

#[xdp]
fn sink(ctx: XdpContext) -> u32 {
    sink::run(&ctx)
}

/// BPF has nowhere to unwind to. The verifier refuses a reachable panic, so this is never run.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel gives GPL-only helpers to programs with a compatible licence.
#[expect(unsafe_code, reason = "the loader finds the licence by its section")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
