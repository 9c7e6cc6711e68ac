//! What `fwctl` says when something is wrong or missing, and its exit status.

mod cli_support;

use std::fs;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use cli_support::spec::ssh;
use cli_support::{BpfFs, Firewall, Run, command, pin_stranger};
use fw_common::abi::{Flow, Key4, maps};
use fw_user::paths::Paths;
use xtask::lab::root_or_skip;

/// Runs without any firewall.
fn run(line: &str) -> Run {
    Run::of(&mut command(Path::new("/nonexistent/bpf"), line))
}

/// One line on standard error with our name in front, and nothing on standard output.
#[track_caller]
fn one_sentence(run: &Run, code: i32) -> &str {
    assert_eq!(run.code, Some(code), "{run:?}");
    assert_eq!(run.out, "", "{run:?}");
    assert_eq!(run.err.lines().count(), 1, "{run:?}");
    run.err
        .trim_end()
        .strip_prefix("fwctl: ")
        .expect("our name")
}

#[test]
fn without_a_firewall_every_command_says_how_to_start_one() {
    for line in [
        "list",
        "get -p 50 -s 10.0.0.1 -d 10.0.0.2",
        "delete -p tcp",
        "flush",
        "count",
        "stats",
        "top",
        "top -o json --iterations 2",
    ] {
        let run = run(line);
        let text = one_sentence(&run, 1);
        assert!(text.contains("/nonexistent/bpf/v"), "{text}");
        assert!(text.contains("fwctl run"), "{text}");
    }
}

#[test]
fn help_names_defaults_whatever_the_environment_says() {
    let said = Command::new(env!("CARGO_BIN_EXE_fwctl"))
        .args(["list", "--help"])
        .envs([
            ("FWCTL_SOCKET", "/x/socket"),
            ("FWCTL_BPFFS", "/x/bpf"),
            ("FWCTL_STATE_DIR", "/x/state"),
        ])
        .output()
        .expect("fwctl list --help");
    let said = String::from_utf8(said.stdout).expect("UTF-8");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for default in [Paths::SOCKET, Paths::BPFFS, Paths::STATE_DIR] {
        assert!(said.contains(&format!("[default: {default}]")), "{said}");
    }
    assert!(!said.contains("/x/"), "{said}");
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let mut explain = command(Path::new("/nonexistent/bpf"), "explain -i nosuch");
    let run = Run::of(explain.arg("udp 10.0.0.1:1 > 10.0.0.2:2"));
    assert_ne!(run.code, Some(0));
    assert!(run.err.contains("there is no interface nosuch"), "{run:?}");
    assert!(!run.err.contains("routing tables"), "{run:?}");
}

#[test]
fn bad_arguments_have_status_2() {
    for line in [
        "",
        "lsit",
        "list --no-such-option",
        "list -p foo",
        "list -s 10.0.0.1/33",
        "list --state ESTAB",
        "list -u ASURED",
        "list -o jsno",
        "list expect",
        "get -p tcp -s 10.0.0.1",
        "stats -o xml",
        "top --interval 99ms",
        "top --interval 2h",
        "top --sort name",
        "top -n 0",
        "top --iterations 0",
        "top --once --iterations 2",
        "completions csh",
    ] {
        let run = run(line);
        assert_eq!(run.code, Some(2), "{line}: {run:?}");
        assert_eq!(run.out, "", "{line}");
    }
}

#[test]
fn what_is_no_number_is_told_what_is_expected() {
    for (line, range) in [
        ("list -p tcp --dport ssh", "from 0 to 65535"),
        ("trace --sport 65536", "from 0 to 65535"),
        ("count --icmp-type echo-request", "from 0 to 255"),
        ("get -p icmp -s ::1 -d ::2 --icmp-code x", "from 0 to 255"),
    ] {
        let run = run(line);
        assert_eq!(run.code, Some(2), "{line}: {run:?}");
        assert!(
            run.err.contains(&format!("a number {range} is expected")),
            "{line}: {run:?}"
        );
    }
}

#[test]
fn usage_lines_do_not_name_what_only_the_environment_says() {
    let run = Run::of(
        Command::new(env!("CARGO_BIN_EXE_fwctl"))
            .args(["timeouts", "set"])
            .env("FWCTL_SOCKET", "/tmp/s")
            .env("FWCTL_BPFFS", "/tmp/b")
            .env("FWCTL_STATE_DIR", "/tmp/d"),
    );
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.err.contains("Usage: fwctl timeouts set"), "{run:?}");
    assert!(!run.err.contains("--socket"), "{run:?}");
}

#[test]
fn arguments_that_contradict_each_other_have_status_2() {
    for (line, word) in [
        ("list -f ipv6 -s 10.0.0.1", "ipv6"),
        ("list --interface no-such-nic0", "no-such-nic0"),
        ("list --interface no-such-nic0", "by its number"),
        ("list --interface 0", "`0`"),
        ("get -p tcp -s 10.0.0.1 -d 10.0.0.2", "--sport"),
        ("get -p udp -s 10.0.0.1 -d ::1 --sport 1 --dport 2", "::1"),
        ("get -p icmp -s 10.0.0.1 -d 10.0.0.2", "--icmp-id"),
        (
            "get -p icmp -s 10.0.0.1 -d 10.0.0.2 --icmp-id 1 --icmp-type 3",
            "type 3",
        ),
    ] {
        let run = run(line);
        let text = one_sentence(&run, 2);
        assert!(text.contains(word), "{line}: {text}");
    }
}

