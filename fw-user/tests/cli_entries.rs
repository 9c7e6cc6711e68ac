//! Single flows and the whole table: which entries live, `get`, `delete`, `flush`.

mod cli_support;

use cli_support::spec::{DNS6, NETBIOS, PING, SSH, Spec, dns6, netbios, ssh};
use cli_support::{Firewall, HZ, NOW, crowd};
use fw_common::abi::MOVED;
use xtask::lab::root_or_skip;

#[test]
fn dead_entries_are_never_shown_or_counted() {
    if !root_or_skip() {
        return;
    }
    let mut firewall = Firewall::with_four_flows();
    let expired = Spec {
        sport: 1,
        timeout: 0,
        ..netbios()
    };
    let moved = Spec {
        sport: 2,
        lock: MOVED,
        ..netbios()
    };
    firewall.add(&expired);
    firewall.add(&moved);
    assert_eq!(firewall.run("count").out, "4\n");
    assert_eq!(firewall.run("list").sorted(), [PING, SSH, NETBIOS, DNS6]);
    let run = firewall.run("get -p udp -s 192.168.1.2 -d 192.168.1.5 --sport 1 --dport 1025");
    assert_eq!(run.code, Some(1));
    let run = firewall.run("delete -p udp --sport 1");
    assert_eq!(run.code, Some(1), "only live flows are deleted: {run:?}");
    assert_eq!(firewall.entries(), 6);
}

#[test]
fn a_flow_being_promoted_is_shown_once() {
    if !root_or_skip() {
        return;
    }
    let mut firewall = Firewall::with_four_flows();
    // As a walk finds it when the promotion falls between its two halves.
    firewall.add_to(&ssh(), false);
    assert_eq!(firewall.run("list -p tcp").out, format!("{SSH}\n"));
}

#[test]
fn time_left_follows_the_real_clock() {
    if !root_or_skip() {
        return;
    }
    let mut firewall = Firewall::new(64);
    let tick_ns = 1_000_000_000 / HZ;
    let monotonic = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let ticks = (monotonic.tv_sec as u64) * HZ + (monotonic.tv_nsec as u64) / tick_ns;
    firewall.configure(|config| {
        config.clock.tick_ns = tick_ns;
        config.clock.offset = NOW as i64 - ticks as i64;
    });
    firewall.add(&ssh());
    let left = firewall.run("list -o json").json()[0]["timeout"].as_u64();
    // A minute for a machine that is busy.
    assert!(matches!(left, Some(431_924..=431_984)), "{left:?}");
    // The same flow in a firewall whose clock is ahead by as much.
    firewall.configure(|config| {
        config.clock.tick_ns = tick_ns;
        config.clock.offset = (NOW + 431_984 * HZ) as i64 - ticks as i64;
    });
    assert_eq!(firewall.run("count").out, "0\n");
}

#[test]
fn get_finds_a_flow_by_the_tuple_of_either_direction() {
    if !root_or_skip() {
        return;
    }
    let firewall = Firewall::with_four_flows();
    for (tuple, line) in [
        (
            "-p tcp -s 172.16.255.130 -d 172.16.255.131 --sport 41102 --dport 22",
            SSH,
        ),
        (
            "-p tcp -s 172.16.255.131 -d 172.16.255.130 --sport 22 --dport 41102",
            SSH,
        ),
        (
            "-p icmp -s 192.168.1.2 -d 10.0.0.2 --icmp-type 8 --icmp-code 0 --icmp-id 42",
            PING,
        ),
        (
            "-p icmp -s 10.0.0.2 -d 192.168.1.2 --icmp-type 0 --icmp-id 42",
            PING,
        ),
        (
            "-p udp -s fd91:1::2 -d fd91:2::2 --sport 40001 --dport 53",
            DNS6,
        ),
    ] {
        let run = firewall.run(&format!("get {tuple}"));
        assert_eq!(run.out, format!("{line}\n"), "{tuple}: {}", run.err);
        assert_eq!(run.code, Some(0), "{tuple}");
    }
    for tuple in [
        "-p tcp -s 172.16.255.130 -d 172.16.255.131 --sport 22 --dport 41102",
        "-p tcp -s 172.16.255.130 -d 172.16.255.131 --sport 41102 --dport 22 -w 1",
        "-p icmp -s 10.0.0.2 -d 192.168.1.2 --icmp-type 8 --icmp-id 42",
    ] {
        let run = firewall.run(&format!("get {tuple}"));
        assert_eq!((run.code, run.out.as_str()), (Some(1), ""), "{tuple}");
        assert!(
            run.err.starts_with("fwctl: there is no such flow"),
            "{}",
            run.err
        );
    }
}

