//! Interfaces: all or none, coming and going, VLAN stripping, addresses.

use fw_user::sys::link::{self, Kind};
use rustix::process::Signal;
use xtask::lab::{Lab, root_or_skip};

use crate::fixture::{Daemon, ask, eventually, fails, json, pins, sh, small, text, xdp_program};

#[test]
fn all_or_nothing_when_another_program_is_in_the_way() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-busy").expect("a lab");
    // Any XDP program will do: our own, from another firewall's pins.
    let other = lab.bpffs().join("other");
    let state = lab.run_dir().join("other");
    let mut command = crate::fixture::fwctl(&lab);
    command
        .env("FWCTL_BPFFS", &other)
        .env("FWCTL_SOCKET", state.join("s"))
        .env("FWCTL_STATE_DIR", &state);
    let mut first = Daemon::start_as(&mut command, &small(&["-i", "eth1"]));
    first.end(Signal::KILL);
    let theirs = xdp_program(&lab, "eth1").expect("still attached");

    let said = fails(&lab, 1, &small(&["run", "-i", "eth0", "-i", "eth1"]));
    let id = format!("id {theirs}");
    assert!(
        said.contains("eth1") && said.contains("fw_ingress") && said.contains(&id),
        "{said}"
    );
    assert_eq!(xdp_program(&lab, "eth0"), None, "detached again");
    assert_eq!(xdp_program(&lab, "eth1"), Some(theirs), "not touched");
    assert!(!pins(&lab).exists(), "no pins are left");

    // What an earlier run left filters on; what is new is detached again.
    sh(lab.router(), "ip link add new0 type veth peer name far0");
    let mut earlier = Daemon::start(&lab, &small(&["-i", "eth0", "--udp-timeout", "33"]));
    earlier.end(Signal::KILL);
    let args = ["run", "-i", "eth0", "-i", "new0", "-i", "eth1"];
    let said = fails_saying(&lab, &small(&args));
    let udp = text(&lab, &["sysctl", "-n", "nf_conntrack_udp_timeout"]);
    assert_eq!(udp, "33\n", "by its own settings");
    assert!(said.contains(&id), "{said}");
    assert!(xdp_program(&lab, "eth0").is_some());
    assert_eq!(xdp_program(&lab, "new0"), None);
    assert_eq!(xdp_program(&lab, "eth1"), Some(theirs));
}

/// As [`fails`], for a start that has something to say before it fails.
fn fails_saying(lab: &Lab, args: &[&str]) -> String {
    let output = ask(lab, args);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn vlan_stripping_is_off_while_filtering_even_across_a_kill() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-vlan").expect("a lab");
    let stripping = || {
        let features = sh(lab.router(), "ethtool -k eth0");
        let on = |name: &str| features.contains(&format!("{name}: on"));
        (on("rx-vlan-offload"), on("rx-vlan-stag-hw-parse"))
    };
    sh(lab.router(), "ethtool -K eth0 rxvlan on");
    assert_eq!(stripping(), (true, false));
    let mut daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    assert_eq!(stripping(), (false, false));
    daemon.end(Signal::KILL);
    assert_eq!(stripping(), (false, false), "still filtering");
    let mut daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    assert!(daemon.end(Signal::TERM).success());
    // As it was before the first of them: the second found it off.
    assert_eq!(stripping(), (true, false));
}

#[test]
fn a_new_name_is_followed_and_a_new_interface_is_filtered() {
    if !root_or_skip() {
        return;
    }
    for (hook, pin) in [("xdp", "xdp"), ("tc", "tci")] {
        follow(hook, pin);
    }
}

