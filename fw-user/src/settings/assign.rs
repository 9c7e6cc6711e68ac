//! One setting by its name: the same table for flags and configuration file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use fw_common::adaptive::Adaptive;
use fw_common::timeout::{Info, Profile, TABLE, Timeout};

use super::duration::{self, parse_pause, parse_timeout};
use super::error::{Place, SettingsError};
use super::names::nearest;
use super::tunables::{Tunables, WhenFull};
use super::{Hook, OnExit, Port, Settings, XdpMode, sysctl};
use crate::rules::failsafe::{self, Failsafe};

/// A setting's name and value, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Name of the flag without its dashes.
    pub name: String,
    /// Its value; `on` for a flag without one.
    pub value: String,
    /// Where it was written.
    pub place: Place,
}

/// Every setting that is no timeout, by the name of its flag.
const NAMES: [(&str, Setter); 32] = [
    ("interface", set_interface),
    ("hook", set_hook),
    ("xdp-mode", set_xdp_mode),
    ("fasttrack", |s, v| set_switch(&mut s.tunables.fasttrack, v)),
    ("max-flows", set_max_flows),
    ("profile", |_, v| parse_profile(v).map(drop)),
    ("sysctl-inherit", |_, v| parse_switch(v).map(drop)),
    ("udp-stream-after", |s, v| {
        s.tunables.udp_stream_after = parse_pause(v)?;
        Ok(())
    }),
    ("tcp-loose", |s, v| set_switch(&mut s.tunables.tcp_loose, v)),
    ("tcp-be-liberal", |s, v| {
        set_switch(&mut s.tunables.tcp_be_liberal, v)
    }),
    ("tcp-max-retrans", set_max_retrans),
    ("tcp-ignore-invalid-rst", |s, v| {
        set_switch(&mut s.tunables.tcp_ignore_invalid_rst, v)
    }),
    ("accounting", |s, v| {
        set_switch(&mut s.tunables.accounting, v)
    }),
    ("timestamp", |s, v| set_switch(&mut s.tunables.timestamp, v)),
    ("drop-invalid", |s, v| {
        set_switch(&mut s.tunables.drop_invalid, v)
    }),
    ("when-full", set_when_full),
    ("max-inserts-per-second", |s, v| {
        set_number(&mut s.tunables.max_inserts, v)
    }),
    ("max-flows-per-source", |s, v| {
        set_number(&mut s.tunables.source_flows, v)
    }),
    ("max-half-open-per-source", |s, v| {
        set_number(&mut s.tunables.source_half_open, v)
    }),
    ("adaptive", set_adaptive),
    ("fragments", set_fragments),
    ("gc-interval", set_gc_interval),
    ("metrics", set_metrics),
    ("on-exit", set_on_exit),
    ("zone", set_zone),
    ("rules", set_rules),
    ("observe", |s, v| set_switch(&mut s.observe, v)),
    ("failsafe", add_failsafe),
    ("sysctl", |_, _| Ok(())),
    ("state-dir", |s, v| set_path(&mut s.paths.state_dir, v)),
    ("socket", |s, v| set_path(&mut s.paths.socket, v)),
    ("bpffs", |s, v| set_path(&mut s.paths.bpffs, v)),
];

/// Changes one setting; the error says what was expected.
type Setter = fn(&mut Settings, &str) -> Result<(), String>;

/// The flag of each timeout: `tcp_timeout_syn_sent` in the kernel is `tcp-timeout-syn-sent` here.
static TIMEOUT_FLAGS: LazyLock<Vec<(String, &'static Info)>> = LazyLock::new(|| {
    let infos = TABLE.iter();
    infos.map(|i| (i.sysctl.replace('_', "-"), i)).collect()
});

/// Every timeout with its flag.
pub fn timeout_flags() -> impl Iterator<Item = (&'static str, &'static Info)> {
    TIMEOUT_FLAGS
        .iter()
        .map(|(flag, info)| (flag.as_str(), *info))
}

fn timeout_by_flag(name: &str) -> Option<Timeout> {
    let mut flags = timeout_flags();
    let (_, info) = flags.find(|(flag, _)| *flag == name)?;
    Some(info.timeout)
}

/// Whether `name` is a setting.
#[must_use]
pub fn is_known(name: &str) -> bool {
    NAMES.iter().any(|(known, _)| *known == name) || timeout_by_flag(name).is_some()
}

