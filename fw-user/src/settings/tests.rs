//! Layers, files, refusals.

use fw_common::timeout::Timeout;

use super::*;

fn flags(list: &[(&str, &str)]) -> Sources {
    Sources {
        flags: list
            .iter()
            .map(|(name, value)| Assignment::flag(*name, *value))
            .collect(),
        config: None,
    }
}

/// What the flags and the text of a file give.
fn settings(list: &[(&str, &str)], text: &str) -> Result<Settings, SettingsError> {
    let file = file::parse(Path::new("/etc/fw.toml"), text)?;
    flags(list).combine(&file, Path::new("/nonexistent"))
}

fn refusal(list: &[(&str, &str)], text: &str) -> String {
    settings(list, text).expect_err("refused").to_string()
}

/// A directory that is removed again.
struct TempDir(PathBuf);

impl TempDir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fwctl-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("temporary directory");
        Self(path)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("temporary directory goes");
    }
}

#[test]
fn defaults_are_the_profiles() {
    let linux = settings(&[], "").expect("defaults");
    assert_eq!(linux.tunables.timeout(Timeout::TcpEstablished), 432_000);
    assert_eq!(linux.gc_interval, Duration::from_secs(1));
    assert_eq!(linux.on_exit, OnExit::Detach);
    assert!(linux.tunables.accounting && linux.tunables.fasttrack);
    let routeros = settings(&[("profile", "routeros")], "").expect("profile");
    assert_eq!(routeros.tunables.timeout(Timeout::TcpEstablished), 86_400);
}

#[test]
fn later_layers_win() {
    let file = "profile = 'routeros'\nudp-timeout = '1m'\nicmp-timeout = 7\ngre-timeout = 1\n\
                [sysctl]\nnf_conntrack_generic_timeout = 11\n";
    let s = settings(
        &[
            ("icmp-timeout", "9"),
            // Flags win over `--sysctl` whatever their order on the command line.
            ("gre-timeout", "5"),
            ("sysctl", "net.netfilter.nf_conntrack_gre_timeout=4"),
            ("sysctl", "nf_conntrack_udp_timeout=61"),
        ],
        file,
    )
    .expect("settings");
    let secs = |which| s.tunables.timeout(which);
    assert_eq!(secs(Timeout::TcpSynSent), 5, "profile from the file");
    assert_eq!(secs(Timeout::Generic), 11, "sysctl in the file");
    assert_eq!(secs(Timeout::Udp), 61, "--sysctl over the file");
    assert_eq!(secs(Timeout::Icmp), 9, "flag over the file");
    assert_eq!(secs(Timeout::Gre), 5, "flag over --sysctl");
}

#[test]
fn interfaces_of_flags_replace_the_files() {
    let file = "interface = ['lan0', 'wan0']\nzone = { lan0 = 3, wan0 = 4 }\n";
    let s = settings(&[], file).expect("file");
    let names: Vec<_> = s.ports.iter().map(|p| (p.name.as_str(), p.zone)).collect();
    assert_eq!(names, [("lan0", 3), ("wan0", 4)]);
    let s = settings(
        &[
            ("zone", "lan0=7"),
            ("interface", "lan0"),
            ("interface", "lan0"),
        ],
        file,
    )
    .expect("flags");
    assert_eq!(
        s.ports,
        [Port {
            name: "lan0".into(),
            zone: 7
        }]
    );
}

#[test]
fn every_kind_of_toml_value_is_read() {
    let s = settings(
        &[],
        "interface = 'eth0'\nmax-flows = 0x1000\nfasttrack = false\ntcp-loose = 'off'\n\
         drop-invalid = true\nmetrics = '[::1]:9630'\non-exit = 'keep'\nxdp-mode = 'native'\n\
         gc-interval = '250ms'\nsocket = '/run/x/y.sock'\n\
         sysctl.net.netfilter.nf_conntrack_checksum = 0\n",
    )
    .expect("settings");
    assert_eq!(s.tunables.max_flows, 4096);
    assert!(!s.tunables.fasttrack && !s.tunables.tcp_loose && s.tunables.drop_invalid);
    assert!(!s.tunables.checksum);
    assert_eq!(s.metrics, Some("[::1]:9630".parse().expect("address")));
    assert_eq!((s.on_exit, s.xdp_mode), (OnExit::Keep, XdpMode::Native));
    assert_eq!(s.gc_interval, Duration::from_millis(250));
    assert_eq!(
        s.resolve_paths(&Paths::default()).socket,
        Path::new("/run/x/y.sock")
    );
    let global = Paths {
        socket: "/tmp/z".into(),
        ..Paths::default()
    };
    assert_eq!(s.resolve_paths(&global).socket, Path::new("/tmp/z"));
}

