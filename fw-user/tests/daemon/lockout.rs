//! Rules that lock their author out: rolled back by themselves, whoever dies meanwhile; and ports that
//! no ruleset closes.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use xtask::lab::{Lab, root_or_skip};
use xtask::traffic::{NOTHING, Tcp, Udp};

use crate::fixture::{Daemon, PATIENCE, ask, eventually, fails, fwctl, json, small, socket, text};
use crate::rules::{CLOSED, SSH_ONLY, apply, file};

fn at(text: &str) -> std::net::SocketAddr {
    text.parse().expect("ADDR:PORT")
}

/// A connection to the router's own port 22, such as an administrator has.
pub(crate) fn login(lab: &Lab, port: u16) -> Tcp {
    let from = at(&format!("192.168.1.2:{port}"));
    Tcp::open(lab.client(), from, lab.router(), at("192.168.1.1:22")).expect("a login")
}

fn generation(lab: &Lab) -> u64 {
    let listed = json(lab, &["rules", "list", "-o", "json"]);
    listed["generation"].as_u64().expect("a generation")
}

#[test]
fn a_lock_out_is_undone_by_itself() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("r-lockout").expect("a lab");
    let _daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    apply(&lab, &file(&lab, "ssh.nft", SSH_ONLY), &[]);
    let mut tcp = login(&lab, 4001);
    tcp.echo(b"before").expect("the connection works");
    let closed = file(&lab, "closed.nft", CLOSED);
    let begin = Instant::now();
    apply(&lab, &closed, &["--confirm", "15s"]);
    tcp.is_cut(b"cut").expect("the rules cut the connection");
    let second = fails(
        &lab,
        1,
        &["rules", "apply", closed.to_str().expect("UTF-8")],
    );
    assert!(second.contains("fwctl rules confirm"), "{second}");
    let status = text(&lab, &["status"]);
    assert!(status.contains("NOT CONFIRMED"), "{status}");
    eventually("the roll-back", || (generation(&lab) == 3).then_some(()));
    let took = begin.elapsed();
    assert!(
        took >= Duration::from_secs(15),
        "not before its time: {took:?}"
    );
    assert_eq!(text(&lab, &["rules", "list", "-s"]), SSH_ONLY);
    // The same connection goes on once TCP has repeated what was lost.
    let patient = Some(PATIENCE);
    tcp.server.set_read_timeout(patient).expect("a timeout");
    let mut cut = [0; 3];
    tcp.server
        .read_exact(&mut cut)
        .expect("what was lost arrives");
    assert_eq!(&cut, b"cut");

    // Confirmed, they stay; rolled back by hand, they go at once.
    apply(&lab, &closed, &["--confirm", "1m"]);
    text(&lab, &["rules", "confirm"]);
    fails(&lab, 1, &["rules", "rollback"]);
    assert_eq!(text(&lab, &["rules", "list", "-s"]), CLOSED);
    apply(&lab, &file(&lab, "ssh.nft", SSH_ONLY), &["--confirm", "1m"]);
    text(&lab, &["rules", "rollback"]);
    assert_eq!(text(&lab, &["rules", "list", "-s"]), CLOSED);
}

/// A daemon is late where the machine stands still just then; one that is late each time does not keep time.
#[test]
fn a_roll_back_comes_when_it_is_due() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("r-due").expect("a lab");
    let _daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    apply(&lab, &file(&lab, "ssh.nft", SSH_ONLY), &[]);
    let closed = file(&lab, "closed.nft", CLOSED);
    eventually("a roll-back in time", || {
        let (before, begin) = (generation(&lab), Instant::now());
        apply(&lab, &closed, &["--confirm", "2s"]);
        eventually("the roll-back", || {
            (generation(&lab) == before + 2).then_some(())
        });
        (begin.elapsed() < Duration::from_secs(5)).then_some(())
    });
}

/// Applies rules that are to be confirmed within this time, and has the daemon die before it is over; when they were applied.
fn die_unconfirmed(lab: &Lab, daemon: &mut Daemon, rules: &Path, time: Duration) -> Instant {
    eventually("a death before the time is over", || {
        let begin = Instant::now();
        apply(lab, rules, &["--confirm", &format!("{}s", time.as_secs())]);
        let applied = Instant::now();
        daemon.end(Signal::KILL);
        if begin.elapsed() < time {
            return Some(applied);
        }
        *daemon = Daemon::start(lab, &small(&["-i", "eth0"]));
        None
    })
}

