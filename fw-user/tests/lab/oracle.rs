//! The kernel's own connection tracking, in the router's namespace, on the same packets.

use xtask::lab::Lab;

use crate::firewall::{Firewall, run};

/// Options of the daemon where the kernel's conntrack is asked, too: it sees only what the kernel forwards.
pub(crate) const BESIDE: &[&str] = &["--fasttrack", "off"];

/// Switches the kernel's tracking on, with accounting, as ours counts by default.
pub(crate) fn enable(lab: &Lab) {
    enable_with(lab, "");
}

/// As [`enable`], with further rules in the table.
pub(crate) fn enable_with(lab: &Lab, more: &str) {
    let router = lab.router();
    // A rule that asks for the state wakes nf_conntrack up in this namespace.
    run(
        router,
        &format!(
            "nft 'table inet oracle {{ chain forward {{ type filter hook forward priority 0; \
             ct state new accept; }}; {more} }}'"
        ),
    );
    run(router, "sysctl -qw net.netfilter.nf_conntrack_acct=1");
    // The kernel counts what GRO has merged as one packet; we count what is on the wire.
    run(router, "ethtool -K eth0 gro off; ethtool -K eth1 gro off");
}

/// The kernel's listing of what `filter` selects, sorted.
pub(crate) fn list(lab: &Lab, filter: &str) -> Vec<String> {
    // conntrack pads nothing at the end but may leave a blank.
    let text = run(lab.router(), &format!("conntrack -L {filter} 2>/dev/null"));
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.sort();
    lines
}

/// Both listings say the same of what `filter` selects: every byte, but for the timeout, which may
/// differ by the second that passes between the two.
#[track_caller]
pub(crate) fn assert_same(lab: &Lab, firewall: &Firewall<'_>, filter: &str) -> Vec<String> {
    let words: Vec<&str> = filter.split_whitespace().collect();
    let (kernel, ours) = (list(lab, filter), firewall.list(&words));
    let facts = |lines: &[String]| -> Vec<String> { lines.iter().map(|l| split(l).0).collect() };
    assert_eq!(
        facts(&ours),
        facts(&kernel),
        "the facts but for the timeout (ours, the kernel's)"
    );
    for (mine, theirs) in ours.iter().zip(&kernel) {
        let (mine_left, theirs_left) = (split(mine).1, split(theirs).1);
        assert!(
            mine_left.abs_diff(theirs_left) <= 1,
            "timeouts of\n{mine}\n{theirs}"
        );
    }
    ours
}

/// A line without its timeout, and the timeout.
pub(crate) fn split(line: &str) -> (String, u64) {
    let timeout = line.split_whitespace().nth(2).expect("a timeout");
    let seconds = timeout.parse().expect("seconds");
    (line.replacen(&format!(" {timeout} "), " _ ", 1), seconds)
}
