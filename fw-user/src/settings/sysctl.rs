//! The kernel's own names for what we implement: `net.netfilter.nf_conntrack_*`, with the kernel's
//! spelling, units and ranges (`nf_ct_sysctl_table` in the kernel's `nf_conntrack_standalone.c`).

use fw_common::timeout::{TABLE, Timeout};

use super::names::nearest;
use super::tunables::Tunables;

/// In front of every name, as `sysctl(8)` prints it.
pub const PREFIX: &str = "net.netfilter.";
/// The kernel's second name for [`Knob::Max`].
const MAX_ALIAS: &str = "net.nf_conntrack_max";

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knob {
    /// A timeout, seconds.
    Timeout(Timeout),
    /// 0 or 1.
    Switch(Switch),
    /// `nf_conntrack_tcp_max_retrans`, 0–255.
    MaxRetrans,
    /// `nf_conntrack_max`: entries.
    Max,
    /// `nf_conntrack_count`: entries there are; read-only.
    Count,
    /// `nf_conntrack_buckets`: size of the hash table; read-only.
    Buckets,
}

/// A knob that is on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// `nf_conntrack_tcp_loose`
    TcpLoose,
    /// `nf_conntrack_tcp_be_liberal`
    TcpBeLiberal,
    /// `nf_conntrack_tcp_ignore_invalid_rst`
    TcpIgnoreInvalidRst,
    /// `nf_conntrack_checksum`
    Checksum,
    /// `nf_conntrack_acct`
    Acct,
    /// `nf_conntrack_timestamp`
    Timestamp,
}

/// Every name without `nf_conntrack_` that is no timeout, in the order of `sysctl -a`.
const KNOBS: [(&str, Knob); 10] = [
    ("acct", Knob::Switch(Switch::Acct)),
    ("buckets", Knob::Buckets),
    ("checksum", Knob::Switch(Switch::Checksum)),
    ("count", Knob::Count),
    ("max", Knob::Max),
    ("tcp_be_liberal", Knob::Switch(Switch::TcpBeLiberal)),
    (
        "tcp_ignore_invalid_rst",
        Knob::Switch(Switch::TcpIgnoreInvalidRst),
    ),
    ("tcp_loose", Knob::Switch(Switch::TcpLoose)),
    ("tcp_max_retrans", Knob::MaxRetrans),
    ("timestamp", Knob::Switch(Switch::Timestamp)),
];

/// What the read-only names show: facts of the running table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TableFacts {
    /// Entries in all flow maps.
    pub count: u64,
    /// Hash buckets of the larger IPv4 flow map.
    pub buckets: u64,
}

/// Why a name or a value is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SysctlError {
    /// No such name here.
    #[error("unknown name `{name}`; the nearest known name is `{nearest}` ({range})")]
    UnknownName {
        /// As typed.
        name: String,
        /// The nearest of ours.
        nearest: String,
        /// What that one may be.
        range: String,
    },
    /// The name cannot be written.
    #[error("`{name}` can only be read")]
    ReadOnly {
        /// Full name.
        name: String,
    },
    /// The value is out of range or no number.
    #[error("`{name}` = `{value}`: expected {range}")]
    BadValue {
        /// Full name.
        name: String,
        /// As typed.
        value: String,
        /// What is possible.
        range: String,
    },
    /// Not of the form `NAME=VALUE`.
    #[error("`{0}` is not of the form NAME=VALUE")]
    Syntax(String),
}

/// Every name in full with what it stands for, sorted as `sysctl -a` sorts.
#[must_use]
pub fn all() -> Vec<(String, Knob)> {
    let timeouts = TABLE.iter().map(|i| (i.sysctl, Knob::Timeout(i.timeout)));
    let mut names: Vec<_> = KNOBS
        .into_iter()
        .chain(timeouts)
        .map(|(name, knob)| (format!("{PREFIX}nf_conntrack_{name}"), knob))
        .collect();
    names.sort_by(|a, b| a.0.cmp(&b.0));
    names
}

