//! Any bytes as TCP options.

use etherparse::{IpNumber, PacketBuilder};

use crate::oracle;

/// Reads a segment with the first byte of `data` as its flags, four as its acknowledgement number
/// and up to forty as its options, and compares with options read slowly.
///
/// # Panics
/// If they differ.
pub fn tcp_options(data: &[u8]) {
    let Some((&[flags, a, b, c, d], options)) = data.split_first_chunk() else {
        return;
    };
    let options = &options[..options.len().min(40) & !3];
    let mut segment = vec![0, 1, 0, 2, 0, 0, 0, 0, a, b, c, d];
    segment.extend([(5 + options.len() / 4) as u8 * 16, flags, 1, 0, 0, 0, 0, 0]);
    segment.extend(options);
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .write(&mut frame, IpNumber::TCP, &segment)
        .expect("a short packet");
    let (result, meta) = oracle::parse(&frame);
    assert_eq!(result, Ok(()));
    let expected = oracle::options_slowly(&meta.tcp, options);
    assert_eq!((meta.tcp.wscale, meta.tcp.options, meta.tcp.sack), expected);
}
