//! Asking for the names of the rules in force.

use std::thread;

use super::client::Client;
use super::rules::{NAMES, Names};
use crate::life;
use crate::paths::Paths;

/// What the daemon says, or the disk if there is none; `None` if neither does.
///
/// On a thread of its own, since the caller may be in the middle of a conversation with the daemon.
#[must_use]
pub fn ask(paths: &Paths) -> Option<Names> {
    let answer = || match Client::connect(&paths.socket) {
        Ok(client) => client.get(NAMES).ok(),
        Err(_) => life::offline::names(paths).ok(),
    };
    thread::scope(|scope| scope.spawn(answer).join().ok().flatten())
}
