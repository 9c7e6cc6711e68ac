//! One measurement after the other, each contestant in each round.

use anyhow::{Result, ensure};

use crate::rig::Rig;
use crate::router::Subject;
use crate::stats::{self, Summary};
use crate::traffic::Traffic;

/// What one contestant measured, round by round.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// CPU time of one packet, in nanoseconds.
    pub cpu: Vec<f64>,
    /// The greatest part of packets that did not arrive.
    pub lost: f64,
}

impl Series {
    /// Adds the next round.
    pub fn push(&mut self, price: Price) {
        self.cpu.push(price.ns);
        self.lost = self.lost.max(price.lost);
    }

    /// The median, with its bounds.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary::of(&self.cpu).unwrap_or_default()
    }

    /// What is left without the harness, which `ceiling` is.
    #[must_use]
    pub fn without(&self, ceiling: &Self) -> Self {
        Self {
            cpu: stats::less(&self.cpu, &ceiling.cpu),
            lost: self.lost,
        }
    }
}

/// What is to become of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They come out at the other side.
    Arrive,
    /// The router drops them, by its rules.
    Refused,
}

/// What one packet cost in CPU time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Price {
    /// In nanoseconds.
    pub ns: f64,
    /// Part of the packets that did not arrive, but should have.
    pub lost: f64,
}

/// Sends `packets` packets through the rig.
///
/// # Errors
/// When more than a tenth has another fate: that measures something else.
pub fn packet(rig: &mut Rig, traffic: &Traffic, packets: u64, fate: Fate) -> Result<Price> {
    let before = rig.arrived(traffic)?;
    let cost = rig.send(traffic, packets)?;
    let arrived = rig.arrived(traffic)? - before;
    let all = packets as f64;
    let (done, lost) = match fate {
        Fate::Arrive => (arrived as f64, 1.0 - arrived as f64 / all),
        // The ceiling counts what it drops.
        Fate::Refused if rig.subject == Subject::Ceiling => (all, 0.0),
        Fate::Refused => (all, arrived as f64 / all),
    };
    ensure!(
        lost < 0.1,
        "{}: {arrived} of {packets} packets have arrived",
        rig.subject
    );
    let ns = cost.cpu.as_nanos() as f64 / done;
    Ok(Price { ns, lost })
}
