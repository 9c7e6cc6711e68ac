//! Writes the seeds of every fuzz target into `corpus/<target>/<name>`: one named input for each kind of
//! packet that the parser and the state machine tell apart.
//!
//! Run it in this directory: `cargo run --example seeds`.

use std::path::Path;
use std::{fs, io};

use etherparse::{IpNumber, Ipv6Header, PacketBuilder, VlanId};

const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [10, 0, 0, 2];
const A6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const B6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// What Linux sends with a SYN: MSS, SACK permitted, timestamps, NOP, window scale 7.
const SYN_OPTIONS: [u8; 20] = [
    2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7,
];
const TIMESTAMP: [u8; 12] = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
const SACK: [u8; 20] = [1, 1, 5, 18, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6];

fn main() -> io::Result<()> {
    write("fragments", &datagrams())?;
    write("packets", &conversations())?;
    write("parse", &frames())?;
    write("rules", &rulesets()?)?;
    write("sctp", &associations())?;
    write("tcp_options", &options())?;
    write("track", &talks())
}

fn write<N: AsRef<Path>>(target: &str, seeds: &[(N, Vec<u8>)]) -> io::Result<()> {
    let dir = Path::new("corpus").join(target);
    fs::create_dir_all(&dir)?;
    for (name, bytes) in seeds {
        fs::write(dir.join(name), bytes)?;
    }
    println!("{}: {} seeds", dir.display(), seeds.len());
    Ok(())
}

/// An IPv4 packet of protocol `proto`, in an Ethernet frame.
fn v4(proto: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(A, B, 64)
        .write(&mut frame, IpNumber(proto), payload)
        .expect("a short packet");
    frame
}

/// An IPv6 packet whose first next header is `next`, in an Ethernet frame.
fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
    let header = Ipv6Header {
        payload_length: payload.len() as u16,
        next_header: IpNumber(next),
        hop_limit: 64,
        source: A6,
        destination: B6,
        ..Ipv6Header::default()
    };
    [&[2; 12], &[0x86, 0xdd][..], &header.to_bytes(), payload].concat()
}

fn tagged() -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .double_vlan(VlanId::try_new(100).expect("12 bits"), VlanId::ZERO)
        .ipv4(A, B, 64)
        .udp(1, 2)
        .write(&mut frame, b"data")
        .expect("a short packet");
    frame
}

