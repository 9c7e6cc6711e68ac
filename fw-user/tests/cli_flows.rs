//! The real binary on real maps: listings, filters, removal, counters.

mod cli_support;

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use cli_support::{ASSURED, Firewall, HZ, NOW, Spec, crowd, root};
use fw_common::abi::{Counter, MOVED};
use fw_common::tcp::State;
use fw_common::{CtInfo, Reason, status};

const SSH: &str = "tcp      6 431984 ESTABLISHED src=172.16.255.130 dst=172.16.255.131 sport=41102 \
     dport=22 packets=7 bytes=702 src=172.16.255.131 dst=172.16.255.130 sport=22 dport=41102 \
     packets=6 bytes=811 [ASSURED] mark=0 use=1";
const NETBIOS: &str = "udp      17 20 src=192.168.1.2 dst=192.168.1.5 sport=137 dport=1025 packets=1 \
     bytes=78 [UNREPLIED] src=192.168.1.5 dst=192.168.1.2 sport=1025 dport=137 packets=0 bytes=0 \
     mark=0 use=1";
const PING: &str = "icmp     1 29 src=192.168.1.2 dst=10.0.0.2 type=8 code=0 id=42 packets=1 bytes=84 \
     src=10.0.0.2 dst=192.168.1.2 type=0 code=0 id=42 packets=1 bytes=84 mark=0 use=1";
const DNS6: &str = "udp      17 20 src=fd91:1::2 dst=fd91:2::2 sport=40001 dport=53 packets=1 bytes=49 \
     [UNREPLIED] src=fd91:2::2 dst=fd91:1::2 sport=53 dport=40001 packets=0 bytes=0 mark=0 use=1";

/// The four flows above.
fn firewall() -> Firewall {
    let mut firewall = Firewall::new(1024);
    for flow in [Spec::ssh(), Spec::netbios(), Spec::ping(), Spec::dns6()] {
        firewall.add(&flow);
    }
    firewall
}

#[test]
fn list_prints_conntracks_lines_of_both_families() {
    if !root("list_prints_conntracks_lines_of_both_families") {
        return;
    }
    let run = firewall().run("list");
    assert_eq!(run.sorted(), [PING, SSH, NETBIOS, DNS6]);
    assert_eq!(run.err, "fwctl: 4 flow entries have been shown.\n");
    assert_eq!(run.code, Some(0));
}

#[test]
fn list_of_an_empty_table_succeeds() {
    if !root("list_of_an_empty_table_succeeds") {
        return;
    }
    let firewall = Firewall::new(64);
    let run = firewall.run("list");
    assert_eq!((run.code, run.out.as_str()), (Some(0), ""));
    assert_eq!(run.err, "fwctl: 0 flow entries have been shown.\n");
    assert_eq!(firewall.run("list -o json").out, "[]\n");
    assert_eq!(firewall.run("count").out, "0\n");
}

#[test]
fn accounting_off_leaves_the_counters_out() {
    if !root("accounting_off_leaves_the_counters_out") {
        return;
    }
    let mut firewall = Firewall::new(64);
    firewall.add(&Spec::ssh());
    firewall.configure(|config| config.accounting = 0);
    let line = SSH
        .replace(" packets=7 bytes=702", "")
        .replace(" packets=6 bytes=811", "");
    assert_eq!(firewall.run("list").out, line + "\n");
    assert!(!firewall.run("list -o json").out.contains("packets"));
}

#[test]
fn letters_and_aliases_mean_the_commands() {
    if !root("letters_and_aliases_mean_the_commands") {
        return;
    }
    let firewall = firewall();
    for line in [
        "-L -p tcp",
        "-p tcp -L",
        "flows -p tcp",
        "-L conntrack -p tcp",
    ] {
        assert_eq!(firewall.run(line).out, format!("{SSH}\n"), "{line}");
    }
    assert_eq!(firewall.run("-C").out, "4\n");
}

#[test]
fn filters_select_by_the_original_direction() {
    if !root("filters_select_by_the_original_direction") {
        return;
    }
    let firewall = firewall();
    for (filter, expected) in [
        ("-p udp", 2),
        ("-p 1", 1),
        ("-f ipv6", 1),
        ("-f ipv4 -p udp", 1),
        ("-s 192.168.1.0/24", 2),
        ("-s 10.0.0.2", 0),
        ("-d 10.0.0.2", 1),
        ("-r 10.0.0.2", 1),
        ("--dport 22", 1),
        ("--sport 22", 0),
        ("--state ESTABLISHED", 1),
        ("-u ASSURED", 1),
        ("-u UNREPLIED", 2),
        ("-m 0", 4),
        ("-m 1", 0),
        ("-w 0", 4),
        ("-w 1", 0),
        ("-d fd91:2::/64", 1),
        ("--icmp-id 42", 1),
    ] {
        let run = firewall.run(&format!("count {filter}"));
        assert_eq!(run.out, format!("{expected}\n"), "{filter}");
        let run = firewall.run(&format!("list {filter}"));
        assert_eq!(run.out.lines().count(), expected, "{filter}");
    }
}

