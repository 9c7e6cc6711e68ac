//! What an earlier run left: taken over, kept in size, refused, removed.

use aya::maps::{Array, HashMap};
use rustix::process::Signal;
use xtask::lab::{Lab, root_or_skip};

use crate::fixture::{Daemon, fails, json, pins, sh, small, socket, text, xdp_program};

#[test]
fn clean_stop_leaves_nothing() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-clean").expect("a lab");
    let mut daemon = Daemon::start(&lab, &small(&["-i", "eth0", "-i", "eth1"]));
    assert!(daemon.end(Signal::INT).success());
    assert!(!lab.bpffs().exists(), "no pins");
    assert!(!socket(&lab).exists(), "no socket");
    for interface in ["eth0", "eth1"] {
        assert_eq!(xdp_program(&lab, interface), None);
        let tcx = sh(lab.router(), &format!("bpftool net show dev {interface}"));
        assert!(!tcx.contains("fw_egress"), "{tcx}");
    }
}

#[test]
fn programs_are_replaced_in_their_links() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-replace").expect("a lab");
    let links = || {
        let pins = pins(&lab).join("links");
        let all = std::fs::read_dir(pins)
            .expect("pins")
            .map(|p| p.expect("a pin").path());
        let mut ids: Vec<String> = all
            .map(|pin| {
                let shown = sh(
                    lab.router(),
                    &format!("bpftool -j link show pinned {}", pin.display()),
                );
                let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
                format!("{} {}", shown["id"], shown["type"])
            })
            .collect();
        ids.sort();
        ids
    };
    let args = small(&["-i", "eth0", "-i", "eth1"]);
    let mut daemon = Daemon::start(&lab, &args);
    let (links_before, program_before) = (links(), xdp_program(&lab, "eth0"));
    assert_eq!(links_before.len(), 4);
    daemon.end(Signal::KILL);
    assert_eq!(xdp_program(&lab, "eth0"), program_before);
    let daemon = Daemon::start(&lab, &args);
    assert!(
        daemon.said.iter().any(|l| l.contains("taking over")),
        "{:?}",
        daemon.said
    );
    assert_eq!(links(), links_before, "the same links");
    assert_ne!(xdp_program(&lab, "eth0"), program_before, "another program");
}

#[test]
fn an_interface_no_longer_configured_is_let_go() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-fewer").expect("a lab");
    let mut daemon = Daemon::start(&lab, &small(&["-i", "eth0", "-i", "eth1"]));
    daemon.end(Signal::KILL);
    let daemon = Daemon::start(&lab, &small(&["-i", "eth1"]));
    assert!(
        daemon
            .said
            .iter()
            .any(|l| l.contains("eth0: filtered by an earlier run"))
    );
    assert_eq!(xdp_program(&lab, "eth0"), None);
    assert!(xdp_program(&lab, "eth1").is_some());
}

#[test]
fn the_flow_table_keeps_its_size_until_fresh() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-size").expect("a lab");
    let capacity = || json(&lab, &["status", "-o", "json"])["flows"]["capacity"].as_u64();
    let mut daemon = Daemon::start(&lab, &["-i", "eth0", "--max-flows", "1000"]);
    daemon.end(Signal::KILL);
    let mut daemon = Daemon::start(&lab, &["-i", "eth0", "--max-flows", "5000"]);
    let said = daemon.said.join("\n");
    assert!(
        said.contains("made for 1000 flows") && said.contains("--fresh"),
        "{said}"
    );
    assert_eq!(capacity(), Some(1000));
    daemon.end(Signal::KILL);
    let mut daemon = Daemon::start(&lab, &["-i", "eth0", "--max-flows", "500"]);
    assert_eq!(capacity(), Some(500), "fewer need no other map");
    daemon.end(Signal::KILL);
    let _daemon = Daemon::start(&lab, &["-i", "eth0", "--max-flows", "5000", "--fresh"]);
    assert_eq!(capacity(), Some(5000));
}

#[test]
fn a_map_of_another_layout_is_refused_by_name() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-layout").expect("a lab");
    let maps = pins(&lab).join("maps");
    std::fs::create_dir_all(&maps).expect("directories");
    // What another version might have left: flows of another size, a configuration that is larger.
    let pin = maps.join("ASSURED4");
    let flows: HashMap<_, u64, u64> = HashMap::create(1000, 0).expect("a map");
    flows.pin(&pin).expect("pinned");
    let said = fails(&lab, 1, &small(&["run", "-i", "eth0"]));
    assert!(
        said.contains("ASSURED4") && said.contains("--fresh"),
        "{said}"
    );
    std::fs::remove_file(&pin).expect("removed");
    let config: Array<_, [u64; 64]> = Array::create(1, 0).expect("a map");
    config.pin(maps.join("CONFIG")).expect("pinned");
    let said = fails(&lab, 1, &small(&["run", "-i", "eth0"]));
    assert!(
        said.contains("CONFIG") && said.contains("value size 512"),
        "{said}"
    );
    assert_eq!(xdp_program(&lab, "eth0"), None);
    assert!(!pin.exists(), "no other map was left");
    let _daemon = Daemon::start(&lab, &small(&["-i", "eth0", "--fresh"]));
}

#[test]
fn pins_that_others_could_change_are_refused() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-squat").expect("a lab");
    let dir = lab.bpffs();
    std::fs::create_dir_all(&dir).expect("a directory");
    sh(lab.router(), &format!("chown 65534 {}", dir.display()));
    let said = fails(&lab, 1, &small(&["run", "-i", "eth0"]));
    assert!(said.contains("does not belong to root"), "{said}");
    sh(
        lab.router(),
        &format!("chown 0 {0} && chmod 770 {0}", dir.display()),
    );
    let said = fails(&lab, 1, &small(&["run", "-i", "eth0"]));
    assert!(said.contains("others than root may write"), "{said}");
    sh(lab.router(), &format!("chmod 700 {}", dir.display()));
    let _daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    let modes = sh(
        lab.router(),
        &format!("find {} -printf '%m %y\\n' | sort -u", dir.display()),
    );
    assert_eq!(modes, "600 f\n700 d\n", "nothing for others");
}

#[test]
fn without_pins_a_leftover_socket_is_no_daemon() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-stale").expect("a lab");
    let mut daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    daemon.end(Signal::KILL);
    assert!(socket(&lab).exists(), "a killed daemon leaves its socket");
    let mut daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    assert!(text(&lab, &["status"]).contains("process"));
    assert!(daemon.end(Signal::TERM).success());
    let said = fails(&lab, 1, &["status"]);
    assert!(said.contains("fwctl run"), "{said}");
}

#[test]
fn a_link_of_another_namespace_is_neither_taken_over_nor_removed() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-elsewhere").expect("a lab");
    let mut daemon = Daemon::start(&lab, &small(&["-i", "eth1"]));
    let theirs = xdp_program(&lab, "eth1");
    daemon.end(Signal::KILL);
    // The server's eth0, with the router's pins.
    let output = lab
        .server()
        .command(env!("CARGO_BIN_EXE_fwctl"))
        .env("FWCTL_BPFFS", lab.bpffs())
        .env("FWCTL_SOCKET", socket(&lab))
        .env("FWCTL_STATE_DIR", lab.run_dir().join("state"))
        .args(small(&["run", "-i", "eth0"]))
        .output()
        .expect("fwctl");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("another network namespace"), "{said}");
    assert_eq!(xdp_program(&lab, "eth1"), theirs, "it filters on");
    let shown = sh(lab.server(), "ip -d link show dev eth0");
    assert!(!shown.contains("prog/xdp"), "{shown}");
}