#[test]
fn delete_removes_what_matches_and_says_so() {
    if !root_or_skip() {
        return;
    }
    let mut firewall = Firewall::with_four_flows();
    firewall.occupancy.set(0, 1, 0).expect("OCCUPANCY");
    let run = firewall.run("delete -p tcp");
    assert_eq!(run.out, format!("{SSH}\n"));
    assert_eq!(run.err, "fwctl: 1 flow entries have been deleted.\n");
    assert_eq!(run.code, Some(0));
    // The programs must know that the assured map has room again; nothing else went from there.
    let used = |slot| firewall.occupancy.get(&slot, 0).expect("OCCUPANCY");
    assert_eq!([used(0), used(1), used(2), used(3)], [0; 4]);

    let again = firewall.run("-D -p tcp");
    assert_eq!((again.code, again.out.as_str()), (Some(1), ""));
    assert_eq!(again.err, "fwctl: 0 flow entries have been deleted.\n");
    assert_eq!(firewall.run("list").sorted(), [PING, NETBIOS, DNS6]);
}

#[test]
fn flush_empties_the_maps() {
    if !root_or_skip() {
        return;
    }
    let mut firewall = Firewall::with_four_flows();
    crowd(&mut firewall, 500);
    firewall.add(&Spec {
        timeout: 0,
        sport: 7,
        ..dns6()
    });
    let run = firewall.run("flush");
    assert_eq!(
        run.err,
        "fwctl: connection tracking table has been emptied.\n"
    );
    assert_eq!((run.code, run.out.as_str()), (Some(0), ""));
    assert_eq!(firewall.entries(), 0);
    assert_eq!(firewall.occupancy.get(&2, 0).expect("OCCUPANCY"), 1);
}

#[test]
fn update_changes_marks_and_timeouts_under_every_filter() {
    if !root_or_skip() {
        return;
    }
    let firewall = Firewall::with_four_flows();
    let run = firewall.run("update -p udp -f ipv4 -m 0x15");
    assert_eq!(
        run.out,
        format!("{}\n", NETBIOS.replace("mark=0", "mark=21"))
    );
    assert_eq!(run.err, "fwctl: 1 flow entries have been updated.\n");
    assert_eq!(run.code, Some(0));
    // The mask's bits are cleared, then the value's are turned over: 0x15 ^ 0x1 under 0xf0.
    assert_eq!(
        firewall.run("-U -p udp -f ipv4 --mark 0x1/0xf0").code,
        Some(0)
    );
    for (filter, count) in [
        ("-m 4", 1),
        ("-m 0x4/0xf", 1),
        ("-m 0x15", 0),
        ("-m 0", 3),
        ("-m 0/0x4", 3),
        ("-m 4/4", 1),
    ] {
        let run = firewall.run(&format!("count {filter}"));
        assert_eq!(run.out, format!("{count}\n"), "{filter}");
    }
    let run = firewall.run("update -p tcp -t 1h -u FIXED_TIMEOUT -o json");
    assert_eq!(run.json()[0]["status"][3], "FIXED_TIMEOUT", "{run:?}");
    let left = &run.json()[0]["timeout"];
    // By the programs' own clock, which in this test has nothing to do with that of the entries.
    assert!(left.is_u64(), "{run:?}");

    let none = firewall.run("update -s 10.9.9.9 -m 1");
    assert_eq!((none.code, none.out.as_str()), (Some(1), ""));
    let nothing = firewall.run("update -p tcp");
    assert_eq!(nothing.code, Some(2));
    assert!(nothing.err.contains("--mark"), "{}", nothing.err);
    assert_eq!(firewall.run("update -p tcp -u DYING").code, Some(2));
}
