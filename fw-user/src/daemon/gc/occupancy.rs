//! How many assured flows user space has removed, as far as the programs have to know.
//!
//! The programs count what they promote to the assured map and what they remove from it. Of what else goes they
//! are told after each sweep: what they count less that is how many places they believe to be taken. The truth is not to be
//! more: beyond the last place the map would push out flows that live.

/// What the programs have counted at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    /// Flows of the family promoted less those removed.
    pub(super) there: u64,
    /// Flows promoted, of both families.
    pub(super) promoted: u64,
}

/// How many user space has removed, after a walk that has found `left` flows alive.
///
/// What came or went during the walk may have been seen or not. Each that went is taken for one that was not seen, and
/// so is each that came: so the number errs towards too few, until the next sweep.
pub(super) const fn removed(before: Count, after: Count, left: u64) -> u64 {
    let came = after.promoted.wrapping_sub(before.promoted);
    let went = before.there.wrapping_add(came).saturating_sub(after.there);
    before.there.saturating_sub(went).saturating_sub(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where 100 flows are that the programs know of, of which 10 are gone without their knowledge.
    const BEFORE: Count = Count {
        there: 100,
        promoted: 1000,
    };

    /// Places believed to be taken after a walk during which flows came, went, and were seen alive.
    fn taken(came: u64, went: u64, left: u64) -> u64 {
        let after = Count {
            there: BEFORE.there + came - went,
            promoted: BEFORE.promoted + came,
        };
        after.there - removed(BEFORE, after, left)
    }

    #[test]
    fn what_is_gone_makes_room() {
        assert_eq!(taken(0, 0, 90), 90);
        assert_eq!(taken(0, 0, 100), 100);
    }

    #[test]
    fn no_more_are_there_than_are_believed_to_be() {
        let there = 90;
        for came in [0, 1, 40] {
            for went in [0, 1, 40] {
                for seen_of_those_that_came in [0, came] {
                    for missed_of_those_that_went in [0, went] {
                        let left = there + seen_of_those_that_came - missed_of_those_that_went;
                        let taken = taken(came, went, left);
                        assert!(
                            taken >= there + came - went,
                            "{came} {went} {left}: {taken}"
                        );
                    }
                }
            }
        }
    }
}
