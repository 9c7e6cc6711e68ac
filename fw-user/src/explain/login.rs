//! Whether rules would cut the SSH connection that they come from.

use std::net::{IpAddr, SocketAddr};

use fw_common::abi::{Clock, Config, Flow};
use fw_common::flow::Tuple;
use fw_common::timeout::Profile;
use fw_common::wire::Family;
use fw_common::{CtInfo, Verdict};

use super::packet::{Sketch, Transport};
use super::verdict::{Flows, explain};
use super::way::{To, Wanted, Way};
use crate::life::Ready;
use crate::rules::failsafe::Failsafe;
use crate::settings::Tunables;

/// Ticks a second, which no verdict here depends on.
const HZ: u32 = 250;
/// Flags of a first segment, and of those in the midst of a connection.
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// The two ends of a connection to this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login {
    /// Who has logged in.
    pub client: SocketAddr,
    /// Where.
    pub server: SocketAddr,
}

impl Login {
    /// Reads `SSH_CONNECTION`: addresses and ports of client and server. Nothing for a connection from
    /// this machine to itself.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let mut end = || {
            // Behind the address of a link there may be its name.
            let address = words.next()?.split('%').next()?.parse::<IpAddr>().ok()?;
            let port = words.next()?.parse().ok()?;
            Some(SocketAddr::new(address.to_canonical(), port))
        };
        let (client, server) = (end()?, end()?);
        (!client.ip().is_loopback()).then_some(Self { client, server })
    }

    /// Which packets of the connection `rules` would drop; none: it goes on, and another can be made.
    #[must_use]
    pub fn cut_by(&self, rules: &Ready, failsafe: &[Failsafe]) -> Option<&'static str> {
        self.cut_on(&self.way()?, rules, failsafe)
    }

    fn cut_on(&self, way: &Way, rules: &Ready, failsafe: &[Failsafe]) -> Option<&'static str> {
        let dropped = |flags, state| {
            let sketch = self.segment(flags, state);
            let found = explain(&sketch, way, Some(rules), failsafe, &Defaults::new());
            found.verdict == Verdict::Drop
        };
        if dropped(ACK, CtInfo::Established) {
            return Some("this connection");
        }
        dropped(SYN, CtInfo::New).then_some("a new one like it")
    }

    fn segment(&self, flags: u8, state: CtInfo) -> Sketch {
        Sketch {
            src: self.client.ip(),
            dst: self.server.ip(),
            transport: Transport::Tcp(self.client.port(), self.server.port(), flags),
            vlan: 0,
            mark: 0,
            length: None,
            ttl: 64,
            dscp: 0,
            state: Some(state),
        }
    }

    /// It comes in where the answers go out.
    fn way(&self) -> Option<Way> {
        let answers = Wanted::default().resolve(self.server.ip(), self.client.ip(), 0);
        match answers.ok()?.to {
            To::Out(side) => Some(Way {
                from: Some(side),
                to: To::Local,
            }),
            To::Local | To::Nowhere => None,
        }
    }
}

/// No flows, and the settings that a firewall starts with.
pub(super) struct Defaults(Config);

impl Defaults {
    pub(super) fn new() -> Self {
        let tunables = Tunables::of_profile(Profile::Linux);
        Self(tunables.store(&Config::ZERO, HZ, Clock::default()))
    }
}

impl Flows for Defaults {
    fn find(&self, _family: Family, _tuple: &Tuple) -> Option<Flow> {
        None
    }

    fn config(&self) -> &Config {
        &self.0
    }

    fn now(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::life::prepare;
    use crate::rules::System;

    fn cut(rules: &str, failsafe: &[&str]) -> Option<&'static str> {
        let login = Login::parse("192.0.2.1 40000 192.0.2.2 22").unwrap();
        let failsafe: Vec<Failsafe> = failsafe.iter().map(|port| port.parse().unwrap()).collect();
        let ready = prepare(rules, false, &System::offline(failsafe.clone(), HZ)).unwrap();
        let lo = Wanted {
            iif: Some("lo".into()),
            local: true,
            ..Wanted::default()
        };
        let way = lo.resolve(login.client.ip(), login.server.ip(), 0).unwrap();
        login.cut_on(&way, &ready, &failsafe)
    }

    #[test]
    fn the_variable_is_read() {
        let login = Login::parse("192.168.1.2 40000 192.168.1.1 22").unwrap();
        assert_eq!(login.client.to_string(), "192.168.1.2:40000");
        let mapped = Login::parse("::ffff:10.0.0.1 1 ::ffff:10.0.0.2 22").unwrap();
        assert_eq!(mapped.server.to_string(), "10.0.0.2:22");
        assert!(Login::parse("fe80::1%eth0 1 fe80::2%eth0 22").is_some());
        for text in [
            "",
            "1.2.3.4",
            "1.2.3.4 1 5.6.7.8",
            "x 1 y 2",
            "127.0.0.1 1 127.0.0.1 22",
        ] {
            assert_eq!(Login::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_cuts_is_told_from_what_does_not() {
        let with = |rules: &str| {
            format!(
                "table inet t {{\n\tchain c {{\n\t\ttype filter hook input priority 0; policy drop;\n{rules}\t}}\n}}\n"
            )
        };
        let established = "\t\tct state established accept\n";
        let ssh = "\t\ttcp dport 22 accept\n";
        assert_eq!(cut(&with(ssh), &[]), None);
        assert_eq!(cut(&with(established), &[]), Some("a new one like it"));
        assert_eq!(cut(&with(""), &[]), Some("this connection"));
        assert_eq!(cut(&with(""), &["tcp:22"]), None);
        assert_eq!(
            cut(&with(""), &["tcp:22@10.0.0.0/8"]),
            Some("this connection")
        );
        let raw = "table inet r {\n\tchain c {\n\t\ttype filter hook prerouting priority raw; policy drop;\n\t}\n}\n";
        assert_eq!(cut(raw, &[]), Some("this connection"));
        assert_eq!(cut(raw, &["tcp:22"]), None);
    }
}
