//! The lab itself: it forwards, two stand side by side, and nothing of it stays.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use xtask::lab::{self, Lab, Owner, root_or_skip};
use xtask::traffic::{Tcp, Udp, lone_syn, ping};

const SIGTERM: i32 = 15;

fn namespaces(name: &str) -> Vec<PathBuf> {
    let paths = ["client", "router", "server"].map(|role| format!("/run/netns/fw-{name}-{role}"));
    paths
        .into_iter()
        .map(PathBuf::from)
        .filter(|path| path.exists())
        .collect()
}

#[track_caller]
fn assert_gone(name: &str) {
    assert_eq!(namespaces(name), Vec::<PathBuf>::new());
    assert!(!Path::new("/run/fwctl-lab").join(name).exists());
    assert!(!lab::list().iter().any(|record| record.name == name));
}

const FAMILIES: [(IpAddr, IpAddr); 2] = [
    (lab::CLIENT_V4, lab::SERVER_V4),
    (lab::CLIENT_V6, lab::SERVER_V6),
];

#[test]
fn traffic_crosses_the_router_at_once() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("cross").unwrap();
    for (client, server) in FAMILIES {
        let (from, to) = (
            SocketAddr::new(client, 40000),
            SocketAddr::new(server, 5300),
        );
        let mut tcp = Tcp::open(lab.client(), from, lab.server(), to).unwrap();
        // More than the sockets' buffers hold: segments of full size, many of them.
        tcp.echo(&vec![0x5a; 8 << 20]).unwrap();
        tcp.close().unwrap();
        let udp = Udp::open(lab.client(), from, lab.server(), to).unwrap();
        udp.query(b"query").unwrap();
        udp.answer(b"answer").unwrap();
        assert!(
            ping(lab.client(), server, 1)
                .stdout(Stdio::null())
                .status()
                .unwrap()
                .success()
        );
    }
}

#[test]
fn a_connection_can_be_opened_again_from_the_same_port() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("again").unwrap();
    let (from, to) = (
        SocketAddr::new(lab::CLIENT_V4, 40000),
        SocketAddr::new(lab::SERVER_V4, 80),
    );
    for _ in 0..3 {
        Tcp::open(lab.client(), from, lab.server(), to)
            .unwrap()
            .close()
            .unwrap();
    }
}

#[test]
fn nobody_answers_a_lone_syn() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("syn").unwrap();
    for (client, silent) in [
        (lab::CLIENT_V4, lab::SILENT_V4),
        (lab::CLIENT_V6, lab::SILENT_V6),
    ] {
        // The SYN itself is seen where it leaves the router.
        let mut dump = lab.router().command("timeout");
        dump.args([
            "60",
            "tcpdump",
            "-n",
            "-l",
            "-i",
            "eth1",
            "-c",
            "1",
            "tcp or (ip6 proto 6)",
        ]);
        let mut dump = dump
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        await_line(dump.stderr.take().unwrap(), "listening on");
        let socket = lone_syn(
            lab.client(),
            SocketAddr::new(client, 40001),
            SocketAddr::new(silent, 81),
        );
        let seen = await_line(dump.stdout.take().unwrap(), "Flags");
        assert!(
            seen.contains("Flags [S]") && seen.contains(&silent.to_string()),
            "{seen}"
        );
        dump.wait().unwrap();
        drop(socket.unwrap());
    }
}

#[test]
fn two_labs_stand_side_by_side_and_leave_nothing() {
    if !root_or_skip() {
        return;
    }
    let (one, two) = (Lab::up("pair").unwrap(), Lab::up("pair").unwrap());
    assert_ne!(one.name(), two.name());
    assert_eq!(namespaces(one.name()).len(), 3);
    let records = lab::list();
    let mine = |name: &str| {
        records
            .iter()
            .find(|record| record.name == name)
            .unwrap()
            .owner
    };
    assert_eq!(mine(one.name()), Owner::Alive(std::process::id()));
    let names = [one.name().to_owned(), two.name().to_owned()];
    std::fs::write(one.run_dir().join("daemon.log"), "text").unwrap();
    std::fs::create_dir_all(one.bpffs().join("v3/maps")).unwrap();
    let pins = one.bpffs();
    drop(one);
    assert_gone(&names[0]);
    assert!(!pins.exists());
    assert_eq!(namespaces(&names[1]).len(), 3);
    drop(two);
    assert_gone(&names[1]);
}

#[test]
fn a_name_is_taken_once() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("taken").unwrap();
    let error = Lab::up_as(lab.name()).unwrap_err();
    assert!(error.to_string().contains("is up"), "{error}");
    assert_eq!(namespaces(lab.name()).len(), 3);
    assert!(Lab::up_as("a/b").is_err());
}

#[test]
fn commands_and_threads_are_in_the_namespace_and_see_the_same_files() {
    if !root_or_skip() {
        return;
    }
    let lab = Lab::up("enter").unwrap();
    let out = lab
        .router()
        .command("ip")
        .args(["-o", "link"])
        .output()
        .unwrap();
    let links = String::from_utf8(out.stdout).unwrap();
    assert!(
        links.contains("eth0@") && links.contains("eth1@"),
        "{links}"
    );
    // The mount namespace is ours: the same BPF file system as outside.
    let mounts = |path: &str| std::fs::read_link(path).unwrap();
    let (inside, network) = lab
        .server()
        .enter(|| {
            (
                mounts("/proc/thread-self/ns/mnt"),
                mounts("/proc/thread-self/ns/net"),
            )
        })
        .unwrap();
    assert_eq!(inside, mounts("/proc/self/ns/mnt"));
    assert_ne!(network, mounts("/proc/self/ns/net"));
}

#[test]
fn a_panic_takes_the_lab_down() {
    if !root_or_skip() {
        return;
    }
    let name = std::thread::spawn(|| {
        let lab = Lab::up("panic").unwrap();
        std::panic::panic_any(lab.name().to_owned());
    })
    .join()
    .unwrap_err();
    assert_gone(name.downcast_ref::<String>().unwrap());
}

/// Environment variable that makes [`killed_owner`] the process that is killed.
const HOLD: &str = "XTASK_TEST_HOLD_LAB";

#[test]
fn killed_owner() {
    if env::var_os(HOLD).is_some() {
        hold_a_lab();
    }
    if !root_or_skip() {
        return;
    }
    let (mut owner, name) = start_owner();
    // Something lives in the namespace, and ends only because the guard ends it.
    let mut inside = lab::host(&name, "server")
        .unwrap()
        .command("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert_eq!(inside.wait().unwrap().signal(), Some(SIGTERM));
    // Waits for the guard, which may still be deleting.
    lab::tear_down(&name).unwrap();
    assert_gone(&name);
}

fn hold_a_lab() -> ! {
    let lab = Lab::up("held").unwrap();
    println!("\nholding {}", lab.name());
    loop {
        std::thread::park();
    }
}

/// This test program again, in which [`killed_owner`] holds a lab; and the lab's name.
fn start_owner() -> (Child, String) {
    let mut owner = Command::new(env::current_exe().unwrap())
        .args(["--exact", "killed_owner", "--nocapture"])
        .env(HOLD, "1")
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let line = await_line(owner.stdout.take().unwrap(), "holding ");
    (owner, line.rsplit(' ').next().unwrap().trim().to_owned())
}

/// The first line with `text` in it.
fn await_line(from: impl std::io::Read, text: &str) -> String {
    let mut lines = BufReader::new(from).lines().map(Result::unwrap);
    lines
        .find(|line| line.contains(text))
        .unwrap_or_else(|| panic!("no line with {text:?}"))
}
