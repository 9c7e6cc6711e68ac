//! What became of a script on both sides, and whether that is the same.

use std::fmt;

use super::answer::Answer;
use super::entry::Entry;

/// What became of a packet, and of the flows of its script.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The packet's state; `None` if it was dropped on the way.
    pub(crate) class: Option<&'static str>,
    /// Ours: its state, whether it was dropped or not; `None` if it was not tracked.
    pub(crate) state: Option<&'static str>,
    pub(crate) entries: Vec<Entry>,
    /// What leaves the router, where we send it straight from XDP.
    pub(crate) frame: Option<Vec<u8>>,
    /// What is said to it, if rules reject it.
    pub(crate) answer: Option<Answer>,
}

/// A packet that the two treat differently.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    /// Index of the step.
    pub(crate) step: usize,
    pub(crate) kernel: Seen,
    pub(crate) ours: Seen,
    /// The name in `docs/differences.md`, if it is an intended one.
    pub(crate) explained: Option<&'static str>,
}

/// What became of a script.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Packets compared.
    pub(crate) packets: usize,
    /// Of those, passed by both.
    pub(crate) passed: usize,
    /// Of those, sent straight from XDP by us.
    pub(crate) straight: usize,
    /// The first difference: nothing after it was compared.
    pub(crate) difference: Option<Difference>,
}

impl Outcome {
    pub(crate) fn unexplained(&self) -> Option<&Difference> {
        self.difference
            .as_ref()
            .filter(|difference| difference.explained.is_none())
    }
}

/// Whether the two have done the same.
pub(crate) fn agree(kernel: &Seen, ours: &Seen) -> bool {
    let (theirs, mine) = (lasting(kernel, ours), lasting(ours, kernel));
    let answered = match (&kernel.answer, &ours.answer) {
        (Some(theirs), Some(mine)) => theirs.agrees(mine),
        (theirs, mine) => theirs.is_none() && mine.is_none(),
    };
    kernel.class == ours.class
        && kernel.frame == ours.frame
        && answered
        && theirs.len() == mine.len()
        && theirs.iter().zip(&mine).all(|(a, b)| a.agrees(b))
}

/// The entries of `seen`, but for those about to expire that the other has removed a moment before.
fn lasting<'a>(seen: &'a Seen, other: &Seen) -> Vec<&'a Entry> {
    let is_there = |entry: &Entry| other.entries.iter().any(|e| e.rank() == entry.rank());
    seen.entries
        .iter()
        .filter(|entry| entry.timeout > 0 || is_there(entry))
        .collect()
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.class.unwrap_or("dropped"))?;
        self.entries
            .iter()
            .try_for_each(|entry| write!(f, "; {entry}"))?;
        match &self.answer {
            Some(answer) => write!(f, "; answered {answer}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            step, kernel, ours, ..
        } = self;
        write!(
            f,
            "after step {step}\n     kernel: {kernel}\n     ours:   {ours}"
        )?;
        if kernel.frame != ours.frame {
            for (who, seen) in [("kernel", kernel), ("ours", ours)] {
                write!(f, "\n     leaves {who}: ")?;
                let mut bytes = seen.frame.iter().flatten();
                bytes.try_for_each(|byte| write!(f, "{byte:02x}"))?;
            }
        }
        Ok(())
    }
}
