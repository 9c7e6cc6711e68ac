//! Rules whose meaning is a matter of order and time: connections that are counted, elements that rules add,
//! connections that they reset.

use anyhow::Result;
use fw_common::tcp::header::{ACK, FIN, RST, SYN};
use fw_common::wire::Family;

use crate::differences::UNTRACKED_RESET;
use crate::report::Report;
use crate::run::{Arena, RUNS};
use crate::script::{Body, Oddity, Packet, Script, Split, Step, Tcp, Who};
use crate::settings::Settings;

use super::{try_again, understood};

/// Their line in the report.
const SOURCE: &str = "rules, directed";

/// Milliseconds: longer than a tick of either side, for the kernel looks at a list once a tick.
const TICK: u16 = 30;

/// A UDP packet of the connection from client port 1000 + `n`.
fn udp(src: Who, n: u16) -> Packet {
    let ports = if src.side() == 0 {
        [1000 + n, 53]
    } else {
        [53, 1000 + n]
    };
    Packet::new(src, Body::Udp { ports, payload: 1 })
}

/// A segment of the connection from client port 4000 + `n`; both sides begin with number 0.
fn tcp(src: Who, n: u16, flags: u8, [seq, ack]: [u32; 2]) -> Packet {
    let ports = if src.side() == 0 {
        [4000 + n, 80]
    } else {
        [80, 4000 + n]
    };
    let segment = Tcp {
        ports,
        flags,
        seq,
        ack,
        window: 8192,
        payload: 0,
        options: Vec::new(),
    };
    Packet::new(src, Body::Tcp(segment))
}

/// From SYN to established.
fn shake_hands(n: u16) -> Vec<Packet> {
    vec![
        tcp(Who::A, n, SYN, [0, 0]),
        tcp(Who::B, n, SYN | ACK, [0, 1]),
        tcp(Who::A, n, ACK, [1, 1]),
    ]
}

/// From established to closed.
fn close(n: u16) -> Vec<Packet> {
    vec![
        tcp(Who::A, n, FIN | ACK, [1, 1]),
        tcp(Who::B, n, FIN | ACK, [1, 2]),
        tcp(Who::A, n, ACK, [2, 2]),
    ]
}

/// Datagrams of different connections, and some again. (After one that was refused none is repeated: the
/// kernel goes on counting that until a packet looks through the whole list.)
fn datagrams() -> Vec<Packet> {
    let numbers = [0, 1, 0, 2, 3];
    let mut packets: Vec<Packet> = numbers.map(|n| udp(Who::A, n)).to_vec();
    packets.insert(3, udp(Who::B, 0));
    // Another source has a count of its own.
    packets.extend([4, 5, 6].map(|n| udp(Who::C, n)));
    packets
}

/// Connections that end, and make room for others.
fn conversations() -> Vec<Packet> {
    let reset = vec![tcp(Who::B, 2, RST, [1, 0])];
    let parts = [
        shake_hands(0),
        shake_hands(1),
        vec![tcp(Who::A, 9, SYN, [0, 0])],
        close(0),
        shake_hands(2),
        vec![tcp(Who::A, 9, SYN, [0, 0])],
        reset,
        vec![tcp(Who::A, 9, SYN, [0, 0])],
    ];
    parts.concat()
}

fn script(family: Family, packets: Vec<Packet>) -> Script {
    let apart = |packet| [Step::Send(packet), Step::Wait(TICK)];
    Script {
        family,
        steps: packets.into_iter().flat_map(apart).collect(),
    }
}

fn filter(objects: &str, rules: &str) -> String {
    format!(
        "table inet t {{\n{objects}\nchain f {{\ntype filter hook forward priority 0; policy accept;\n\
         {rules}\n}}\n}}\n"
    )
}

fn texts() -> Vec<String> {
    const SOURCES: &str = "set s { type ipv4_addr; size 1000; flags dynamic; }
        set s6 { type ipv6_addr . inet_proto; size 1000; flags dynamic; }";
    const MARKS: &str =
        "map m { type ipv4_addr : mark; size 1000; flags dynamic,timeout; timeout 1h; }
        map m6 { type ipv6_addr : inet_service; size 1000; flags dynamic; }";
    vec![
        filter(
            SOURCES,
            "ct state new add @s { ip saddr ct count over 2 } counter drop
             ct state new add @s6 { ip6 saddr . meta l4proto ct count over 2 } counter drop
             counter",
        ),
        filter("", "ct state new ct count over 3 counter drop\ncounter"),
        filter(
            "",
            "ct state new ct count 2 counter accept\nct state new counter drop\ncounter",
        ),
        filter("", "ct count over 2 counter\ncounter"),
        filter(
            "",
            "ct state new meter one { ip saddr ct count over 2 } counter drop
             ct state new meter two { ip6 saddr ct count 2 } counter accept
             meta nfproto ipv6 ct state new counter drop\ncounter",
        ),
        filter(
            MARKS,
            "meta mark set 0x7 counter
             udp dport 53 add @m { ip saddr : 0x12 } counter
             ct mark set ip daddr map @m counter
             ip saddr 10.101.0.0/16 add @m { ip daddr : meta mark } counter
             ct mark 0x7 counter\nct mark 0x12 counter
             add @m6 { ip6 saddr : th dport } counter
             counter",
        ),
    ]
}

