//! Frames of VLANs and of a bond's members. The interfaces stand for such: what they are the maps say.

use std::time::Duration;

use fw_common::abi::{IfaceConfig, IfaceFlags};
use xtask::lab::root_or_skip;
use xtask::sys::packet::PacketSocket;

use crate::frames::{self, end};
use crate::harness::OPEN;
use crate::router::{CLIENT, CLIENTS, End, Router, SERVERS, sh};

/// Last byte of the hardware addresses of hosts in the VLANs, which are on top of SERVERS; also the VLANs' ids and
/// their groups.
const TEN: u8 = 10;
const TWENTY: u8 = 20;

const NETWORK: &str = "
    for id in 10 20; do
        ip link add vlan$id address 02:00:00:00:01:02 type veth peer name far$id
        ip link set vlan$id up && ip link set far$id up
        ip addr add 10.$id.0.1/24 dev vlan$id && ip addr add 2001:db8:$id::1/64 dev vlan$id nodad
    done
    for ends in 10:0a 20:14; do
        id=${ends%:*} mac=02:00:00:00:00:${ends#*:}
        ip neigh replace 10.$id.0.2 lladdr $mac dev vlan$id nud permanent
        ip neigh replace 2001:db8:$id::2 lladdr $mac dev vlan$id nud permanent
    done
    ip neigh replace 10.20.0.3 lladdr 02:00:00:00:00:0a dev vlan20 nud permanent
    ip neigh replace 2001:db8:20::3 lladdr 02:00:00:00:00:0a dev vlan20 nud permanent";

/// Client, host in the first VLAN, host in the second, and the first host's address there.
const HOSTS: [[&str; 4]; 2] = [
    [
        "192.168.1.2:4000",
        "10.10.0.2:53",
        "10.20.0.2:53",
        "10.20.0.3:53",
    ],
    [
        "[2001:db8:1::2]:4000",
        "[2001:db8:10::2]:53",
        "[2001:db8:20::2]:53",
        "[2001:db8:20::3]:53",
    ],
];

fn up() -> Router {
    let mut router = Router::up("vlans");
    sh(router.lab.router(), NETWORK);
    let below = router.ports[SERVERS];
    for id in [TEN, TWENTY] {
        let index = router.lab.router().interface(&format!("vlan{id}"));
        let index = index.expect("an interface");
        router.program.set_beside(
            index,
            IfaceConfig {
                flags: IfaceFlags::VLAN | IfaceFlags::FORWARD,
                index: below,
                vlan: id.into(),
                ..IfaceConfig::default()
            },
        );
        router.link((below, id.into()), index, id.into());
        router.link((index, 0), index, id.into());
    }
    router
}

/// A frame with these tags, each (TPID, tag control information), outermost first.
fn tagged(frame: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let tags = tags.iter();
    let tags = tags.flat_map(|(tpid, tci)| [tpid.to_be_bytes(), tci.to_be_bytes()].concat());
    let tags: Vec<u8> = tags.collect();
    [&frame[..12], &tags, &frame[12..]].concat()
}

/// The tag of a VLAN with a priority, which is not passed on.
fn tag(id: u8) -> [(u16, u16); 1] {
    [(0x8100, 0xa000 | u16::from(id))]
}

/// What leaves of a frame without tags: its type and the packet, one hop on.
fn forwarded(frame: &[u8]) -> Vec<u8> {
    let mut rest = frame[12..].to_vec();
    if rest[..2] == [8, 0] {
        rest[2 + 8] -= 1;
        let header = etherparse::Ipv4HeaderSlice::from_slice(&rest[2..22]).expect("a header");
        let sum = header.to_header().calc_header_checksum();
        rest[12..14].copy_from_slice(&sum.to_be_bytes());
    } else {
        rest[2 + 7] -= 1;
    }
    rest
}

fn datagram(from: &str, to: &str) -> Vec<u8> {
    frames::udp(end(from), end(to), b"data")
}

/// A host: the port behind which it is, its address, the last byte of its hardware address, and the VLAN of the router's
/// interface that leads to it.
#[derive(Clone, Copy)]
struct Host {
    port: usize,
    address: &'static str,
    mac: u8,
    vlan: Option<u8>,
}

/// Client, host in the first VLAN, host in the second, and the first host there, by family.
fn hosts() -> [[Host; 4]; 2] {
    HOSTS.map(|[client, ten, twenty, both]| {
        let in_vlan = |address, mac, id| Host {
            port: SERVERS,
            address,
            mac,
            vlan: Some(id),
        };
        let client = Host {
            port: CLIENTS,
            address: client,
            mac: CLIENT,
            vlan: None,
        };
        [
            client,
            in_vlan(ten, TEN, TEN),
            in_vlan(twenty, TWENTY, TWENTY),
            in_vlan(both, TEN, TWENTY),
        ]
    })
}

/// A datagram from one host to another, and what is to leave: it is one hop on, and without its tag.
fn on_its_way(from: Host, to: Host) -> (Vec<u8>, Vec<u8>) {
    let frame = datagram(from.address, to.address);
    let sender = [2, 0, 0, 0, 1, to.vlan.map_or(1, |_| 2)];
    let addresses = [[2, 0, 0, 0, 0, to.mac], sender].concat();
    let tags = from.vlan.map(|id| tag(id).to_vec()).unwrap_or_default();
    let expected = [addresses, forwarded(&frame)].concat();
    (tagged(&frame, &tags), expected)
}

/// Sends a datagram from one host to another; where it went. It has the tag of its way.
fn send(router: &mut Router, from: Host, to: Host) -> End {
    let (frame, expected) = on_its_way(from, to);
    let (end, sent) = router.exchange(router.ports[from.port], &frame);
    let tags = to.vlan.map(|id| vec![(0x8100, id.into())]);
    let expected = tagged(&expected, &tags.unwrap_or_default());
    assert_eq!(sent, expected, "{} to {}", from.address, to.address);
    end
}

/// Has a flow's packets go by the short way, as they do once its third packet has made it an assured one.
fn establish(router: &mut Router, one: Host, other: Host) {
    for packet in 0..8 {
        let (from, to) = if packet % 2 == 0 {
            (one, other)
        } else {
            (other, one)
        };
        let way = if packet < 3 { End::Long } else { End::Short };
        assert_eq!(send(router, from, to), way(to.mac), "{packet}");
    }
}

#[test]
fn frames_leave_with_the_tag_of_their_way() {
    if !root_or_skip() {
        return;
    }
    let mut router = up();
    for [client, ten, twenty, both] in hosts() {
        establish(&mut router, client, ten);
        establish(&mut router, client, both);
        establish(&mut router, twenty, ten);
    }
}

/// There a tag stands beside the frame, and only the kernel can put it there: so frames are sent in earnest, and read
/// without the tag that they leave with.
#[test]
fn at_tc_frames_with_a_tag_take_the_short_way_as_well() {
    if !root_or_skip() {
        return;
    }
    let mut router = up();
    let program = &mut router.program;
    let attach = || ["eth0", "eth1"].map(|name| program.attach_at_tc(name));
    router.lab.router().enter(attach).expect("in the router");
    let wires = [router.lab.client(), router.lab.server()].map(|host| {
        let open = || PacketSocket::open_receiving("eth0", 1 << 20);
        host.enter(open).expect("at an end").expect("a socket")
    });
    for [client, ten, ..] in hosts() {
        for packet in 0..8 {
            let (from, to) = if packet % 2 == 0 {
                (client, ten)
            } else {
                (ten, client)
            };
            let (frame, expected) = on_its_way(from, to);
            let before = router.short();
            wires[from.port].send(&frame).expect("sent");
            await_frame(&wires, to.port, &expected);
            assert_eq!(router.short() - before, u64::from(packet >= 3), "{packet}");
        }
    }
}

/// Waits until a frame has come out at one of two wires, whatever else does.
fn await_frame(wires: &[PacketSocket; 2], wire: usize, expected: &[u8]) {
    let mut buffer = [0; 2048];
    loop {
        while let Some(len) = wires[wire].receive(&mut buffer).expect("received") {
            if buffer[..len] == *expected {
                return;
            }
        }
        // What has come in at the other one is not waited for again.
        while wires[1 - wire]
            .receive(&mut buffer)
            .expect("received")
            .is_some()
        {}
        let more = PacketSocket::wait(wires, Duration::from_secs(10));
        assert!(more.expect("waited"), "nothing has come out");
    }
}

#[test]
fn a_frame_with_a_tag_that_nobody_takes_off_is_the_kernels() {
    if !root_or_skip() {
        return;
    }
    let mut router = up();
    let servers = router.ports[SERVERS];
    // What rules know may be a moment ahead of what the programs do.
    let index = router.lab.router().interface("vlan10");
    router.link((servers, 11), index.expect("an interface"), TEN.into());
    for [client, ten, ..] in hosts() {
        establish(&mut router, client, ten);
        let frame = datagram(ten.address, client.address);
        for tags in [
            &[(0x8100, 0)][..],
            &[(0x8100, 0xe000)],
            &[(0x8100, 11)],
            &[(0x88a8, 10)],
            &[(0x8100, 10), (0x8100, 20)],
            &[(0x8100, 10), (0x8100, 0)],
        ] {
            let frame = tagged(&frame, tags);
            let (end, after) = router.exchange(servers, &frame);
            assert_eq!((end, &after), (End::Kernel, &frame), "{tags:x?}");
        }
    }
}

#[test]
fn rules_see_the_vlan_and_not_the_port() {
    if !root_or_skip() {
        return;
    }
    let mut router = up();
    let [clients, servers, _] = router.ports;
    router.rules("iifgroup 10 oifgroup { 1, 20 } accept; iifgroup 1 oifgroup 10 accept");
    for [client, ten, twenty, _] in hosts() {
        establish(&mut router, ten, client);
        for _ in 0..3 {
            assert_eq!(send(&mut router, ten, twenty), End::Long(TWENTY));
        }
        // What is kept of a flow is of packets in the same VLAN.
        let mut send = |port, from: Host, tags: &[_], to: Host| {
            let frame = datagram(from.address, to.address);
            router.exchange(port, &tagged(&frame, tags)).0
        };
        assert_eq!(send(servers, ten, &tag(TWENTY), client), End::Dropped);
        assert_eq!(send(servers, ten, &[], client), End::Dropped);
        assert_eq!(send(clients, client, &[], twenty), End::Dropped);
    }
}

/// The first VLAN, of which nothing leaves straight.
fn leave_to_the_kernel(router: &mut Router) {
    let index = router.lab.router().interface("vlan10");
    let about = IfaceConfig {
        flags: IfaceFlags::VLAN,
        index: router.ports[SERVERS],
        vlan: TEN.into(),
        ..IfaceConfig::default()
    };
    let program = &mut router.program;
    program.set_beside(index.expect("an interface"), about);
}

/// A moment before the generation of the routes says so, too.
#[test]
fn nothing_leaves_straight_that_came_in_by_a_vlan_that_forwards_no_more() {
    if !root_or_skip() {
        return;
    }
    let mut router = up();
    let servers = router.ports[SERVERS];
    for [client, ten, ..] in hosts() {
        establish(&mut router, client, ten);
    }
    leave_to_the_kernel(&mut router);
    for [client, ten, ..] in HOSTS {
        let frame = tagged(&datagram(ten, client), &tag(TEN));
        assert_eq!(router.exchange(servers, &frame).0, End::Kernel);
    }
}

/// The kernel makes its tags right, by what only it knows. But where packets come from and go to is known.
#[test]
fn a_vlan_that_is_the_kernels_has_a_way_nonetheless() {
    if !root_or_skip() {
        return;
    }
    let mut router = up();
    let [clients, servers, _] = router.ports;
    leave_to_the_kernel(&mut router);
    router.rules("iifgroup 10 oifgroup 1 accept; iifgroup 1 oifgroup 10 accept");
    for [client, ten, twenty, _] in HOSTS {
        let mut send = |port, from, tags: &[_], to| {
            let frame = tagged(&datagram(from, to), tags);
            let (end, after) = router.exchange(port, &frame);
            assert!(end == End::Dropped || after == frame, "{from} to {to}");
            end
        };
        for _ in 0..3 {
            assert_eq!(send(servers, ten, &tag(TEN), client), End::Kernel);
            assert_eq!(send(clients, client, &[], ten), End::Kernel);
        }
        assert_eq!(send(servers, ten, &tag(TEN), twenty), End::Dropped);
    }
}

/// The kernel says that a frame came in by the member. Flows, rules and the way are the bond's.
#[test]
fn a_member_speaks_in_the_name_of_its_bond() {
    if !root_or_skip() {
        return;
    }
    let mut router = Router::up("bond");
    let [bond, servers, member] = router.ports;
    let about = |flags| IfaceConfig {
        flags: IfaceFlags::PORT | IfaceFlags::MEMBER | flags,
        index: bond,
        ..IfaceConfig::default()
    };
    router.program.set_beside(member, about(OPEN));
    router.rules("iifgroup 1 accept; iifgroup 2 accept");
    let query = datagram("192.168.1.2:4000", "10.0.0.2:53");
    let answer = datagram("10.0.0.2:53", "192.168.1.2:4000");
    for _ in 0..2 {
        router.exchange(member, &query);
        router.exchange(servers, &answer);
    }
    assert_eq!(router.exchange(member, &query).0, End::Short(2));
    assert_eq!(router.exchange(bond, &query).0, End::Short(2));
    assert_eq!(router.program.flows()[0].flow.legs[0].ifindex, bond);
    // One that is not in use: the bond throws it away.
    router.program.set_beside(member, about(0));
    assert_eq!(router.exchange(member, &query).0, End::Kernel);
}
