//! Lines of `log` statements, from the programs' ring buffer to the log.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use fw_common::abi::log_flags;
use fw_common::ruleset::Rate;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, error, info, warn};

use crate::maps::{LogRing, Told};
use crate::rules::logline;

/// How often the ring buffer is emptied.
const PERIOD: Duration = Duration::from_millis(100);
/// Lines of one statement: a second, and at once.
const RATE: Rate = Rate::packets(50, 1_000_000_000, 200);

/// What a statement has written.
#[derive(Default)]
struct Teller {
    empty_at: u64,
    /// Lines that were too many, since the last that was not.
    held_back: u64,
}

/// Writes every line until the task is ended.
pub(super) async fn follow(mut ring: LogRing) {
    let start = Instant::now();
    let mut tellers: HashMap<(u32, u32), Teller> = HashMap::new();
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let since = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        // A new teller's bucket is full.
        let now = since.saturating_add(RATE.depth);
        for told in ring.by_ref() {
            tell(&told, tellers.entry(told.statement).or_default(), now);
        }
    }
}

fn tell(told: &Told, teller: &mut Teller, now: u64) {
    let Some(empty_at) = Rate::take(teller.empty_at, RATE.depth, RATE.cost, now) else {
        teller.held_back += 1;
        return;
    };
    teller.empty_at = empty_at;
    if teller.held_back > 0 {
        warn!(
            "{} lines of a log statement were too many and left out",
            teller.held_back
        );
        teller.held_back = 0;
    }
    let prefix = told.text.prefix.get(..usize::from(told.text.len));
    let prefix = String::from_utf8_lossy(prefix.unwrap_or_default());
    let sequence = told.text.flags & log_flags::SEQUENCE != 0;
    let line = logline::line(&prefix, &told.facts, sequence);
    match told.text.level {
        0..=3 => error!("{line}"),
        4 => warn!("{line}"),
        5 | 6 => info!("{line}"),
        _ => debug!("{line}"),
    }
}
