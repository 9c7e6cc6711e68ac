//! The daemon's settings: where each comes from, in which order, and what is refused.
//!
//! Later layers win: the profile's defaults, this machine's sysctls (`--sysctl-inherit`), the
//! configuration file, `--sysctl`, the other flags. Flags and file share one table of names
//! ([`assign`]).

pub mod assign;
pub mod duration;
mod error;
mod file;
pub mod names;
pub mod sysctl;
pub mod timeouts;
mod tunables;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fw_common::adaptive::Adaptive;
use fw_common::timeout::Profile;

pub use assign::Assignment;
pub use error::{Place, SettingsError};
pub use tunables::{Tunables, WhenFull};

use crate::paths::Paths;
use crate::rules::failsafe::Failsafe;
use sysctl::Knob;

/// How to attach to an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XdpMode {
    /// Native if the driver can, generic otherwise.
    #[default]
    Auto,
    /// In the driver.
    Native,
    /// In the kernel's stack.
    Generic,
    /// In the NIC itself.
    Offload,
}

/// Where packets that come in are filtered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hook {
    /// By XDP where a driver runs it and long pieces of TCP streams do not count, at TC otherwise.
    #[default]
    Auto,
    /// By XDP.
    Xdp,
    /// At TC ingress.
    Tc,
}

/// What a clean stop leaves behind. A crash always keeps: everything is pinned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExit {
    /// Programs, links and maps stay; filtering goes on.
    Keep,
    /// Nothing stays.
    #[default]
    Detach,
}

/// One interface to filter on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Conntrack zone of what comes in there.
    pub zone: u16,
}

/// Places named in the configuration file; `None` leaves the global flag or its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathSettings {
    /// `bpffs`
    pub bpffs: Option<PathBuf>,
    /// `socket`
    pub socket: Option<PathBuf>,
    /// `state-dir`
    pub state_dir: Option<PathBuf>,
}

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The interfaces; not empty.
    pub ports: Vec<Port>,
    /// Where to attach to them.
    pub hook: Hook,
    /// How, by XDP.
    pub xdp_mode: XdpMode,
    /// What can be changed at run time.
    pub tunables: Tunables,
    /// Pause between two sweeps for expired flows.
    pub gc_interval: Duration,
    /// The fill levels between which timeouts shrink; `None`: they never do.
    pub adaptive: Option<Adaptive>,
    /// Where to serve metrics.
    pub metrics: Option<SocketAddr>,
    /// What a clean stop leaves behind.
    pub on_exit: OnExit,
    /// Ruleset to start with; none: the one that was last in force.
    pub rules: Option<PathBuf>,
    /// Count what that ruleset would drop, drop nothing.
    pub observe: bool,
    /// Ports of the router that no ruleset closes.
    pub failsafe: Vec<Failsafe>,
    /// Places named in the configuration file.
    pub paths: PathSettings,
}

/// Where settings come from. Kept for `SIGHUP`, which reads the file again under the same flags.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The flags, in the order of the command line.
    pub flags: Vec<Assignment>,
    /// `--config`; `None` is [`Sources::CONFIG`] if it exists.
    pub config: Option<PathBuf>,
}

impl Sources {
    /// Default of `--config`.
    pub const CONFIG: &str = "/etc/fwctl/fwctl.toml";
    /// Directory of the kernel's own values.
    const PROC: &str = "/proc/sys/net/netfilter";

