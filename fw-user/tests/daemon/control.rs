//! The control socket: who may talk to it, and what it bears.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use xtask::lab::{Lab, root_or_skip};

use crate::fixture::{Daemon, fails, json, raw, sh, small, socket, text};

#[test]
fn socket_is_roots_alone() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-socket").expect("a lab");
    let _daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    let path = socket(&lab);
    let mode = |path: &std::path::Path| {
        let meta = std::fs::metadata(path).expect("metadata");
        meta.permissions().mode() & 0o7777
    };
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().expect("a directory")), 0o750);

    // Open the modes up: it still asks who is there.
    let open = std::fs::Permissions::from_mode(0o777);
    for path in [&path, path.parent().expect("dir"), &lab.run_dir()] {
        std::fs::set_permissions(path, open.clone()).expect("chmod");
    }
    let script = format!(
        "setpriv --reuid=65534 --regid=65534 --clear-groups \
         curl -s -m 60 -o /dev/null -w '%{{http_code}}' --unix-socket {} http://x/v1/status || true",
        path.display()
    );
    assert_eq!(sh(lab.router(), &script), "000", "no answer for others");
    let root = format!(
        "curl -s -m 60 -o /dev/null -w '%{{http_code}}' --unix-socket {} http://x/v1/status",
        path.display()
    );
    assert_eq!(sh(lab.router(), &root), "200");
}

#[test]
fn hostile_requests_are_refused_and_the_next_is_answered() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-hostile").expect("a lab");
    let _daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    let put = |body: &str| {
        let request = format!(
            "PUT /v1/timeouts HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        raw(&lab, request.as_bytes()).expect("an answer")
    };
    let before = text(&lab, &["timeouts"]);
    assert!(put("{").starts_with("HTTP/1.1 400 "));
    assert!(put("[1,2]").starts_with("HTTP/1.1 422 "));
    assert!(put(r#"{"udp":"0"}"#).starts_with("HTTP/1.1 400 "));
    // One good and one bad: neither is taken.
    let answer = put(r#"{"icmp":"7","upd":"9"}"#);
    assert!(answer.contains("nearest known name is `udp`"), "{answer}");
    assert!(put(&"x".repeat(1 << 20)).starts_with("HTTP/1.1 413 "));
    let get = |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        raw(&lab, request.as_bytes()).expect("an answer")
    };
    assert!(get("/v2/status").starts_with("HTTP/1.1 404 "));
    assert!(get("/v1/reload").starts_with("HTTP/1.1 405 "));
    // Not HTTP at all, and half a request: hung up on.
    raw(&lab, &[0xff; 4096]).expect("closed");
    raw(&lab, b"GET /v1/st").expect("closed");
    assert_eq!(text(&lab, &["timeouts"]), before);
}

#[test]
fn a_thousand_idle_connections_do_not_lock_others_out() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-idle").expect("a lab");
    let _daemon = Daemon::start(&lab, &small(&["-i", "eth0"]));
    let idle: Vec<_> = (0..1000)
        .map(|_| UnixStream::connect(socket(&lab)).expect("a connection"))
        .collect();
    assert!(json(&lab, &["status", "-o", "json"])["pid"].is_u64());
    drop(idle);
}

#[test]
fn without_daemon_reading_goes_on_and_writing_is_refused() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("d-dead").expect("a lab");
    let mut daemon = Daemon::start(&lab, &small(&["-i", "eth0", "-i", "eth1"]));
    text(&lab, &["timeouts", "set", "udp_stream=3m"]);
    let before = json(&lab, &["status", "-o", "json"]);
    assert_eq!(before["pid"], daemon.pid());
    daemon.end(rustix::process::Signal::KILL);

    assert!(text(&lab, &["timeouts"]).contains("udp_stream = 180\n"));
    let sysctl = text(&lab, &["sysctl", "nf_conntrack_udp_timeout_stream"]);
    assert_eq!(
        sysctl,
        "net.netfilter.nf_conntrack_udp_timeout_stream = 180\n"
    );
    let after = json(&lab, &["status", "-o", "json"]);
    assert_eq!(after["pid"], serde_json::Value::Null);
    let names = |status: &serde_json::Value| {
        let all = status["interfaces"].as_array().expect("interfaces");
        all.iter()
            .map(|i| (i["name"].clone(), i["mode"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&after), names(&before));
    assert_eq!(after["flows"]["capacity"], 2048);
    let said = text(&lab, &["status"]);
    assert!(
        said.contains("fast path: stopped, the kernel forwards everything"),
        "{said}"
    );
    assert!(said.contains("no daemon looks for"), "{said}");
    let said = fails(&lab, 1, &["timeouts", "set", "udp=9"]);
    assert!(said.contains("no daemon is running"), "{said}");
}
