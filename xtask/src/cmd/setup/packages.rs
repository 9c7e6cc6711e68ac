//! The programs that the lab, the demo and the tests start.

use xtask::paths;

/// A program and the Debian package that has it.
const PROGRAMS: [(&str, &str); 10] = [
    ("ip", "iproute2"),
    ("ping", "iputils-ping"),
    ("ethtool", "ethtool"),
    ("nsenter", "util-linux"),
    ("sysctl", "procps"),
    // The reference: the same traffic through the kernel's own tracker and rules.
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("bpftool", "bpftool"),
    ("iperf3", "iperf3"),
    ("tcpdump", "tcpdump"),
];

/// The packages whose programs are not there.
pub(super) fn missing() -> Vec<&'static str> {
    let absent = |program: &str| paths::executables(program).next().is_none();
    PROGRAMS
        .iter()
        .filter(|(program, _)| absent(program))
        .map(|(_, package)| *package)
        .collect()
}
