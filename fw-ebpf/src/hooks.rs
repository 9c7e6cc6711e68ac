//! `fw_hooks`: what is hooked into netfilter at one place. Not every kernel has a message for that
//! (`CONFIG_NETFILTER_NETLINK_HOOK`), so the lists themselves are read, at the offsets that the kernel's own types
//! give.

use aya_ebpf::bindings::{TC_ACT_OK, TC_ACT_SHOT};
use aya_ebpf::programs::TcContext;
use fw_common::abi::HookList;

use crate::sys::kernel;

/// Answers the question in the packet; the caller runs this in its own network namespace.
pub(crate) fn run(ctx: &TcContext) -> i32 {
    let mut list = HookList::default();
    if !kernel::question(ctx, &mut list) {
        return TC_ACT_SHOT;
    }
    list.found = read(ctx, &mut list).unwrap_or(HookList::UNKNOWN);
    if kernel::answer(ctx, &list) {
        TC_ACT_OK
    } else {
        TC_ACT_SHOT
    }
}

/// How many hooks there are.
#[inline(always)]
fn read(ctx: &TcContext, list: &mut HookList) -> Option<u32> {
    let mut at = kernel::pointer(kernel::address(ctx), list.device)?;
    if list.namespace != HookList::NO_NAMESPACE {
        at = kernel::pointer(at, list.namespace)?;
    }
    let hooks = kernel::word(at, list.list)?;
    if hooks == 0 {
        return Some(0);
    }
    let count = u32::from(kernel::half(hooks, list.count)?);
    kernel::entries(hooks, list.hooks, count, &mut list.entries).then_some(count)
}
