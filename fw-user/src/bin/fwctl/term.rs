//! The terminal: colours, notes, and the buffered output of listings.

use std::fmt::Arguments;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

/// Value of `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    // No doc comments: clap would print them as a list, and every help in two lines an option.
    // If standard output is a terminal and NO_COLOR is not set
    Auto,
    // Even into a pipe
    Always,
    // Not at all
    Never,
}

impl Color {
    /// Whether standard output gets colours. See <https://no-color.org>.
    #[must_use]
    pub(crate) fn enabled(self) -> bool {
        self.wanted(&io::stdout())
    }

    /// Whether standard error gets colours.
    #[must_use]
    pub(crate) fn on_stderr(self) -> bool {
        self.wanted(&io::stderr())
    }

    fn wanted(self, stream: &impl IsTerminal) -> bool {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                stream.is_terminal()
                    && set("NO_COLOR").is_none()
                    && set("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }
}

/// Text on standard error as it is.
pub(crate) fn text(text: Arguments<'_>) {
    let _ = write!(io::stderr(), "{text}");
}

/// Standard output for a listing: whole blocks, never a line at a time.
pub(crate) fn output() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(1 << 16, io::stdout().lock())
}

/// One line on standard error, with our name in front; if nobody reads it, it is lost.
pub(crate) fn note(text: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "fwctl: {text}");
}
