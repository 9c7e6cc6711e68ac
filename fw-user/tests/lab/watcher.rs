//! A program that prints what happens, a line each, until it is told to stop: `fwctl events`, and
//! `conntrack -E` as its oracle.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use xtask::lab::Lab;
use xtask::traffic::PATIENCE;

use crate::firewall::{Firewall, fwctl, run};

/// A running listener.
pub(crate) struct Watcher {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    errors: Receiver<String>,
    said: String,
}

impl Watcher {
    /// `fwctl events ARGS`; it listens when this returns.
    pub(crate) fn ours(lab: &Lab, firewall: &Firewall<'_>, args: &[&str]) -> Self {
        let before = listeners(firewall);
        let mut command = fwctl(lab, lab.router());
        let watcher = Self::start(command.arg("events").args(args));
        eventually("fwctl events listens", || listeners(firewall) > before);
        watcher
    }

    /// `conntrack -E ARGS` on the router; it listens when this returns.
    pub(crate) fn kernels(lab: &Lab, args: &[&str]) -> Self {
        let mut command = lab.router().command("conntrack");
        let watcher = Self::start(command.arg("-E").args(args));
        // Protocol 12 is NETLINK_NETFILTER; the fourth column has the groups it has joined.
        let joined = "awk '$2 == 12 && $4 != \"00000000\"' /proc/net/netlink";
        eventually("conntrack -E listens", || {
            !run(lab.router(), joined).is_empty()
        });
        watcher
    }

    /// `fwctl trace ARGS`; it follows packets when this returns.
    pub(crate) fn tracer(lab: &Lab, args: &[&str]) -> Self {
        let mut command = fwctl(lab, lab.router());
        let mut watcher = Self::start(command.arg("trace").args(args));
        eventually("fwctl trace follows packets", || {
            watcher.so_far().1.contains("following packets")
        });
        watcher
    }

    /// `fwctl top ARGS`; it has read the flow table when this returns, and has told of that.
    pub(crate) fn top(lab: &Lab, args: &[&str]) -> Self {
        let mut command = fwctl(lab, lab.router());
        let mut watcher = Self::start(command.arg("top").args(args));
        watcher.wait_for(&[]);
        watcher
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a listener");
        let lines = follow(child.stdout.take().expect("a pipe"));
        let errors = follow(child.stderr.take().expect("a pipe"));
        Self {
            child,
            lines,
            seen: Vec::new(),
            errors,
            said: String::new(),
        }
    }

    /// Waits for a line that contains every one of `words`.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, words: &[&str]) -> String {
        let end = Instant::now() + 4 * PATIENCE;
        loop {
            match self
                .lines
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if words.iter().all(|word| line.contains(word)) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no line with {words:?}:\n{}", self.seen.join("\n"))
                }
            }
        }
    }

    /// How many lines there are so far, and what it has said on standard error.
    pub(crate) fn so_far(&mut self) -> (usize, &str) {
        self.seen.extend(self.lines.try_iter());
        for line in self.errors.try_iter() {
            self.said.extend([&line, "\n"]);
        }
        (self.seen.len(), &self.said)
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Stops it with `signal`; its status, every line, and what it said on standard error.
    pub(crate) fn stop(mut self, signal: Signal) -> (ExitStatus, Vec<String>, String) {
        kill_process(self.pid(), signal).expect("signalling");
        self.end()
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> (ExitStatus, Vec<String>, String) {
        let mut seen = std::mem::take(&mut self.seen);
        seen.extend(self.lines.iter());
        let mut said = std::mem::take(&mut self.said);
        for line in &self.errors {
            said.extend([&line, "\n"]);
        }
        let status = self.child.wait().expect("its end");
        (status, seen, said)
    }
}

/// The lines of `pipe` as they come.
fn follow(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // The test may have lost interest.
            let _ = sender.send(line);
        }
    });
    lines
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many follow events.
pub(crate) fn listeners(firewall: &Firewall<'_>) -> u64 {
    let status = firewall.text(&["status", "-o", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    status["listeners"].as_u64().expect("a number")
}

/// Waits until `look` is satisfied.
#[track_caller]
pub(crate) fn eventually(what: &str, mut look: impl FnMut() -> bool) {
    xtask::lab::eventually(what, 4 * PATIENCE, || look().then_some(()));
}
