//! A packet in the kernel's own words: the line of `nf_log_syslog`.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use fw_common::ruleset::Facts;
use fw_common::ruleset::field::{self, have};

/// Flags of TCP in the order in which the kernel names them.
const TCP_FLAGS: [(u32, &str); 8] = [
    (0x80, "CWR"),
    (0x40, "ECE"),
    (0x20, "URG"),
    (0x10, "ACK"),
    (0x08, "PSH"),
    (0x04, "RST"),
    (0x02, "SYN"),
    (0x01, "FIN"),
];

/// The line for a packet, behind `prefix`. `sequence`: with TCP's sequence numbers.
#[must_use]
pub fn line(prefix: &str, facts: &Facts, sequence: bool) -> String {
    let mut line = format!(
        "{prefix}IN={} OUT={} ",
        name(facts, field::IIFNAME),
        name(facts, field::OIFNAME)
    );
    if facts.has(u32::from(have::LL)) {
        let bytes = [mac(facts, field::LL_DST), mac(facts, field::LL_SRC)];
        let kind = facts.get(field::LL_TYPE).to_be_bytes();
        let all = bytes.concat().into_iter().chain(kind.into_iter().skip(2));
        let text: Vec<String> = all.map(|byte| format!("{byte:02x}")).collect();
        put(&mut line, format_args!("MAC={} ", text.join(":")));
    }
    if facts.get(field::NFPROTO) == 2 {
        ipv4(&mut line, facts);
    } else {
        ipv6(&mut line, facts);
    }
    transport(&mut line, facts, sequence);
    if facts.get(field::MARK) != 0 {
        put(
            &mut line,
            format_args!("MARK={:#x} ", facts.get(field::MARK)),
        );
    }
    line.truncate(line.trim_end().len());
    line
}

fn put(line: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = line.write_fmt(text);
}