#[test]
fn refusals_name_place_name_and_expectation() {
    for (list, file, parts) in [
        (
            &[("udp-timeout", "0")][..],
            "",
            &["--udp-timeout `0`", "1 to 2147483 seconds"][..],
        ),
        (&[("udp-timeout", "-5s")], "", &["--udp-timeout `-5s`"]),
        (
            &[("max-flows", "0")],
            "",
            &["--max-flows `0`", "1 to 16777216"],
        ),
        (&[("gc-interval", "1ms")], "", &["10ms to 1h"]),
        (
            &[("metrics", "9630")],
            "",
            &["--metrics `9630`", "ADDR:PORT"],
        ),
        (&[("tcp-loose", "1")], "", &["`on` or `off`"]),
        (&[("interface", "a/b")], "", &["--interface `a/b`"]),
        (&[("zone", "eth7=1")], "", &["which `eth7` is not"]),
        (
            &[("failsafe", "ssh")],
            "",
            &["--failsafe `ssh`", "as in `tcp:22`"],
        ),
        (&[("profile", "bsd")], "", &["`linux` or `routeros`"]),
        (
            &[("sysctl", "nf_conntrack_udp_timeot=3")],
            "",
            &[
                "--sysctl",
                "`net.netfilter.nf_conntrack_udp_timeout`",
                "1 to 2147483",
            ],
        ),
        (
            &[("sysctl", "nf_conntrack_count=3")],
            "",
            &["can only be read"],
        ),
        (&[("sysctl", "nf_conntrack_max")], "", &["NAME=VALUE"]),
        (
            &[],
            "\n\nudp-timeot = 3\n",
            &["/etc/fw.toml:3:", "`udp-timeot`", "`udp-timeout`"],
        ),
        (
            &[],
            "interface = ['eth0']\nudp-timeout = 0\n",
            &["/etc/fw.toml:2: udp-timeout = `0`"],
        ),
        (&[], "a = [1\n", &["/etc/fw.toml:"]),
        (&[], "udp-timeout = 1.5\n", &["udp-timeout = `float`"]),
    ] {
        let text = refusal(list, file);
        for part in parts {
            assert!(text.contains(part), "{part:?} not in {text:?}");
        }
        assert!(!text.contains('\n'), "one line: {text:?}");
    }
}

#[test]
fn inherits_what_the_kernel_has() {
    let dir = TempDir::new("inherit");
    for (name, value) in [
        ("nf_conntrack_max", "1000\n"),
        ("nf_conntrack_udp_timeout", "31\n"),
        ("nf_conntrack_acct", "0\n"),
        ("nf_conntrack_count", "17\n"),
    ] {
        std::fs::write(dir.0.join(name), value).expect("write");
    }
    let sources = flags(&[("sysctl-inherit", "on"), ("accounting", "on")]);
    let s = sources.combine(&[], &dir.0).expect("inherited");
    assert_eq!(s.tunables.max_flows, 1000);
    assert_eq!(s.tunables.timeout(Timeout::Udp), 31);
    assert_eq!(
        s.tunables.timeout(Timeout::UdpStream),
        120,
        "kernel lacks it"
    );
    assert!(s.tunables.accounting, "flag over the kernel's");

    for (kernels, ours) in [("0", 262_144), ("99999999999", Tunables::MAX_FLOWS_LIMIT)] {
        std::fs::write(dir.0.join("nf_conntrack_max"), kernels).expect("write");
        let s = sources.combine(&[], &dir.0).expect("inherited");
        assert_eq!(s.tunables.max_flows, ours);
    }
    std::fs::write(dir.0.join("nf_conntrack_acct"), "2\n").expect("write");
    let error = sources.combine(&[], &dir.0).expect_err("no switch");
    assert!(error.to_string().contains("nf_conntrack_acct"), "{error}");
    let gone = sources.combine(&[], Path::new("/nonexistent"));
    assert!(matches!(gone, Err(SettingsError::Inherit { .. })));
}

#[test]
fn a_named_file_must_exist_the_default_need_not() {
    let mut sources = flags(&[("interface", "eth0")]);
    sources.config = Some("/nonexistent/fwctl.toml".into());
    assert!(matches!(sources.read(), Err(SettingsError::Read { .. })));
    let none = Sources {
        config: Some("/dev/null".into()),
        ..Sources::default()
    };
    assert!(matches!(
        none.read(),
        Err(SettingsError::NoInterface { .. })
    ));
}
