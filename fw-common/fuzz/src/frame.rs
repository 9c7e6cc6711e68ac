//! Any bytes as a frame.

use fw_common::Reason;
use fw_common::wire::{self, checksum};

use crate::oracle;

/// Parses `data`, as it is and with the IPv4 header checksum made right (no fuzzer finds that by
/// itself), and checks what was found: within bounds, free of leftovers, and as `etherparse` has it.
///
/// # Panics
/// If something is not as it must be.
pub fn frame(data: &[u8]) {
    check(data);
    check(&repaired(data));
}

/// `data` with the IPv4 header checksum made right.
pub(crate) fn repaired(data: &[u8]) -> Vec<u8> {
    let mut frame = data.to_vec();
    if let Some(header) = ipv4_header(&frame) {
        fix(&mut frame[header]);
    }
    frame
}

fn check(frame: &[u8]) {
    oracle::check_bounds(frame);
    oracle::check_glance(frame);
    let (result, meta) = oracle::parse(frame);
    if result.is_ok() {
        oracle::check_agreement(frame, &meta);
        let judged = checksum::verify::<1600, _>(frame, &meta);
        assert!(matches!(judged, Ok(()) | Err(Reason::BadTransportChecksum)));
    }
    let (mut one, mut two) = (oracle::leftovers(0x00), oracle::leftovers(0xff));
    let first = wire::parse(frame, &mut one);
    assert_eq!(first, wire::parse(frame, &mut two));
    if oracle::has_network(first) {
        if !oracle::has_tcp(first, &one) {
            (one.tcp, two.tcp) = Default::default();
        }
        assert_eq!(one, two);
    }
}

/// Where the IPv4 header is, behind up to two tags.
fn ipv4_header(frame: &[u8]) -> Option<std::ops::Range<usize>> {
    let start = [14, 18, 22]
        .into_iter()
        .find(|at| frame.get(at - 2..*at) == Some(&[0x08, 0x00]))?;
    let words = usize::from(frame.get(start)? & 0x0f);
    let end = start + words.max(5) * 4;
    (end <= frame.len()).then_some(start..end)
}

fn fix(header: &mut [u8]) {
    header[10..12].fill(0);
    let words = header.chunks(2);
    let sum: u32 = words.map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}
