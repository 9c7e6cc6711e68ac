//! Waiting for what another process or the kernel does, where no event says that it is done.

use std::time::{Duration, Instant};

/// Pause between two looks: the thing itself takes about as long.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until `look` finds something, for as long as `patience` lasts at most.
///
/// # Panics
/// If it has found nothing by then; `what` says what was waited for.
#[track_caller]
pub fn eventually<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {patience:?}");
        std::thread::sleep(PAUSE);
    }
}
