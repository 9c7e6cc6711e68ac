//! Waiting for what another process or the kernel does, where no event says that it is done.

use std::time::{Duration, Instant};

/// Pause between two looks: the thing itself takes about as long.
const PAUSE: Duration = Duration::from_millis(20);

/// What [`within`] finds, which must be something.
///
/// # Panics
/// If it has found nothing by then; `what` says what was waited for.
#[track_caller]
pub fn eventually<T>(what: &str, patience: Duration, look: impl FnMut() -> Option<T>) -> T {
    // Not in a closure, which would be the place that panics.
    match within(patience, look) {
        Some(found) => found,
        None => panic!("{what}: not within {patience:?}"),
    }
}

/// Looks until `look` finds something, for as long as `patience` lasts at most; twice at least, however long
/// the first look took.
pub fn within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience;
    loop {
        let last = Instant::now() >= end;
        if let Some(found) = look() {
            return Some(found);
        }
        if last {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}
