//! Failsafe ports: what no ruleset closes by accident.
//!
//! Packets to such a port of the router itself pass before any rule is asked, and so do the answers
//! that leave from it. They are tracked as all others are.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// One `--failsafe`: `tcp:22`, `udp:51820-51829`, `tcp:22@192.168.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Failsafe {
    /// Transport.
    pub proto: Proto,
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
    /// Only from there; none: from everywhere.
    pub from: Option<IpNet>,
}

/// A transport with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proto {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Proto {
    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    /// Its IP protocol number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }
}

/// Most failsafe ports: they stand in front of every ruleset.
pub const MOST: usize = 16;

/// What a failsafe port looks like.
pub const EXPECTED: &str =
    "PROTO:PORT[-PORT][@SOURCE], as in `tcp:22`, `udp:5000-5010` or `tcp:22@192.168.0.0/16`";

impl Failsafe {
    /// Whether a packet from `source` to `port` is meant.
    #[must_use]
    pub fn covers(&self, proto: Proto, source: IpAddr, port: u16) -> bool {
        self.proto == proto
            && (self.first..=self.last).contains(&port)
            && self.from.is_none_or(|net| net.contains(&source))
    }
}

impl FromStr for Failsafe {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (place, from) = match text.split_once('@') {
            Some((place, source)) => (place, Some(network(source).ok_or(EXPECTED)?)),
            None => (text, None),
        };
        let (proto, ports) = place.split_once(':').ok_or(EXPECTED)?;
        let proto = match proto {
            "tcp" => Proto::Tcp,
            "udp" => Proto::Udp,
            _ => return Err(EXPECTED.into()),
        };
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let port = |text: &str| text.parse().ok().filter(|port| *port != 0).ok_or(EXPECTED);
        let (first, last) = (port(first)?, port(last)?);
        if first > last {
            return Err(format!(
                "a range of ports that begins with the lower one: {EXPECTED}"
            ));
        }
        Ok(Self {
            proto,
            first,
            last,
            from,
        })
    }
}

/// An address alone is a network of one.
fn network(text: &str) -> Option<IpNet> {
    match text.parse::<IpNet>() {
        Ok(net) => Some(net.trunc()),
        Err(_) => text.parse::<IpAddr>().ok().map(IpNet::from),
    }
}

impl fmt::Display for Failsafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.proto.name(), self.first)?;
        if self.last != self.first {
            write!(f, "-{}", self.last)?;
        }
        match self.from {
            Some(net) => write!(f, "@{net}"),
            None => Ok(()),
        }
    }
}

impl From<Failsafe> for String {
    fn from(failsafe: Failsafe) -> Self {
        failsafe.to_string()
    }
}

impl TryFrom<String> for Failsafe {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_it_is_read() {
        for text in [
            "tcp:22",
            "udp:5000-5010",
            "tcp:22@192.168.0.0/16",
            "udp:53@2001:db8::/32",
        ] {
            assert_eq!(text.parse::<Failsafe>().unwrap().to_string(), text);
        }
        let host = "tcp:22@192.168.1.7".parse::<Failsafe>().unwrap();
        assert_eq!(host.to_string(), "tcp:22@192.168.1.7/32");
        let net = "tcp:22@192.168.1.7/16".parse::<Failsafe>().unwrap();
        assert_eq!(net.to_string(), "tcp:22@192.168.0.0/16");
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in [
            "",
            "tcp",
            "22",
            "tcp:",
            "tcp:0",
            "tcp:65536",
            "tcp:9-8",
            "icmp:1",
            "tcp:22@",
            "tcp:22@x",
            "tcp:22@10.0.0.0/33",
            "tcp:ssh",
            "tcp:1-2-3",
        ] {
            assert!(text.parse::<Failsafe>().is_err(), "{text}");
        }
    }

    #[test]
    fn covers_its_ports_from_its_sources() {
        let failsafe: Failsafe = "tcp:22-23@10.0.0.0/8".parse().unwrap();
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(failsafe.covers(Proto::Tcp, at("10.1.2.3"), 23));
        assert!(!failsafe.covers(Proto::Tcp, at("10.1.2.3"), 24));
        assert!(!failsafe.covers(Proto::Udp, at("10.1.2.3"), 23));
        assert!(!failsafe.covers(Proto::Tcp, at("11.1.2.3"), 23));
        assert!(!failsafe.covers(Proto::Tcp, at("::1"), 23));
    }
}
