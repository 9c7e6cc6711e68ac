//! What can be wrong with settings: always the place, the name, what was expected.

use std::fmt;
use std::path::PathBuf;

use super::sysctl::SysctlError;

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the command line, as a flag of that name.
    Flag,
    /// In a configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
}

/// A setting that is refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A name in a file that is no setting.
    #[error("{}:{line}: unknown setting `{name}`; the nearest known name is `{nearest}`", path.display())]
    UnknownName {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// As written.
        name: String,
        /// The nearest there is.
        nearest: String,
    },
    /// A value out of range or of the wrong form.
    #[error("{}: expected {expected}", Assigned { place, name, value })]
    BadValue {
        /// Where.
        place: Place,
        /// Which setting.
        name: String,
        /// As written.
        value: String,
        /// What is possible.
        expected: String,
    },
    /// `--sysctl` with a name or value that is refused.
    #[error("{}: {cause}", Assigned { place, name: "sysctl", value })]
    Sysctl {
        /// Where.
        place: Place,
        /// As written.
        value: String,
        /// Why.
        cause: Box<SysctlError>,
    },
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{}:{line}: {message}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// Nothing to attach to.
    #[error(
        "no interface to filter on: name each router port with `--interface IFACE`, or as \
         `interface = [\"IFACE\"]` in {}", path.display()
    )]
    NoInterface {
        /// The configuration file that is or would be read.
        path: PathBuf,
    },
    /// `--sysctl-inherit` without the kernel's conntrack.
    #[error("--sysctl-inherit: cannot read {}: {cause}; load it with `modprobe nf_conntrack`", path.display())]
    Inherit {
        /// What was read.
        path: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
    /// `--sysctl-inherit` met a value that we cannot take over.
    #[error("--sysctl-inherit: {}: {cause}", path.display())]
    InheritValue {
        /// What was read.
        path: PathBuf,
        /// Why not.
        cause: Box<SysctlError>,
    },
}

/// An assignment as the user wrote it: `--udp-timeout 0`, or `file:3: udp-timeout = 0`.
struct Assigned<'a> {
    place: &'a Place,
    name: &'a str,
    value: &'a str,
}

impl fmt::Display for Assigned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, name, value } = self;
        match place {
            Place::Flag => write!(f, "--{name} `{value}`"),
            Place::File { path, line } => {
                write!(f, "{}:{line}: {name} = `{value}`", path.display())
            }
        }
    }
}
