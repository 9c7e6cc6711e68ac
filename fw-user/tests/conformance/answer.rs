//! What a router says to a packet that its rules reject: a TCP reset, or an ICMP error that quotes it.

use std::fmt;

use fw_common::ruleset::reject::MAX_QUOTE;
use fw_common::tcp::header::RST;
use fw_common::wire::{Family, proto};

use super::frame::{ETHERNET, checksum};

/// All that is compared of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The Ethernet header; empty if it is not compared.
    link: Vec<u8>,
    family: Family,
    dst: Vec<u8>,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// A reset, from the IP header on.
    Reset(Vec<u8>),
    /// An error.
    Error {
        kind: u8,
        code: u8,
        /// What it quotes, but for TTL and header checksum.
        quote: Vec<u8>,
        /// Whether its checksum is right.
        whole: bool,
    },
}

/// Whether a frame may be an answer to a packet that was rejected.
pub(crate) fn is_one(frame: &[u8]) -> bool {
    Answer::read(frame, true).is_some()
}

impl Answer {
    /// From a frame without a VLAN tag. `near`: it leaves by where the packet came in, for sure.
    pub(crate) fn read(frame: &[u8], near: bool) -> Option<Self> {
        let (link, ip) = frame.split_at_checked(ETHERNET)?;
        let (family, header, next, dst) = match link[12..] {
            [8, 0] => (Family::V4, 20, *ip.get(9)?, ip.get(16..20)?),
            [0x86, 0xdd] => (Family::V6, 40, *ip.get(6)?, ip.get(24..40)?),
            _ => return None,
        };
        let length = |at: usize| {
            Some(usize::from(u16::from_be_bytes([
                *ip.get(at)?,
                *ip.get(at + 1)?,
            ])))
        };
        let end = match family {
            Family::V4 => length(2)?,
            Family::V6 => length(4)? + header,
        };
        let (ip, body) = (ip.get(..end)?, ip.get(header..end)?);
        let error = (family == Family::V4 && next == proto::ICMP && body.first() == Some(&3))
            || (family == Family::V6 && next == proto::ICMPV6 && body.first() == Some(&1));
        let what = if error {
            let pseudo = pseudo(family, ip, body.len());
            What::Error {
                kind: body[0],
                code: *body.get(1)?,
                quote: timeless(family, body.get(8..)?),
                whole: checksum(&[&pseudo, body]) == 0,
            }
        } else if next == proto::TCP && body.get(13)? & RST != 0 {
            What::Reset(ip.to_vec())
        } else {
            return None;
        };
        Some(Self {
            link: if near { link.to_vec() } else { Vec::new() },
            family,
            dst: dst.to_vec(),
            what,
        })
    }

    pub(crate) const fn is_reset(&self) -> bool {
        matches!(self.what, What::Reset(_))
    }

    /// Whether `ours` is what the kernel says. Of an error we quote whole words, and not more than the first
    /// of a long packet.
    pub(crate) fn agrees(&self, ours: &Self) -> bool {
        let mut kernel = self.clone();
        if let What::Error { quote, .. } = &mut kernel.what {
            quote.truncate((quote.len() / 4 * 4).min(MAX_QUOTE));
        }
        kernel == *ours
    }
}

/// The pseudo header's share of an ICMPv6 checksum.
fn pseudo(family: Family, ip: &[u8], len: usize) -> Vec<u8> {
    match family {
        Family::V4 => Vec::new(),
        Family::V6 => [
            &ip[8..40],
            &(len as u32).to_be_bytes(),
            &[0, 0, 0, proto::ICMPV6],
        ]
        .concat(),
    }
}

/// A quoted packet without what the way to the rules changes: the kernel's forward hook is behind the hop,
/// ours in front of it.
fn timeless(family: Family, quote: &[u8]) -> Vec<u8> {
    let mut quote = quote.to_vec();
    let changed: &[usize] = match family {
        Family::V4 => &[8, 10, 11],
        Family::V6 => &[7],
    };
    for at in changed {
        if let Some(byte) = quote.get_mut(*at) {
            *byte = 0;
        }
    }
    quote
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |f: &mut fmt::Formatter<'_>, bytes: &[u8]| {
            bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        };
        f.write_str("to ")?;
        hex(f, &self.dst)?;
        f.write_str(" over ")?;
        hex(f, &self.link)?;
        match &self.what {
            What::Reset(ip) => {
                f.write_str(" reset ")?;
                hex(f, ip)
            }
            What::Error {
                kind,
                code,
                quote,
                whole,
            } => {
                let sum = if *whole { "right" } else { "WRONG" };
                write!(f, " icmp type {kind} code {code} checksum {sum} quoting ")?;
                hex(f, quote)
            }
        }
    }
}
