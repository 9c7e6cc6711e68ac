//! Lines of flows, beside those of conntrack itself.

use std::time::Duration;

use super::super::fixtures::*;
use super::*;
use fw_common::tcp::State;
use fw_common::wire::proto;

fn line(layout: &str, flow: &Spec) -> String {
    let layout: Layout = match layout {
        "" => Layout::default(),
        words => words.parse().unwrap(),
    };
    let mut out = Vec::new();
    write(&mut out, &flow.build(), &layout);
    let line = String::from_utf8(out).unwrap();
    line.strip_suffix('\n').unwrap().to_owned()
}

fn counted(flow: &Spec) -> String {
    let layout = Layout {
        accounting: true,
        ..Layout::default()
    };
    let mut out = Vec::new();
    write(&mut out, &flow.build(), &layout);
    String::from_utf8(out).unwrap()
}

/// The three lines of the published interface.
#[test]
fn documented_examples() {
    assert_eq!(
        line("", &ssh()),
        "tcp      6 431984 ESTABLISHED src=172.16.255.130 dst=172.16.255.131 sport=41102 dport=22 \
         src=172.16.255.131 dst=172.16.255.130 sport=22 dport=41102 [ASSURED] mark=0 use=1"
    );
    assert_eq!(
        line("", &Spec::default()),
        "udp      17 20 src=192.168.1.2 dst=192.168.1.5 sport=137 dport=1025 [UNREPLIED] \
         src=192.168.1.5 dst=192.168.1.2 sport=1025 dport=137 mark=0 use=1"
    );
    assert_eq!(
        line("", &ping()),
        "icmp     1 29 src=192.168.1.2 dst=10.0.0.2 type=8 code=0 id=42 \
         src=10.0.0.2 dst=192.168.1.2 type=0 code=0 id=42 mark=0 use=1"
    );
}

/// A handshake as both hosts and their hypervisors see it: the latter in a zone of its own.
#[test]
fn handshake_with_and_without_zone() {
    for (state, status, timeout, zone) in [
        (State::SynSent, status::CONFIRMED, 108, 0),
        (State::SynSent, status::CONFIRMED, 112, 1),
        (State::SynRecv, ANSWERED, 57, 0),
        (State::SynRecv, ANSWERED, 36, 1),
        (State::Established, ASSURED, 431_984, 0),
        (State::Established, ASSURED, 431_987, 1),
    ] {
        let flow = Spec {
            state: state as u8,
            status,
            timeout,
            zone,
            ..ssh()
        };
        let unreplied = if status == ASSURED || status == ANSWERED {
            ""
        } else {
            "[UNREPLIED] "
        };
        let assured = if status == ASSURED { "[ASSURED] " } else { "" };
        let zone = if zone == 0 { "" } else { "zone=1 " };
        let name = state.name();
        assert_eq!(
            line("", &flow),
            format!(
                "tcp      6 {timeout} {name} src=172.16.255.130 dst=172.16.255.131 sport=41102 \
                 dport=22 {unreplied}src=172.16.255.131 dst=172.16.255.130 sport=22 dport=41102 \
                 {assured}mark=0 {zone}use=1"
            )
        );
    }
}

/// A UDP exchange grows: one packet, an answer, a stream.
#[test]
fn datagrams_have_flags_but_no_state() {
    for (status, timeout, flags) in [
        (status::CONFIRMED, 20, ["[UNREPLIED] ", ""]),
        (ANSWERED, 170, ["", ""]),
        (ASSURED, 175, ["", "[ASSURED] "]),
    ] {
        let flow = Spec {
            status,
            timeout,
            ..Spec::default()
        };
        let [unreplied, assured] = flags;
        assert_eq!(
            line("", &flow),
            format!(
                "udp      17 {timeout} src=192.168.1.2 dst=192.168.1.5 sport=137 dport=1025 \
                 {unreplied}src=192.168.1.5 dst=192.168.1.2 sport=1025 dport=137 {assured}mark=0 use=1"
            )
        );
    }
}

