//! What `fwctl explain` says, beside what becomes of real packets.

use xtask::lab::{Lab, root_or_skip};
use xtask::traffic::{NOTHING, Tcp};

use crate::firewall::Firewall;
use crate::sockets::udp;

const RULES: &str = "\
table inet fw {
	set allowed {
		type ipv4_addr . inet_service
		elements = { 192.168.1.2 . 53 }
	}

	chain services {
		tcp dport vmap { 80 : accept, 81 : drop }
		ip saddr . udp dport @allowed accept comment \"names\"
	}

	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state established accept
		iifname \"eth0\" oifname \"eth1\" jump services
	}
}
";

fn at(text: &str) -> std::net::SocketAddr {
    text.parse().expect("ADDR:PORT")
}

/// Exit status and lines of an explanation.
fn explain(firewall: &Firewall<'_>, packet: &str) -> (Option<i32>, String) {
    let output = firewall.fwctl(&["explain", packet, "-i", "eth0"]);
    assert!(output.stderr.is_empty(), "{output:?}");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    (output.status.code(), said)
}

#[test]
fn what_is_explained_is_what_happens() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("explain").expect("a lab");
    let firewall = Firewall::start(&lab, &[]);
    firewall.apply(RULES);

    // UDP to four ports: one is let through.
    for port in [52_u16, 53, 54, 80] {
        let packet = format!("udp 192.168.1.2:4000 > 10.0.0.2:{port}");
        let (status, said) = explain(&firewall, &packet);
        let udp = udp(&lab, 4000 + port, port);
        if status == Some(0) {
            udp.query(b"real")
                .unwrap_or_else(|e| panic!("{packet}: {e}\n{said}"));
        } else {
            udp.send(b"real").expect("sending");
            assert!(udp.drain(NOTHING).is_empty(), "{packet}:\n{said}");
        }
        assert_eq!(status == Some(0), port == 53, "{packet}:\n{said}");
    }
    let (_, said) = explain(&firewall, "udp 192.168.1.2:4000 > 10.0.0.2:53");
    assert_eq!(
        said,
        "way: in by eth0, out by eth1\n\
         state: new\n\
         inet fw forward rule iifname \"eth0\" oifname \"eth1\" jump services (verdict jump services)\n\
         inet fw services rule ip saddr . udp dport @allowed accept comment \"names\" (verdict accept)\n\
         verdict: accept (reason accepted)\n"
    );
    let (status, said) = explain(&firewall, "tcp 192.168.1.2:4000 > 10.0.0.2:81 syn");
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("vmap") && said.contains("(verdict drop)"),
        "{said}"
    );
    let (status, said) = explain(&firewall, "tcp 192.168.1.2:4000 > 10.0.0.2:82 syn");
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("inet fw forward policy drop"), "{said}");

    // What ends in the router passes, but goes no further.
    let packet = "icmp 192.168.1.2 > 10.0.0.2 echo-request ttl";
    firewall.text(&["rules", "flush"]);
    let (status, said) = explain(&firewall, &format!("{packet} 2"));
    assert_eq!(status, Some(0), "{said}");
    assert!(!said.contains("end: "), "{said}");
    let (status, said) = explain(&firewall, &format!("{packet} 1"));
    assert_eq!(status, Some(1), "{said}");
    assert!(said.ends_with("answers `time exceeded`\n"), "{said}");
    let pinged = lab
        .client()
        .command("ping")
        .args(["-nc1", "-t1", "10.0.0.2"])
        .output();
    let pinged = String::from_utf8(pinged.expect("running ping").stdout).expect("UTF-8");
    assert!(pinged.contains("Time to live exceeded"), "{pinged}");
    let packet = format!("{packet} 1");
    let output = firewall.fwctl(&["explain", &packet, "-i", "eth0", "-o", "json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&said["ends"], &said["verdict"]),
        (&"ttl".into(), &"accept".into())
    );
    // For the router itself, the last hop is no end.
    let (status, said) = explain(
        &firewall,
        "icmp 192.168.1.2 > 192.168.1.1 echo-request ttl 1",
    );
    assert_eq!(status, Some(0), "{said}");
    firewall.apply(RULES);

    // The live flow table is asked: the same segment belongs to a connection, or begins one.
    let segment = "tcp 192.168.1.2:4100 > 10.0.0.2:80 ack";
    assert!(explain(&firewall, segment).1.contains("state: new"));
    let mut tcp = Tcp::open(
        lab.client(),
        at("192.168.1.2:4100"),
        lab.server(),
        at("10.0.0.2:80"),
    )
    .expect("a connection");
    tcp.echo(b"there").expect("it works");
    let (status, said) = explain(&firewall, segment);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("state: established"), "{said}");
    assert!(
        said.contains("rule ct state established accept (verdict accept)"),
        "{said}"
    );
}