/// What both do to a connection whose packets they reject.
fn rejecting() -> Vec<String> {
    vec![
        filter(
            "",
            "tcp flags fin,ack / fin,ack counter reject with tcp reset\ncounter",
        ),
        filter("", "ct state new udp dport 53 reject\ncounter"),
        // Four headers and a byte each: the fourth uses it up.
        filter("", "meta nfproto ipv4 quota 116 bytes counter"),
        filter(
            "",
            "ct original packets > 1 reject with tcp reset\nip saddr 10.102.0.0/16 reject\ncounter",
        ),
    ]
}

/// Datagrams in fragments, in order: dropped or passed as a whole. (No counter: a rule of ours has seen the
/// first fragment, the kernel's the datagram.)
fn in_fragments(arena: &mut Arena, report: &mut Report) -> Result<()> {
    let text = "table inet t {\nchain f {\ntype filter hook forward priority 0; policy accept;\n\
                udp dport 53 drop\n}\n}\n";
    let datagram = |src: Who, ports, id, order: &[usize]| {
        let payload = 400;
        let split = Split {
            id,
            cuts: vec![16, 48],
            order: order.to_vec(),
            overlap: 0,
        };
        Packet::new(src, Body::Udp { ports, payload }).with(Oddity::Split(split))
    };
    let packets = || {
        vec![
            datagram(Who::A, [1000, 53], 0, &[0, 1, 2]),
            datagram(Who::A, [1000, 54], 1, &[0, 1, 2]),
            datagram(Who::A, [1000, 55], 2, &[0, 2, 1]),
            datagram(Who::B, [54, 1000], 3, &[0, 1, 2]),
            datagram(Who::B, [55, 1000], 4, &[0, 1, 2]),
            datagram(Who::A, [1000, 53], 5, &[0, 2, 1]),
        ]
    };
    for family in [Family::V4, Family::V6] {
        let scripts = [script(family, packets())];
        let tried = try_again(arena, report, text, &scripts)?;
        for outcome in &tried.outcomes {
            report.count(SOURCE, outcome);
        }
        if let Some(finding) = tried.finding {
            report.broken(&format!("{text}{}{finding}", scripts[0]));
        }
    }
    Ok(())
}

/// An INVALID segment of an open connection, which is answered with a reset: the kernel's own reset is the
/// last packet of the connection, ours is not.
fn untracked_reset(arena: &mut Arena, report: &mut Report) -> Result<()> {
    let text = filter("", "ct state invalid counter reject with tcp reset");
    for family in [Family::V4, Family::V6] {
        let mut packets = shake_hands(0);
        packets.push(tcp(Who::B, 0, ACK, [1_000_000, 1]));
        let (_, compiled) = understood(&text, arena.ports()).map_err(anyhow::Error::msg)?;
        let scripts = [script(family, packets)];
        let mut run = || {
            arena.nft(&text)?;
            arena.rule(&compiled)?;
            let [outcome] = &arena.run(&scripts, Settings::DEFAULT)?[..] else {
                anyhow::bail!("one script, one outcome");
            };
            let difference = outcome.difference.as_ref();
            let explained = difference.and_then(|difference| difference.explained);
            let met = explained == Some(UNTRACKED_RESET);
            Ok((outcome.clone(), met, arena.has_stalled()))
        };
        let (mut outcome, mut met, mut stalled) = run()?;
        for _ in 1..RUNS {
            if met || !stalled {
                break;
            }
            (outcome, met, stalled) = run()?;
        }
        report.count(SOURCE, &outcome);
        if !met {
            report.vanished("untracked reset", UNTRACKED_RESET);
        }
    }
    Ok(())
}

/// Shows them to both.
pub(crate) fn run(arena: &mut Arena, report: &mut Report) -> Result<()> {
    for text in texts().into_iter().chain(rejecting()) {
        for family in [Family::V4, Family::V6] {
            for packets in [datagrams(), conversations()] {
                let scripts = [script(family, packets)];
                let tried = try_again(arena, report, &text, &scripts)?;
                for outcome in &tried.outcomes {
                    report.count(SOURCE, outcome);
                }
                if let Some(finding) = tried.finding {
                    report.broken(&format!("{text}{}{finding}", scripts[0]));
                }
            }
        }
    }
    in_fragments(arena, report)?;
    untracked_reset(arena, report)?;
    arena.no_rules()
}
