//! The conformance test: the same frames go through the kernel's nf_conntrack and through our programs,
//! and after every packet state of packet and flows are compared. `cargo xtask conformance` runs it at
//! length; the environment says how much:
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `FW_CONFORMANCE_SEED` | where the random scripts begin | 1 |
//! | `FW_CONFORMANCE_PACKETS` | random packets at least; as many for random rulesets | 20000 |
//! | `FW_CONFORMANCE_SECONDS` | time for them at most; a third of it each on the fast path at XDP and at TC, half of it for random rulesets | 30 |

mod answer;
mod arrivals;
mod ctnetlink;
mod differences;
mod directed;
mod entry;
mod extent;
mod frame;
mod judged;
mod kernel;
mod netlink;
mod nflog;
mod outcome;
mod random;
mod report;
mod rng;
mod rules;
mod run;
mod script;
mod settings;
mod shrink;

#[path = "../program/frames.rs"]
#[expect(
    dead_code,
    reason = "this test makes frames that no library would make"
)]
mod frames;
#[path = "../program/harness.rs"]
#[expect(dead_code, reason = "the other tests of the programs use the rest")]
mod harness;

use std::sync::{Mutex, MutexGuard, PoisonError};

use extent::Extent;
use report::Report;
use run::Arena;

/// One test at a time: what they compare depends on when it happens.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A test that failed leaves nothing behind.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn same_as_the_kernel() {
    if !xtask::lab::root_or_skip() {
        return;
    }
    let _alone = alone();
    let mut arena = Arena::open().expect("a lab and the programs");
    compare(&mut arena, (1, 1));
}

/// Packets of established flows leave straight from XDP: as the same, and as the kernel would send them.
#[test]
fn same_as_the_kernel_on_the_fast_path() {
    compare_fast(false);
}

/// The same at TC, where the programs read and change packets by other means.
#[test]
fn same_as_the_kernel_on_the_fast_path_at_tc() {
    compare_fast(true);
}

fn compare_fast(at_tc: bool) {
    if !xtask::lab::root_or_skip() {
        return;
    }
    let _alone = alone();
    let mut arena = Arena::open_fast(at_tc).expect("a lab and the programs");
    let report = compare(&mut arena, (1, 3));
    assert!(report.straight() > 1000, "{report}");
}

/// Runs the directed cases, and random ones for a `share` of what is wanted.
fn compare(arena: &mut Arena, (part, of): (u32, u32)) -> Report {
    let mut report = Report::default();
    directed::run(arena, &mut report).expect("the directed cases");
    let mut extent = Extent::wanted(part, of);
    extent.packets = extent.packets * u64::from(part) / u64::from(of);
    random::run(arena, &mut report, extent).expect("the random scripts");
    println!("{report}");
    let wrong = report.unexplained();
    assert!(
        wrong == 0,
        "{wrong} scripts on which we and the kernel differ"
    );
    report
}

/// Has `run` compare what rules do here and in the kernel.
fn compare_rules(run: impl FnOnce(&mut Arena, &mut Report) -> anyhow::Result<()>) {
    let _alone = alone();
    let mut arena = Arena::open().expect("a lab and the programs");
    let mut report = Report::default();
    run(&mut arena, &mut report).expect("rulesets and packets");
    println!("{report}");
    let wrong = report.unexplained();
    assert!(wrong == 0, "{wrong} rulesets on which we and nft differ");
}

/// The same rules, read by nft and by us, do the same to the same packets.
#[test]
fn rules_do_what_they_do_in_the_kernel() {
    if !xtask::lab::root_or_skip() {
        return;
    }
    compare_rules(|arena, report| rules::run(arena, report, Extent::wanted(1, 2)));
}

/// Connections that are counted, and elements that rules add: packet by packet.
#[test]
fn rules_count_connections_as_the_kernel_does() {
    if !xtask::lab::root_or_skip() {
        return;
    }
    compare_rules(rules::directed::run);
}

/// Rates: bursts and pauses, packet by packet.
#[test]
fn rules_limit_rates_as_the_kernel_does() {
    if !xtask::lab::root_or_skip() {
        return;
    }
    compare_rules(rules::limits::run);
}

/// The test of the test: with one setting wrong by one, on our side only, random scripts find it, and
/// the script shown is as short as can be.
#[test]
fn a_difference_is_found_and_shrunk() {
    if !xtask::lab::root_or_skip() {
        return;
    }
    let _alone = alone();
    let mut arena = Arena::open_biased(|config| config.tcp_max_retrans = 2).expect("an arena");
    let settings = settings::Settings::DEFAULT;
    let scripts: Vec<_> = (0..run::SIDE_BY_SIDE as u64)
        .map(|n| random::script(1, n, settings))
        .collect();
    let outcomes = arena.run(&scripts, settings).expect("a run");
    let different = scripts.iter().zip(&outcomes);
    let different = different.filter(|(_, outcome)| outcome.unexplained().is_some());
    // One that does not come back was an accident of timing, as in any other run.
    let mut shrunk = different
        .filter_map(|(script, _)| shrink::shrink(&mut arena, script, settings).expect("runs"));
    let (shortest, _) = shrunk.next().expect("a difference that comes back");
    // A segment, and twice the same again; at most a SYN and its answer before.
    assert!((3..=6).contains(&shortest.steps.len()), "{shortest}");
}