/// What is said of a confirmation whose daemon is dead, and of a daemon whose socket is another.
#[test]
fn without_a_daemon_no_roll_back_is_promised() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("r-dead").expect("a lab");
    let mut daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    let closed = file(&lab, "closed.nft", CLOSED);
    apply(&lab, &closed, &["--confirm", "1m"]);
    let elsewhere = ask(&lab, &["status", "--socket", "/run/fwctl-no-such.sock"]);
    assert!(elsewhere.status.success(), "{elsewhere:?}");
    let [out, note] =
        [&elsewhere.stdout, &elsewhere.stderr].map(|said| String::from_utf8_lossy(said));
    let process = format!("process {}", daemon.pid());
    assert!(
        note.contains(&process) && note.contains("does not answer"),
        "{note}"
    );
    assert!(out.contains("the rules before come back in"), "{out}");
    assert!(
        !note.contains("no daemon") && !out.contains("no daemon"),
        "{note}{out}"
    );

    daemon.end(Signal::KILL);
    let status = text(&lab, &["status"]);
    assert!(
        status.contains("without a daemon these stay; start one within"),
        "{status}"
    );
    daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    let status = text(&lab, &["status"]);
    assert!(status.contains("the rules before come back in"), "{status}");
    text(&lab, &["rules", "rollback"]);
    die_unconfirmed(&lab, &mut daemon, &closed, Duration::from_secs(2));
    eventually("the time is over", || {
        let status = text(&lab, &["status"]);
        assert!(!status.contains("come back in"), "{status}");
        status
            .contains("the next `fwctl run` brings the rules before back")
            .then_some(())
    });
}

/// A socket on which the daemon seems to listen, but never to answer what would change something.
fn silent_socket(lab: &Lab) -> PathBuf {
    let path = lab.run_dir().join("silent.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let behind = socket(lab);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.expect("a connection");
            let mut daemon = UnixStream::connect(&behind).expect("the daemon");
            let mut method = [0; 3];
            client.read_exact(&mut method).expect("a request");
            daemon.write_all(&method).expect("it listens");
            let [mut from, mut to] = [&client, &daemon].map(|s| s.try_clone().expect("a socket"));
            std::thread::spawn(move || {
                // Whoever asks hangs up when it has its answer, or dies.
                let _ = io::copy(&mut from, &mut to);
                to.shutdown(Shutdown::Write)
            });
            let _ = match &method {
                b"GET" => io::copy(&mut daemon, &mut client),
                _ => io::copy(&mut daemon, &mut io::sink()),
            };
        }
    });
    path
}

/// The terminal from which the rules were applied is what they cut, and its `fwctl` dies with it.
#[test]
fn the_death_of_who_applied_does_not_stop_the_clock() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("r-orphan").expect("a lab");
    let mut daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    apply(&lab, &file(&lab, "ssh.nft", SSH_ONLY), &[]);
    daemon.wait_for("rules: generation 1");
    let mut tcp = login(&lab, 4005);
    let mut command = fwctl(&lab);
    command.env("FWCTL_SOCKET", silent_socket(&lab));
    command.args(["rules", "apply", "--confirm", "15s"]);
    let mut waiting = command.arg(file(&lab, "closed.nft", CLOSED)).spawn();
    let waiting = waiting.as_mut().expect("starting fwctl");
    daemon.wait_for("rules: generation 2");
    tcp.is_cut(b"cut").expect("the rules cut the connection");
    waiting.kill().expect("a signal");
    let end = waiting.wait().expect("its end");
    assert_eq!(end.signal(), Some(Signal::KILL.as_raw()), "before its end");
    daemon.wait_for("nobody confirmed them in time");
    assert_eq!(text(&lab, &["rules", "list", "-s"]), SSH_ONLY);
    login(&lab, 4006).echo(b"in").expect("the connection works");
}

