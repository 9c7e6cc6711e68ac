//! The answer to `GET /v1/events`, which has no end: a byte that says what follows, then that.
//!
//! Both sides are the same binary, so an event travels as it lies in memory.

use std::collections::VecDeque;

use fw_common::abi::{ABI_VERSION, Event};

use crate::sys::record;

/// Path of the stream.
pub const EVENTS: &str = "/v1/events";

const TAG_EVENT: u8 = b'E';
const TAG_LOST: u8 = b'L';

/// One message of the stream.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are events, and none is kept"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Something happened.
    Event(Event),
    /// So many things happened that this listener was not told of.
    Lost(u64),
}

impl Frame {
    /// Appends the frame to a stream.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Event(event) => {
                out.push(TAG_EVENT);
                out.extend_from_slice(record::bytes(event));
            }
            Self::Lost(count) => {
                out.push(TAG_LOST);
                out.extend_from_slice(&count.to_le_bytes());
            }
        }
    }
}

/// A stream with something in it that is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the daemon speaks another version of the event stream (this one has layout {ABI_VERSION}): \
     use the fwctl that started the firewall"
)]
pub struct Garbled;

/// Cuts a stream that arrives in pieces into frames.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: VecDeque<u8>,
}

impl Decoder {
    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend(piece);
    }

    /// The next frame that is complete.
    ///
    /// # Errors
    /// [`Garbled`] if what comes next is none.
    pub fn frame(&mut self) -> Result<Option<Frame>, Garbled> {
        let len = match self.buffer.front() {
            None => return Ok(None),
            Some(&TAG_EVENT) => size_of::<Event>(),
            Some(&TAG_LOST) => size_of::<u64>(),
            Some(_) => return Err(Garbled),
        };
        if self.buffer.len() <= len {
            return Ok(None);
        }
        let tag = self.buffer.pop_front();
        let bytes: Vec<u8> = self.buffer.drain(..len).collect();
        let frame = if tag == Some(TAG_EVENT) {
            record::read(&bytes).map(Frame::Event)
        } else {
            let count = bytes.first_chunk();
            count.map(|count| Frame::Lost(u64::from_le_bytes(*count)))
        };
        frame.map(Some).ok_or(Garbled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_cut() {
        let event = Event {
            now: 5,
            kind: Event::DESTROY,
            ..Event::default()
        };
        let frames = [Frame::Event(event), Frame::Lost(7), Frame::Event(event)];
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| frame.write(&mut bytes));
        for size in [1, 7, 273, 1000] {
            let mut decoder = Decoder::default();
            let mut found = Vec::new();
            for piece in bytes.chunks(size) {
                decoder.push(piece);
                while let Some(frame) = decoder.frame().unwrap() {
                    found.push(frame);
                }
            }
            assert_eq!(found, frames, "pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let mut decoder = Decoder::default();
        decoder.push(b"X");
        assert_eq!(decoder.frame(), Err(Garbled));
    }
}
