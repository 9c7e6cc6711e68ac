//! What comes of the packets that the oracle is shown: frames at the far ends, and the router's word of what
//! is for itself.

use anyhow::{Context as _, Result};
use fw_common::wire::Family;

use super::answer;
use super::frame::{ETHERNET, case_of};

/// Packet states in the order of their DSCP numbers, from 1.
pub(crate) const CLASSES: [&str; 5] = ["invalid", "new", "established", "related", "untracked"];

/// A packet that got through the router's rules.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// Its state.
    pub(crate) class: &'static str,
    /// As it arrived, but for the traces of the oracle; `None` if it was for the router itself.
    pub(crate) frame: Option<Vec<u8>>,
}

/// What became of the packets of one step, by the number of the script.
#[derive(Debug)]
pub(crate) struct Arrivals {
    pub(crate) packets: Vec<Option<Arrival>>,
    /// What the router has said to them itself.
    pub(crate) answers: Vec<Option<Vec<u8>>>,
}

impl Arrivals {
    pub(crate) fn of(scripts: usize) -> Self {
        Self {
            packets: vec![None; scripts],
            answers: vec![None; scripts],
        }
    }

    /// Takes a frame that has left the router, if it belongs to a script.
    pub(crate) fn take(&mut self, frame: &[u8]) -> Result<()> {
        let Some(head) = Head::of(frame) else {
            return Ok(());
        };
        let Head {
            family, src, dst, ..
        } = head;
        match head.class() {
            Some(class) => {
                let case = case_of(family, &src).or_else(|| case_of(family, &dst));
                let frame = Some(without_dscp(family, frame));
                case.map_or(Ok(()), |case| self.passed(case, Arrival { class, frame }))
            }
            // The oracle marks what is forwarded, and what a socket of the router's sends: nothing else.
            None => match case_of(family, &dst).filter(|_| answer::is_one(frame)) {
                Some(case) => {
                    let slot = self.answers.get_mut(usize::from(case));
                    *slot.context("unknown script")? = Some(frame.to_vec());
                    Ok(())
                }
                None => Ok(()),
            },
        }
    }

    /// Takes a packet from the router's log of what it is to have itself, from the IP header on.
    pub(crate) fn delivered(&mut self, class: &str, packet: &[u8]) -> Result<()> {
        let class = CLASSES.into_iter().find(|name| *name == class);
        let class = class.context("an unknown state")?;
        let ethertype = match packet.first().map_or(0, |first| first >> 4) {
            4 => [8, 0],
            _ => [0x86, 0xdd],
        };
        let frame = [&[0; 12][..], &ethertype, packet].concat();
        let case = Head::of(&frame).and_then(|head| case_of(head.family, &head.src));
        case.map_or(Ok(()), |case| {
            self.passed(case, Arrival { class, frame: None })
        })
    }

    fn passed(&mut self, case: u16, arrival: Arrival) -> Result<()> {
        let slot = self.packets.get_mut(usize::from(case));
        *slot.context("unknown script")? = Some(arrival);
        Ok(())
    }
}

/// What tells frames apart.
struct Head {
    family: Family,
    src: [u8; 16],
    dst: [u8; 16],
    traffic_class: u8,
}

impl Head {
    fn of(frame: &[u8]) -> Option<Self> {
        let wide = |at: usize, len: usize| {
            let mut wide = [0; 16];
            wide[..len].copy_from_slice(frame.get(at..at + len)?);
            Some(wide)
        };
        debug_assert_eq!(ETHERNET, 14, "the offsets below");
        let (family, traffic_class, src, dst) = match frame.get(12..16)? {
            [8, 0, _, class] => (Family::V4, *class, wide(26, 4)?, wide(30, 4)?),
            [0x86, 0xdd, a, b] => (Family::V6, a << 4 | b >> 4, wide(22, 16)?, wide(38, 16)?),
            _ => return None,
        };
        // What the router sends on in fragments has its state in each: the first one's is read.
        let later = match family {
            Family::V4 => u16::from_be_bytes([frame[20], frame[21]]) & 0x1fff != 0,
            Family::V6 => {
                frame[20] == 44
                    && u16::from_be_bytes([*frame.get(56)?, *frame.get(57)?]) & 0xfff8 != 0
            }
        };
        (!later).then_some(Self {
            family,
            src,
            dst,
            traffic_class,
        })
    }

    /// What the oracle has written into it.
    fn class(&self) -> Option<&'static str> {
        let number = usize::from(self.traffic_class >> 2).checked_sub(1)?;
        CLASSES.get(number).copied()
    }
}

/// A frame as it was before the oracle wrote into it: no script sets the DSCP field.
fn without_dscp(family: Family, frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    match family {
        Family::V4 => {
            let word = |frame: &[u8], at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
            let before = word(&frame, 14);
            frame[15] &= 0b11;
            // RFC 1624, equation 3.
            let sum =
                u32::from(!word(&frame, 24)) + u32::from(!before) + u32::from(word(&frame, 14));
            let sum = (sum & 0xffff) + (sum >> 16);
            let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        Family::V6 => {
            frame[14] &= 0xf0;
            frame[15] &= 0b0011_1111;
        }
    }
    frame
}
