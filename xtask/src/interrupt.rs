//! Ctrl-C and the other signals that end a program.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use anyhow::Result;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use xtask::lab;

const ENDING: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// From now on such a signal first tears down this process' labs: the prompt comes back when they
/// are gone. (They would go without this too, a moment later.)
pub(crate) fn tear_down_labs() -> Result<()> {
    let mut signals = Signals::new(ENDING)?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            eprintln!("\nxtask: interrupted; removing the lab");
            lab::tear_down_all();
            // As a shell reports a process that a signal ended.
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// From now on such a signal is the business of the child that we wait for: it is in the same
/// process group, gets it too, and tells by its exit status how it ended.
pub(crate) fn leave_to_child() -> Result<()> {
    for signal in ENDING {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
}
