//! Two CPUs at work on one flow: nothing is lost, doubled or left locked.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fw_common::abi::{Counter, UNLOCKED};
use fw_common::{CtInfo, Reason};
use xtask::lab::{eventually, root_or_skip};

use crate::frames::{self, End, end};
use crate::harness::{HZ, Program};

/// How long is waited for what happens by chance.
const PATIENCE: Duration = Duration::from_secs(60);

/// Flows that two CPUs work on one after the other, and how often.
const FLOWS: u16 = 2000;
const ROUNDS: usize = 20;

/// The first packet of each flow, and its answer.
fn flows() -> Vec<[Vec<u8>; 2]> {
    let server = end("10.0.0.2:53");
    let pair = |flow| {
        let client = End {
            port: 1024 + flow,
            ..end("192.168.1.2:1")
        };
        [
            frames::udp(client, server, b"query"),
            frames::udp(server, client, b"answer"),
        ]
    };
    (0..FLOWS).map(pair).collect()
}

/// Sends each frame from a thread of its own, `count` times, all at once.
fn storm(program: &Program, frames: &[Vec<u8>], count: usize) {
    let start = Barrier::new(frames.len());
    std::thread::scope(|scope| {
        for frame in frames {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                for _ in 0..count {
                    program.send(frame);
                }
            });
        }
    });
}

fn states(program: &Program) -> u64 {
    CtInfo::ALL
        .iter()
        .map(|info| program.counter(Counter::of_state(*info)))
        .sum()
}

fn reasons(program: &Program) -> u64 {
    Reason::ALL
        .iter()
        .map(|reason| program.counter(Counter::of_reason(*reason)))
        .sum()
}

#[test]
fn packet_that_loses_the_race_for_a_new_flow_has_one_state() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|_| {});
    let flows = flows();
    let mut sent = 0;
    // Where one CPU is busy with something else, two packets may take longer to meet.
    let lost = eventually("two packets meet", PATIENCE, || {
        for _ in 0..ROUNDS / 4 {
            program.clear();
            in_step(&program, &flows);
            sent += 2 * u64::from(FLOWS);
        }
        Some(program.counter(Counter::CLASH_RESOLVE)).filter(|lost| *lost > 0)
    });
    assert_eq!(reasons(&program), sent);
    let contended = program.counter(Counter::of_reason(Reason::Contended));
    assert_eq!(states(&program), sent - contended, "{lost} clashes");
}

#[test]
fn flow_that_is_promoted_meanwhile_is_found() {
    if !root_or_skip() {
        return;
    }
    let mut program = Program::load(|config| config.assured_limit = u64::MAX);
    let flows = flows();
    for _ in 0..ROUNDS {
        program.clear();
        flows.as_flattened().iter().for_each(|frame| {
            program.send(frame);
        });
        // From now on the next packet of each flow promotes it, and there are two at a time.
        program.at(3.0);
        in_step(&program, &flows);
        let entries = program.everything().len();
        assert_eq!(entries, usize::from(FLOWS), "some flows began twice");
    }
}

/// Sends both frames of each pair at the same time.
fn in_step(program: &Program, pairs: &[[Vec<u8>; 2]]) {
    let arrived = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for side in 0..2 {
            let arrived = &arrived;
            scope.spawn(move || {
                for (i, pair) in pairs.iter().enumerate() {
                    arrived.fetch_add(1, Ordering::SeqCst);
                    wait_until(|| arrived.load(Ordering::SeqCst) >= 2 * (i + 1));
                    program.send(&pair[side]);
                }
            });
        }
    });
}

/// Spins for as long as the other side takes if it has a CPU, then makes room for it to get one.
fn wait_until(met: impl Fn() -> bool) {
    const SPINS: u32 = 1000;
    let mut turn = 0;
    while !met() {
        if turn < SPINS {
            std::hint::spin_loop();
            turn += 1;
        } else {
            std::thread::yield_now();
        }
    }
}

#[test]
fn flow_survives_two_cpus_and_a_restless_clock() {
    if !root_or_skip() {
        return;
    }
    let program = Program::load(|_| {});
    let (client, server) = (end("192.168.1.2:40000"), end("10.0.0.2:53"));
    let there = frames::udp(client, server, b"there");
    let back = frames::udp(server, client, b"back");
    let step = |seconds: u64| seconds * u64::from(HZ);
    let mut clock = program.clock();
    let (done, mut sent) = (AtomicBool::new(false), 0);
    std::thread::scope(|scope| {
        let (shared, done, sent) = (&program, &done, &mut sent);
        scope.spawn(move || {
            let end = Instant::now() + PATIENCE;
            let frames = [there, back];
            // Until the clock has stopped at the right moment once.
            while *sent == 0 || (shared.counter(Counter::PROMOTED) == 0 && Instant::now() < end) {
                storm(shared, &frames, 200_000);
                *sent += 400_000;
            }
            done.store(true, Ordering::Relaxed);
        });
        scope.spawn(move || {
            let mut now = clock.now();
            // Long enough to be a stream; then long enough to expire.
            for seconds in [3, 200].into_iter().cycle() {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                now += step(seconds);
                clock.set(now);
                std::thread::yield_now();
            }
        });
    });
    assert_eq!(reasons(&program), sent);
    assert!(program.counter(Counter::PROMOTED) > 0);
    let all = program.everything();
    assert!(all.iter().all(|flow| flow.flow.lock == UNLOCKED), "{all:?}");
    assert!(all.len() <= 1, "one flow, one entry: {all:?}");
    let made = program.counter(Counter::CREATED) - program.counter(Counter::REMOVED);
    assert_eq!(made, all.len() as u64);
    let assured = all.iter().filter(|flow| flow.assured_map).count();
    assert_eq!(program.assured_used(), assured as u64);
}
