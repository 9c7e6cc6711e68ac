//! Fields: where they stand, and what has to hold for them to be there.

use fw_common::ruleset::{Insn, op};

use super::super::ir::{CtField, Direction, FibResult, Field, Meta, Statement};
use super::super::print;
use super::asm::flags;
use super::chains::Compiler;
use super::expr::temporary;
use super::place::{self, Place, words};

impl Compiler<'_> {
    /// Where `field` stands; writes what has to be asked or done before.
    pub(super) fn field(&mut self, field: Field) -> Option<Place> {
        if let Field::Ct(CtField::Avgpkt, direction) = field {
            return self.average(direction);
        }
        if let Field::Fib { key, result } = field {
            self.check_fib(field, key.oif && result != FibResult::Type, key.mark);
        }
        let Some(mut place) = place::place(field) else {
            self.error(format!(
                "`{}` can't be matched by the programs: remove the match, or leave the rule to nft",
                print::field(field)
            ));
            return None;
        };
        self.check_family(field);
        if let Some((word, least)) = place::condition(field) {
            let fail = self.fail;
            let mut test = Insn::of(op::RANGE);
            test.flags = flags(word.need, word.volatile, false);
            test.field = word.word;
            let place::Form::Bits { shift, .. } = word.form else {
                return None;
            };
            test.a = [least as u32, word.form.mask(), u32::from(shift), 0];
            test.b = words(u128::from(u32::MAX), 1);
            self.asm.test(test, fail);
        }
        // Ports of a protocol that has some are constant for a flow; the same bytes of another one
        // need not be.
        if place::is_port(field) && self.ported {
            place.volatile = false;
        }
        Some(place)
    }

    /// Addresses of the other family: the rule does not match, whatever it compares (`nft_ct_get_eval`).
    fn check_family(&mut self, field: Field) {
        let family = match field {
            Field::Ct(CtField::IpSaddr | CtField::IpDaddr, _) => Some(2),
            Field::Ct(CtField::Ip6Saddr | CtField::Ip6Daddr, _) => Some(10),
            _ => None,
        };
        if let (Some(family), Some(seen)) = (family, place::place(Field::Meta(Meta::Nfproto))) {
            let fail = self.fail;
            let same = self.equal(seen, u128::from(u32::MAX), family, false);
            self.asm.test(same, fail);
        }
    }

    /// The routing tables are asked once, before the rules.
    fn check_fib(&mut self, field: Field, way_out: bool, mark: bool) {
        if way_out {
            // `nft_fib_init`.
            self.error(format!(
                "`{}` is no look-up that the kernel knows: with `. oif` it tells the type of an address only; \
                 leave `. oif` out, or match `oifname`",
                print::field(field)
            ));
        }
        let chains = self.ruleset.tables.iter().flat_map(|table| &table.chains);
        let mut statements = chains
            .flat_map(|chain| &chain.rules)
            .flat_map(|rule| &rule.statements);
        if mark && statements.any(|one| matches!(one, Statement::SetMark(_))) {
            self.error(format!(
                "`{}` asks with the mark that a packet has before the rules, and these rules set it: leave \
                 `mark .` out, or leave the rule to nft",
                print::field(field)
            ));
        }
    }

    /// Bytes a packet.
    fn average(&mut self, direction: Option<Direction>) -> Option<Place> {
        let bytes = place::place(Field::Ct(CtField::Bytes, direction))?;
        let packets = place::place(Field::Ct(CtField::Packets, direction))?;
        let to = self.temp();
        let fail = self.fail;
        let mut divide = Insn::of(op::AVERAGE);
        divide.flags = flags(bytes.need, true, false);
        divide.field = bytes.word;
        divide.to = to;
        divide.a[0] = packets.word.into();
        self.asm.test(divide, fail);
        Some(temporary(to, 2))
    }
}
