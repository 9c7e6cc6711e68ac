//! What happened to a flow, as listeners see it.

use std::time::SystemTime;

use fw_common::abi::Event;
use fw_common::track::changed;
use fw_common::wire::Family;

use super::FlowEntry;
use crate::clock::{TickClock, time_of_day};

/// An event of one flow.
#[derive(Clone, Debug)]
pub struct FlowEvent {
    /// What happened.
    pub kind: EventKind,
    /// Why.
    pub cause: Cause,
    /// When.
    pub at: SystemTime,
    /// Whether the state of the connection is news.
    pub state_changed: bool,
    /// Whether the mark is news.
    pub mark_changed: bool,
    /// The flow after the event, or as it was last.
    pub entry: FlowEntry,
}

/// What can happen to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It has begun.
    New,
    /// Its state, status or mark is another.
    Update,
    /// It has ended.
    Destroy,
}

/// Why something happened to a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A packet.
    Packet,
    /// It was idle too long.
    Expiry,
    /// A process asked for it.
    User {
        /// Its id.
        pid: u32,
        /// Its name.
        program: String,
    },
}

impl FlowEvent {
    /// Reads a record; `None` if it is none of ours.
    #[must_use]
    pub fn read(event: &Event, clock: &TickClock) -> Option<Self> {
        let (flow, now) = (&event.flow, event.now);
        let entry = if event.family == Family::V4 as u8 {
            FlowEntry::at(&event.key.narrow(), flow, clock, now)
        } else {
            FlowEntry::at(&event.key, flow, clock, now)
        };
        let kind = match event.kind {
            Event::NEW => EventKind::New,
            Event::UPDATE => EventKind::Update,
            Event::DESTROY => EventKind::Destroy,
            _ => return None,
        };
        let cause = match event.cause {
            Event::EXPIRY => Cause::Expiry,
            Event::USER => Cause::User {
                pid: event.pid,
                program: name(&event.comm),
            },
            _ => Cause::Packet,
        };
        Some(Self {
            kind,
            cause,
            at: time_of_day(event.at),
            state_changed: kind != EventKind::Update || event.changed & changed::STATE != 0,
            mark_changed: event.changed & changed::MARK != 0,
            entry,
        })
    }
}

impl EventKind {
    /// The word of the JSON format.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Update => "update",
            Self::Destroy => "destroy",
        }
    }
}

impl Cause {
    /// The word of the JSON format.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Packet => "packet",
            Self::Expiry => "expiry",
            Self::User { .. } => "user",
        }
    }
}

/// A process' name: what of it is printable, since whoever runs a program may choose it.
fn name(comm: &[u8; 16]) -> String {
    let bytes = comm.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}
