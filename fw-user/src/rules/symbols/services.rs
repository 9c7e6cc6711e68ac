//! Names of ports: `/etc/services`, as nft asks it.

use std::collections::HashMap;
use std::sync::OnceLock;

/// The port of a service, by `/etc/services` as nft looks it up; a list of our own if there is no
/// such file.
pub(super) fn service(name: &str) -> Option<u16> {
    static SERVICES: OnceLock<Option<HashMap<String, u16>>> = OnceLock::new();
    let services = SERVICES.get_or_init(|| {
        let text = std::fs::read_to_string("/etc/services").ok()?;
        Some(parse_services(&text))
    });
    match services {
        Some(services) => services.get(name).copied(),
        None => {
            let found = SERVICES_WITHOUT_FILE
                .iter()
                .find(|(known, _)| *known == name);
            found.map(|(_, port)| *port)
        }
    }
}

/// Names of services that we know, for suggestions.
pub(in crate::rules) fn service_names() -> impl Iterator<Item = &'static str> {
    SERVICES_WITHOUT_FILE.iter().map(|(name, _)| *name)
}

fn parse_services(text: &str) -> HashMap<String, u16> {
    let mut services = HashMap::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or("");
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(port)) = (words.next(), words.next()) else {
            continue;
        };
        let Some((Ok(port), protocol)) = port
            .split_once('/')
            .map(|(port, protocol)| (port.parse(), protocol))
        else {
            continue;
        };
        // getaddrinfo(3) knows sockets of these only.
        if matches!(protocol, "tcp" | "udp" | "sctp" | "dccp" | "udplite") {
            for name in std::iter::once(name).chain(words) {
                services.entry(name.to_owned()).or_insert(port);
            }
        }
    }
    services
}

const SERVICES_WITHOUT_FILE: &[(&str, u16)] = &[
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("time", 37),
    ("domain", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("tftp", 69),
    ("http", 80),
    ("www", 80),
    ("kerberos", 88),
    ("pop3", 110),
    ("sunrpc", 111),
    ("auth", 113),
    ("ident", 113),
    ("nntp", 119),
    ("ntp", 123),
    ("epmap", 135),
    ("netbios-ns", 137),
    ("netbios-dgm", 138),
    ("netbios-ssn", 139),
    ("imap2", 143),
    ("imap", 143),
    ("snmp", 161),
    ("snmp-trap", 162),
    ("bgp", 179),
    ("ldap", 389),
    ("https", 443),
    ("microsoft-ds", 445),
    ("submissions", 465),
    ("isakmp", 500),
    ("syslog", 514),
    ("printer", 515),
    ("route", 520),
    ("rtsp", 554),
    ("submission", 587),
    ("ipp", 631),
    ("ldaps", 636),
    ("domain-s", 853),
    ("rsync", 873),
    ("imaps", 993),
    ("pop3s", 995),
    ("socks", 1080),
    ("openvpn", 1194),
    ("radius", 1812),
    ("radius-acct", 1813),
    ("nfs", 2049),
    ("mysql", 3306),
    ("ms-wbt-server", 3389),
    ("svn", 3690),
    ("ipsec-nat-t", 4500),
    ("sip", 5060),
    ("sip-tls", 5061),
    ("mdns", 5353),
    ("postgresql", 5432),
    ("x11", 6000),
    ("redis", 6379),
    ("http-alt", 8080),
    ("git", 9418),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_have_aliases_and_need_a_socket() {
        let text = "http 80/tcp www # web\nicmpish 5/icmp\ndomain 53/udp\n";
        let services = parse_services(text);
        assert_eq!(services.get("www"), Some(&80));
        assert_eq!(services.get("domain"), Some(&53));
        assert_eq!(services.get("icmpish"), None);
    }
}
