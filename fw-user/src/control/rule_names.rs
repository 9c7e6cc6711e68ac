//! Asking for the names of the rules in force.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::client::Client;
use super::rules::{NAMES, Names};
use crate::life;
use crate::paths::Paths;

/// Longest that the daemon is waited for: who lists flows can do without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the daemon says, or the disk if it does not answer; `None` if neither does.
///
/// On threads of their own, since the caller may be in the middle of a conversation with the daemon.
#[must_use]
pub fn ask(paths: &Paths) -> Option<Names> {
    let (tell, told) = mpsc::channel();
    let socket = paths.socket.clone();
    thread::spawn(move || {
        let answer = Client::connect(&socket).and_then(|client| client.get::<Names>(NAMES));
        // Nobody may be waiting any more.
        drop(tell.send(answer.ok()));
    });
    let answer = told.recv_timeout(PATIENCE).ok().flatten();
    answer.or_else(|| {
        let disk = || life::offline::names(paths).ok();
        thread::scope(|scope| scope.spawn(disk).join().ok().flatten())
    })
}
