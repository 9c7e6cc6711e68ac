//! Rulesets in the maps, evaluated by the loaded programs.

use fw_common::abi::{LinkKey, Tally};
use fw_common::ruleset::Link;
use fw_common::{CtInfo, Reason};
use fw_user::maps::RulesetMaps;
use fw_user::rules::ir::{
    ChainId, CtField, DataKind, DataType, Element, ElementKey, Expr, Field, Header, Hook, Meta, Op,
    Pattern, Policy, Right, Set, SetFlags, SetId, Statement, Verdict,
};
use fw_user::rules::load_text;
use xtask::lab::root_or_skip;

use crate::frames::{self, end};
use crate::harness::{HZ, Program, XDP_DROP, XDP_PASS};
use crate::rulesets::*;
use crate::segments::segment;

const CLIENT: &str = "192.168.1.2:40000";
const SERVER: &str = "10.0.0.2:22";

fn packets(maps: &RulesetMaps, count: usize) -> Vec<u64> {
    let tallies = maps.counters(count).expect("counters");
    tallies.iter().map(|tally| tally.packets).collect()
}

#[test]
fn established_flows_keep_their_verdict_and_every_packet_is_counted() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let mut maps = program.ruleset();
    let compiled = compiled(&ssh_only());
    let (client, server) = (end(CLIENT), end(SERVER));
    let syn = frames::tcp(client, server, &segment("S", 1, 0));
    assert_eq!(
        maps.load(&compiled, program.clock().now(), HZ)
            .expect("load"),
        1
    );
    assert_eq!(program.run(&syn), XDP_PASS);
    let syn_ack = frames::tcp(server, client, &segment("SA", 100, 2));
    assert_eq!(program.run(&syn_ack), XDP_PASS);
    let ack = frames::tcp(client, server, &segment("A", 2, 101));
    for _ in 0..10 {
        assert_eq!(program.run(&ack), XDP_PASS);
        assert_eq!(
            program.run(&frames::tcp(server, client, &segment("A", 101, 2))),
            XDP_PASS
        );
    }
    let telnet = frames::tcp(client, end("10.0.0.2:23"), &segment("S", 1, 0));
    assert_eq!(program.reason(&telnet), (Reason::Policy, XDP_DROP));
    assert_eq!(packets(&maps, 3), [21, 1, 1]);
    let tallies = maps.counters(3).expect("counters");
    assert_eq!(
        tallies[1],
        Tally {
            packets: 1,
            bytes: 40
        }
    );
    // What is dropped leaves no flow.
    assert_eq!(program.flows().len(), 1);
    let [leg, reply] = program.flows()[0].flow.legs;
    assert_eq!((leg.rule_gen, leg.state), (1, CtInfo::Established as u8));
    assert_eq!((reply.rule_gen, reply.path), (1, leg.path));
    assert_ne!(leg.path, 0);
}

#[test]
fn a_new_ruleset_is_in_force_at_once() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let mut maps = program.ruleset();
    let now = program.clock().now();
    let (client, server) = (end(CLIENT), end(SERVER));
    let syn = frames::tcp(client, server, &segment("S", 1, 0));
    let syn_ack = frames::tcp(server, client, &segment("SA", 100, 2));
    let ack = frames::tcp(client, server, &segment("A", 2, 101));
    let closed = ruleset(
        vec![base(Hook::Input, Policy::Drop, Vec::new())],
        Vec::new(),
    );
    maps.load(&compiled(&ssh_only()), now, HZ).expect("load");
    for frame in [&syn, &syn_ack, &ack, &ack] {
        assert_eq!(program.run(frame), XDP_PASS);
    }
    assert_eq!(maps.load(&compiled(&closed), now, HZ).expect("load"), 2);
    assert_eq!(program.reason(&ack), (Reason::Policy, XDP_DROP));
    assert_eq!(program.reason(&ack), (Reason::Policy, XDP_DROP));
    assert_eq!(maps.load(&compiled(&ssh_only()), now, HZ).expect("load"), 3);
    assert_eq!(program.run(&ack), XDP_PASS);
    assert_eq!(packets(&maps, 3), [1, 0, 0]);
    maps.unload().expect("unload");
    let telnet = frames::tcp(client, end("10.0.0.2:23"), &segment("S", 1, 0));
    assert_eq!(program.run(&telnet), XDP_PASS);
}

fn set(key: DataType, interval: bool, elements: &[Pattern]) -> Set {
    let elements = elements.iter().map(|pattern| Element {
        key: ElementKey::One(pattern.clone()),
        data: None,
        extras: None,
    });
    Set {
        name: Some("s".into()),
        handle: 0,
        key: vec![key],
        key_typeof: None,
        data: None::<DataKind>,
        data_typeof: None,
        flags: SetFlags {
            interval,
            ..SetFlags::default()
        },
        timeout: None,
        gc_interval: None,
        meter: false,
        size: None,
        auto_merge: false,
        statements: Vec::new(),
        comment: None,
        elements: elements.collect(),
    }
}

/// nft 1.0.6 makes one comparison of the two, which holds unless both are equal (docs/differences.md).
#[test]
fn two_negations_side_by_side_have_to_hold_each() {
    if !root_or_skip() {
        return;
    }
    let text = "table inet t {
        chain c {
            type filter hook input priority 0; policy accept;
            tcp sport != 1000 tcp dport != 80 drop
        }
    }";
    let rules = load_text("text", text).ruleset.expect("rules");
    let mut program = Program::load(|_| {});
    let now = program.clock().now();
    let mut maps = program.ruleset();
    maps.load(&compiled(&rules), now, HZ).expect("load");
    for (from, to, action) in [
        ("192.168.1.77:1000", "10.9.0.1:80", XDP_PASS),
        ("192.168.1.77:1000", "10.9.0.1:81", XDP_PASS),
        ("192.168.1.77:1001", "10.9.0.1:80", XDP_PASS),
        ("192.168.1.77:1001", "10.9.0.1:81", XDP_DROP),
    ] {
        let frame = frames::tcp(end(from), end(to), &segment("S", 1, 0));
        assert_eq!(program.run(&frame), action, "{from} {to}");
    }
}