/// The setting whose name is nearest to `name`.
#[must_use]
pub fn nearest_name(name: &str) -> String {
    let names = NAMES.iter().map(|(known, _)| *known);
    nearest(name, names.chain(timeout_flags().map(|(flag, _)| flag)))
        .unwrap_or_default()
        .into()
}

impl Assignment {
    /// A flag of the command line.
    #[must_use]
    pub fn flag(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            place: Place::Flag,
        }
    }

    /// Applies the assignment to `settings`.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn apply(&self, settings: &mut Settings) -> Result<(), SettingsError> {
        if self.name == "sysctl" {
            return self.apply_sysctl(settings);
        }
        let result = match timeout_by_flag(&self.name) {
            Some(which) => parse_timeout(&self.value)
                .map(|secs| settings.tunables.timeouts[which as usize] = secs),
            None => match NAMES.iter().find(|(known, _)| *known == self.name) {
                Some((_, setter)) => setter(settings, &self.value),
                None => Err(format!("a setting, such as `{}`", nearest_name(&self.name))),
            },
        };
        result.map_err(|expected| self.refused(expected))
    }

    fn apply_sysctl(&self, settings: &mut Settings) -> Result<(), SettingsError> {
        sysctl::split(&self.value)
            .and_then(|(name, value)| sysctl::set(&mut settings.tunables, name, value))
            .map_err(|cause| SettingsError::Sysctl {
                place: self.place.clone(),
                value: self.value.clone(),
                cause: cause.into(),
            })
    }

    pub(super) fn refused(&self, expected: String) -> SettingsError {
        SettingsError::BadValue {
            place: self.place.clone(),
            name: self.name.clone(),
            value: self.value.clone(),
            expected,
        }
    }

    /// The profile that the assignment names.
    ///
    /// # Errors
    /// There is no such profile.
    pub fn profile(&self) -> Result<Profile, SettingsError> {
        parse_profile(&self.value).map_err(|expected| self.refused(expected))
    }

    /// The assignment as a switch.
    ///
    /// # Errors
    /// It is neither `on` nor `off`.
    pub fn switch(&self) -> Result<bool, SettingsError> {
        parse_switch(&self.value).map_err(|expected| self.refused(expected))
    }
}

fn parse_profile(value: &str) -> Result<Profile, String> {
    match value {
        "linux" => Ok(Profile::Linux),
        "routeros" => Ok(Profile::RouterOs),
        _ => Err("`linux` or `routeros`".into()),
    }
}

fn parse_switch(value: &str) -> Result<bool, String> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("`on` or `off`".into()),
    }
}

fn set_switch(switch: &mut bool, value: &str) -> Result<(), String> {
    *switch = parse_switch(value)?;
    Ok(())
}

fn set_interface(settings: &mut Settings, value: &str) -> Result<(), String> {
    if !is_interface_name(value) {
        return Err("the name of a network interface (1 to 15 bytes, no `/`, no spaces)".into());
    }
    // Named twice is attached once.
    if settings.ports.iter().all(|port| port.name != value) {
        settings.ports.push(Port {
            name: value.into(),
            zone: 0,
        });
    }
    Ok(())
}

/// `dev_valid_name` in the kernel.
fn is_interface_name(name: &str) -> bool {
    (1..16).contains(&name.len())
        && name != "."
        && name != ".."
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_ascii_whitespace())
}

fn set_hook(settings: &mut Settings, value: &str) -> Result<(), String> {
    settings.hook = match value {
        "auto" => Hook::Auto,
        "xdp" => Hook::Xdp,
        "tc" => Hook::Tc,
        _ => return Err("`auto`, `xdp` or `tc`".into()),
    };
    Ok(())
}

fn set_xdp_mode(settings: &mut Settings, value: &str) -> Result<(), String> {
    settings.xdp_mode = match value {
        "auto" => XdpMode::Auto,
        "native" => XdpMode::Native,
        "generic" => XdpMode::Generic,
        "offload" => XdpMode::Offload,
        _ => return Err("`auto`, `native`, `generic` or `offload`".into()),
    };
    Ok(())
}

fn set_fragments(settings: &mut Settings, value: &str) -> Result<(), String> {
    settings.tunables.fragments_pass = match value {
        "drop" => false,
        "pass" => true,
        _ => return Err("`drop` or `pass`".into()),
    };
    Ok(())
}