#[test]
fn interfaces_are_shown_and_selected_by_name() {
    if !root("interfaces_are_shown_and_selected_by_name") {
        return;
    }
    let mut firewall = firewall();
    firewall.add(&Spec {
        sport: 50000,
        ifindex: [1, 0],
        ..Spec::ssh()
    });
    let run = firewall.run("list --interface lo -o json");
    let flows = run.json();
    assert_eq!(flows.as_array().expect("array").len(), 1);
    assert_eq!(flows[0]["original"]["sport"], 50000);
    assert_eq!(flows[0]["interface"]["original"], "lo");
    assert_eq!(flows[0]["interface"]["reply"], serde_json::Value::Null);
}

#[test]
fn json_is_the_documented_object() {
    if !root("json_is_the_documented_object") {
        return;
    }
    let mut firewall = Firewall::new(64);
    firewall.add(&Spec {
        zone: 7,
        mark: 3,
        ..Spec::ssh()
    });
    let expected = serde_json::json!([{
        "family": "ipv4", "proto": "tcp", "protonum": 6, "state": "ESTABLISHED", "timeout": 431_984,
        "original": {"src": "172.16.255.130", "dst": "172.16.255.131", "sport": 41102, "dport": 22,
                     "packets": 7, "bytes": 702},
        "reply": {"src": "172.16.255.131", "dst": "172.16.255.130", "sport": 22, "dport": 41102,
                  "packets": 6, "bytes": 811},
        "status": ["SEEN_REPLY", "ASSURED", "CONFIRMED"], "mark": 3, "zone": 7, "id": 1874,
        "interface": {"original": null, "reply": null}, "rule": null
    }]);
    assert_eq!(firewall.run("list -o json").json(), expected);
    let lines = firewall.run("list -o ndjson");
    assert_eq!(lines.json(), expected[0]);
}

