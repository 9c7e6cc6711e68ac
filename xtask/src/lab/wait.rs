//! Waiting for what another process or the kernel does, where no event says that it is done.

use std::time::{Duration, Instant};

/// Pause between two looks: the thing itself takes about as long.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until `look` finds something, for as long as `patience` lasts at most; twice at least, however long
/// the first look took.
///
/// # Panics
/// If it has found nothing by then; `what` says what was waited for.
#[track_caller]
pub fn eventually<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience;
    loop {
        let last = Instant::now() >= end;
        if let Some(found) = look() {
            return found;
        }
        assert!(!last, "{what}: not within {patience:?}");
        std::thread::sleep(PAUSE);
    }
}
