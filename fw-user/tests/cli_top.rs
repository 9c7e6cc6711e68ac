//! `fwctl top` of the real binary, from real maps: what its pages say.

mod cli_support;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Stdio};

use cli_support::spec::{Spec, ssh};
use cli_support::{Firewall, crowd, paths};
use fw_common::Reason;
use fw_common::abi::Counter;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use xtask::lab::{root_or_skip, within};
use xtask::traffic::PATIENCE;

/// `fwctl top` whose pages are read one by one.
struct Top {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Top {
    fn start(firewall: &Firewall, args: &str) -> Self {
        let mut child = firewall
            .command(&format!("top -o json {args}"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("fwctl starts");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, out }
    }

    /// The next page; `None` at the end, which has to be a good one.
    fn page(&mut self) -> Option<Value> {
        let mut line = String::new();
        if self.out.read_line(&mut line).expect("a line") == 0 {
            assert!(self.child.wait().expect("its end").success());
            return None;
        }
        Some(serde_json::from_str(&line).expect("an object a line"))
    }
}

/// What was counted in the page's time, by its rate.
fn counted(page: &Value, rate: &Value) -> f64 {
    let seconds = page["seconds"].as_f64().expect("seconds");
    (rate.as_f64().expect("a rate") * seconds * 1e6).round() / 1e6
}

#[test]
fn the_second_page_has_the_rate_of_what_came_after_the_first() {
    if !root_or_skip() {
        return;
    }
    let mut firewall = Firewall::with_four_flows();
    let (mut packets, mut bytes, mut drops) = (7, 702, 1000);
    firewall.count(Counter::of_reason(Reason::Policy), 0, drops);
    // All that the machine may spoil is that what comes comes too late, while it stands still.
    let page = within(4 * PATIENCE, || {
        let mut top = Top::start(&firewall, "--iterations 2");
        let first = top.page().expect("a page");
        assert_eq!(counted(&first, &first["selected"]["rates"]["bytes"]), 0.0);
        (packets, bytes, drops) = (packets + 10, bytes + 5000, drops + 30);
        firewall.add(&Spec {
            counted: [(packets, bytes), (6, 811)],
            ..ssh()
        });
        firewall.count(Counter::of_reason(Reason::Policy), 0, drops);
        let second = top.page().expect("another page");
        assert!(top.page().is_none(), "two were asked for");
        let in_time = second["drops"]["policy"].is_number();
        in_time.then_some(second)
    })
    .expect("a page with rates");
    let busiest = &page["top"][0];
    assert_eq!(busiest["original"]["sport"], 41102, "{page}");
    for (way, packets, bytes) in [("original", 10.0, 5000.0), ("reply", 0.0, 0.0)] {
        let rates = &busiest["rates"][way];
        assert_eq!(counted(&page, &rates["packets"]), packets, "{way}: {page}");
        assert_eq!(counted(&page, &rates["bytes"]), bytes, "{way}: {page}");
    }
    assert_eq!(counted(&page, &page["selected"]["rates"]["bytes"]), 5000.0);
    assert_eq!(counted(&page, &page["drops"]["policy"]), 30.0);
    assert_eq!(counted(&page, &page["rates"]["dropped"]), 30.0);
    assert_eq!(page["flows"]["count"], 4);
    assert_eq!(page["flows"]["ipv6"], 1);
    assert_eq!(page["selected"]["proto"]["udp"], 2);
    assert_eq!(page["selected"]["state"]["ESTABLISHED"], 1);
    assert_eq!(page["uptime"], Value::Null, "no daemon");
}

#[test]
fn filters_orders_and_numbers_select_what_is_shown() {
    if !root_or_skip() {
        return;
    }
    let mut firewall = Firewall::with_four_flows();
    firewall.add(&Spec {
        sport: 50000,
        timeout: 5,
        ..ssh()
    });
    let page = |args: &str| {
        let mut top = Top::start(&firewall, &format!("--once --interval 100ms {args}"));
        let page = top.page().expect("a page");
        assert!(top.page().is_none(), "one was asked for");
        page
    };
    let ports = |page: &Value| -> Vec<Value> {
        let top = page["top"].as_array().expect("an array");
        top.iter()
            .map(|row| row["original"]["sport"].clone())
            .collect()
    };
    let tcp = page("-p tcp --sort timeout");
    assert_eq!(ports(&tcp), [50000, 41102], "{tcp}");
    // The table is what it is, whatever is selected of it.
    assert_eq!(tcp["flows"]["count"], 5);
    assert_eq!(tcp["selected"]["count"], 2);
    assert_eq!(ports(&page("--sort timeout -n 1")), [50000]);
    assert_eq!(page("-f ipv6")["selected"]["count"], 1);
    assert_eq!(page("-s 203.0.113.1")["top"], serde_json::json!([]));
    // More than a page has room for.
    crowd(&mut firewall, 10_000);
    let many = Top::start(&firewall, "--once --interval 100ms")
        .page()
        .expect("a page");
    assert_eq!(many["top"].as_array().map(Vec::len), Some(20));
    assert_eq!(many["selected"]["count"], firewall.entries());
}

#[test]
fn without_accounting_rates_are_said_to_be_unknown() {
    if !root_or_skip() {
        return;
    }
    let mut firewall = Firewall::with_four_flows();
    firewall.configure(|config| config.accounting = 0);
    let run = firewall.run("top --once --interval 100ms");
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""));
    assert!(run.out.contains("accounting is off"), "{}", run.out);
    let page = Top::start(&firewall, "--once --interval 100ms")
        .page()
        .expect("a page");
    assert_eq!(page["accounting"], false);
    assert_eq!(page["selected"]["rates"], Value::Null);
    assert_eq!(page["top"][0]["rates"], Value::Null);
}

