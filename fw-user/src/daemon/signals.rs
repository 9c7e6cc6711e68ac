//! The signals that a daemon knows.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Completes when somebody asks for a clean stop: `SIGTERM` or `SIGINT`. The signals are caught from
/// the call on, not only once the future is polled.
///
/// # Errors
/// The handlers cannot be installed.
pub fn stop() -> io::Result<impl Future<Output = ()>> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

/// `SIGHUP`: read the configuration again.
pub(super) fn reload() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}
