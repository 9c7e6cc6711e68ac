//! The settings under which scripts run, the same for both.

use fw_common::abi::Config;
use fw_common::timeout::TABLE;

/// What is varied; everything else has the kernel's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) loose: u8,
    pub(crate) liberal: u8,
    pub(crate) max_retrans: u8,
    pub(crate) ignore_invalid_rst: u8,
    pub(crate) checksum: u8,
    /// Timeouts of one and three seconds, so that flows expire while a script waits.
    pub(crate) short: bool,
}

impl Settings {
    /// The kernel's defaults.
    pub(crate) const DEFAULT: Self = Self {
        loose: 1,
        liberal: 0,
        max_retrans: 3,
        ignore_invalid_rst: 0,
        checksum: 1,
        short: false,
    };

    /// Seconds of every timeout with the sysctl's name, in index order.
    fn timeouts(self) -> impl Iterator<Item = (usize, &'static str, u32)> {
        TABLE.iter().enumerate().map(move |(i, info)| {
            // The scripts wait for two: what is to expire does so a second before, what is not
            // has one left.
            let short = if i % 2 == 0 { 1 } else { 3 };
            (i, info.sysctl, if self.short { short } else { info.linux })
        })
    }

    /// Name and value of the kernel's settings.
    pub(crate) fn sysctls(self) -> Vec<(String, u32)> {
        let mut list: Vec<_> = self
            .timeouts()
            .map(|(_, name, seconds)| (format!("nf_conntrack_{name}"), seconds))
            .collect();
        for (name, value) in [
            ("nf_conntrack_tcp_loose", self.loose),
            ("nf_conntrack_tcp_be_liberal", self.liberal),
            ("nf_conntrack_tcp_max_retrans", self.max_retrans),
            (
                "nf_conntrack_tcp_ignore_invalid_rst",
                self.ignore_invalid_rst,
            ),
            ("nf_conntrack_checksum", self.checksum),
        ] {
            list.push((name.to_owned(), u32::from(value)));
        }
        list
    }

    /// The same in ours.
    pub(crate) fn apply(self, config: &mut Config) {
        config.tcp_loose = self.loose;
        config.tcp_be_liberal = self.liberal;
        config.tcp_max_retrans = self.max_retrans;
        config.tcp_ignore_invalid_rst = self.ignore_invalid_rst;
        config.checksum = self.checksum;
        for (i, _, seconds) in self.timeouts() {
            config.timeouts[i] = u64::from(seconds) * u64::from(config.hz);
        }
    }
}
