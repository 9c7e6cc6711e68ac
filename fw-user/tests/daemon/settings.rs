//! Settings at run time: by name, by the kernel's name, by a reload.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use fw_common::abi::ABI_VERSION;
use rustix::process::Signal;
use xtask::lab::{Lab, root_or_skip};
use xtask::traffic::uninterrupted;

use crate::fixture::{Daemon, PATIENCE, fails, fwctl, json, sh, small, text};

#[test]
fn timeouts_and_sysctls_are_two_views_of_the_same() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-sysctl").expect("a lab");
    let _daemon = Daemon::start(&lab, &small(&["-i", "eth0", "--icmp-timeout", "9"]));
    let sysctl = |name: &str| text(&lab, &["sysctl", "-n", name]);
    assert_eq!(sysctl("nf_conntrack_icmp_timeout"), "9\n");
    text(
        &lab,
        &["timeouts", "set", "udp_stream=3m", "tcp_established=1d"],
    );
    assert_eq!(
        sysctl("net/netfilter/nf_conntrack_udp_timeout_stream"),
        "180\n"
    );
    let written = text(
        &lab,
        &[
            "sysctl",
            "-w",
            "nf_conntrack_udp_timeout=61",
            "nf_conntrack_tcp_loose=0",
        ],
    );
    assert_eq!(
        written,
        "net.netfilter.nf_conntrack_udp_timeout = 61\nnet.netfilter.nf_conntrack_tcp_loose = 0\n"
    );
    assert!(text(&lab, &["timeouts"]).contains("udp = 61\n"));
    assert_eq!(sysctl("nf_conntrack_max"), "2048\n");
    text(&lab, &["sysctl", "-w", "nf_conntrack_max=100"]);
    assert_eq!(
        json(&lab, &["status", "-o", "json"])["flows"]["capacity"],
        100
    );

    let file = lab.run_dir().join("90-conntrack.conf");
    let conf = "# as of sysctl.d\nnet.ipv4.ip_forward = 0\n\
                net.netfilter.nf_conntrack_generic_timeout = 77\n\
                -net.netfilter.nf_conntrack_log_invalid = 1\n";
    std::fs::write(&file, conf).expect("written");
    text(&lab, &["sysctl", "-p", file.to_str().expect("UTF-8")]);
    assert_eq!(sysctl("nf_conntrack_generic_timeout"), "77\n");
    assert_eq!(sh(lab.router(), "cat /proc/sys/net/ipv4/ip_forward"), "1\n");

    let words = [
        "nf_conntrack_udp_timeout=31",
        "nf_conntrack_icmp_timeout=32",
    ];
    let values = |more: &[&str]| text(&lab, &[&["sysctl", "-n", "-w"], more, &words[..]].concat());
    assert_eq!(values(&[]), "31\n32\n", "in the order given");
    assert_eq!(values(&["-q"]), "");

    let all = text(&lab, &["sysctl", "-a"]);
    assert!(
        all.contains("net.netfilter.nf_conntrack_count = 0\n"),
        "{all}"
    );
    let as_json = json(&lab, &["sysctl", "-a", "-o", "json"]);
    assert_eq!(
        all.lines().count(),
        as_json.as_array().expect("an array").len()
    );
}

#[test]
fn refused_changes_name_range_and_nearest_and_change_nothing() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-refuse").expect("a lab");
    let _daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    let before = text(&lab, &["sysctl", "-a"]);
    let file = lab.run_dir().join("bad.conf");
    std::fs::write(&file, "\nnet.netfilter.nf_conntrack_udp_timeot = 5\n").expect("written");
    let file = file.to_str().expect("UTF-8");
    for (args, part) in [
        (&["timeouts", "set", "udp=0"][..], "1 to 2147483 seconds"),
        (&["timeouts", "set", "icmp=5", "udp=-1"], "`udp`"),
        (&["timeouts", "set", "upd=5"], "`udp`"),
        (&["timeouts", "set", "udp"], "NAME=VALUE"),
        (
            &[
                "sysctl",
                "-w",
                "nf_conntrack_icmp_timeout=5",
                "nf_conntrack_tcp_loose=2",
            ],
            "0 or 1",
        ),
        (&["sysctl", "-w", "nf_conntrack_count=1"], "only be read"),
        (
            &["sysctl", "nf_conntrack_udp_timeot"],
            "nf_conntrack_udp_timeout`",
        ),
        (
            &["sysctl", "-w", "nf_conntrack_max=99999"],
            "--max-flows 99999",
        ),
        (&["sysctl", "-p", file], "bad.conf:2"),
    ] {
        let said = fails(&lab, 2, args);
        assert!(said.contains(part), "{args:?}: {said}");
    }
    assert_eq!(text(&lab, &["sysctl", "-a"]), before);
}

