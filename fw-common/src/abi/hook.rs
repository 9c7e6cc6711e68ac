//! What is hooked into the kernel's netfilter: a question to `fw_hooks`, and its answer.

/// One list of hooks: the packet of a run of `fw_hooks`. Offsets are those of the running kernel, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct HookList {
    /// `sk_buff::dev`.
    pub device: u32,
    /// `net_device::nd_net`; [`Self::NO_NAMESPACE`] if the list is one of the device itself.
    pub namespace: u32,
    /// Where in device or namespace the pointer to the list is.
    pub list: u32,
    /// `nf_hook_entries::num_hook_entries`.
    pub count: u32,
    /// `nf_hook_entries::hooks`.
    pub hooks: u32,
    /// The answer: how many there are. [`Self::UNKNOWN`] if they could not be read.
    pub found: u32,
    /// The first of them.
    pub entries: [HookEntry; Self::ENTRIES],
}

/// `struct nf_hook_entry`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct HookEntry {
    /// Address of the function.
    pub function: u64,
    /// What it is called with.
    pub private: u64,
}

impl HookList {
    /// As many as the programs' stack has room for. Those beyond are only counted.
    pub const ENTRIES: usize = 8;
    /// See [`Self::namespace`].
    pub const NO_NAMESPACE: u32 = u32::MAX;
    /// See [`Self::found`].
    pub const UNKNOWN: u32 = u32::MAX;
}

const _: () = assert!(size_of::<HookEntry>() == 16);
const _: () = assert!(size_of::<HookList>() == 152);
