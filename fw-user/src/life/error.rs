//! Why a ruleset does not come into force.

use std::time::Duration;

use super::store::StoreError;
use crate::maps::MapsError;
use crate::settings::duration;

/// Why a ruleset does not come into force, or nothing is known of it.
#[derive(Debug, thiserror::Error)]
pub enum LifeError {
    /// The ruleset has mistakes: the messages, several lines.
    #[error("{}", .0.trim_end())]
    Refused(String),
    /// Another one waits.
    #[error(
        "the rules in force wait for their confirmation, {} more: say `fwctl rules confirm` or \
         `fwctl rules rollback` first", duration::show(whole_seconds(*.0))
    )]
    Awaiting(Duration),
    /// None waits.
    #[error(
        "no rules wait for a confirmation: only `fwctl rules apply --confirm TIME` makes them wait"
    )]
    NothingAwaits,
    /// The time is over.
    #[error("the time for the confirmation is over: the rules before come back")]
    TooLate,
    /// What is in force came from elsewhere.
    #[error(
        "what rules are in force is not known: the state directory does not say; `fwctl rules apply` \
         puts known ones in force"
    )]
    Unknown,
    /// The numbers are used up.
    #[error("there are no more generation numbers: stop fwctl cleanly and start it again")]
    Exhausted,
    /// The files.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The maps.
    #[error("{}", crate::error::chain(.0))]
    Maps(MapsError),
}

impl From<MapsError> for LifeError {
    fn from(error: MapsError) -> Self {
        Self::Maps(error)
    }
}

/// Rounded up: what is left is never shown as nothing.
fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs() + u64::from(time.subsec_nanos() > 0))
}