/// Lines of conntrack v1.4.7 on Linux 6.18, byte for byte.
#[test]
fn lines_of_conntrack_itself() {
    let unreplied = |proto, timeout, bytes| Spec {
        src: "10.91.1.1",
        dst: "10.91.1.2",
        sport: 0,
        dport: 0,
        proto,
        timeout,
        counted: [(1, bytes), (0, 0)],
        ..Spec::default()
    };
    assert_eq!(
        counted(&unreplied(proto::ESP, 599, 44)),
        "unknown  50 599 src=10.91.1.1 dst=10.91.1.2 packets=1 bytes=44 [UNREPLIED] \
         src=10.91.1.2 dst=10.91.1.1 packets=0 bytes=0 mark=0 use=1\n"
    );
    assert_eq!(
        counted(&unreplied(112, 599, 44)),
        "unknown  112 599 src=10.91.1.1 dst=10.91.1.2 packets=1 bytes=44 [UNREPLIED] \
         src=10.91.1.2 dst=10.91.1.1 packets=0 bytes=0 mark=0 use=1\n"
    );
    assert_eq!(
        counted(&unreplied(33, 599, 44)),
        "dccp     33 599 src=10.91.1.1 dst=10.91.1.2 sport=0 dport=0 packets=1 bytes=44 [UNREPLIED] \
         src=10.91.1.2 dst=10.91.1.1 sport=0 dport=0 packets=0 bytes=0 mark=0 use=1\n"
    );
    assert_eq!(
        counted(&unreplied(proto::GRE, 29, 44)),
        "gre      47 29 src=10.91.1.1 dst=10.91.1.2 srckey=0x0 dstkey=0x0 packets=1 bytes=44 [UNREPLIED] \
         src=10.91.1.2 dst=10.91.1.1 srckey=0x0 dstkey=0x0 packets=0 bytes=0 mark=0 use=1\n"
    );
    let sctp = Spec {
        sport: 5000,
        dport: 80,
        state: 1,
        ..unreplied(proto::SCTP, 9, 52)
    };
    assert_eq!(
        counted(&sctp),
        "sctp     132 9 CLOSED src=10.91.1.1 dst=10.91.1.2 sport=5000 dport=80 packets=1 bytes=52 [UNREPLIED] \
         src=10.91.1.2 dst=10.91.1.1 sport=80 dport=5000 packets=0 bytes=0 mark=0 use=1\n"
    );
    let echo6 = Spec {
        src: "fd91:1::1",
        dst: "fd91:1::2",
        sport: 42,
        dport: 128 << 8,
        status: ANSWERED,
        counted: [(1, 56), (1, 56)],
        ..unreplied(proto::ICMPV6, 29, 0)
    };
    assert_eq!(
        counted(&echo6),
        "icmpv6   58 29 src=fd91:1::1 dst=fd91:1::2 type=128 code=0 id=42 packets=1 bytes=56 \
         src=fd91:1::2 dst=fd91:1::1 type=129 code=0 id=42 packets=1 bytes=56 mark=0 use=1\n"
    );
}

#[test]
fn extended_and_id_frame_the_line() {
    let plain = line("", &ssh());
    assert_eq!(line("extended", &ssh()), format!("ipv4     2 {plain}"));
    assert_eq!(
        line("extended,id", &ssh()),
        format!("ipv4     2 {plain} id=1874")
    );
    let v6 = Spec {
        src: "fd91:1::2",
        dst: "fd91:2::2",
        ..Spec::default()
    };
    assert!(line("extended", &v6).starts_with("ipv6     10 udp      17 20 src=fd91:1::2 "));
}

#[test]
fn timestamps_stand_before_use() {
    let text = line("ktimestamp,id", &ssh());
    let (_, tail) = text
        .split_once("[ASSURED] mark=0 delta-time=7 [start=")
        .unwrap();
    let (start, tail) = tail.split_once("] ").unwrap();
    assert_eq!(start.len(), "Sat Nov 21 08:11:19 2026".len(), "{start}");
    assert_eq!(tail, "use=1 id=1874");
}

/// Not the age: half a second that begins in one second and ends in the next is one, as `conntrack -L` shows it.
#[test]
fn delta_time_is_the_difference_of_the_seconds_shown() {
    let mut entry = ssh().build();
    let at = |ms| UNIX_EPOCH + Duration::from_millis(ms);
    entry.age = Duration::from_millis(500);
    for (end, seconds) in [(10_400, 1), (10_500, 0), (10_999, 0), (11_499, 1)] {
        assert_eq!(entry.seconds_until(at(end)), seconds, "{end} ms");
    }
    entry.age = Duration::from_millis(1999);
    for (end, seconds) in [(10_998, 2), (10_999, 1), (11_000, 2)] {
        assert_eq!(entry.seconds_until(at(end)), seconds, "{end} ms");
    }
}

#[test]
fn one_flag_says_which_path_packets_take() {
    let flags = |more| {
        line(
            "",
            &Spec {
                status: ASSURED | more,
                ..ssh()
            },
        )
    };
    assert!(flags(0).contains("dport=41102 [ASSURED] mark=0"));
    assert!(flags(status::OFFLOAD).contains("dport=41102 [OFFLOAD] mark=0"));
    let both = flags(status::OFFLOAD | status::HW_OFFLOAD);
    assert!(both.contains("dport=41102 [HW_OFFLOAD] mark=0"));
}

#[test]
fn numbers_of_every_length() {
    for value in [0, 9, 10, 431_984, u64::MAX] {
        let mut out = Vec::new();
        number(&mut out, value);
        assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
    }
}
