//! `fwctl run` under a test's hands.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use fw_common::abi::ABI_VERSION;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use xtask::lab::{Host, Lab};

/// How long anything is waited for: a daemon starts within a second, and on a machine that has better to do
/// within many.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running daemon; killed when dropped.
pub(crate) struct Daemon {
    child: Option<Child>,
    lines: Receiver<String>,
    /// Everything it has said so far.
    pub(crate) said: Vec<String>,
}

impl Daemon {
    /// Starts `fwctl run ARGS` and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(lab: &Lab, args: &[&str]) -> Self {
        Self::start_as(&mut fwctl(lab), args)
    }

    /// As [`Daemon::start`], with a command that has its environment already.
    #[track_caller]
    pub(crate) fn start_as(command: &mut Command, args: &[&str]) -> Self {
        let command = command.arg("run").args(args).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starting fwctl run");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                // The test may have lost interest.
                let _ = sender.send(line);
            }
        });
        let mut daemon = Self {
            child: Some(child),
            lines,
            said: Vec::new(),
        };
        daemon.wait_for("ready: ");
        daemon
    }

    /// Waits for a line that contains `text`.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(e) => panic!("no line with {text:?} ({e}):\n{}", self.said.join("\n")),
            }
        }
    }

    /// Waits for a line that contains `text`, unless there has been one.
    #[track_caller]
    pub(crate) fn has_said(&mut self, text: &str) {
        if !self.said.iter().any(|line| line.contains(text)) {
            self.wait_for(text);
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("running").id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(self.child.as_ref().expect("running"));
        kill_process(pid, signal).expect("a signal");
    }

    /// Sends `signal` and waits for the end.
    pub(crate) fn end(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        let mut child = self.child.take().expect("running");
        child.wait().expect("its end")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.end(Signal::KILL);
        }
    }
}

/// `fwctl` on the lab's router, with the lab's own directories.
pub(crate) fn fwctl(lab: &Lab) -> Command {
    let mut command = lab.router().command(env!("CARGO_BIN_EXE_fwctl"));
    command
        .env("FWCTL_BPFFS", lab.bpffs())
        .env("FWCTL_SOCKET", socket(lab))
        .env("FWCTL_STATE_DIR", lab.run_dir().join("state"))
        .stdin(Stdio::null());
    command
}

pub(crate) fn socket(lab: &Lab) -> std::path::PathBuf {
    lab.run_dir().join("run/fwctl.sock")
}

/// The directory of the firewall's pins.
pub(crate) fn pins(lab: &Lab) -> std::path::PathBuf {
    lab.bpffs().join(format!("v{ABI_VERSION}"))
}

/// The small flow table that most tests use.
pub(crate) const SMALL: [&str; 2] = ["--max-flows", "2048"];

/// The arguments `args` with a small flow table.
pub(crate) fn small<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [args, &SMALL[..]].concat()
}

/// Runs `fwctl ARGS`.
pub(crate) fn ask(lab: &Lab, args: &[&str]) -> Output {
    fwctl(lab).args(args).output().expect("running fwctl")
}

/// Standard output of `fwctl ARGS`, which must succeed.
#[track_caller]
pub(crate) fn text(lab: &Lab, args: &[&str]) -> String {
    let output = ask(lab, args);
    assert!(output.status.success(), "fwctl {args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// `fwctl ARGS` must fail with `status` and one line on standard error.
#[track_caller]
pub(crate) fn fails(lab: &Lab, status: i32, args: &[&str]) -> String {
    let output = ask(lab, args);
    let said = String::from_utf8_lossy(&output.stderr)
        .trim_end()
        .to_owned();
    assert_eq!(output.status.code(), Some(status), "{args:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{args:?}: one sentence: {said}");
    said
}

#[track_caller]
pub(crate) fn json(lab: &Lab, args: &[&str]) -> Value {
    serde_json::from_str(&text(lab, args)).expect("JSON")
}

/// What a shell command prints on a host; it must succeed.
#[track_caller]
pub(crate) fn sh(host: &Host, command: &str) -> String {
    let output = host.command("sh").args(["-c", command]).output();
    let output = output.expect("running sh");
    assert!(output.status.success(), "{command}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Id of the XDP program on one of the router's interfaces.
#[track_caller]
pub(crate) fn xdp_program(lab: &Lab, interface: &str) -> Option<u64> {
    let shown = sh(lab.router(), &format!("ip -j -d link show dev {interface}"));
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    shown[0]["xdp"]["prog"]["id"].as_u64()
}

/// Waits until `look` finds something.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    xtask::lab::eventually(what, PATIENCE, look)
}

/// Sends raw bytes to the control socket and returns the whole answer.
pub(crate) fn raw(lab: &Lab, request: &[u8]) -> std::io::Result<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = UnixStream::connect(socket(lab))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // The daemon may hang up before it has read everything.
    let written = stream.write_all(request);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // It hung up with something unread: what it had answered is here all the same.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        end => drop(end?),
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    if answer.is_empty() {
        written?;
    }
    Ok(answer)
}