#[test]
fn sighup_reads_the_file_again_and_keeps_the_old_if_it_is_wrong() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-reload").expect("a lab");
    let file = lab.run_dir().join("fwctl.toml");
    let write = |text: &str| std::fs::write(&file, text).expect("written");
    write("interface = ['eth0']\nudp-timeout = '40s'\nicmp-timeout = 8\n");
    let config = file.to_str().expect("UTF-8");
    let args = ["--config", config, "--icmp-timeout", "9"];
    let mut daemon = Daemon::start(&lab, &small(&args));
    let udp = || text(&lab, &["sysctl", "-n", "nf_conntrack_udp_timeout"]);
    assert_eq!(udp(), "40\n");
    assert_eq!(
        text(&lab, &["sysctl", "-n", "nf_conntrack_icmp_timeout"]),
        "9\n"
    );

    write("interface = ['eth0']\nudp-timeout = 41\nmetrics = '127.0.0.1:9630'\n");
    daemon.signal(Signal::HUP);
    let said = daemon.wait_for("reloaded");
    assert!(
        said.contains("only a restart") && said.contains("metrics"),
        "{said}"
    );
    assert_eq!(udp(), "41\n");

    write("interface = ['eth0']\nudp-timeout = 0\n");
    daemon.signal(Signal::HUP);
    let said = daemon.wait_for("reload: ");
    assert!(said.contains("fwctl.toml:2: udp-timeout"), "{said}");
    assert_eq!(udp(), "41\n");

    // A second interface joins; the first is not touched.
    let before = crate::fixture::xdp_program(&lab, "eth0");
    write("interface = ['eth0', 'eth1']\nudp-timeout = 42\n");
    daemon.signal(Signal::HUP);
    daemon.wait_for("reloaded");
    assert_eq!(crate::fixture::xdp_program(&lab, "eth0"), before);
    assert_eq!(crate::fixture::xdp_program(&lab, "eth1"), before);
    write("interface = ['eth1']\n");
    daemon.signal(Signal::HUP);
    daemon.wait_for("reloaded");
    assert_eq!(crate::fixture::xdp_program(&lab, "eth0"), None);
    assert_eq!(crate::fixture::xdp_program(&lab, "eth1"), before);

    // An unknown one is refused, and nothing changes.
    write("interface = ['eth0', 'nope0']\nudp-timeout = 43\n");
    daemon.signal(Signal::HUP);
    daemon.wait_for("`nope0`");
    assert_eq!(crate::fixture::xdp_program(&lab, "eth0"), None);
    assert_eq!(udp(), "30\n");
}

#[test]
fn systemd_hears_of_start_reload_and_stop() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-notify").expect("a lab");
    let path = lab.run_dir().join("notify");
    let systemd = UnixDatagram::bind(&path).expect("a socket");
    systemd.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let heard = || {
        let mut buffer = [0; 512];
        let n = uninterrupted(|| systemd.recv(&mut buffer)).expect("a notification");
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    };
    let mut command = fwctl(&lab);
    command.env("NOTIFY_SOCKET", &path);
    let mut daemon = Daemon::start_as(&mut command, &small(&["-i", "eth0"]));
    let first = heard();
    assert!(
        first.contains("READY=1") && first.contains("STATUS=filtering eth0"),
        "{first}"
    );
    daemon.signal(Signal::HUP);
    let reloading = heard();
    assert!(reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="));
    assert!(heard().contains("READY=1"));
    assert!(daemon.end(Signal::TERM).success());
    assert!(heard().contains("STOPPING=1"));
}

#[test]
fn metrics_are_served_in_prometheus_format() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-metrics").expect("a lab");
    let args = ["-i", "eth0", "-i", "eth1", "--metrics", "127.0.0.1:9630"];
    let _daemon = Daemon::start(&lab, &small(&args));
    sh(lab.client(), "ping -c 1 -W 20 10.0.0.2");
    let scraped = sh(lab.router(), "curl -s -m 60 http://127.0.0.1:9630/metrics");
    for line in [
        "fwctl_entries{family=\"ipv4\",table=\"embryonic\"} 1",
        "fwctl_entries_limit{family=\"ipv6\",table=\"assured\"} 2048",
        "fwctl_packets_total{state=\"established\",direction=\"reply\"} 1",
        "fwctl_stat_created_total 1",
        "fwctl_drops_total{reason=\"martian-source\"} 0",
        "fwctl_interface{interface=\"eth1\",mode=\"native\"} 1",
        "# EOF",
    ] {
        assert!(scraped.lines().any(|l| l == line), "{line}\n{scraped}");
    }
    // The address is taken: one sentence, and the first goes on.
    let other = lab.run_dir().join("other");
    let bpffs = lab.bpffs().join("other");
    let output = fwctl(&lab)
        .env("FWCTL_BPFFS", &bpffs)
        .env("FWCTL_SOCKET", other.join("s"))
        .env("FWCTL_STATE_DIR", &other)
        .args(["run", "-i", "lo", "--metrics", "127.0.0.1:9630"])
        .output()
        .expect("fwctl");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!Path::new(&bpffs).join(format!("v{ABI_VERSION}")).exists());
}
