//! A stop that threads can wait for.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Raised once; clones are the same stop.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop {
    shared: Arc<(Mutex<bool>, Condvar)>,
}

impl Stop {
    /// Ends all waiting, now and later.
    pub(super) fn raise(&self) {
        let (raised, wake) = &*self.shared;
        *raised.lock().unwrap_or_else(PoisonError::into_inner) = true;
        wake.notify_all();
    }

    /// Waits for `duration`, or until the stop is raised; whether it is.
    pub(super) fn wait(&self, duration: Duration) -> bool {
        let (raised, wake) = &*self.shared;
        let end = Instant::now() + duration;
        let mut guard = raised.lock().unwrap_or_else(PoisonError::into_inner);
        while !*guard {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let woken = wake.wait_timeout(guard, left);
            guard = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_its_time_unless_raised() {
        let stop = Stop::default();
        let begin = Instant::now();
        assert!(!stop.wait(Duration::from_millis(20)));
        assert!(begin.elapsed() >= Duration::from_millis(20));
        let other = stop.clone();
        let waiter = std::thread::spawn(move || other.wait(Duration::from_secs(3600)));
        stop.raise();
        assert!(waiter.join().expect("no panic"));
        assert!(stop.wait(Duration::from_secs(3600)));
    }
}