/// `pin` is how links of `hook` are called.
fn follow(hook: &str, pin: &str) {
    let lab = Lab::up("d-follow").expect("a lab");
    sh(lab.router(), "ip link add port0 type veth peer name far0");
    let mut daemon = Daemon::start(&lab, &small(&["-i", "eth0", "-i", "port0", "--hook", hook]));
    let pin_of = |name: &str| {
        let shown = sh(lab.router(), &format!("ip -j link show dev {name}"));
        let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        pins(&lab).join(format!("links/{pin}-{}", shown[0]["ifindex"]))
    };
    let is_filtered = |name: &str| {
        let info = link::info(&pin_of(name)).expect("a pinned link");
        let kind = if hook == "tc" { Kind::Tcx } else { Kind::Xdp };
        info.kind == kind && info.ifindex != 0
    };
    let names = || {
        let status = json(&lab, &["status", "-o", "json"]);
        let all = status["interfaces"].as_array().expect("interfaces").clone();
        let mut names: Vec<_> = all
            .iter()
            .map(|i| i["name"].as_str().expect("a name").to_owned())
            .collect();
        names.sort();
        names
    };
    sh(lab.router(), "ip link set port0 name lan0");
    daemon.wait_for("port0 is now called lan0: still filtered");
    assert_eq!(names(), ["eth0", "lan0"]);
    assert!(is_filtered("lan0"));

    sh(lab.router(), "ip link del lan0");
    daemon.wait_for("lan0 has gone");
    assert_eq!(names(), ["eth0"]);
    let status = text(&lab, &["status"]);
    assert!(status.contains("port0  NOT filtered"), "{status}");
    for args in [
        &["doctor", "-o", "json"][..],
        &["doctor", "-o", "json", "-i", "port0"],
    ] {
        let output = ask(&lab, args);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let mut found = found.as_array().expect("findings").iter();
        let error = found.find(|f| f["level"] == "error").expect("an error");
        assert_eq!(
            (&error["interface"], &error["check"]),
            (&"port0".into(), &"filtered".into())
        );
    }
    let output = ask(&lab, &["doctor", "-i", "eth0"]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "eth0 is filtered: {output:?}"
    );
    let links = std::fs::read_dir(pins(&lab).join("links")).expect("pins");
    assert_eq!(links.count(), 2, "the pins of eth0 only");

    sh(lab.router(), "ip link add port0 type veth peer name far0");
    daemon.wait_for("filtering port0");
    assert!(is_filtered("port0"));
    assert_eq!(names(), ["eth0", "port0"]);

    // Somebody pulls the program out: it is put back.
    let detach = format!("bpftool link detach pinned {}", pin_of("eth0").display());
    sh(lab.router(), &detach);
    // Detaching makes no event; anything that does will do.
    sh(lab.router(), "ip link set far0 up");
    daemon.wait_for("eth0: somebody detached the firewall");
    daemon.wait_for("filtering eth0");
    assert!(is_filtered("eth0"));
}

#[test]
fn addresses_are_checked_unless_a_bridge_wants_the_frames() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-mac").expect("a lab");
    let daemon = Daemon::start(&lab, &small(&["-i", "eth0", "-i", "eth1"]));
    let ping_for = |seconds: &str| {
        let ping = lab
            .client()
            .command("ping")
            .args(["-c", "1", "-W", seconds, "10.0.0.2"])
            .output();
        ping.expect("ping").status.success()
    };
    let ping = || ping_for("1");
    assert!(ping_for("20"));
    let dropped = || {
        let stats = json(&lab, &["stats", "--total", "-o", "json"]);
        stats["total"]["reasons"]["other-host"]
            .as_u64()
            .unwrap_or(0)
    };
    // A frame for a hardware address that is not the router's.
    let stray = "ip neigh replace 192.168.1.1 lladdr 02:00:00:00:77:77 dev eth0 nud permanent";
    sh(lab.client(), stray);
    assert!(!ping());
    eventually("it is counted", || (dropped() > 0).then_some(()));

    // The same address on a macvlan on top of the port: now it is the router's, too.
    sh(
        lab.router(),
        "ip link add link eth0 name mv0 address 02:00:00:00:77:77 type macvlan && ip link set mv0 up",
    );
    let before = eventually("the address becomes known", || {
        let before = dropped();
        ping();
        (dropped() == before).then_some(before)
    });
    sh(lab.router(), "ip link del mv0");
    eventually("the address is forgotten", || {
        ping();
        (dropped() > before).then_some(())
    });

    // A bridge port takes everything.
    sh(
        lab.router(),
        "ip link add br0 type bridge && ip link set eth0 master br0",
    );
    eventually("the check is off", || {
        let before = dropped();
        ping();
        (dropped() == before).then_some(())
    });
    drop(daemon);
}

#[test]
fn only_ethernet_is_taken() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-ether").expect("a lab");
    let said = fails(&lab, 1, &small(&["run", "-i", "lo"]));
    assert!(said.contains("lo is not an Ethernet interface"), "{said}");
}

#[test]
fn another_hook_is_said_with_its_reason() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-hook").expect("a lab");
    // A bridge has no driver that could run programs.
    sh(lab.router(), "ip link add br0 type bridge");
    let daemon = Daemon::start(&lab, &small(&["-i", "br0", "-i", "eth0"]));
    let ready = daemon.said.last().expect("a line");
    assert!(
        ready.contains("br0 (tc: XDP: ") && ready.contains("eth0 (native)"),
        "{ready}"
    );
    let status = text(&lab, &["status"]);
    assert!(status.contains("br0   tc"), "{status}");
    drop(daemon);
    let said = fails(
        &lab,
        1,
        &small(&["run", "-i", "br0", "--xdp-mode", "native", "--fresh"]),
    );
    assert!(said.contains("br0") && said.contains("native"), "{said}");
}
