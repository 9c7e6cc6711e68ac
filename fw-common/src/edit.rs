//! Changes of a flow that somebody asks for, as `conntrack -U` makes them.

use crate::abi::{Edit, Flow};
use crate::status;

/// The status bits that may be set by hand (`ctnetlink_change_status`); none can be cleared.
pub const SETTABLE: u32 = status::SEEN_REPLY | status::ASSURED | status::FIXED_TIMEOUT;

/// Makes the changes of `edit` that leave the flow in the table. `now` is in ticks.
#[inline(always)]
pub fn apply(flow: &mut Flow, edit: &Edit, now: u64) {
    if edit.op & Edit::SET_MARK != 0 {
        flow.mark = marked(flow.mark, edit.mark, edit.mark_mask);
        // What the rules concluded from the old mark does not hold.
        flow.legs[0].rule_gen = 0;
        flow.legs[1].rule_gen = 0;
    }
    if edit.op & Edit::SET_TIMEOUT != 0 {
        flow.deadline = now.wrapping_add(edit.timeout);
    }
    if edit.op & Edit::SET_STATUS != 0 {
        flow.status |= edit.status & SETTABLE;
    }
}

/// `old` with `value` set under `mask`, as `conntrack -U -m VALUE/MASK` and `ctnetlink_change_mark`
/// mean it: the mask's bits are cleared, then the value's are turned over.
#[must_use]
#[inline(always)]
pub const fn marked(old: u32, value: u32, mask: u32) -> u32 {
    (old & !mask) ^ value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Leg;

    #[test]
    fn mark_is_cleared_under_the_mask_then_turned_over() {
        assert_eq!(marked(0xff, 0x12, u32::MAX), 0x12);
        assert_eq!(marked(0xabcd, 0x12, 0xff), 0xab12);
        assert_eq!(marked(0xabcd, 0x1, 0), 0xabcc, "XOR, not OR");
    }

    #[test]
    fn only_what_is_asked_for_changes() {
        let judged = Leg {
            rule_gen: 9,
            ..Leg::default()
        };
        let before = Flow {
            mark: 7,
            legs: [judged; 2],
            deadline: 500,
            status: status::CONFIRMED,
            ..Flow::default()
        };
        let edit = |op| Edit {
            op,
            mark: 1,
            mark_mask: u32::MAX,
            timeout: 30,
            status: status::ASSURED | status::EXPECTED,
            ..Edit::default()
        };
        let applied = |op| {
            let mut flow = before;
            apply(&mut flow, &edit(op), 1000);
            flow
        };
        assert_eq!(applied(0), before);
        let marked = applied(Edit::SET_MARK);
        assert_eq!(
            (marked.mark, marked.legs.map(|leg| leg.rule_gen)),
            (1, [0, 0])
        );
        assert_eq!(
            (marked.deadline, marked.status),
            (before.deadline, before.status)
        );
        let timeout = Flow {
            deadline: 1030,
            ..before
        };
        assert_eq!(applied(Edit::SET_TIMEOUT), timeout);
        let status = status::CONFIRMED | status::ASSURED;
        assert_eq!(applied(Edit::SET_STATUS), Flow { status, ..before });
    }
}
