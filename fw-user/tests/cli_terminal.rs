//! `fwctl top` on a terminal: taken and given back, keys, sizes, signals.

mod cli_support;

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use cli_support::Firewall;
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use xtask::lab::root_or_skip;
use xtask::traffic::PATIENCE;

#[track_caller]
fn eventually(what: &str, mut look: impl FnMut() -> bool) {
    xtask::lab::eventually(what, 4 * PATIENCE, || look().then_some(()));
}

/// The other screen, and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// `fwctl top` on a terminal of its own.
struct Terminal {
    child: Child,
    master: File,
    /// Its other end, which stays open.
    line: File,
    pieces: Receiver<String>,
    /// What was drawn and not waited for.
    drawn: String,
    modes: String,
}

impl Terminal {
    /// Starts it, and waits for the first page on a screen of its own.
    fn live(firewall: &Firewall, args: &str) -> Self {
        let mut terminal = Self::start(firewall, args);
        terminal.wait_for(ENTER);
        terminal.wait_for("TCP states: ");
        let raw = tcgetattr(&terminal.line).expect("modes").local_modes;
        assert!(
            !raw.intersects(LocalModes::ICANON | LocalModes::ECHO),
            "{raw:?}"
        );
        assert!(raw.contains(LocalModes::ISIG), "{raw:?}");
        terminal
    }

    fn start(firewall: &Firewall, args: &str) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        let name = ptsname(&master, Vec::new()).expect("a name");
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true);
        let options = options.custom_flags(OFlags::NOCTTY.bits().cast_signed());
        let line = options
            .open(name.to_str().expect("UTF-8"))
            .expect("its line");
        let master = File::from(master);
        let end = || Stdio::from(line.try_clone().expect("a descriptor"));
        let top = firewall.command(&format!("top {args}"));
        // So that keys can be signals, the terminal has to control the session.
        let mut command = Command::new("setsid");
        command
            .arg("--ctty")
            .arg(top.get_program())
            .args(top.get_args());
        command.env("TERM", "xterm").env_remove("NO_COLOR");
        command.stdin(end()).stdout(end()).stderr(end());
        Self {
            modes: modes(&line),
            pieces: follow(master.try_clone().expect("a descriptor")),
            child: command.spawn().expect("setsid starts"),
            master,
            line,
            drawn: String::new(),
        }
    }

    /// Waits until it has drawn `what`, and forgets all up to there.
    #[track_caller]
    fn wait_for(&mut self, what: &str) {
        eventually(what, || {
            self.drawn.extend(self.pieces.try_iter());
            let found = self.drawn.find(what);
            found.is_some_and(|at| {
                self.drawn.drain(..at + what.len());
                true
            })
        });
    }

    fn keys(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("typed");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a signal");
    }

    /// It has ended well, and the terminal is what it was.
    #[track_caller]
    fn end(mut self) {
        self.wait_for(LEAVE);
        assert!(self.child.wait().expect("its end").success());
        self.drawn.extend(self.pieces.try_iter());
        assert_eq!(self.drawn, "", "nothing is written after that");
        assert_eq!(modes(&self.line), self.modes);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn modes(line: &File) -> String {
    format!("{:?}", tcgetattr(line).expect("modes"))
}

/// What is written to a terminal, as it comes.
fn follow(mut master: File) -> Receiver<String> {
    let (sender, pieces) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = master.read(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if sender.send(text).is_err() {
                break;
            }
        }
    });
    pieces
}

#[test]
fn a_terminal_is_taken_and_given_back_whatever_ends_it() {
    if !root_or_skip() {
        return;
    }
    let firewall = Firewall::with_four_flows();
    let mut by_key = Terminal::live(&firewall, "");
    by_key.keys("q");
    by_key.end();
    let mut interrupted = Terminal::live(&firewall, "");
    interrupted.keys("\x03");
    interrupted.end();
    for signal in [Signal::TERM, Signal::HUP, Signal::QUIT] {
        let told = Terminal::live(&firewall, "");
        told.signal(signal);
        told.end();
    }
}

#[test]
fn a_terminal_follows_keys_its_size_and_a_stop() {
    if !root_or_skip() {
        return;
    }
    let firewall = Firewall::with_four_flows();
    // No page but the first comes by itself.
    let mut top = Terminal::live(&firewall, "--interval 1h");
    top.keys("s");
    top.wait_for("by packets\x1b[K");
    top.keys("sx");
    top.wait_for("by age\x1b[K");
    let size = Winsize {
        ws_row: 10,
        ws_col: 40,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&top.master, size).expect("a size");
    top.wait_for("\x1b[10;1Hq: quit  s: sort by timeout");
    // Ctrl-Z.
    top.keys("\x1a");
    top.wait_for(LEAVE);
    let status = format!("/proc/{}/status", top.child.id());
    eventually("it is stopped", || {
        let status = fs::read_to_string(&status).expect("a process");
        status.contains("State:\tT")
    });
    assert_eq!(modes(&top.line), top.modes);
    top.signal(Signal::CONT);
    top.wait_for(ENTER);
    top.wait_for("s: sort by timeout");
    top.keys("q");
    top.end();
}

#[test]
fn pages_that_are_counted_are_printed_and_stay() {
    if !root_or_skip() {
        return;
    }
    let firewall = Firewall::with_four_flows();
    for args in [
        "--once --interval 100ms",
        "-b --iterations 1 --interval 100ms",
    ] {
        let mut top = Terminal::start(&firewall, args);
        assert!(top.child.wait().expect("its end").success());
        top.wait_for("fwctl ");
        top.wait_for("\x1b[32mESTABLISHED");
        assert!(!top.drawn.contains(LEAVE), "{:?}", top.drawn);
        assert_eq!(modes(&top.line), top.modes);
    }
}
