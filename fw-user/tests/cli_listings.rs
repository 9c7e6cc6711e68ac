//! Listings of the real binary from real maps: formats, filters, counters.

mod cli_support;

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use cli_support::spec::{ASSURED, DNS6, NETBIOS, PING, SSH, Spec, ssh};
use cli_support::{Firewall, crowd};
use fw_common::abi::Counter;
use fw_common::tcp::State;
use fw_common::{CtInfo, Reason, status};
use xtask::lab::root_or_skip;

#[test]
fn list_prints_conntracks_lines_of_both_families() {
    if !root_or_skip() {
        return;
    }
    let run = Firewall::with_four_flows().run("list");
    assert_eq!(run.sorted(), [PING, SSH, NETBIOS, DNS6]);
    assert_eq!(run.err, "fwctl: 4 flow entries have been shown.\n");
    assert_eq!(run.code, Some(0));
}

#[test]
fn list_of_an_empty_table_succeeds() {
    if !root_or_skip() {
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
    if !root_or_skip() {
        return;
    }
    let mut firewall = Firewall::new(64);
    firewall.add(&ssh());
    firewall.configure(|config| config.accounting = 0);
    let line = SSH
        .replace(" packets=7 bytes=702", "")
        .replace(" packets=6 bytes=811", "");
    assert_eq!(firewall.run("list").out, line + "\n");
    assert!(!firewall.run("list -o json").out.contains("packets"));
}

#[test]
fn letters_and_aliases_mean_the_commands() {
    if !root_or_skip() {
        return;
    }
    let firewall = Firewall::with_four_flows();
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
    if !root_or_skip() {
        return;
    }
    let firewall = Firewall::with_four_flows();
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
    if !root_or_skip() {
        return;
    }
    let mut firewall = Firewall::with_four_flows();
    firewall.add(&Spec {
        sport: 50000,
        ifindex: [1, 0],
        ..ssh()
    });
    let run = firewall.run("list --interface lo -o json");
    let flows = run.json();
    assert_eq!(flows.as_array().expect("array").len(), 1);
    assert_eq!(flows[0]["original"]["sport"], 50000);
    assert_eq!(flows[0]["interface"]["original"], "lo");
    assert_eq!(flows[0]["interface"]["reply"], serde_json::Value::Null);
    // One that has gone is called by its number, shown and asked for.
    firewall.add(&Spec {
        sport: 50001,
        ifindex: [987_654, 0],
        ..ssh()
    });
    let run = firewall.run("list --interface 987654 -o json");
    let flows = run.json();
    assert_eq!(flows.as_array().expect("array").len(), 1);
    assert_eq!(flows[0]["interface"]["original"], "987654");
    assert_eq!(firewall.run("list --interface 1").out.lines().count(), 1);
}

#[test]
fn json_is_the_documented_object() {
    if !root_or_skip() {
        return;
    }
    let mut firewall = Firewall::new(64);
    firewall.add(&Spec {
        zone: 7,
        mark: 3,
        ..ssh()
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

/// More flows than a page has, so that the walk has to go on from its cursor.
#[test]
fn a_crowd_is_listed_once_each_and_a_closed_pipe_is_no_error() {
    if !root_or_skip() {
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
    if !root_or_skip() {
        return;
    }
    let mut firewall = Firewall::new(64);
    firewall.add(&Spec {
        status: ASSURED | status::OFFLOAD,
        ..ssh()
    });
    let run = firewall.run("list -u OFFLOAD");
    assert_eq!(run.out, SSH.replace("[ASSURED]", "[OFFLOAD]") + "\n");
    let run = firewall.run("list -o json");
    let bits = serde_json::json!(["SEEN_REPLY", "ASSURED", "CONFIRMED", "OFFLOAD"]);
    assert_eq!(run.json()[0]["status"], bits);
}

#[test]
fn table_is_aligned_and_coloured_on_demand() {
    if !root_or_skip() {
        return;
    }
    let mut firewall = Firewall::with_four_flows();
    firewall.add(&Spec {
        sport: 5555,
        state: State::SynSent as u8,
        status: status::CONFIRMED,
        ..ssh()
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
    if !root_or_skip() {
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
    assert_eq!(json["total"]["reasons"]["bad-tcp-flags"], 2);
    assert_eq!(json["total"]["reasons"]["insert-limit"], 0, "every reason");
}
