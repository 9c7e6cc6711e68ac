//! Who listens to events: they come and go, read slowly or not at all.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use rustix::process::{Signal, kill_process};
use xtask::lab::{Lab, root_or_skip};

use crate::events::dns;
use crate::firewall::{Firewall, fwctl};
use crate::frames::burst;
use crate::watcher::{Watcher, eventually, listeners};

#[test]
fn listeners_come_and_go_and_only_then_are_events_made() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("events-many").expect("a lab");
    // No flow expires meanwhile, however long it takes.
    let firewall = Firewall::start(&lab, &["--udp-timeout", "1h"]);
    let made = || counter(&firewall, "events");
    dns(&lab, 4000);
    assert_eq!(made(), 0, "nobody listens");

    let mut many: Vec<Watcher> = (0..8)
        .map(|_| Watcher::ours(&lab, &firewall, &["-p", "udp"]))
        .collect();
    dns(&lab, 4001);
    for watcher in &mut many {
        watcher.wait_for(&["[NEW]", "sport=4001"]);
        watcher.wait_for(&["[UPDATE]", "sport=4001"]);
    }
    let told = made();
    assert_eq!(told, 2, "once each, however many listen");

    // Killed, stopped, or with nobody left who reads: all are let go, without an event's help.
    for (i, watcher) in many.into_iter().enumerate() {
        let signal = [Signal::KILL, Signal::TERM, Signal::INT][i % 3];
        watcher.stop(signal);
    }
    eventually("nobody listens", || listeners(&firewall) == 0);
    dns(&lab, 4002);
    assert_eq!(made(), told);

    // A reader that has seen enough.
    let mut command = fwctl(&lab, lab.router());
    let mut child = command
        .arg("events")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("fwctl events");
    eventually("it listens", || listeners(&firewall) == 1);
    let mut reader = BufReader::new(child.stdout.take().expect("a pipe"));
    dns(&lab, 4003);
    reader.read_line(&mut String::new()).expect("a line");
    drop(reader);
    // A process that another test is just starting may have the pipe until its exec, and one line more goes in.
    let mut ports = 5000..;
    let mut status = None;
    eventually("it ends", || {
        dns(&lab, ports.next().expect("a port"));
        status = child.try_wait().expect("its status");
        status.is_some()
    });
    assert!(
        status.is_some_and(|status| status.success()),
        "EPIPE is no failure"
    );

    // The daemon's end is the stream's.
    let mut last = Watcher::ours(&lab, &firewall, &[]);
    drop(firewall);
    let (status, _, said) = last.end();
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("has stopped"), "{said}");

    let output = fwctl(&lab, lab.router()).arg("events").output();
    let output = output.expect("fwctl events");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("no daemon is running"), "{said}");
    assert_eq!(said.lines().count(), 1, "one sentence: {said}");
}

#[test]
fn a_slow_listener_loses_events_counts_them_and_holds_nobody_up() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("events-slow").expect("a lab");
    let firewall = Firewall::start(&lab, &["--udp-timeout", "1h"]);
    let mut slow = Watcher::ours(&lab, &firewall, &[]);
    let mut quick = Watcher::ours(&lab, &firewall, &[]);
    kill_process(slow.pid(), Signal::STOP).expect("stopping the listener");
    let flows = burst(&lab, 30_000);
    dns(&lab, 700);
    quick.wait_for(&["[UPDATE]", "sport=700 "]);
    kill_process(slow.pid(), Signal::CONT).expect("waking the listener");
    slow.wait_for(&["[UPDATE]", "sport=700 "]);
    let told = counter(&firewall, "events") + counter(&firewall, "events_lost");
    assert_eq!(
        told,
        flows + 2,
        "one for each flow, and the last one's answer"
    );
    for (mut watcher, is_slow) in [(slow, true), (quick, false)] {
        // What the ring had no room for is told with the next renewal.
        eventually("each event is told or counted", || {
            let (lines, said) = watcher.so_far();
            lines as u64 + lost(said) == told
        });
        let (status, lines, said) = watcher.stop(Signal::INT);
        assert!(status.success());
        assert_eq!(lines.len() as u64 + lost(&said), told, "{said}");
        assert!(!is_slow || lost(&said) > 1000, "it was stopped: {said}");
    }
}

/// How many events a listener has said were lost.
fn lost(said: &str) -> u64 {
    said.lines()
        .filter_map(|line| {
            line.strip_prefix("fwctl: ")?
                .split_once(" events were lost")
        })
        .map(|(count, _)| count.parse::<u64>().expect("a number"))
        .sum()
}

/// A counter of `fwctl stats`, summed.
fn counter(firewall: &Firewall<'_>, name: &str) -> u64 {
    let stats = firewall.text(&["stats", "-o", "json"]);
    let stats: serde_json::Value = serde_json::from_str(&stats).expect("JSON");
    let found = stats["total"][name].as_u64();
    found.unwrap_or_else(|| panic!("no counter {name} in {stats}"))
}