fn segment(flags: u8, options: &[u8]) -> Vec<u8> {
    let mut segment = vec![0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
    segment.extend([(5 + options.len() / 4) as u8 * 16, flags, 1, 0, 0, 0, 0, 0]);
    segment.extend(options);
    segment
}

fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let udp = [0, 1, 0, 2, 0, 8, 0, 0];
    let echo = [8, 0, 0, 0, 0, 1, 0, 1];
    let chain = |headers: &[&[u8]]| headers.concat();
    let error4 = [&[3, 1, 0, 0, 0, 0, 0, 0], &v4(17, &udp)[14..]].concat();
    let error6 = [&[2, 0, 0, 0, 0, 0, 5, 0], &v6(17, &udp)[14..]].concat();
    vec![
        ("v4-tcp-syn", v4(6, &segment(0x02, &SYN_OPTIONS))),
        ("v4-tcp-ack", v4(6, &segment(0x10, &TIMESTAMP))),
        ("v4-udp", v4(17, &udp)),
        ("v4-udplite", v4(136, &udp)),
        ("v4-icmp-echo", v4(1, &echo)),
        ("v4-icmp-error", v4(1, &error4)),
        ("v4-sctp", v4(132, &[0; 12])),
        ("v4-gre-0", v4(47, &[0x20, 0, 8, 0, 0, 0, 0, 1])),
        ("v4-gre-pptp", v4(47, &[0x30, 1, 0x88, 0x0b, 0, 0, 0, 1])),
        ("v4-esp", v4(50, &[0; 8])),
        ("v4-two-tags", tagged()),
        ("v6-tcp-sack", v6(6, &segment(0x10, &SACK))),
        ("v6-icmp-error", v6(58, &error6)),
        (
            "v6-hop-by-hop",
            v6(0, &chain(&[&[17, 0, 1, 4, 0, 0, 0, 0], &udp])),
        ),
        (
            "v6-options-routing-ah",
            v6(
                60,
                &chain(&[
                    &[43, 0, 1, 4, 0, 0, 0, 0],
                    &[51, 0, 2, 0, 0, 0, 0, 0],
                    &[17, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                    &udp,
                ]),
            ),
        ),
        (
            "v6-first-fragment",
            v6(44, &chain(&[&[17, 0, 0, 1, 0, 0, 0, 9], &udp])),
        ),
        (
            "v6-later-fragment",
            v6(44, &chain(&[&[17, 0, 0, 8, 0, 0, 0, 9], &udp])),
        ),
    ]
}

/// Packets as the `packets` target reads them: every frame alone, and some with their answers.
fn conversations() -> Vec<(&'static str, Vec<u8>)> {
    let record = |delay: u8, frame: &[u8]| [&[delay, frame.len() as u8][..], frame].concat();
    let back = |frame: &[u8]| {
        let mut frame = frame.to_vec();
        let (source, target) = frame[26..34].split_at_mut(4);
        source.swap_with_slice(target);
        frame
    };
    let udp = |ports: [u8; 4]| v4(17, &[&ports[..], &[0, 8, 0, 0]].concat());
    let (query, answer) = (udp([0, 1, 0, 2]), back(&udp([0, 2, 0, 1])));
    let stream = [(0, &query), (1, &answer), (12, &query), (8, &answer)];
    let (ping, pong) = (
        v4(1, &[8, 0, 0, 0, 0, 1, 0, 1]),
        back(&v4(1, &[0, 0, 0, 0, 0, 1, 0, 1])),
    );
    let gre = v4(47, &[0, 0, 8, 0]);
    let mut all = vec![
        (
            "udp-stream",
            stream.map(|(delay, frame)| record(delay, frame)).concat(),
        ),
        ("ping", [record(0, &ping), record(1, &pong)].concat()),
        (
            "gre-stream",
            [record(0, &gre), record(1, &back(&gre)), record(1, &gre)].concat(),
        ),
    ];
    let frames = frames().into_iter();
    all.extend(frames.map(|(name, frame)| (name, record(0, &frame).repeat(2))));
    all
}

/// Flags, acknowledgement number, options.
fn options() -> Vec<(&'static str, Vec<u8>)> {
    let input = |flags: u8, options: &[u8]| [&[flags, 0, 0, 0, 2][..], options].concat();
    vec![
        ("syn", input(0x02, &SYN_OPTIONS)),
        ("timestamp", input(0x10, &TIMESTAMP)),
        ("sack", input(0x10, &SACK)),
        ("both", input(0x10, &[&TIMESTAMP[..], &SACK].concat())),
        ("padded", input(0x02, &[1, 3, 3, 14, 4, 2, 0, 0])),
    ]
}

/// Segments as the `track` target reads them: from and delay, flags, sequence, acknowledgement,
/// window, length, options.
fn talks() -> Vec<(&'static str, Vec<u8>)> {
    const HANDSHAKE: [[u8; 9]; 3] = [
        [0, 0x02, 0, 0, 0, 0, 0xff, 0, 0x37],
        [1, 0x12, 0, 0, 0, 1, 0xff, 0, 0x37],
        [0, 0x10, 0, 1, 0, 1, 0xff, 0, 0],
    ];
    let after = |rest: &[[u8; 9]]| [&HANDSHAKE[..], rest].concat().concat();
    vec![
        (
            "close",
            after(&[
                [0, 0x18, 0, 1, 0, 1, 0xff, 100, 0],
                [1, 0x11, 0, 1, 0, 101, 0xff, 0, 0],
                [0, 0x11, 0, 101, 0, 2, 0xff, 0, 0],
                [1, 0x10, 0, 2, 0, 102, 0xff, 0, 0],
            ]),
        ),
        ("reset", after(&[[1, 0x14, 0, 1, 0, 1, 0, 0, 0]])),
        (
            "refused",
            [HANDSHAKE[0], [1, 0x14, 0, 0, 0, 1, 0, 0, 0]].concat(),
        ),
        ("pickup", HANDSHAKE[2].to_vec()),
        (
            "simultaneous",
            [HANDSHAKE[0], [1, 0x02, 0, 0, 0, 0, 0xff, 0, 0x37]].concat(),
        ),
    ]
}

/// Fragments as the `fragments` target reads them: family and number, offset in eights, length, more.
fn datagrams() -> Vec<(&'static str, Vec<u8>)> {
    let of = |about: u8, parts: &[[u8; 3]]| -> Vec<u8> {
        parts
            .iter()
            .flat_map(|[offset, length, more]| [about, *offset, *length, *more])
            .collect()
    };
    let [first, middle, last] = [[0, 48, 1], [6, 48, 1], [12, 20, 0]];
    vec![
        ("in-order", of(0, &[first, middle, last])),
        ("v6", of(1, &[first, middle, last])),
        ("tcp", of(0x40, &[first, middle, last])),
        ("last-before-middle", of(1, &[first, last, middle])),
        ("dropped", of(8, &[first, middle, last])),
        (
            "twice",
            of(0, &[first, middle, middle, last, first, middle, last]),
        ),
        ("overlapping", of(0, &[first, [5, 48, 1], last])),
        ("two-ends", of(0, &[first, last, [15, 8, 0]])),
        ("empty-last", of(0x40, &[first, [12, 0, 0], middle, last])),
        ("two-firsts", of(0, &[first, [0, 40, 1], middle])),
    ]
}

/// Packets as the `sctp` target reads them: who, tag, length, chunks.
fn associations() -> Vec<(&'static str, Vec<u8>)> {
    let init = |kind: u8, tag: u8| {
        let head = [kind, 0, 0, 20, tag, tag, tag, tag, 0, 1, 0, 0, 0, 1, 0, 1];
        [&head[..], &[0, 0, 0, 1]].concat()
    };
    let plain = |kind: u8| vec![kind, 0, 0, 8, 1, 1, 1, 1];
    let say = |from: u8, tag: u8, chunks: &[Vec<u8>]| {
        let chunks = chunks.concat();
        [&[from, tag, chunks.len() as u8][..], &chunks].concat()
    };
    let begun = [
        say(0, 0, &[init(1, 0xaa)]),
        say(1, 1, &[init(2, 0xbb)]),
        say(0, 2, &[plain(10), plain(0)]),
        say(1, 1, &[plain(11), plain(3)]),
    ]
    .concat();
    let then = |rest: &[Vec<u8>]| [&begun[..], &rest.concat()].concat();
    vec![
        (
            "shutdown",
            then(&[
                say(0, 2, &[plain(7)]),
                say(1, 1, &[plain(8)]),
                say(0, 2, &[plain(14)]),
            ]),
        ),
        ("abort", then(&[say(1, 1, &[plain(6)])])),
        ("reflected-abort", then(&[say(1, 2, &[vec![6, 1, 0, 4]])])),
        (
            "assured-then-wrong",
            [
                say(0, 0, &[init(1, 0xaa)]),
                say(1, 1, &[init(2, 0xbb)]),
                say(0, 2, &[plain(10)]),
                say(1, 1, &[plain(11), vec![6, 1, 0, 4]]),
            ]
            .concat(),
        ),
        ("again", then(&[say(0, 0, &[init(1, 0xaa)])])),
        (
            "heartbeats",
            [say(0, 3, &[plain(4)]), say(1, 3, &[plain(5)])].concat(),
        ),
        (
            "bundled",
            then(&[say(0, 2, &[plain(4), plain(5), plain(9), plain(192)])]),
        ),
    ]
}

/// The examples, and the texts of the rule language's own tests.
fn rulesets() -> io::Result<Vec<(std::ffi::OsString, Vec<u8>)>> {
    let mut seeds = Vec::new();
    for directory in [
        "rules",
        "fw-user/tests/rules/accept",
        "fw-user/tests/rules/refuse",
    ] {
        for entry in Path::new("../..").join(directory).read_dir()? {
            let path = entry?.path();
            if let Some(name) = path.file_name()
                && path.extension().is_some_and(|extension| extension == "nft")
            {
                seeds.push((name.to_owned(), fs::read(&path)?));
            }
        }
    }
    Ok(seeds)
}
