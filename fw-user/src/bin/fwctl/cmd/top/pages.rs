//! Pages one after the other, for pipes and files: as text, or a JSON object a line.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use fw_user::daemon::stop_signal;
use fw_user::flows::{Interfaces, RuleNames};
use fw_user::top::text::{View, lines};
use fw_user::top::{Page, Watch, json};
use tokio::runtime::Runtime;

use super::pause;
use crate::screen::Screen;
use crate::term;

/// Prints a page each `interval`, the first of them after one: `pages`, or until a signal ends it.
pub(super) fn run(
    runtime: &Runtime,
    mut watch: Watch,
    interval: Duration,
    pages: Option<u64>,
    mut print: Print,
) -> anyhow::Result<()> {
    let _context = runtime.enter();
    let mut stop = Box::pin(stop_signal()?);
    let mut took = Duration::ZERO;
    let mut left = pages;
    while left != Some(0) {
        let stopped = runtime.block_on(async {
            tokio::select! {
                () = &mut stop => true,
                () = tokio::time::sleep(pause(interval, took)) => false,
            }
        });
        if stopped {
            break;
        }
        let began = Instant::now();
        print.page(&watch.look()?)?;
        took = began.elapsed();
        left = left.map(|left| left - 1);
    }
    Ok(())
}

/// How pages look.
pub(super) struct Print {
    json: bool,
    view: View,
    interfaces: Interfaces,
    rules: RuleNames,
    /// An empty line stands between two pages.
    between: bool,
}

impl Print {
    pub(super) fn new(json: bool, color: bool, rules: RuleNames) -> Self {
        let width = match io::stdout().is_terminal() {
            true => Screen::size().0,
            false => usize::MAX,
        };
        Self {
            json,
            view: View {
                width,
                height: usize::MAX,
                color,
            },
            interfaces: Interfaces::default(),
            rules,
            between: false,
        }
    }

    fn page(&mut self, page: &Page) -> io::Result<()> {
        let mut out = term::output();
        if self.json {
            json::write(&mut out, page, (&mut self.interfaces, &mut self.rules))?;
            return out.flush();
        }
        if self.between {
            writeln!(out)?;
        }
        self.between = true;
        for line in lines(page, &self.view, &mut self.interfaces) {
            writeln!(out, "{line}")?;
        }
        out.flush()
    }
}
