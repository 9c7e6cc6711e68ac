//! Pages over one another, on a terminal.

use std::io;
use std::pin::Pin;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use fw_user::daemon::stop_signal;
use fw_user::flows::Interfaces;
use fw_user::top::text::{View, lines};
use fw_user::top::{Page, Watch};
use rustix::process::Signal as Number;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep_until;

use super::pause;
use crate::screen::Screen;

/// Shows `page`, and a new one each `interval`, until a key or a signal ends it.
pub(super) fn run(
    runtime: &Runtime,
    mut watch: Watch,
    mut page: Page,
    interval: Duration,
    color: bool,
) -> anyhow::Result<()> {
    let _context = runtime.enter();
    let mut signals = Signals::catch()?;
    let screen = Screen::take().context("the terminal")?;
    let mut canvas = Canvas {
        screen,
        color,
        interfaces: Interfaces::default(),
    };
    let mut took = Duration::ZERO;
    loop {
        canvas.show(&page)?;
        let next = Instant::now() + pause(interval, took);
        loop {
            match runtime.block_on(signals.next(&mut canvas.screen, next)) {
                Event::Time => break,
                Event::Stop | Event::Key(b'q') => return Ok(()),
                Event::Key(b's') => {
                    watch.sort = watch.sort.next();
                    page.sort_by(watch.sort);
                }
                Event::Suspend => canvas.screen.suspend()?,
                Event::Key(_) | Event::Resize => {}
            }
            canvas.show(&page)?;
        }
        let began = Instant::now();
        page = watch.look()?;
        took = began.elapsed();
    }
}

enum Event {
    /// It is time for the next page.
    Time,
    Stop,
    /// Ctrl-Z.
    Suspend,
    /// The terminal has another size.
    Resize,
    Key(u8),
}

/// Signals, caught before the terminal is taken: none leaves it as it is.
struct Signals {
    stop: Pin<Box<dyn Future<Output = ()>>>,
    hangup: Signal,
    quit: Signal,
    suspend: Signal,
    resize: Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        Ok(Self {
            stop: Box::pin(stop_signal()?),
            hangup: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            suspend: signal(SignalKind::from_raw(Number::TSTP.as_raw()))?,
            resize: signal(SignalKind::window_change())?,
        })
    }

    /// What happens next, at `time` if nothing does before.
    async fn next(&mut self, screen: &mut Screen, time: Instant) -> Event {
        tokio::select! {
            () = &mut self.stop => Event::Stop,
            _ = self.hangup.recv() => Event::Stop,
            _ = self.quit.recv() => Event::Stop,
            _ = self.suspend.recv() => Event::Suspend,
            _ = self.resize.recv() => Event::Resize,
            key = screen.key() => Event::Key(key),
            () = sleep_until(time.into()) => Event::Time,
        }
    }
}

struct Canvas {
    screen: Screen,
    color: bool,
    interfaces: Interfaces,
}

impl Canvas {
    fn show(&mut self, page: &Page) -> io::Result<()> {
        let (width, height) = Screen::size();
        let view = View {
            width,
            // The last line is for the keys.
            height: height - 1,
            color: self.color,
        };
        let lines = lines(page, &view, &mut self.interfaces);
        let keys = format!("q: quit  s: sort by {}", page.sort.next().name());
        let keys: String = keys.chars().take(width).collect();
        self.screen.draw(&lines, &keys)
    }
}