/// The full name of what the user typed: `net.netfilter.x`, `net/netfilter/x` or just `x`.
#[must_use]
pub fn canonical(name: &str) -> String {
    let dotted = name.trim().replace('/', ".");
    if dotted == MAX_ALIAS {
        return format!("{PREFIX}nf_conntrack_max");
    }
    if dotted.contains('.') {
        return dotted;
    }
    format!("{PREFIX}{dotted}")
}

/// What `name` stands for.
///
/// # Errors
/// [`SysctlError::UnknownName`] with the nearest one.
pub fn find(name: &str) -> Result<Knob, SysctlError> {
    let full = canonical(name);
    let all = all();
    if let Some((_, knob)) = all.iter().find(|(known, _)| *known == full) {
        return Ok(*knob);
    }
    let nearest = nearest(&full, all.iter().map(|(n, _)| n.as_str())).unwrap_or_default();
    let knob = all.iter().find(|(n, _)| n == nearest).map(|(_, k)| *k);
    Err(SysctlError::UnknownName {
        name: name.into(),
        nearest: nearest.into(),
        range: knob.map(Knob::range).unwrap_or_default(),
    })
}

/// Splits `NAME=VALUE`; spaces around both are `sysctl.conf`'s and allowed.
///
/// # Errors
/// [`SysctlError::Syntax`] if there is no `=`.
pub fn split(text: &str) -> Result<(&str, &str), SysctlError> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| SysctlError::Syntax(text.into()))?;
    Ok((name.trim(), value.trim()))
}

/// Sets `name` to `value`.
///
/// # Errors
/// Unknown or read-only names, values out of range; then nothing is changed.
pub fn set(tunables: &mut Tunables, name: &str, value: &str) -> Result<(), SysctlError> {
    let knob = find(name)?;
    if matches!(knob, Knob::Count | Knob::Buckets) {
        return Err(SysctlError::ReadOnly {
            name: canonical(name),
        });
    }
    let number = value.trim().parse::<u32>().ok();
    let done = number.is_some_and(|number| knob.write(tunables, number));
    if done {
        return Ok(());
    }
    Err(SysctlError::BadValue {
        name: canonical(name),
        value: value.into(),
        range: knob.range(),
    })
}

impl Knob {
    /// The value as the kernel would print it.
    #[must_use]
    pub fn read(self, tunables: &Tunables, facts: &TableFacts) -> u64 {
        match self {
            Self::Timeout(which) => tunables.timeout(which).into(),
            Self::Switch(switch) => u64::from(*switch.of(&mut tunables.clone())),
            Self::MaxRetrans => tunables.tcp_max_retrans.into(),
            Self::Max => tunables.max_flows.into(),
            Self::Count => facts.count,
            Self::Buckets => facts.buckets,
        }
    }

    /// Whether it can be written.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        !matches!(self, Self::Count | Self::Buckets)
    }

    /// Writes `value` if it is in range.
    fn write(self, tunables: &mut Tunables, value: u32) -> bool {
        match (self, value) {
            (Self::Timeout(which), 1..=Timeout::MAX_SECS) => {
                tunables.timeouts[which as usize] = value;
            }
            (Self::Switch(switch), 0 | 1) => *switch.of(tunables) = value == 1,
            (Self::MaxRetrans, 0..=255) => tunables.tcp_max_retrans = value as u8,
            (Self::Max, 1..=Tunables::MAX_FLOWS_LIMIT) => tunables.max_flows = value,
            _ => return false,
        }
        true
    }

    /// What may be written, for error messages.
    #[must_use]
    pub fn range(self) -> String {
        match self {
            Self::Timeout(_) => format!("1 to {} seconds", Timeout::MAX_SECS),
            Self::Switch(_) => "0 or 1".into(),
            Self::MaxRetrans => "0 to 255".into(),
            Self::Max => format!("1 to {} flows", Tunables::MAX_FLOWS_LIMIT),
            Self::Count | Self::Buckets => "read-only".into(),
        }
    }
}