#[test]
fn unprivileged_users_are_told_of_sudo() {
    if !root_or_skip() {
        return;
    }
    let firewall = Firewall::new(64);
    let closed = BpfFs::mount(Some(c"mode=0700"));
    fs::create_dir(closed.dir.join("inner")).expect("directory");
    // A copy, since the build may be below somebody's private directory. Not by this process: one that
    // another test is just starting would have it open for writing, and such a file can't be executed.
    let binary = std::env::temp_dir().join(format!("fwctl-nobody-{}", std::process::id()));
    let mut copy = Command::new("cp");
    let copied = copy.arg(env!("CARGO_BIN_EXE_fwctl")).arg(&binary).status();
    assert!(copied.expect("cp").success());
    for dir in [&firewall.fs.dir, &closed.dir.join("inner")] {
        let nobody = 65534;
        let run = Run::of(
            Command::new(&binary)
                .current_dir("/")
                .arg("--bpffs")
                .arg(dir)
                .arg("list")
                .uid(nobody)
                .gid(nobody),
        );
        let text = one_sentence(&run, 1);
        assert!(text.contains("sudo"), "{text}");
    }
    fs::remove_file(&binary).expect("remove");
}

#[test]
fn maps_of_another_layout_are_refused() {
    if !root_or_skip() {
        return;
    }
    let firewall = Firewall::new(64);
    let (key, value) = (size_of::<Key4>(), size_of::<Flow>());
    for (key, value) in [(key, value + 8), (key - 4, value)] {
        pin_stranger(&firewall.fs, maps::EMBRYO4, key, value);
        let run = firewall.run("list");
        let text = one_sentence(&run, 1);
        assert!(
            text.contains("EMBRYO4") && text.contains("version"),
            "{text}"
        );
    }
}

#[test]
fn a_map_of_another_kind_is_refused() {
    if !root_or_skip() {
        return;
    }
    let firewall = Firewall::new(64);
    pin_stranger(&firewall.fs, maps::CONFIG, 4, 8);
    let run = firewall.run("list");
    assert!(one_sentence(&run, 1).contains("CONFIG"));
    pin_stranger(&firewall.fs, maps::COUNTERS, 4, 8);
    let run = firewall.run("stats");
    assert!(one_sentence(&run, 1).contains("COUNTERS"));
}

#[test]
fn maps_that_are_not_filled_yet_are_waited_for() {
    if !root_or_skip() {
        return;
    }
    let mut firewall = Firewall::new(64);
    firewall.configure(|config| config.clock = fw_common::abi::Clock::default());
    let run = firewall.run("list");
    assert!(one_sentence(&run, 1).contains("not been configured yet"));
}

/// `ip netns exec` gives a command a mount namespace in which the pins are hidden.
#[test]
fn hidden_pins_are_found_through_the_daemon() {
    if !root_or_skip() {
        return;
    }
    let mut firewall = Firewall::new(64);
    firewall.add(&ssh());
    // This test is the daemon: what matters is who listens.
    let socket = std::env::temp_dir().join(format!("fwctl-cli-{}.sock", std::process::id()));
    let _listener = UnixListener::bind(&socket).expect("bind");
    let script = "mount -t tmpfs none \"$1\" && exec \"$2\" --bpffs \"$1\" --socket \"$3\" count";
    let run = Run::of(
        Command::new("unshare")
            .args(["--mount", "sh", "-c", script, "sh"])
            .arg(&firewall.fs.dir)
            .arg(env!("CARGO_BIN_EXE_fwctl"))
            .arg(&socket),
    );
    fs::remove_file(&socket).expect("remove");
    assert_eq!((run.code, run.out.as_str()), (Some(0), "1\n"), "{run:?}");
}

#[test]
fn help_has_examples_and_succeeds() {
    for command in [
        "list",
        "get",
        "delete",
        "flush",
        "count",
        "stats",
        "completions",
        "man",
    ] {
        let run = run(&format!("{command} --help"));
        assert_eq!(run.code, Some(0), "{command}");
        assert!(
            run.out.contains(&format!("  fwctl {command}")),
            "{}",
            run.out
        );
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let run = run(&format!("completions {shell}"));
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{shell}");
        assert!(
            run.out.contains("flush") && run.out.contains("reply-src"),
            "{shell}"
        );
    }
}

#[test]
fn manual_has_a_page_for_each_command() {
    let page = run("man");
    assert_eq!(page.code, Some(0));
    assert!(page.out.contains(".TH FWCTL 8"), "{}", page.out);

    let dir = std::env::temp_dir().join(format!("fwctl-man-{}", std::process::id()));
    let written = run(&format!("man --dir {}", dir.display()));
    assert_eq!((written.code, written.out.as_str()), (Some(0), ""));
    let list = fs::read_to_string(dir.join("fwctl-list.8")).expect("page");
    assert!(
        list.contains(".TH FWCTL-LIST 8") && list.contains("reply\\-src"),
        "{list}"
    );
    fs::remove_dir_all(&dir).expect("remove");
}