#[test]
fn dead_entries_are_never_shown_or_counted() {
    if !root("dead_entries_are_never_shown_or_counted") {
        return;
    }
    let mut firewall = firewall();
    let expired = Spec {
        sport: 1,
        timeout: 0,
        ..Spec::netbios()
    };
    let moved = Spec {
        sport: 2,
        lock: MOVED,
        ..Spec::netbios()
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
    if !root("a_flow_being_promoted_is_shown_once") {
        return;
    }
    let mut firewall = firewall();
    // As a walk finds it when the promotion falls between its two halves.
    firewall.add_to(&Spec::ssh(), false);
    assert_eq!(firewall.run("list -p tcp").out, format!("{SSH}\n"));
}

#[test]
fn time_left_follows_the_real_clock() {
    if !root("time_left_follows_the_real_clock") {
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
    firewall.add(&Spec::ssh());
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
    if !root("get_finds_a_flow_by_the_tuple_of_either_direction") {
        return;
    }
    let firewall = firewall();
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
    if !root("delete_removes_what_matches_and_says_so") {
        return;
    }
    let firewall = firewall();
    let run = firewall.run("delete -p tcp");
    assert_eq!(run.out, format!("{SSH}\n"));
    assert_eq!(run.err, "fwctl: 1 flow entries have been deleted.\n");
    assert_eq!(run.code, Some(0));
    // The programs must know that the assured map has room again; nothing else went from there.
    let removed = |slot| firewall.occupancy.get(&slot, 0).expect("OCCUPANCY");
    assert_eq!([removed(2), removed(3)], [1, 0]);

    let again = firewall.run("-D -p tcp");
    assert_eq!((again.code, again.out.as_str()), (Some(1), ""));
    assert_eq!(again.err, "fwctl: 0 flow entries have been deleted.\n");
    assert_eq!(firewall.run("list").sorted(), [PING, NETBIOS, DNS6]);
}

#[test]
fn flush_empties_the_maps() {
    if !root("flush_empties_the_maps") {
        return;
    }
    let mut firewall = firewall();
    crowd(&mut firewall, 500);
    firewall.add(&Spec {
        timeout: 0,
        sport: 7,
        ..Spec::dns6()
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

/// More flows than a page has, so that the walk has to go on from its cursor.
#[test]
fn a_crowd_is_listed_once_each_and_a_closed_pipe_is_no_error() {
    if !root("a_crowd_is_listed_once_each_and_a_closed_pipe_is_no_error") {
        return;
    }
    let mut firewall = Firewall::new(200_000);
    crowd(&mut firewall, 20_000);
    let run = firewall.run("list");
    let mut lines = run.sorted();
    let shown = lines.len();
    lines.dedup();
    assert_eq!(lines.len(), shown, "no flow twice");
    assert_eq!(shown, firewall.entries());
    assert_eq!(firewall.run("count").out, format!("{shown}\n"));
    let json = firewall.run("list -o json").json();
    assert_eq!(json.as_array().expect("array").len(), shown);

    for format in ["", "-o json", "-o xml"] {
        let mut child = firewall
            .command(&format!("list {format}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("fwctl starts");
        let mut first = String::new();
        let mut pipe = BufReader::with_capacity(16, child.stdout.take().expect("pipe"));
        pipe.read_line(&mut first).expect("a line");
        drop(pipe);
        let mut err = String::new();
        let mut pipe = child.stderr.take().expect("pipe");
        pipe.read_to_string(&mut err).expect("UTF-8");
        assert!(!first.is_empty());
        assert_eq!(
            child.wait().expect("end").code(),
            Some(0),
            "{format}: {err}"
        );
        assert_eq!(err, "", "{format}");
    }
}

#[test]
fn one_flag_stands_for_the_path_of_the_packets() {
    if !root("one_flag_stands_for_the_path_of_the_packets") {
        return;
    }
    let mut firewall = Firewall::new(64);
    firewall.add(&Spec {
        status: ASSURED | status::OFFLOAD,
        ..Spec::ssh()
    });
    let run = firewall.run("list -u OFFLOAD");
    assert_eq!(run.out, SSH.replace("[ASSURED]", "[OFFLOAD]") + "\n");
    let run = firewall.run("list -o json");
    let bits = serde_json::json!(["SEEN_REPLY", "ASSURED", "CONFIRMED", "OFFLOAD"]);
    assert_eq!(run.json()[0]["status"], bits);
}

#[test]
fn table_is_aligned_and_coloured_on_demand() {
    if !root("table_is_aligned_and_coloured_on_demand") {
        return;
    }
    let mut firewall = firewall();
    firewall.add(&Spec {
        sport: 5555,
        state: State::SynSent,
        status: status::CONFIRMED,
        ..Spec::ssh()
    });
    let run = firewall.run("list -o table");
    let lines: Vec<_> = run.out.lines().collect();
    assert_eq!(lines.len(), 6, "{}", run.out);
    let column = lines[0].find("DESTINATION").expect("title");
    for line in &lines[1..] {
        assert_eq!(line.as_bytes()[column - 1], b' ', "{line}");
        assert_ne!(line.as_bytes()[column], b' ', "{line}");
    }
    assert!(!run.out.contains('\x1b'), "no colours in a pipe");
    let run = firewall.run("list -o table --color always");
    assert!(run.out.contains("\x1b[33mSYN_SENT"), "{:?}", run.out);
}

#[test]
fn stats_per_cpu_and_summed() {
    if !root("stats_per_cpu_and_summed") {
        return;
    }
    let mut firewall = Firewall::new(64);
    firewall.count(Counter::INVALID, 0, 2);
    firewall.count(Counter::of_state(CtInfo::New), 0, 5);
    firewall.count(Counter::of_reason(Reason::BadTcpFlags), 0, 2);
    let run = firewall.run("stats");
    let lines: Vec<_> = run.out.lines().collect();
    let (total, cpus) = lines.split_last().expect("lines");
    let online = std::thread::available_parallelism().expect("CPUs").get();
    assert!(cpus.len() >= online, "{}", run.out);
    let conntrack = "found=0 invalid=2 insert=0 insert_failed=0 drop=0 early_drop=0 error=0 \
                     search_restart=0 clash_resolve=0 chaintoolong=0 ";
    for (line, label) in [(cpus[0], "cpu=0   \t"), (*total, "total   \t")] {
        assert!(line.starts_with(&format!("{label}{conntrack}")), "{line:?}");
        assert!(line.contains(" packets_new=5 ") && line.contains(" bad-tcp-flags=2 "));
    }
    // conntrack -S has no sum, and scripts add its lines up.
    assert_eq!(firewall.run("-S").out.lines().count(), cpus.len());

    let json = firewall.run("stats -o json").json();
    assert_eq!(json["cpus"][0]["invalid"], 2);
    assert_eq!(json["total"]["packets"]["new"], 5);
    assert_eq!(
        json["total"]["reasons"],
        serde_json::json!({"bad-tcp-flags": 2})
    );
}