#[test]
fn sets_of_values_and_of_prefixes() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let mut maps = program.ruleset();
    let now = program.clock().now();
    let prefixes = [
        Pattern::Prefix(0xc0a8_0100, 24),
        Pattern::Range(0x0a00_0001, 0x0a00_0006),
    ];
    let sets = vec![
        set(
            DataType::InetService,
            false,
            &[Pattern::Exact(22), Pattern::Exact(80)],
        ),
        set(DataType::Ipv4Addr, true, &prefixes),
    ];
    let member = |field, id| compares(field, Op::Eq, Right::Set(SetId(id)));
    let rules = vec![rule(vec![
        equals(Field::Meta(Meta::Nfproto), 2),
        member(Field::Header(Header::IpSaddr), 1),
        equals(PROTOCOL, 6),
        member(DPORT, 0),
        ACCEPT,
    ])];
    let set_rules = ruleset(vec![base(Hook::Input, Policy::Drop, rules)], sets);
    maps.load(&compiled(&set_rules), now, HZ).expect("load");
    let mut probe = |from: &str, to: &str| {
        let frame = frames::tcp(end(from), end(to), &segment("S", 1, 0));
        program.run(&frame)
    };
    for port in [22, 80] {
        assert_eq!(
            probe("192.168.1.77:1000", &format!("10.9.0.1:{port}")),
            XDP_PASS
        );
    }
    assert_eq!(probe("192.168.1.77:1000", "10.9.0.1:81"), XDP_DROP);
    assert_eq!(probe("192.168.2.77:1000", "10.9.0.1:80"), XDP_DROP);
    for (last, action) in [(1, XDP_PASS), (6, XDP_PASS), (7, XDP_DROP)] {
        assert_eq!(probe(&format!("10.0.0.{last}:1000"), "10.9.0.1:80"), action);
    }
}

#[test]
fn chains_marks_and_interfaces() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let mut maps = program.ruleset();
    let now = program.clock().now();
    let mut name = [0; 4];
    name[0] = u32::from_be_bytes(*b"lan0");
    let link = Link {
        index: 7,
        kind: 1,
        group: 0,
        name,
    };
    let key = LinkKey { port: 1, vlan: 0 };
    program.links().write(&[(key, link)]).expect("links");
    let named = |pattern| {
        compares(
            Field::Meta(Meta::Iifname),
            Op::Eq,
            Right::Patterns(vec![pattern]),
        )
    };
    let mark = Statement::SetCtMark(Expr::Constant(7, DataType::Mark));
    let chains = vec![
        base(
            Hook::Input,
            Policy::Drop,
            vec![
                rule(vec![
                    named(Pattern::Wildcard("lan".into())),
                    Statement::Verdict(Verdict::Jump(ChainId(1))),
                ]),
                rule(vec![
                    equals(Field::Ct(CtField::Mark, None), 7),
                    counter(),
                    ACCEPT,
                ]),
            ],
        ),
        regular(vec![rule(vec![equals(PROTOCOL, 17), mark])]),
    ];
    let compiled = compiled(&ruleset(chains, Vec::new()));
    maps.load(&compiled, now, HZ).expect("load");
    let query = frames::udp(end("192.168.1.2:1000"), end("10.0.0.2:53"), b"?");
    for _ in 0..3 {
        assert_eq!(program.run(&query), XDP_PASS);
    }
    assert_eq!(program.flows()[0].flow.mark, 7);
    assert_eq!(packets(&maps, 1), [3]);
    let syn = frames::tcp(end(CLIENT), end(SERVER), &segment("S", 1, 0));
    assert_eq!(program.run(&syn), XDP_DROP);
}

#[test]
fn a_kept_verdict_is_of_one_interface() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let mut maps = program.ruleset();
    let link = |vlan: u32, first: &[u8; 4]| {
        let mut name = [0; 4];
        name[0] = u32::from_be_bytes(*first);
        let link = Link {
            index: 7 + vlan,
            kind: 1,
            group: 0,
            name,
        };
        (LinkKey { port: 1, vlan }, link)
    };
    let links = [link(0, b"lan0"), link(10, b"wan0")];
    program.links().write(&links).expect("links");
    let from_lan = compares(
        Field::Meta(Meta::Iifname),
        Op::Eq,
        Right::Patterns(vec![Pattern::Wildcard("lan".into())]),
    );
    let chain = base(
        Hook::Input,
        Policy::Drop,
        vec![rule(vec![from_lan, counter(), ACCEPT])],
    );
    let now = program.clock().now();
    let compiled = compiled(&ruleset(vec![chain], Vec::new()));
    maps.load(&compiled, now, HZ).expect("load");
    let query = frames::udp(end("192.168.1.2:1000"), end("10.0.0.2:53"), b"?");
    let mut tagged = query.clone();
    tagged.splice(12..12, [0x81, 0, 0, 10]);
    for _ in 0..3 {
        assert_eq!(program.run(&query), XDP_PASS);
    }
    assert_eq!(program.run(&tagged), XDP_DROP);
    assert_eq!(program.run(&query), XDP_PASS);
    assert_eq!(packets(&maps, 1), [4]);
}