fn name(facts: &Facts, at: u8) -> String {
    let bytes = facts.four(at).map(u32::to_be_bytes).concat();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(16);
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn mac(facts: &Facts, at: u8) -> [u8; 6] {
    let [_, _, a, b] = facts.get(at).to_be_bytes();
    let [c, d, e, f] = facts.get(at + 1).to_be_bytes();
    [a, b, c, d, e, f]
}

fn ipv4(line: &mut String, facts: &Facts) {
    let word = |i: u8| facts.get(field::NH + i);
    let (first, fragment) = (word(0), word(1));
    put(
        line,
        format_args!(
            "SRC={} DST={} LEN={} TOS=0x{:02X} PREC=0x{:02X} TTL={} ID={} ",
            Ipv4Addr::from_bits(word(3)),
            Ipv4Addr::from_bits(word(4)),
            first & 0xffff,
            first >> 16 & 0x1e,
            first >> 16 & 0xe0,
            word(2) >> 24,
            fragment >> 16,
        ),
    );
    for (bit, text) in [(0x8000, "CE "), (0x4000, "DF "), (0x2000, "MF ")] {
        if fragment & bit != 0 {
            line.push_str(text);
        }
    }
    if fragment & 0x1fff != 0 {
        put(line, format_args!("FRAG:{} ", fragment & 0x1fff));
    }
}

fn ipv6(line: &mut String, facts: &Facts) {
    let address = |at: u8| {
        let words = facts.four(at).map(|word| [word >> 16, word & 0xffff]);
        let groups: Vec<String> = words.concat().iter().map(|g| format!("{g:04x}")).collect();
        groups.join(":")
    };
    let first = facts.get(field::NH);
    let second = facts.get(field::NH + 1);
    put(
        line,
        format_args!(
            "SRC={} DST={} LEN={} TC={} HOPLIMIT={} FLOWLBL={} ",
            address(field::NH + 2),
            address(field::NH + 6),
            (second >> 16) + 40,
            first >> 20 & 0xff,
            second & 0xff,
            first & 0xf_ffff,
        ),
    );
}

fn transport(line: &mut String, facts: &Facts, sequence: bool) {
    let word = |i: u8| facts.get(field::TH + i);
    let there = |words: u8| facts.has(u32::from(have::TH4 + words - 1));
    let proto = facts.get(field::L4PROTO);
    match proto {
        6 if there(5) => {
            ports(line, "TCP", word(0));
            if sequence {
                put(line, format_args!("SEQ={} ACK={} ", word(1), word(2)));
            }
            put(
                line,
                format_args!(
                    "WINDOW={} RES=0x{:02x} ",
                    word(3) & 0xffff,
                    word(3) >> 22 & 0x3c
                ),
            );
            for (bit, text) in TCP_FLAGS {
                if word(3) >> 16 & bit != 0 {
                    put(line, format_args!("{text} "));
                }
            }
            put(line, format_args!("URGP={} ", word(4) & 0xffff));
        }
        17 | 136 if there(2) => {
            ports(line, if proto == 17 { "UDP" } else { "UDPLITE" }, word(0));
            put(line, format_args!("LEN={} ", word(1) >> 16));
        }
        132 if there(1) => ports(line, "SCTP", word(0)),
        1 | 58 if there(2) => {
            let text = if proto == 1 { "ICMP" } else { "ICMPv6" };
            let kind = word(0) >> 24;
            put(
                line,
                format_args!("PROTO={text} TYPE={kind} CODE={} ", word(0) >> 16 & 0xff),
            );
            if matches!((proto, kind), (1, 0 | 8) | (58, 128 | 129)) {
                put(
                    line,
                    format_args!("ID={} SEQ={} ", word(1) >> 16, word(1) & 0xffff),
                );
            }
        }
        _ => put(line, format_args!("PROTO={proto} ")),
    }
}

fn ports(line: &mut String, proto: &str, word: u32) {
    put(
        line,
        format_args!("PROTO={proto} SPT={} DPT={} ", word >> 16, word & 0xffff),
    );
}

#[cfg(test)]
mod tests {
    use fw_common::wire::{self, Meta};

    use super::*;

    fn facts(frame: &[u8]) -> Facts {
        let mut meta = Meta::default();
        wire::parse(frame, &mut meta).expect("a frame that parses");
        let mut facts = Facts::default();
        facts.read(frame, &meta, true);
        facts
    }

    #[test]
    fn a_syn_in_the_kernels_words() {
        let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let builder = builder.ipv4([192, 0, 2, 1], [198, 51, 100, 2], 63);
        let mut frame = Vec::new();
        let syn = builder.tcp(40000, 22, 7, 64240).syn();
        syn.write(&mut frame, &[]).expect("a frame");
        let text = line("in: ", &facts(&frame), false);
        assert_eq!(
            text,
            "in: IN= OUT= MAC=02:00:00:00:00:02:02:00:00:00:00:01:08:00 SRC=192.0.2.1 \
             DST=198.51.100.2 LEN=40 TOS=0x00 PREC=0x00 TTL=63 ID=0 DF PROTO=TCP SPT=40000 DPT=22 \
             WINDOW=64240 RES=0x00 SYN URGP=0"
        );
        assert!(line("", &facts(&frame), true).contains("DPT=22 SEQ=7 ACK=0 WINDOW"));
    }

    #[test]
    fn ipv6_addresses_are_written_out() {
        let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let src = "2001:db8::1"
            .parse::<std::net::Ipv6Addr>()
            .expect("an address");
        let dst = "2001:db8::2"
            .parse::<std::net::Ipv6Addr>()
            .expect("an address");
        let mut frame = Vec::new();
        let query = builder.ipv6(src.octets(), dst.octets(), 64).udp(1000, 53);
        query.write(&mut frame, b"?").expect("a frame");
        let text = line("", &facts(&frame), false);
        assert!(
            text.ends_with(
                "SRC=2001:0db8:0000:0000:0000:0000:0000:0001 DST=2001:0db8:0000:0000:0000:0000:0000:0002 \
                 LEN=49 TC=0 HOPLIMIT=64 FLOWLBL=0 PROTO=UDP SPT=1000 DPT=53 LEN=9"
            ),
            "{text}"
        );
    }
}
