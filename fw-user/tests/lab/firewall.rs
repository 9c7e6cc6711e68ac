//! `fwctl` on a lab's router.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};

use aya::maps::{Array, Map, MapData};
use fw_common::abi::{ABI_VERSION, Routing, maps};
use rustix::process::{Pid, Signal, kill_process};
use xtask::lab::{Host, Lab};

/// A running `fwctl run`, and how to talk to it.
pub(crate) struct Firewall<'a> {
    lab: &'a Lab,
    daemon: Option<Daemon>,
}

struct Daemon {
    child: Child,
    /// What it says; read to the end when it stops, so that it never blocks on a full pipe.
    stderr: BufReader<ChildStderr>,
}

impl<'a> Firewall<'a> {
    /// Starts `fwctl run -i eth0 -i eth1` with `args` and waits for its readiness line.
    pub(crate) fn start(lab: &'a Lab, args: &[&str]) -> Self {
        let mut firewall = Self { lab, daemon: None };
        firewall.run(args);
        firewall
    }

    /// Starts the daemon (again). The line that said it is ready.
    pub(crate) fn run(&mut self, args: &[&str]) -> String {
        let mut child = fwctl(self.lab, self.lab.router())
            .args(["run", "-i", "eth0", "-i", "eth1"])
            .args(args)
            .stderr(Stdio::piped())
            .spawn()
            .expect("starting fwctl run");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut said = String::new();
        while stderr
            .read_line(&mut said)
            .expect("reading the daemon's standard error")
            > 0
        {
            if let Some(line) = said.lines().last().filter(|line| line.contains("ready")) {
                let line = line.to_owned();
                self.daemon = Some(Daemon { child, stderr });
                return line;
            }
        }
        panic!(
            "fwctl run ended ({:?}) before it was ready:\n{said}",
            child.wait()
        );
    }

    /// Runs a command against this daemon; what it printed.
    pub(crate) fn fwctl(&self, args: &[&str]) -> Output {
        fwctl(self.lab, self.lab.router())
            .args(args)
            .output()
            .expect("running fwctl")
    }

    /// Standard output of a command that must succeed.
    pub(crate) fn text(&self, args: &[&str]) -> String {
        let output = self.fwctl(args);
        assert!(output.status.success(), "fwctl {args:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Puts these rules into force.
    pub(crate) fn apply(&self, rules: &str) {
        let path = self.lab.run_dir().join("rules.nft");
        std::fs::write(&path, rules).expect("a file");
        self.text(&["rules", "apply", path.to_str().expect("UTF-8")]);
    }

    /// The listed flows that `filter` selects, a line each, sorted.
    pub(crate) fn list(&self, filter: &[&str]) -> Vec<String> {
        let mut lines: Vec<String> = self
            .text(&[&["list"], filter].concat())
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    }

    /// Generation of the routes: it is raised as soon as the daemon has heard of a change.
    pub(crate) fn generation(&self) -> u32 {
        let pins = self.lab.bpffs().join(format!("v{ABI_VERSION}"));
        let data = MapData::from_pin(pins.join("maps").join(maps::ROUTING)).expect("the pin");
        let map = Map::from_map_data(data).expect("a map");
        let map: Array<_, Routing> = map.try_into().expect("an array");
        map.get(&0, 0).expect("its entry").generation
    }

    /// The daemon's process.
    pub(crate) fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("running").child.id()
    }

    /// Sends `signal` to the daemon.
    pub(crate) fn signal(&self, signal: Signal) {
        let daemon = self.daemon.as_ref().expect("running");
        kill_process(Pid::from_child(&daemon.child), signal).expect("signalling the daemon");
    }

    /// Sends `signal` to the daemon and waits for its end.
    pub(crate) fn end(&mut self, signal: Signal) -> ExitStatus {
        let mut daemon = self.daemon.take().expect("running");
        let pid = Pid::from_child(&daemon.child);
        kill_process(pid, signal).expect("signalling the daemon");
        std::io::copy(&mut daemon.stderr, &mut std::io::sink()).expect("draining its output");
        daemon.child.wait().expect("waiting for the daemon")
    }
}

impl Drop for Firewall<'_> {
    fn drop(&mut self) {
        if self.daemon.is_some() {
            // A test that fails may have stopped it.
            self.signal(Signal::CONT);
            self.end(Signal::TERM);
        }
    }
}

/// `fwctl` in the network namespace of `host`, with the lab's own directories.
pub(crate) fn fwctl(lab: &Lab, host: &Host) -> Command {
    let mut command = host.command(env!("CARGO_BIN_EXE_fwctl"));
    command
        .env("FWCTL_BPFFS", lab.bpffs())
        .env("FWCTL_SOCKET", lab.run_dir().join("fwctl.sock"))
        .env("FWCTL_STATE_DIR", lab.run_dir().join("state"));
    command
}

/// Runs a program that must succeed in a host's namespace.
pub(crate) fn run(host: &Host, command: &str) -> String {
    let output = host
        .command("sh")
        .args(["-c", command])
        .output()
        .expect("running sh");
    assert!(output.status.success(), "{command}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}