#[test]
fn the_daemons_death_does_not_stop_the_clock() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("r-killed").expect("a lab");
    let mut daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    apply(&lab, &file(&lab, "ssh.nft", SSH_ONLY), &[]);
    let closed = file(&lab, "closed.nft", CLOSED);

    // The next daemon comes in time: it waits on.
    let begin = Instant::now();
    apply(&lab, &closed, &["--confirm", "18s"]);
    daemon.end(Signal::KILL);
    let mut daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    daemon.signal(Signal::HUP);
    daemon.wait_for("reloaded");
    let listed = text(&lab, &["rules", "list", "-s"]);
    if begin.elapsed() < Duration::from_secs(18) {
        assert_eq!(listed, CLOSED);
    }
    daemon.has_said("nobody confirmed them in time");
    assert!(begin.elapsed() >= Duration::from_secs(18));
    assert_eq!(text(&lab, &["rules", "list", "-s"]), SSH_ONLY);

    // It comes too late: it goes back at its start.
    let applied = die_unconfirmed(&lab, &mut daemon, &closed, Duration::from_secs(5));
    // Not waiting for anything: that nobody is there when the time is over is what is tested.
    std::thread::sleep(Duration::from_millis(5001).saturating_sub(applied.elapsed()));
    assert_eq!(
        text(&lab, &["rules", "list", "-s"]),
        CLOSED,
        "nobody was there to go back"
    );
    let _daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    assert_eq!(text(&lab, &["rules", "list", "-s"]), SSH_ONLY);
    login(&lab, 4010).echo(b"in").expect("the connection works");
}

#[test]
fn failsafe_ports_stay_open() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("r-failsafe").expect("a lab");
    let guarded = [
        "-i",
        "eth0",
        "--failsafe",
        "tcp:22",
        "--failsafe",
        "udp:53@10.0.0.0/8",
    ];
    let mut daemon = Daemon::start(&lab, &small(&guarded));
    let everything = "\
table inet fw {
	chain raw {
		type filter hook prerouting priority raw; policy drop;
	}

	chain input {
		type filter hook input priority filter; policy drop;
	}

	chain output {
		type filter hook output priority filter; policy drop;
	}
}
";
    apply(&lab, &file(&lab, "all.nft", everything), &[]);
    login(&lab, 4002)
        .echo(b"safe")
        .expect("the connection works");
    let udp = Udp::open(
        lab.client(),
        at("192.168.1.2:4000"),
        lab.router(),
        at("192.168.1.1:53"),
    )
    .expect("sockets");
    udp.send(b"of another source").expect("sending");
    assert!(udp.drain(NOTHING).is_empty(), "is not covered");
    let listed = json(&lab, &["rules", "list", "-o", "json"]);
    assert_eq!(listed["failsafe"][0]["name"], "tcp:22");
    assert!(
        listed["failsafe"][0]["packets"].as_u64() >= Some(3),
        "{listed}"
    );
    assert_eq!(listed["failsafe"][1]["packets"], 0);
    assert!(text(&lab, &["status"]).contains("failsafe tcp:22: "));

    // Without the setting the same rules close it, for the connection that is there, too.
    let mut tcp = login(&lab, 4003);
    daemon.end(Signal::KILL);
    let _daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    tcp.is_cut(b"closed").expect("nothing keeps it open");
}

/// Exit status of an explanation, and whether the policy is named.
fn explain(lab: &Lab) -> (Option<i32>, bool) {
    let packet = "tcp 192.168.1.2:9 > 192.168.1.1:22 syn";
    let output = ask(lab, &["explain", packet, "-i", "eth0"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let named = said.contains("inet fw input policy drop");
    (output.status.code(), named)
}

#[test]
fn observed_rules_drop_nothing_and_count_what_they_would() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("r-observe").expect("a lab");
    let _daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    apply(&lab, &file(&lab, "closed.nft", CLOSED), &["--observe"]);
    assert_eq!(explain(&lab), (Some(0), true));
    login(&lab, 4004)
        .echo(b"seen")
        .expect("the connection works");
    assert!(text(&lab, &["status"]).contains("OBSERVING ONLY"));
    let stats = text(&lab, &["stats"]);
    assert!(stats.contains(" observed="), "{stats}");
    let listed = json(&lab, &["rules", "list", "-o", "json"]);
    let chain = &listed["tables"][0]["chains"][0];
    assert!(
        chain["packets"].as_u64() >= Some(3),
        "by the policy: {listed}"
    );
    apply(&lab, &file(&lab, "closed.nft", CLOSED), &[]);
    let refused = explain(&lab);
    assert_eq!(refused, (Some(1), true));
}
