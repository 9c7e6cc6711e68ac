//! The firewall's BPF programs. Glue only: what decides about a packet is in `fw-common`.
//!
//! `unsafe` is confined to [`sys`].
#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![expect(
    internal_features,
    reason = "BPF's atomic instructions have no stable interface"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "the hook macros hand the context over by value"
)]
#![deny(unsafe_code)]

mod asked;
mod clock;
mod conntrack;
mod counters;
mod edit;
mod egress;
mod events;
mod express;
mod fast;
mod fragments;
mod hooks;
mod ingress;
mod kept;
mod pipeline;
mod related;
mod route;
mod rules;
#[expect(
    unsafe_code,
    reason = "the fence: packet and map memory, atomics, helpers"
)]
mod sys;

use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};

/// Every packet that comes in by a router port.
#[xdp(frags)]
fn fw_ingress(ctx: XdpContext) -> u32 {
    ingress::xdp(&ctx)
}

/// The same, on ports where the stack's own packets are better: long pieces of TCP streams stay whole.
#[classifier]
fn fw_ingress_tc(ctx: TcContext) -> i32 {
    ingress::tc(&ctx)
}

/// Every packet that leaves by a router port: what the host itself sends is tracked here.
#[classifier]
fn fw_egress(ctx: TcContext) -> i32 {
    egress::run(&ctx)
}

/// Writes the kernel's tick into the packet: the daemon runs this once to learn how the programs'
/// clock relates to its own.
#[xdp]
fn fw_clock(ctx: XdpContext) -> u32 {
    clock::run(&ctx)
}

/// Changes or removes one flow: user space runs this with a request for its packet.
#[xdp]
fn fw_edit(ctx: XdpContext) -> u32 {
    edit::run(&ctx)
}

/// Reads a list of netfilter hooks: user space runs this with the question for its packet.
#[classifier]
fn fw_hooks(ctx: TcContext) -> i32 {
    hooks::run(&ctx)
}

/// BPF has nowhere to unwind to. A reachable panic is refused by the verifier ("last insn is not an
/// exit or jmp"), so this is never run.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel gives GPL-only helpers to programs with a compatible licence.
#[expect(unsafe_code, reason = "the loader finds the licence by its section")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
