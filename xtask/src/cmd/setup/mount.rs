//! The BPF file system, where pinned programs, links and maps outlive their process.

use std::fs;

use anyhow::{Context as _, Result};

use super::run;
use crate::privilege;

/// Where it is mounted on every distribution that mounts it at boot.
pub(super) const BPFFS: &str = "/sys/fs/bpf";

/// Whether a BPF file system is mounted there.
pub(super) fn is_mounted() -> bool {
    // Fields 2 and 3 of fstab(5): the directory and the type.
    let is_bpffs = |line: &str| {
        let mut fields = line.split(' ').skip(1);
        fields.next() == Some(BPFFS) && fields.next() == Some("bpf")
    };
    fs::read_to_string("/proc/mounts").is_ok_and(|mounts| mounts.lines().any(is_bpffs))
}

/// Mounts it, until the next boot.
pub(super) fn mount() -> Result<()> {
    let by_hand = || format!("run as root: mount -t bpf bpf {BPFFS}");
    run(privilege::command("mount")?.args(["-t", "bpf", "bpf", BPFFS])).with_context(by_hand)
}