    /// Reads every layer.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(&self) -> Result<Settings, SettingsError> {
        let file = match &self.config {
            Some(path) => file::read(path)?,
            None => match file::read(Path::new(Self::CONFIG)) {
                Err(SettingsError::Read { cause, .. })
                    if cause.kind() == std::io::ErrorKind::NotFound =>
                {
                    Vec::new()
                }
                other => other?,
            },
        };
        let settings = self.combine(&file, Path::new(Self::PROC))?;
        if settings.ports.is_empty() {
            let path = self.config.clone().unwrap_or(Self::CONFIG.into());
            return Err(SettingsError::NoInterface { path });
        }
        Ok(settings)
    }

    /// Puts the layers upon each other; `proc` is where `--sysctl-inherit` reads.
    fn combine(&self, file: &[Assignment], proc: &Path) -> Result<Settings, SettingsError> {
        let last = |name: &str| {
            let mut all = file.iter().chain(&self.flags);
            all.rfind(|a| a.name == name)
        };
        let profile = last("profile").map_or(Ok(Profile::Linux), Assignment::profile)?;
        let mut settings = Settings::of_profile(profile);
        if last("sysctl-inherit").map_or(Ok(false), Assignment::switch)? {
            inherit(&mut settings.tunables, proc)?;
        }
        // Within each layer `zone` comes last: it names an interface that must be there.
        let late = |a: &&Assignment| a.name == "zone";
        let file_is_overruled = self.flags.iter().any(|a| a.name == "interface");
        let given = |a: &Assignment| {
            let zone = a.value.split('=').next().unwrap_or_default();
            self.flags
                .iter()
                .any(|f| f.name == "interface" && f.value == zone)
        };
        let file = file.iter().filter(|a| match a.name.as_str() {
            "interface" => !file_is_overruled,
            "zone" => !file_is_overruled || given(a),
            _ => true,
        });
        let sysctl = |a: &&Assignment| a.name == "sysctl";
        let flags = || self.flags.iter();
        let layers = file
            .clone()
            .filter(|a| !late(a))
            .chain(flags().filter(sysctl))
            .chain(flags().filter(|a| !sysctl(a) && !late(a)))
            .chain(file.filter(late))
            .chain(flags().filter(late));
        for assignment in layers {
            assignment.apply(&mut settings)?;
        }
        if settings.hook == Hook::Tc
            && settings.xdp_mode != XdpMode::Auto
            && let Some(mode) = last("xdp-mode")
        {
            return Err(mode.refused("`auto` beside `--hook tc`: XDP is not used there".into()));
        }
        Ok(settings)
    }
}

/// Takes over this machine's own values, as far as the kernel has them.
fn inherit(tunables: &mut Tunables, proc: &Path) -> Result<(), SettingsError> {
    // One that every kernel has: without it there is no conntrack to inherit from.
    let probe = proc.join("nf_conntrack_max");
    std::fs::metadata(&probe).map_err(|cause| SettingsError::Inherit { path: probe, cause })?;
    for (name, knob) in sysctl::all() {
        let path = proc.join(name.trim_start_matches(sysctl::PREFIX));
        if !knob.is_writable() || !path.exists() {
            continue;
        }
        let value = std::fs::read_to_string(&path).map_err(|cause| SettingsError::Inherit {
            path: path.clone(),
            cause,
        })?;
        if knob == Knob::Max {
            inherit_max(tunables, value.trim());
            continue;
        }
        sysctl::set(tunables, &name, value.trim()).map_err(|cause| {
            SettingsError::InheritValue {
                path,
                cause: cause.into(),
            }
        })?;
    }
    Ok(())
}

/// The kernel's limit may be none (0, up to Linux 6.12) or larger than ours can be.
fn inherit_max(tunables: &mut Tunables, value: &str) {
    if let Ok(max @ 1..) = value.parse::<u64>() {
        let limit = u64::from(Tunables::MAX_FLOWS_LIMIT);
        tunables.max_flows = u32::try_from(max.min(limit)).unwrap_or(Tunables::MAX_FLOWS_LIMIT);
    }
}

impl Settings {
    /// Shortest `--gc-interval`.
    pub const GC_INTERVAL_MIN: Duration = Duration::from_millis(10);
    /// Longest `--gc-interval`.
    pub const GC_INTERVAL_MAX: Duration = Duration::from_secs(3600);

    /// The defaults, without an interface.
    #[must_use]
    pub fn of_profile(profile: Profile) -> Self {
        Self {
            ports: Vec::new(),
            hook: Hook::default(),
            xdp_mode: XdpMode::default(),
            tunables: Tunables::of_profile(profile),
            gc_interval: Duration::from_secs(1),
            adaptive: None,
            metrics: None,
            on_exit: OnExit::default(),
            rules: None,
            observe: false,
            failsafe: Vec::new(),
            paths: PathSettings::default(),
        }
    }

    /// `globals`, with what the configuration file names where `globals` has the default.
    #[must_use]
    pub fn resolve_paths(&self, globals: &Paths) -> Paths {
        let pick = |global: &Path, default: &str, file: &Option<PathBuf>| match file {
            Some(path) if global == Path::new(default) => path.clone(),
            _ => global.into(),
        };
        Paths {
            bpffs: pick(&globals.bpffs, Paths::BPFFS, &self.paths.bpffs),
            socket: pick(&globals.socket, Paths::SOCKET, &self.paths.socket),
            state_dir: pick(&globals.state_dir, Paths::STATE_DIR, &self.paths.state_dir),
        }
    }
}

#[cfg(test)]
mod tests;
