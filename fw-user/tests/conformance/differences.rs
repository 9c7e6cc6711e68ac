//! The differences from the kernel that are intended: `docs/differences.md` says why, under the names
//! used here. Every one has a directed case that shows it.

use fw_common::tcp::header;

use super::entry::Entry;
use super::outcome::Seen;
use super::script::{Body, Oddity, Packet};

/// With rules: shown by a case of `rules/directed.rs`, the others by one of `directed/intended.rs`.
pub(crate) const UNTRACKED_RESET: &str = "untracked-reset";

/// Every name, but for those of rules.
pub(crate) const NAMES: [&str; 11] = [
    "unverified-checksums",
    "udplite-checksums",
    "syn-sent2-timeout",
    "fragments",
    "extension-headers",
    "martians",
    "land",
    "lost-after-conntrack",
    "quoted-version",
    "quoted-headers",
    "sctp-chunks",
];

/// A packet, and what the two made of it.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) packet: &'a Packet,
    pub(crate) kernel: &'a Seen,
    pub(crate) ours: &'a Seen,
}

/// The name of the intended difference that this is, if it is one.
pub(crate) fn explain(case: Case<'_>) -> Option<&'static str> {
    if is_untracked_reset(case) {
        return Some(UNTRACKED_RESET);
    }
    let by_oddity = case
        .packet
        .oddities
        .iter()
        .find_map(|oddity| odd(case, oddity));
    by_oddity.or_else(|| plain(case))
}

/// Whether a packet that belongs to no flow is reset by both, and only the kernel tracks its own reset.
fn is_untracked_reset(case: Case<'_>) -> bool {
    let (Some(theirs), Some(mine)) = (&case.kernel.answer, &case.ours.answer) else {
        return false;
    };
    let flowless = matches!(case.ours.state, None | Some("invalid" | "untracked"));
    let dropped = case.kernel.class.is_none() && case.ours.class.is_none();
    flowless && dropped && mine.is_reset() && theirs.agrees(mine)
}

/// Of a packet that is malformed, or of a kind with a rule of its own.
fn odd(case: Case<'_>, oddity: &Oddity) -> Option<&'static str> {
    let (kernel, ours) = (case.kernel.class, case.ours.class);
    let dropped = ours.is_none() && kernel.is_some();
    match oddity {
        Oddity::BadChecksum => unverified(case).then_some("unverified-checksums"),
        Oddity::Split(split) => (!split.is_orderly()).then_some("fragments"),
        Oddity::Headers(..) => dropped.then_some("extension-headers"),
        Oddity::Destination(_) => {
            (kernel.is_none() && ours.is_some()).then_some("lost-after-conntrack")
        }
        Oddity::Fragment(field) => (field & 0x3fff != 0).then_some("fragments"),
        Oddity::Source(_) => dropped.then_some("martians"),
        Oddity::Land => dropped.then_some("land"),
        _ => None,
    }
}

/// Whether only the kernel has looked at the checksum: of a packet that does no more to a flow than
/// refresh it.
fn unverified(case: Case<'_>) -> bool {
    const CHANGES: u8 = header::SYN | header::FIN | header::RST;
    let refreshes = match &case.packet.body {
        Body::Tcp(segment) => segment.flags & CHANGES == 0,
        Body::Udp { .. } | Body::UdpLite { .. } => true,
        // DATA, SACK and what else changes no state.
        Body::Sctp(packet) => packet
            .chunks
            .iter()
            .all(|chunk| matches!(chunk.kind, 0 | 3 | 12 | 13 | 15..)),
        _ => false,
    };
    let known = case.kernel.entries.len() == case.ours.entries.len();
    refreshes && known && case.kernel.class == Some("invalid") && case.ours.class.is_some()
}

/// Of a well-formed packet.
fn plain(case: Case<'_>) -> Option<&'static str> {
    let (kernel, ours) = (case.kernel.class, case.ours.class);
    match &case.packet.body {
        Body::UdpLite { .. } => (kernel == Some("invalid")).then_some("udplite-checksums"),
        Body::Sctp(packet) => (packet.chunks.len() > 8).then_some("sctp-chunks"),
        Body::Error { quote, keep, .. } => {
            let refused = kernel == Some("related") && ours == Some("invalid");
            let name = quote.oddities.iter().find_map(|oddity| match oddity {
                Oddity::Version(_) => Some("quoted-version"),
                Oddity::Headers(_, bytes) if usize::from(*keep) < 40 + bytes.len() => {
                    Some("quoted-headers")
                }
                _ => None,
            });
            name.filter(|_| refused)
        }
        _ => syn_sent2(case),
    }
}

fn syn_sent2(case: Case<'_>) -> Option<&'static str> {
    // With default settings it is the same.
    let alike = |kernel: &Entry, ours: &Entry| {
        let timeless = Entry {
            timeout: ours.timeout,
            ..kernel.clone()
        };
        let lower = ours.timeout < 118 && ours.timeout < kernel.timeout;
        kernel.agrees(ours) || (kernel.state == "SYN_SENT2" && lower && timeless.agrees(ours))
    };
    let (kernel, ours) = (&case.kernel.entries, &case.ours.entries);
    let alike = kernel.len() == ours.len() && kernel.iter().zip(ours).all(|(k, o)| alike(k, o));
    (case.kernel.class == case.ours.class && alike).then_some("syn-sent2-timeout")
}
