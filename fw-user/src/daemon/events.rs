//! Events: from the programs' ring buffer and the sweep to everybody who listens.
//!
//! The programs report only while somebody does. A listener that is too slow loses events and is told
//! how many; it holds up neither the others nor the daemon.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use futures_util::stream;
use fw_common::abi::{Counter, Event};
use hyper::body::Bytes;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use crate::clock::TickClock;
use crate::control::stream::Frame;
use crate::maps::{CounterTable, EventRing, Lease, Maps, MapsError};
use crate::sys::ready;

/// Listeners at a time.
const LISTENERS: usize = 64;
/// Frames that wait for a slow listener.
const BACKLOG: usize = 8192;
/// Events of the sweep that wait for the task.
const POSTED: usize = 8192;
/// Events after which others get a turn.
const TURN: usize = 512;
/// Most frames that go to a listener in one piece.
const PIECE: usize = 256;
/// Pause between two renewals of the programs' order to report.
const RENEWAL: Duration = Duration::from_secs(1);
/// For how long they report without one, seconds: a daemon that was killed leaves no more behind.
const LEASE: u64 = 10;

/// Where events meet listeners.
pub(super) struct Hub {
    clock: TickClock,
    frames: broadcast::Sender<Bytes>,
    posted: mpsc::Sender<Event>,
    state: Mutex<State>,
}

struct State {
    lease: Lease,
    listeners: usize,
    /// Events that the sweep could not hand over.
    unposted: u64,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

/// What [`run`] reads.
pub(super) struct Feeds {
    ring: EventRing,
    counters: CounterTable,
    posted: mpsc::Receiver<Event>,
}

impl Hub {
    /// The hub of a firewall. Nobody listens yet, whatever an earlier daemon left.
    pub(super) fn new(maps: &Maps, clock: TickClock) -> Result<(Self, Feeds), MapsError> {
        let mut lease = maps.lease()?;
        lease.set(0)?;
        let (posted, receiver) = mpsc::channel(POSTED);
        let hub = Self {
            clock,
            frames: broadcast::Sender::new(BACKLOG),
            posted,
            state: Mutex::new(State {
                lease,
                listeners: 0,
                unposted: 0,
            }),
        };
        let feeds = Feeds {
            ring: maps.events()?,
            counters: maps.counters()?,
            posted: receiver,
        };
        Ok((hub, feeds))
    }

    /// How many listen.
    pub(super) fn listeners(&self) -> usize {
        self.state().listeners
    }

    /// Hands an event of the daemon's own to whoever listens.
    pub(super) fn post(&self, event: Event) {
        if self.posted.try_send(event).is_err() {
            self.state().unposted += 1;
        }
    }

    /// Everything that happens from now on; `None` if too many listen already.
    ///
    /// # Errors
    /// The programs cannot be told to report.
    pub(super) fn listen(self: &Arc<Self>) -> Result<Option<Body>, MapsError> {
        let mut state = self.state();
        if state.listeners >= LISTENERS {
            return Ok(None);
        }
        if state.listeners == 0 {
            self.renew(&mut state)?;
        }
        state.listeners += 1;
        drop(state);
        let listener = Listener {
            frames: self.frames.subscribe(),
            hub: Arc::clone(self),
        };
        let pieces = stream::unfold(listener, |mut listener| async {
            let piece = listener.next().await?;
            Some((Ok::<_, Infallible>(piece), listener))
        });
        Ok(Some(Body::from_stream(pieces)))
    }

    fn renew(&self, state: &mut State) -> Result<(), MapsError> {
        let until = self.clock.after(Duration::from_secs(LEASE));
        state.lease.set(until)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // No invariant spans a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody may be there: then the frame is of no interest.
    fn send(&self, frame: Frame) {
        if self.frames.receiver_count() != 0 {
            let mut bytes = Vec::new();
            frame.write(&mut bytes);
            let _ = self.frames.send(bytes.into());
        }
    }
}

/// One who listens.
struct Listener {
    frames: broadcast::Receiver<Bytes>,
    hub: Arc<Hub>,
}

impl Listener {
    /// What there is, as soon as there is something; `None` at the daemon's end.
    async fn next(&mut self) -> Option<Bytes> {
        use broadcast::error::{RecvError, TryRecvError};
        let mut piece = Vec::new();
        match self.frames.recv().await {
            Ok(frame) => piece.extend_from_slice(&frame),
            Err(RecvError::Lagged(count)) => Frame::Lost(count).write(&mut piece),
            Err(RecvError::Closed) => return None,
        }
        for _ in 1..PIECE {
            match self.frames.try_recv() {
                Ok(frame) => piece.extend_from_slice(&frame),
                Err(TryRecvError::Lagged(count)) => Frame::Lost(count).write(&mut piece),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        Some(piece.into())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.hub.state();
        state.listeners -= 1;
        if state.listeners == 0
            && let Err(e) = state.lease.set(0)
        {
            warn!("nobody listens to events, but they go on for {LEASE} s: {e}");
        }
    }
}

/// Hands events on, for ever.
///
/// # Errors
/// The ring buffer cannot be waited for.
pub(super) async fn run(hub: Arc<Hub>, feeds: Feeds) -> io::Result<()> {
    let Feeds {
        ring,
        counters,
        mut posted,
    } = feeds;
    let mut ring = ready::readable(ring)?;
    let mut renewal = interval(RENEWAL);
    renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut lost = Losses::new(&counters);
    loop {
        tokio::select! {
            ready = ring.readable_mut() => {
                let mut ready = ready?;
                if drain(&hub, ready.get_inner_mut()) {
                    ready.clear_ready();
                } else {
                    tokio::task::yield_now().await;
                }
            }
            Some(event) = posted.recv() => {
                // What the programs did to the flow came first.
                while !drain(&hub, ring.get_mut()) {
                    tokio::task::yield_now().await;
                }
                hub.send(Frame::Event(event));
            }
            _ = renewal.tick() => {
                keep_up(&hub);
                let count = lost.since(&hub, &counters);
                if count != 0 {
                    hub.send(Frame::Lost(count));
                }
            }
        }
    }
}

/// Sends on what is in the ring; `false` if there may be more.
fn drain(hub: &Hub, ring: &mut EventRing) -> bool {
    for _ in 0..TURN {
        match ring.next() {
            Some(event) => hub.send(Frame::Event(event)),
            None => return true,
        }
    }
    false
}

/// Has the programs go on reporting, if somebody listens.
fn keep_up(hub: &Hub) {
    let mut state = hub.state();
    if state.listeners != 0
        && let Err(e) = hub.renew(&mut state)
    {
        warn!("events will end: {e}");
    }
}

/// What nobody was told of.
struct Losses {
    known: u64,
}

impl Losses {
    fn new(counters: &CounterTable) -> Self {
        Self {
            known: counters.total(Counter::EVENTS_LOST).unwrap_or(0),
        }
    }

    /// How many were lost since the last call.
    fn since(&mut self, hub: &Hub, counters: &CounterTable) -> u64 {
        let unposted = std::mem::take(&mut hub.state().unposted);
        let total = counters.total(Counter::EVENTS_LOST).unwrap_or(self.known);
        let before = std::mem::replace(&mut self.known, total);
        total.saturating_sub(before) + unposted
    }
}
