//! How much is compared, as the environment says.

use std::time::{Duration, Instant};

/// How much that is random is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Where it begins.
    pub(crate) seed: u64,
    /// It is enough then …
    pub(crate) packets: u64,
    /// … or now.
    end: Instant,
}

impl Extent {
    /// What the environment says, in a share of the time that it says.
    pub(crate) fn wanted(part: u32, of: u32) -> Self {
        let patience = Duration::from_secs(number("FW_CONFORMANCE_SECONDS", 30)) * part / of;
        Self {
            seed: number("FW_CONFORMANCE_SEED", 1),
            packets: number("FW_CONFORMANCE_PACKETS", 20_000),
            end: Instant::now() + patience,
        }
    }

    /// Whether `packets` were enough, or the time is over.
    pub(crate) fn is_reached(&self, packets: usize) -> bool {
        packets as u64 >= self.packets || Instant::now() >= self.end
    }
}

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}