fn set_on_exit(settings: &mut Settings, value: &str) -> Result<(), String> {
    settings.on_exit = match value {
        "keep" => OnExit::Keep,
        "detach" => OnExit::Detach,
        _ => return Err("`keep` or `detach`".into()),
    };
    Ok(())
}

fn set_max_flows(settings: &mut Settings, value: &str) -> Result<(), String> {
    let range = 1..=Tunables::MAX_FLOWS_LIMIT;
    settings.tunables.max_flows = value
        .parse()
        .ok()
        .filter(|n| range.contains(n))
        .ok_or_else(|| format!("1 to {} flows", Tunables::MAX_FLOWS_LIMIT))?;
    Ok(())
}

fn set_when_full(settings: &mut Settings, value: &str) -> Result<(), String> {
    settings.tunables.when_full = match value {
        "keep" => WhenFull::Keep,
        "evict" => WhenFull::Evict,
        _ => return Err("`keep` or `evict`".into()),
    };
    Ok(())
}

fn set_number(number: &mut u32, value: &str) -> Result<(), String> {
    *number = value
        .parse()
        .map_err(|_| format!("0 (no limit) to {}", u32::MAX))?;
    Ok(())
}

fn set_adaptive(settings: &mut Settings, value: &str) -> Result<(), String> {
    let levels = || {
        let (start, end) = value.split_once(':')?;
        Adaptive::new(start.trim().parse().ok()?, end.trim().parse().ok()?)
    };
    settings.adaptive = match value {
        "off" => None,
        _ => Some(levels().ok_or(
            "START:END, two numbers of flows of which the first is smaller, as in `150000:300000`, \
             or `off`",
        )?),
    };
    Ok(())
}

fn set_max_retrans(settings: &mut Settings, value: &str) -> Result<(), String> {
    settings.tunables.tcp_max_retrans = value.parse().map_err(|_| "0 to 255".to_owned())?;
    Ok(())
}

fn set_gc_interval(settings: &mut Settings, value: &str) -> Result<(), String> {
    let range = Settings::GC_INTERVAL_MIN..=Settings::GC_INTERVAL_MAX;
    let expected = || {
        let (min, max) = (duration::show(*range.start()), duration::show(*range.end()));
        format!("{min} to {max}, written `250ms`, `1s` or `1m30s`")
    };
    settings.gc_interval = duration::parse(value)
        .ok()
        .filter(|d: &Duration| range.contains(d))
        .ok_or_else(expected)?;
    Ok(())
}

fn set_metrics(settings: &mut Settings, value: &str) -> Result<(), String> {
    if value == "off" {
        settings.metrics = None;
        return Ok(());
    }
    let address: SocketAddr = value
        .parse()
        .map_err(|_| "ADDR:PORT, as in `127.0.0.1:9630` or `[::1]:9630`, or `off`".to_owned())?;
    settings.metrics = Some(address);
    Ok(())
}

fn set_zone(settings: &mut Settings, value: &str) -> Result<(), String> {
    let expected = || "IFACE=N with N from 0 to 65535".to_owned();
    let (name, zone) = value.split_once('=').ok_or_else(expected)?;
    let zone = zone.trim().parse().map_err(|_| expected())?;
    let port = settings.ports.iter_mut().find(|p| p.name == name.trim());
    let port =
        port.ok_or_else(|| format!("an interface that is filtered, which `{name}` is not"))?;
    port.zone = zone;
    Ok(())
}

fn set_path(path: &mut Option<PathBuf>, value: &str) -> Result<(), String> {
    if !value.starts_with('/') {
        return Err("an absolute path".into());
    }
    *path = Some(value.into());
    Ok(())
}

fn set_rules(settings: &mut Settings, value: &str) -> Result<(), String> {
    let full = std::path::absolute(value).map_err(|_| "the path of a file".to_owned())?;
    settings.rules = Some(full);
    Ok(())
}

fn add_failsafe(settings: &mut Settings, value: &str) -> Result<(), String> {
    let port: Failsafe = value.parse()?;
    if settings.failsafe.contains(&port) {
        return Ok(());
    }
    if settings.failsafe.len() == failsafe::MOST {
        return Err(format!("{} failsafe ports at most", failsafe::MOST));
    }
    settings.failsafe.push(port);
    Ok(())
}
