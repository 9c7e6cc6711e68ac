//! What concerns the whole machine.

use std::fs;
use std::path::Path;

use fw_common::abi::{Counter, programs};
use fw_common::fasttrack::Left;

use super::{Finding, Findings};
use crate::daemon::{PreflightError, mount_command, problems};
use crate::maps::Maps;
use crate::paths::Paths;
use crate::routing::{Hooks, look, look_for_services, nat};

/// Types of the kernel, which the loader needs.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Looks at the machine; `by_xdp` are numbers and names of the interfaces from which packets may be forwarded
/// in XDP.
pub(super) fn examine(paths: &Paths, by_xdp: &[(u32, String)]) -> Vec<Finding> {
    let mut findings = Findings::new(None);
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let problems = problems(paths);
    if problems.is_empty() {
        findings.ok("kernel", format!("Linux {release} can run the programs"));
    }
    for problem in &problems {
        findings.error(check(problem), problem.to_string(), mend(problem));
    }
    if Path::new(BTF).exists() {
        findings.ok("btf", format!("{BTF} is there"));
    } else {
        findings.error(
            "btf",
            format!("the kernel has no {BTF}"),
            "a kernel with CONFIG_DEBUG_INFO_BTF=y",
        );
    }
    sysctls(&mut findings);
    for bypass in look(by_xdp).into_iter().chain(look_for_services()) {
        findings.warn("bypass", bypass.what, bypass.mend);
    }
    if let Some(sentence) = nat::sentence(&nat::translators()) {
        findings.warn("nat", sentence, nat::MEND);
    }
    first_packets(&mut findings, paths, by_xdp);
    unfinished(&mut findings, paths);
    findings.all
}

const fn check(problem: &PreflightError) -> &'static str {
    match problem {
        PreflightError::NotRoot => "root",
        PreflightError::OldKernel { .. }
        | PreflightError::NoBpf { .. }
        | PreflightError::Refused(_) => "kernel",
        _ => "bpffs",
    }
}

fn mend(problem: &PreflightError) -> String {
    match problem {
        PreflightError::NotRoot => "sudo fwctl doctor".into(),
        PreflightError::NoBpffs { mount_point } => mount_command(mount_point),
        PreflightError::Insecure { path, .. } => {
            format!("chown root: {0} && chmod go-w {0}", path.display())
        }
        PreflightError::Dot { .. } => "fwctl run --bpffs DIR".into(),
        _ => "a newer kernel, or your distribution's own".into(),
    }
}

/// One setting that a router has otherwise than this machine.
struct Wanted {
    check: &'static str,
    name: &'static str,
    /// What is not right.
    wrong: &'static str,
    value: &'static str,
    what: &'static str,
}

const SYSCTLS: [Wanted; 3] = [
    Wanted {
        check: "forwarding",
        name: "net.ipv4.ip_forward",
        wrong: "0",
        value: "1",
        what: "the kernel does not forward IPv4, so nothing goes through, by the fast path neither",
    },
    Wanted {
        check: "forwarding",
        name: "net.ipv6.conf.all.forwarding",
        wrong: "0",
        value: "1",
        what: "the kernel does not forward IPv6, so nothing goes through, by the fast path neither",
    },
    Wanted {
        check: "jit",
        name: "net.core.bpf_jit_enable",
        wrong: "0",
        value: "1",
        what: "BPF programs are interpreted, which takes several times as long",
    },
];

fn sysctls(findings: &mut Findings) {
    for wanted in SYSCTLS {
        let Some(value) = sysctl(wanted.name) else {
            continue;
        };
        let name = wanted.name;
        if value == wanted.wrong {
            let mend = format!("sysctl -w {name}={}", wanted.value);
            findings.warn(wanted.check, wanted.what, mend);
        } else {
            findings.ok(wanted.check, format!("{name} is {value}"));
        }
    }
}

/// The value of a sysctl, if this kernel has it (or shows it here).
pub(super) fn sysctl(name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok()?;
    Some(text.trim().into())
}

/// Whether first packets of flows may leave as later ones do; nothing is known of it before a daemon has run.
fn first_packets(findings: &mut Findings, paths: &Paths, ports: &[(u32, String)]) {
    if !paths.program(programs::HOOKS).exists() {
        return;
    }
    match Hooks::open(paths).look(ports) {
        Some(why) => findings.note(
            "first-packets",
            format!("the first packet of each flow goes by way of the kernel: {why}"),
            "nft list ruleset; iptables-save; tc filter show dev IFACE",
        ),
        None => findings.ok(
            "first-packets",
            "first packets of flows need not go by way of the kernel",
        ),
    }
}

/// The trap of checksums that nobody finishes, if packets have been in it.
fn unfinished(findings: &mut Findings, paths: &Paths) {
    let counters = Maps::find(paths).and_then(|maps| maps.counters());
    let left = counters.and_then(|all| all.total(Counter::of_left(Left::Checksum)));
    if let Ok(count @ 1..) = left {
        findings.warn(
            "tx-checksum",
            format!(
                "{count} packets of established flows went by way of the kernel, for their senders had left the \
                 checksum to a NIC that is not there"
            ),
            "ethtool -K IFACE tx off, at the senders; or `fwctl run --hook tc`",
        );
    }
}
