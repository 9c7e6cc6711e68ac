//! One measurement after the other, each contestant in each round.

use anyhow::{Result, ensure};

use crate::rig::Rig;
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

/// Sends `packets` packets through the rig and adds what each cost.
///
/// # Errors
/// When more than a tenth is lost: that measures something else.
pub fn round(rig: &mut Rig, traffic: &Traffic, packets: u64, series: &mut Series) -> Result<()> {
    let before = rig.arrived(traffic)?;
    let cost = rig.send(traffic, packets)?;
    let arrived = rig.arrived(traffic)? - before;
    let lost = 1.0 - arrived as f64 / packets as f64;
    ensure!(
        lost < 0.1,
        "{}: {arrived} of {packets} packets have arrived",
        rig.subject
    );
    series.lost = series.lost.max(lost);
    series.cpu.push(cost.cpu.as_nanos() as f64 / arrived as f64);
    Ok(())
}