#[test]
fn pages_in_a_pipe_are_plain_text_and_end_in_order() {
    if !root_or_skip() {
        return;
    }
    let firewall = Firewall::with_four_flows();
    let run = firewall.run("top --iterations 2 --interval 100ms");
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""));
    assert!(!run.out.contains('\x1b'), "{:?}", run.out);
    assert_eq!(run.out.matches("\nPROTO  STATE").count(), 2, "{}", run.out);
    assert_eq!(
        run.out.matches("172.16.255.130:41102").count(),
        2,
        "{}",
        run.out
    );
    let coloured = firewall.run("top --once --interval 100ms --color always");
    assert!(
        coloured.out.contains("\x1b[32mESTABLISHED"),
        "{:?}",
        coloured.out
    );

    // Without an end: a signal, or nobody who reads.
    let mut told = Top::start(&firewall, "--interval 100ms");
    told.page().expect("a page");
    kill_process(Pid::from_child(&told.child), Signal::TERM).expect("a signal");
    while told.page().is_some() {}
    let mut unread = Top::start(&firewall, "--interval 100ms");
    unread.page().expect("a page");
    let Top { mut child, out } = unread;
    drop(out);
    assert!(
        child.wait().expect("its end").success(),
        "EPIPE is no failure"
    );
}

#[test]
fn it_ends_with_the_firewall_and_says_so() {
    if !root_or_skip() {
        return;
    }
    let firewall = Firewall::with_four_flows();
    let mut command = firewall.command("top -o json --interval 100ms");
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("fwctl starts");
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    out.read_line(&mut line).expect("a page");
    fs::remove_dir_all(paths(&firewall.fs.dir).pins()).expect("the pins go");
    out.read_to_string(&mut line).expect("the rest");
    let mut err = String::new();
    let mut said = child.stderr.take().expect("a pipe");
    said.read_to_string(&mut err).expect("UTF-8");
    assert_eq!(child.wait().expect("its end").code(), Some(1));
    assert!(err.contains("start one with `fwctl run`"), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
}