impl Switch {
    /// The switch's place in `tunables`.
    const fn of(self, tunables: &mut Tunables) -> &mut bool {
        match self {
            Self::TcpLoose => &mut tunables.tcp_loose,
            Self::TcpBeLiberal => &mut tunables.tcp_be_liberal,
            Self::TcpIgnoreInvalidRst => &mut tunables.tcp_ignore_invalid_rst,
            Self::Checksum => &mut tunables.checksum,
            Self::Acct => &mut tunables.accounting,
            Self::Timestamp => &mut tunables.timestamp,
        }
    }
}

#[cfg(test)]
mod tests {
    use fw_common::timeout::Profile;

    use super::*;

    fn linux() -> Tunables {
        Tunables::of_profile(Profile::Linux)
    }

    #[test]
    fn every_spelling_of_a_name_is_found() {
        let expected = Knob::Timeout(Timeout::UdpStream);
        for name in [
            "net.netfilter.nf_conntrack_udp_timeout_stream",
            "net/netfilter/nf_conntrack_udp_timeout_stream",
            "nf_conntrack_udp_timeout_stream",
            " nf_conntrack_udp_timeout_stream ",
        ] {
            assert_eq!(find(name), Ok(expected), "{name}");
        }
        assert_eq!(find("net.nf_conntrack_max"), Ok(Knob::Max));
    }

    #[test]
    fn unknown_name_gives_the_nearest_with_its_range() {
        let error = find("nf_conntrack_upd_timeout").expect_err("misspelt");
        let text = error.to_string();
        assert!(
            text.contains("`net.netfilter.nf_conntrack_udp_timeout`"),
            "{text}"
        );
        assert!(text.contains("1 to 2147483 seconds"), "{text}");
        assert!(find("net.ipv4.ip_forward").is_err());
    }

    #[test]
    fn every_writable_name_can_be_set_and_read_back() {
        for (name, knob) in all() {
            let mut tunables = linux();
            let facts = TableFacts::default();
            if !knob.is_writable() {
                assert!(matches!(
                    set(&mut tunables, &name, "1"),
                    Err(SysctlError::ReadOnly { .. })
                ));
                continue;
            }
            for value in [0, 1, 2] {
                let before = tunables;
                match set(&mut tunables, &name, &value.to_string()) {
                    Ok(()) => assert_eq!(knob.read(&tunables, &facts), value, "{name}"),
                    Err(_) => assert_eq!(tunables, before, "{name} refused but changed"),
                }
            }
        }
    }

    #[test]
    fn values_keep_the_kernels_ranges() {
        let mut t = linux();
        assert!(set(&mut t, "nf_conntrack_tcp_max_retrans", "255").is_ok());
        for (name, value) in [
            ("nf_conntrack_tcp_max_retrans", "256"),
            ("nf_conntrack_tcp_loose", "2"),
            ("nf_conntrack_tcp_loose", "on"),
            ("nf_conntrack_udp_timeout", "0"),
            ("nf_conntrack_udp_timeout", "-1"),
            ("nf_conntrack_udp_timeout", "2147484"),
            ("nf_conntrack_udp_timeout", "99999999999999999999"),
            ("nf_conntrack_max", "0"),
        ] {
            let error = set(&mut t, name, value).expect_err(name);
            assert!(
                matches!(error, SysctlError::BadValue { .. }),
                "{name}={value}"
            );
        }
    }

    #[test]
    fn list_is_sorted_and_complete() {
        let all = all();
        assert_eq!(all.len(), KNOBS.len() + TABLE.len());
        assert!(all.windows(2).all(|w| w[0].0 < w[1].0));
    }
}
