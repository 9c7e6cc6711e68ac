//! TCP conversations in a line of text.
//!
//! `A:S B:SA A:A A:PA+100 B:R@5`: sender, flags, and what is not as the sender would have it: `+` bytes
//! of payload, `@` distance of the sequence number, `#` of the acknowledgement number, `w` window.
//! `=` repeats the last segment, a number waits so many milliseconds.

use crate::script::{Body, Packet, Step, Tcp, Who, flags};

use fw_common::tcp::header::{ACK, FIN, SYN};

/// Both ends, and what they would send next.
pub(super) struct Dialogue {
    next: [u32; 2],
    steps: Vec<Step>,
}

/// The steps of a conversation.
pub(super) fn steps(text: &str) -> Vec<Step> {
    let mut dialogue = Dialogue {
        next: [1000, 500_000],
        steps: Vec::new(),
    };
    text.split_whitespace().for_each(|word| dialogue.say(word));
    dialogue.steps
}

impl Dialogue {
    fn say(&mut self, word: &str) {
        let step = match word.split_once(':') {
            Some((who, what)) => Step::Send(self.segment(who, what)),
            None if word == "=" => self.steps.last().expect("something to repeat").clone(),
            None => Step::Wait(word.parse().expect("milliseconds")),
        };
        self.steps.push(step);
    }

    fn segment(&mut self, who: &str, what: &str) -> Packet {
        let src = if who == "A" { Who::A } else { Who::B };
        let (own, peer) = (src.side(), 1 - src.side());
        let flags = flags(what.split(['+', '@', '#', 'w']).next().unwrap_or_default());
        let number = |mark| -> Option<i64> {
            let rest = what.split_once(mark)?.1;
            rest.split(['+', '@', '#', 'w']).next()?.parse().ok()
        };
        let payload = number('+').unwrap_or(0) as u16;
        let seq = self.next[own].wrapping_add(number('@').unwrap_or(0) as u32);
        let ack = if flags & ACK == 0 { 0 } else { self.next[peer] };
        let ack = ack.wrapping_add(number('#').unwrap_or(0) as u32);
        if number('@').is_none() {
            let length = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
            self.next[own] = seq.wrapping_add(u32::from(payload) + length);
        }
        let ports = if src == Who::A {
            [40000, 80]
        } else {
            [80, 40000]
        };
        let window = number('w').unwrap_or(8192) as u16;
        let options = vec![];
        Packet::new(
            src,
            Body::Tcp(Tcp {
                ports,
                flags,
                seq,
                ack,
                window,
                payload,
                options,
            }),
        )
    }
}
