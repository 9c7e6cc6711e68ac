//! The timeouts: which there are, what they are called, the documented sets of defaults.

/// One timeout; the index into [`crate::abi::Config::timeouts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Timeout {
    /// TCP, SYN seen (also SYN_SENT2).
    TcpSynSent = 0,
    /// TCP, SYN/ACK seen.
    TcpSynRecv,
    /// TCP, handshake done.
    TcpEstablished,
    /// TCP, first FIN seen.
    TcpFinWait,
    /// TCP, first FIN acknowledged.
    TcpCloseWait,
    /// TCP, second FIN seen.
    TcpLastAck,
    /// TCP, second FIN acknowledged.
    TcpTimeWait,
    /// TCP, RST seen.
    TcpClose,
    /// TCP, after too many repeats of one segment.
    TcpMaxRetrans,
    /// TCP, while data is not acknowledged.
    TcpUnacknowledged,
    /// UDP and UDP-Lite, one direction seen.
    Udp,
    /// UDP and UDP-Lite, a lasting exchange.
    UdpStream,
    /// ICMP queries.
    Icmp,
    /// ICMPv6 queries.
    Icmpv6,
    /// Every protocol without a state machine.
    Generic,
    /// GRE, one direction seen.
    Gre,
    /// GRE, both directions seen.
    GreStream,
    /// SCTP, association closed or just opening.
    SctpClosed,
    /// SCTP, INIT ACK seen.
    SctpCookieWait,
    /// SCTP, COOKIE ECHO seen.
    SctpCookieEchoed,
    /// SCTP, COOKIE ACK seen.
    SctpEstablished,
    /// SCTP, SHUTDOWN seen in original direction.
    SctpShutdownSent,
    /// SCTP, SHUTDOWN seen in reply direction.
    SctpShutdownRecd,
    /// SCTP, SHUTDOWN ACK seen.
    SctpShutdownAckSent,
    /// SCTP, HEARTBEAT seen before any handshake.
    SctpHeartbeatSent,
}

/// A set of documented defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Linux' own (6.x).
    #[default]
    Linux,
    /// MikroTik RouterOS'; what it does not name is Linux'.
    RouterOs,
}

/// Name and defaults of one timeout.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    /// Which one.
    pub timeout: Timeout,
    /// Name in `fwctl timeouts`; the sysctl is `net.netfilter.nf_conntrack_<sysctl>`.
    pub name: &'static str,
    /// What follows `net.netfilter.nf_conntrack_` in the kernel's name.
    pub sysctl: &'static str,
    /// Linux' default, seconds.
    pub linux: u32,
    /// RouterOS' default, seconds.
    pub routeros: u32,
}

macro_rules! timeouts {
    ($($variant:ident $name:literal $sysctl:literal $linux:literal $routeros:literal;)*) => {
        /// Every timeout, in index order.
        pub const TABLE: [Info; 25] = [$(Info {
            timeout: Timeout::$variant, name: $name, sysctl: $sysctl, linux: $linux, routeros: $routeros,
        }),*];
    };
}

timeouts! {
    TcpSynSent "tcp_syn_sent" "tcp_timeout_syn_sent" 120 5;
    TcpSynRecv "tcp_syn_recv" "tcp_timeout_syn_recv" 60 5;
    TcpEstablished "tcp_established" "tcp_timeout_established" 432000 86400;
    TcpFinWait "tcp_fin_wait" "tcp_timeout_fin_wait" 120 10;
    TcpCloseWait "tcp_close_wait" "tcp_timeout_close_wait" 60 10;
    TcpLastAck "tcp_last_ack" "tcp_timeout_last_ack" 30 10;
    TcpTimeWait "tcp_time_wait" "tcp_timeout_time_wait" 120 10;
    TcpClose "tcp_close" "tcp_timeout_close" 10 10;
    TcpMaxRetrans "tcp_max_retrans" "tcp_timeout_max_retrans" 300 300;
    TcpUnacknowledged "tcp_unacknowledged" "tcp_timeout_unacknowledged" 300 300;
    Udp "udp" "udp_timeout" 30 30;
    UdpStream "udp_stream" "udp_timeout_stream" 120 180;
    Icmp "icmp" "icmp_timeout" 30 10;
    Icmpv6 "icmpv6" "icmpv6_timeout" 30 10;
    Generic "generic" "generic_timeout" 600 600;
    Gre "gre" "gre_timeout" 30 30;
    GreStream "gre_stream" "gre_timeout_stream" 180 180;
    SctpClosed "sctp_closed" "sctp_timeout_closed" 10 10;
    SctpCookieWait "sctp_cookie_wait" "sctp_timeout_cookie_wait" 3 3;
    SctpCookieEchoed "sctp_cookie_echoed" "sctp_timeout_cookie_echoed" 3 3;
    SctpEstablished "sctp_established" "sctp_timeout_established" 210 210;
    SctpShutdownSent "sctp_shutdown_sent" "sctp_timeout_shutdown_sent" 3 3;
    SctpShutdownRecd "sctp_shutdown_recd" "sctp_timeout_shutdown_recd" 3 3;
    SctpShutdownAckSent "sctp_shutdown_ack_sent" "sctp_timeout_shutdown_ack_sent" 3 3;
    SctpHeartbeatSent "sctp_heartbeat_sent" "sctp_timeout_heartbeat_sent" 30 30;
}

impl Timeout {
    /// Slots in the map: a power of two, so that an index can be masked instead of checked.
    pub const COUNT: usize = 32;
    /// Longest timeout that can be set, seconds: what fits the kernel's own 32-bit tick arithmetic
    /// at 1000 ticks a second (`INT_MAX / HZ`).
    pub const MAX_SECS: u32 = 2_147_483;

    /// Name and defaults.
    #[must_use]
    pub const fn info(self) -> &'static Info {
        &TABLE[self as usize]
    }

    /// The timeout called `name` (`udp_stream`) or, by its kernel name, `udp_timeout_stream`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|i| i.name == name || i.sysctl == name)
            .map(|i| i.timeout)
    }
}

impl Info {
    /// The default in `profile`, seconds.
    #[must_use]
    pub const fn default_secs(&self, profile: Profile) -> u32 {
        match profile {
            Profile::Linux => self.linux,
            Profile::RouterOs => self.routeros,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_in_index_order() {
        for (i, info) in TABLE.iter().enumerate() {
            assert_eq!(info.timeout as usize, i, "{}", info.name);
        }
        assert!(TABLE.len() <= Timeout::COUNT);
    }

    #[test]
    fn found_by_both_names() {
        assert_eq!(Timeout::from_name("udp_stream"), Some(Timeout::UdpStream));
        assert_eq!(
            Timeout::from_name("udp_timeout_stream"),
            Some(Timeout::UdpStream)
        );
        assert_eq!(Timeout::from_name("upd"), None);
    }
}
