//! Everything that can end the daemon or be answered to a request: one sentence each.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::attach::AttachError;
use crate::daemon::{LockError, PreflightError};
use crate::life::{LifeError, SetError};
use crate::maps::MapsError;
use crate::object::ObjectError;
use crate::settings::SettingsError;
use crate::settings::sysctl::SysctlError;
use crate::settings::timeouts::TimeoutError;

/// Why the daemon does not start, or refuses a request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Flags or configuration file.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A timeout.
    #[error(transparent)]
    Timeout(#[from] TimeoutError),
    /// A sysctl.
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
    /// The machine.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// Another daemon.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The programs.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The interfaces.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The maps.
    #[error("{}", chain(.0))]
    Maps(MapsError),
    /// The flow table cannot grow.
    #[error(
        "the flow table was made for {has} flows and cannot take {wanted}: \
         that needs a restart with --max-flows {wanted}"
    )]
    TableSize {
        /// What was asked for.
        wanted: u32,
        /// What fits.
        has: u32,
    },
    /// The interfaces cannot be changed.
    #[error("{0}")]
    Ports(String),
    /// The daemon is about to end.
    #[error("the daemon is stopping")]
    Stopping,
    /// The control socket.
    #[error("cannot listen on {}: {cause}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// The metrics' address.
    #[error("--metrics {address}: cannot listen there: {cause}")]
    Metrics {
        /// The address.
        address: SocketAddr,
        /// Why not.
        cause: io::Error,
    },
    /// The ruleset to start with, or to reload.
    #[error(
        "the rules in {} have mistakes; nothing was changed:\n{}", file.display(), messages.trim_end()
    )]
    Rules {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        messages: String,
    },
    /// A change of rules.
    #[error(transparent)]
    Life(#[from] LifeError),
    /// A set.
    #[error(transparent)]
    Set(Box<SetError>),
    /// Anything of the machinery.
    #[error("{what}: {cause}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// Why it failed.
        cause: io::Error,
    },
}

impl Error {
    /// The exit status: 2 if the arguments are wrong, 1 for everything else.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        if self.is_bad_argument() { 2 } else { 1 }
    }

    /// Whether what was asked for makes no sense, whatever the machine's state.
    #[must_use]
    pub fn is_bad_argument(&self) -> bool {
        if let Self::Set(error) = self {
            return matches!(**error, SetError::Wrong(_));
        }
        matches!(
            self,
            Self::Settings(_) | Self::Timeout(_) | Self::Sysctl(_) | Self::TableSize { .. }
        )
    }
}

impl From<SetError> for Error {
    fn from(error: SetError) -> Self {
        Self::Set(Box::new(error))
    }
}

impl From<MapsError> for Error {
    fn from(error: MapsError) -> Self {
        Self::Maps(error)
    }
}

/// An error with all its causes on one line; what an error already says of its cause is not said
/// twice.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
