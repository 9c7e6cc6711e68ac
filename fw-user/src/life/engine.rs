//! What brings a ruleset into the programs.

use super::error::LifeError;
use crate::rules::failsafe::Failsafe;

/// Compiles rulesets and puts them in force, one at a time.
pub trait Engine {
    /// A compiled ruleset.
    type Ready;

    /// Reads and compiles a ruleset; touches nothing.
    ///
    /// # Errors
    /// [`LifeError::Refused`]: what is wrong with it.
    fn prepare(&self, text: &str, observe: bool) -> Result<Self::Ready, LifeError>;

    /// Whether this machine answers what the ruleset asks of it.
    ///
    /// # Errors
    /// [`LifeError::Refused`]: what it does not answer, and what to do.
    fn check(&self, _ready: &Self::Ready) -> Result<(), LifeError> {
        Ok(())
    }

    /// Puts a ruleset in force under a number that was never used: every packet sees the one before or
    /// this one.
    ///
    /// # Errors
    /// The one before is still in force.
    fn load(&self, ready: &Self::Ready, generation: u32) -> Result<(), LifeError>;

    /// Forgets of a ruleset in force what only loading it takes.
    fn settle(&self, _ready: &mut Self::Ready) {}

    /// The number that the ruleset in force was loaded under; 0: none was.
    ///
    /// # Errors
    /// The maps cannot be read.
    fn generation(&self) -> Result<u32, LifeError>;

    /// The highest number in use: changes of sets use numbers, too.
    ///
    /// # Errors
    /// The maps cannot be read.
    fn last_number(&self) -> Result<u32, LifeError>;

    /// The ports that no ruleset closes.
    fn failsafe(&self) -> Vec<Failsafe>;

    /// Whether the programs work by exactly this.
    ///
    /// # Errors
    /// The maps cannot be read.
    fn is_at_work(&self, ready: &Self::Ready) -> Result<bool, LifeError>;
}
