//! The whole terminal for a while: a screen of its own, and keys as they are typed. Whatever ends that gives the
//! terminal back as it was.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::panic;
use std::sync::{Mutex, TryLockError};

use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The alternate screen, which keeps what is on the other one, and no cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// What a terminal has that does not say how large it is.
const SIZE: (usize, usize) = (80, 24);

/// The terminal is ours. Not part of [`Screen`], since a panic has to give it back before it says what happened.
static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);

struct Taken {
    /// How it treated keys before; none if they come from elsewhere.
    modes: Option<Termios>,
}

/// The terminal, until this is dropped.
pub(crate) struct Screen {
    keys: UnboundedReceiver<u8>,
}

impl Screen {
    /// Whether there is a terminal to take, one that knows its escape sequences.
    pub(crate) fn is_there() -> bool {
        let known = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
        known && io::stdout().is_terminal()
    }

    /// Takes the terminal.
    ///
    /// # Errors
    /// What the terminal says.
    pub(crate) fn take() -> io::Result<Self> {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            leave();
            before(what);
        }));
        // There before it is needed: if it can't be taken whole, what was taken is given back.
        let screen = Self { keys: keys() };
        enter()?;
        Ok(screen)
    }

    /// Columns and lines.
    pub(crate) fn size() -> (usize, usize) {
        match tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                (size.ws_col.into(), size.ws_row.into())
            }
            _ => SIZE,
        }
    }

    /// Shows `lines`, and `last` at the very bottom. None may be longer than the terminal is wide.
    ///
    /// # Errors
    /// What the terminal says.
    pub(crate) fn draw(&self, lines: &[String], last: &str) -> io::Result<()> {
        let (_, height) = Self::size();
        // Each line over the one that is there: to erase the whole screen first would flicker.
        let mut text = String::from("\x1b[H");
        for line in lines {
            let _ = write!(text, "{line}\x1b[K\r\n");
        }
        let _ = write!(text, "\x1b[J\x1b[{height};1H{last}");
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// The next byte that is typed.
    pub(crate) async fn key(&mut self) -> u8 {
        match self.keys.recv().await {
            Some(key) => key,
            // No terminal, or one that has gone.
            None => std::future::pending().await,
        }
    }

    /// Gives the terminal back, stops this process as Ctrl-Z does, and takes it again when it goes on.
    ///
    /// # Errors
    /// What the terminal says.
    pub(crate) fn suspend(&self) -> io::Result<()> {
        leave();
        kill_process(getpid(), Signal::STOP)?;
        enter()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

fn enter() -> io::Result<()> {
    let stdin = io::stdin();
    let modes = match stdin.is_terminal() {
        true => Some(tcgetattr(&stdin)?),
        false => None,
    };
    if let Some(modes) = &modes {
        tcsetattr(&stdin, OptionalActions::Now, &unbuffered(modes.clone()))?;
    }
    if let Ok(mut taken) = TAKEN.lock() {
        *taken = Some(Taken { modes });
    }
    let mut out = io::stdout();
    out.write_all(ENTER.as_bytes())?;
    out.flush()
}

/// Keys come one by one, and nobody shows them. Ctrl-C, Ctrl-Z and Ctrl-\ stay signals.
fn unbuffered(mut modes: Termios) -> Termios {
    modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    modes
}

/// What is typed from now on. A thread waits for it, to the end of this process: a read that waits cannot be called
/// off.
fn keys() -> UnboundedReceiver<u8> {
    let (sender, keys) = unbounded_channel();
    if io::stdin().is_terminal() {
        std::thread::spawn(move || {
            let mut typed = io::stdin().lock().bytes().map_while(Result::ok);
            typed.all(|key| sender.send(key).is_ok())
        });
    }
    keys
}

/// Gives the terminal back, if it is ours. It may have gone, so nothing can fail here.
fn leave() {
    let taken = match TAKEN.try_lock() {
        Ok(mut taken) => taken.take(),
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
        Err(TryLockError::WouldBlock) => None,
    };
    let Some(Taken { modes }) = taken else { return };
    let mut out = io::stdout();
    let _ = out.write_all(LEAVE.as_bytes());
    let _ = out.flush();
    if let Some(modes) = modes {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &modes);
    }
}
