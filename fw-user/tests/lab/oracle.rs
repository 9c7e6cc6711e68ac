//! The kernel's own connection tracking, in the router's namespace, on the same packets.

use xtask::lab::{Lab, eventually};
use xtask::traffic::PATIENCE;

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

/// Both listings say the same of what `filter` selects: every byte, and a timeout that is between those of
/// the kernel's listings before and after, give or take the second in which they are read.
#[track_caller]
pub(crate) fn assert_same(lab: &Lab, firewall: &Firewall<'_>, filter: &str) -> Vec<String> {
    let words: Vec<&str> = filter.split_whitespace().collect();
    let (before, ours, after) = eventually("the kernel's table stands still", PATIENCE, || {
        let before = list(lab, filter);
        let ours = firewall.list(&words);
        let after = list(lab, filter);
        // Else a segment was sent again meanwhile, or a flow has expired.
        let still = facts(&before) == facts(&after)
            && before
                .iter()
                .zip(&after)
                .all(|(a, b)| split(a).1 >= split(b).1);
        still.then_some((before, ours, after))
    });
    assert_eq!(
        facts(&ours),
        facts(&before),
        "the facts but for the timeout (ours, the kernel's)"
    );
    for ((mine, first), last) in ours.iter().zip(&before).zip(&after) {
        let (left, first_left, last_left) = (split(mine).1, split(first).1, split(last).1);
        assert!(
            (last_left.saturating_sub(1)..=first_left + 1).contains(&left),
            "timeouts of\n{mine}\nand the kernel's, before and after\n{first}\n{last}"
        );
    }
    ours
}

fn facts(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| split(line).0).collect()
}

/// A line without its timeout, and the timeout.
pub(crate) fn split(line: &str) -> (String, u64) {
    let timeout = line.split_whitespace().nth(2).expect("a timeout");
    let seconds = timeout.parse().expect("seconds");
    (line.replacen(&format!(" {timeout} "), " _ ", 1), seconds)
}
