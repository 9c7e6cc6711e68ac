//! Packets as users write them.

use super::*;

fn read(text: &str) -> Sketch {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn the_usual_packet() {
    let syn = read("tcp 192.168.1.2:41080 > 10.0.0.2:22 syn");
    assert_eq!(syn.src.to_string(), "192.168.1.2");
    assert_eq!(syn.transport, Transport::Tcp(41080, 22, 0x02));
    assert_eq!((syn.ttl, syn.vlan, syn.mark), (64, 0, 0));
    assert_eq!(
        read("tcp 1.2.3.4:1>5.6.7.8:2 syn,ack").transport,
        Transport::Tcp(1, 2, 0x12)
    );
    assert_eq!(
        read("tcp 1.2.3.4:1 > 5.6.7.8:2").transport,
        Transport::Tcp(1, 2, 0x10)
    );
}

#[test]
fn other_protocols() {
    let dns =
        read("udp [2001:db8::2]:4000 > [2001:db8::1]:53 vlan 7 mark 0x10 length 100 ttl 1 dscp 46");
    assert_eq!(dns.transport, Transport::Udp(4000, 53));
    assert_eq!(
        (dns.vlan, dns.mark, dns.length, dns.ttl, dns.dscp),
        (7, 16, Some(100), 1, 46)
    );
    let ping = read("icmp 1.2.3.4 > 5.6.7.8");
    assert_eq!(
        ping.transport,
        Transport::Icmp(IcmpKind {
            kind: 8,
            code: 0,
            id: 1
        })
    );
    let error = read("icmp 1.2.3.4 > 5.6.7.8 destination-unreachable code 3");
    assert_eq!(
        error.transport,
        Transport::Icmp(IcmpKind {
            kind: 3,
            code: 3,
            id: 1
        })
    );
    let pong = read("icmpv6 ::1 > ::2 type echo-reply id 9");
    assert_eq!(
        pong.transport,
        Transport::Icmp(IcmpKind {
            kind: 129,
            code: 0,
            id: 9
        })
    );
    assert_eq!(
        read("esp 1.2.3.4 > 5.6.7.8").transport,
        Transport::Other(50)
    );
    assert_eq!(
        read("proto 99 [::1] > [::2]").transport,
        Transport::Other(99)
    );
    assert_eq!(
        read("udp 1.2.3.4:1 > 5.6.7.8:2 state related").state,
        Some(CtInfo::Related)
    );
}

#[test]
fn what_is_wrong_is_named() {
    for (text, expected) in [
        ("", "nothing is said"),
        ("tpc 1.2.3.4:1 > 5.6.7.8:2", "`tpc` is no protocol"),
        ("tcp 1.2.3.4 > 5.6.7.8:2", "ports belong behind both"),
        ("tcp 1.2.3.4:1", "destination is missing"),
        ("tcp 1.2.3.4:1 5.6.7.8:2", "`>` belongs behind"),
        ("tcp 1.2.3.400:1 > 5.6.7.8:2", "`1.2.3.400:1` is no source"),
        ("tcp 1.2.3.4:1 > [::1]:2", "two families"),
        ("icmp ::1 > ::2", "icmpv6 with IPv6"),
        ("esp 1.2.3.4:1 > 5.6.7.8:2", "no ports"),
        ("udp 1.2.3.4:1 > 5.6.7.8:2 syn", "`syn` says nothing"),
        ("udp 1.2.3.4:1 > 5.6.7.8:2 vlan 4095", "up to 4094"),
        (
            "udp 1.2.3.4:1 > 5.6.7.8:2 mark",
            "a number belongs behind `mark`",
        ),
        ("udp 1.2.3.4:1 > 5.6.7.8:2 length 27", "28 bytes"),
        ("udp 1.2.3.4:1 > 5.6.7.8:2 state old", "behind `state`"),
    ] {
        let said = text.parse::<Sketch>().unwrap_err().to_string();
        assert!(said.contains(expected), "{text}: {said}");
    }
}
