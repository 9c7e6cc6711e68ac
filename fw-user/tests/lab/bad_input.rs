//! What is wrong is said in one sentence, and nothing is left half done.

use std::process::Output;

use xtask::lab::{Lab, root_or_skip};

use crate::firewall::{Firewall, fwctl, run};

/// Runs `fwctl ARGS` on the router; it must fail with `status` and one line on standard error.
#[track_caller]
fn fails(lab: &Lab, status: i32, args: &[&str]) -> String {
    let output = fwctl(lab, lab.router())
        .args(args)
        .output()
        .expect("running fwctl");
    one_sentence(&output, status)
}

#[track_caller]
fn one_sentence(output: &Output, status: i32) -> String {
    let said = String::from_utf8_lossy(&output.stderr)
        .trim_end()
        .to_owned();
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert_eq!(said.lines().count(), 1, "one sentence: {said}");
    assert!(said.starts_with("fwctl: "), "{said}");
    said
}

/// Neither a program on an interface nor a pin.
#[track_caller]
fn assert_untouched(lab: &Lab) {
    for interface in ["eth0", "eth1"] {
        let shown = run(lab.router(), &format!("ip -d link show dev {interface}"));
        assert!(!shown.contains("prog/xdp"), "{shown}");
    }
    let pins = std::fs::read_dir(lab.bpffs())
        .map(Iterator::count)
        .unwrap_or(0);
    assert_eq!(pins, 0, "nothing is pinned");
}

#[test]
fn unknown_interface_attaches_nothing() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("bad-iface").expect("a lab");
    let (dir, state) = (lab.run_dir().join("new"), lab.run_dir().join("state"));
    let socket = dir.join("fwctl.sock");
    let socket = socket.to_str().expect("UTF-8");
    let said = fails(
        &lab,
        1,
        &["run", "-i", "eth0", "-i", "eht1", "--socket", socket],
    );
    for made in [dir, state] {
        assert!(!made.exists(), "{} is left behind", made.display());
    }
    assert!(
        said.contains("eht1") && said.contains("eth1"),
        "names it and the nearest: {said}"
    );
    assert_untouched(&lab);
}

#[test]
fn bpffs_that_is_none_is_named_with_the_command_that_mends_it() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("bad-bpffs").expect("a lab");
    let dir = lab.run_dir().join("not-a-bpffs");
    std::fs::create_dir_all(&dir).expect("a directory");
    let path = dir.to_str().expect("UTF-8");
    let said = fails(&lab, 1, &["run", "-i", "eth0", "--bpffs", path]);
    assert!(said.contains("mount -t bpf"), "{said}");
    assert_untouched(&lab);
}

#[test]
fn not_root_is_told_so() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("bad-user").expect("a lab");
    let program = env!("CARGO_BIN_EXE_fwctl");
    let copy = lab.run_dir().join("fwctl");
    // The build directory may be closed to others.
    // Not by this process: one that another test is just starting would have the file open for writing, and
    // such a file can't be executed.
    run(
        lab.router(),
        &format!(
            "cp {program} {1} && chmod 755 {0} {1}",
            lab.run_dir().display(),
            copy.display()
        ),
    );
    let output = lab
        .router()
        .command("setpriv")
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--inh-caps=-all",
        ])
        .arg(&copy)
        .args(["run", "-i", "eth0"])
        .output()
        .expect("running as nobody");
    let said = one_sentence(&output, 1);
    assert!(said.contains("root"), "{said}");
    assert_untouched(&lab);
}

#[test]
fn bad_arguments_exit_2_and_name_range_or_nearest_name() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("bad-args").expect("a lab");
    let cases: [(&[&str], &[&str]); 7] = [
        (&["--udp-timeout", "0"], &["udp-timeout", "1"]),
        (&["--udp-timeout=-5"], &["udp-timeout"]),
        (
            &["--udp-timeout", "99999999999"],
            &["udp-timeout", "2147483"],
        ),
        (&["--udp-timeout", "3 fortnights"], &["udp-timeout"]),
        (
            &["--sysctl", "nf_conntrack_upd_timeout=30"],
            &["nf_conntrack_udp_timeout"],
        ),
        (
            &["--sysctl", "net.netfilter.nf_conntrack_udp_timeout=x"],
            &["nf_conntrack_udp_timeout"],
        ),
        (&["--xdp-mode", "fast"], &["native", "generic"]),
    ];
    for (flags, words) in cases {
        let args = [&["run", "-i", "eth0"], flags].concat();
        let output = fwctl(&lab, lab.router())
            .args(&args)
            .output()
            .expect("running fwctl");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{flags:?} should name {word}: {said}");
        }
    }
    assert_untouched(&lab);
}

#[test]
fn no_interface_at_all_is_a_usage_error() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("bad-none").expect("a lab");
    let output = fwctl(&lab, lab.router())
        .arg("run")
        .output()
        .expect("running fwctl");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--interface"), "{said}");
}

#[test]
fn second_daemon_names_the_first() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("bad-second").expect("a lab");
    let firewall = Firewall::start(&lab, &[]);
    let said = fails(&lab, 1, &["run", "-i", "eth0"]);
    assert!(
        said.contains(&firewall.pid().to_string()),
        "names the process: {said}"
    );
    // Nor with directories of its own: the interface is taken.
    let other = lab.run_dir().join("other");
    let bpffs = lab
        .bpffs()
        .with_file_name(format!("fwctl-other-{}", lab.name()));
    let output = fwctl(&lab, lab.router())
        .env("FWCTL_BPFFS", &bpffs)
        .env("FWCTL_SOCKET", other.join("s.sock"))
        .env("FWCTL_STATE_DIR", &other)
        .args(["run", "-i", "eth0"])
        .output()
        .expect("running fwctl");
    let _ = std::fs::remove_dir_all(&bpffs);
    let said = one_sentence(&output, 1);
    assert!(said.contains("eth0"), "{said}");
    assert!(!firewall.text(&["status"]).is_empty(), "the first goes on");
}

#[test]
fn offload_is_tried_and_the_refusal_passed_on() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("offload").expect("a lab");
    // veth has no processor to run programs.
    let said = fails(&lab, 1, &["run", "-i", "eth0", "--xdp-mode", "offload"]);
    assert!(said.contains("eth0") && said.contains("offload"), "{said}");
    assert_untouched(&lab);
}

#[test]
fn without_daemon_and_pins_every_command_says_so() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("bad-alone").expect("a lab");
    for args in [
        &["list"][..],
        &["count"],
        &["stats"],
        &["status"],
        &["flush"],
        &["timeouts"],
    ] {
        let said = fails(&lab, 1, args);
        assert!(
            said.contains("fwctl run"),
            "{args:?} says what to do: {said}"
        );
    }
}
