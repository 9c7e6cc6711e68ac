//! Time that no clock setting changes: since the machine was started, sleep included.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The kernel's name for this run of the machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A moment of a run of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Now {
    /// Which run.
    pub boot: String,
    /// Since its start.
    pub uptime: Duration,
}

impl Now {
    /// This moment.
    #[must_use]
    pub fn get() -> Self {
        // Without the file every moment is of the same run: a deadline is then only its time.
        let boot = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
        let time = clock_gettime(ClockId::Boottime);
        let secs = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
        Self {
            boot: boot.trim().into(),
            uptime: Duration::new(secs, nanos),
        }
    }
}

/// By when a ruleset must be confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// In which run of the machine. Another run means that it was restarted: perhaps by somebody who
    /// could not reach it any more.
    boot: String,
    /// Milliseconds since the start of that run.
    uptime_ms: u64,
}

impl Deadline {
    /// `time` after `now`.
    #[must_use]
    pub fn after(now: &Now, time: Duration) -> Self {
        let at = now.uptime.saturating_add(time).as_millis();
        Self {
            boot: now.boot.clone(),
            uptime_ms: u64::try_from(at).unwrap_or(u64::MAX),
        }
    }

    /// The time that is left; none if it is over.
    #[must_use]
    pub fn left(&self, now: &Now) -> Option<Duration> {
        let at = Duration::from_millis(self.uptime_ms);
        let left = at.checked_sub(now.uptime)?;
        (self.boot == now.boot && !left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_runs_out() {
        let now = Now {
            boot: "one".into(),
            uptime: Duration::from_secs(10),
        };
        let deadline = Deadline::after(&now, Duration::from_secs(60));
        assert_eq!(deadline.left(&now), Some(Duration::from_secs(60)));
        let later = |uptime| Now {
            uptime: Duration::from_secs(uptime),
            ..now.clone()
        };
        assert_eq!(deadline.left(&later(69)), Some(Duration::from_secs(1)));
        assert_eq!(deadline.left(&later(70)), None);
        assert_eq!(deadline.left(&later(1000)), None);
    }

    #[test]
    fn another_run_of_the_machine_ends_it() {
        let now = Now::get();
        let deadline = Deadline::after(&now, Duration::from_secs(60));
        assert!(deadline.left(&Now::get()).is_some());
        let restarted = Now {
            boot: "another".into(),
            uptime: Duration::ZERO,
        };
        assert_eq!(deadline.left(&restarted), None);
    }
}
