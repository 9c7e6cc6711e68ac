//! Statements: what a rule does.

use fw_common::abi::LOG_SLOTS;
use fw_common::ruleset::{Insn, field, op};

use super::super::ir::{
    CounterRef, Data, Expr, Limit, LimitId, ObjectRef, Quota, QuotaId, Reject, SetId, Statement,
    Verdict,
};
use super::asm::{Label, flags};
use super::chains::Compiler;
use super::sets::Shape;
use super::{LogLine, Owner};

impl Compiler<'_> {
    /// Writes the statement at position `index` of the rule.
    pub(super) fn statement(&mut self, index: usize, statement: &Statement) {
        self.temps = 0;
        match statement {
            Statement::Match(compared) => self.write_match(compared),
            Statement::Verdict(verdict) => self.write_verdict(*verdict),
            Statement::VerdictMap { key, map } => self.verdict_map(key, *map),
            Statement::Reject(reject) => self.reject(*reject),
            Statement::Counter(counter) => self.count(index, counter),
            Statement::Limit(limit) => self.limit(limit),
            Statement::Quota(quota) => self.quota_statement(index, quota),
            Statement::CtCount(count) => {
                let list = self.list();
                self.connections(count, list, 0);
            }
            Statement::Log(log) => {
                let mut tell = Insn::of(op::LOG);
                tell.flags = flags(0, true, false);
                tell.a[0] = u32::try_from(self.out.logs.len()).unwrap_or(u32::MAX);
                self.out.logs.push(LogLine {
                    rule: self.at,
                    log: log.clone(),
                });
                if self.out.logs.len() > LOG_SLOTS as usize {
                    self.error(format!("more than {LOG_SLOTS} log statements"));
                }
                self.asm.emit(tell);
            }
            Statement::Notrack => self.asm.emit(Insn::of(op::NOTRACK)),
            Statement::SetCtMark(expr) => self.set_mark(op::SET_CT_MARK, expr),
            Statement::SetMark(expr) => self.set_mark(op::SET_MARK, expr),
            Statement::SetUpdate {
                op,
                set,
                key,
                data,
                timeout,
                ..
            } => {
                let data = data.as_ref().and_then(|data| self.data_word(data));
                let millis = timeout.map(|timeout| timeout.as_millis());
                self.update(*op, (*set, key, data), millis);
            }
            // Every flow that the rules have accepted takes the short cut by itself.
            Statement::FlowOffload(_) => {}
        }
    }

    /// Writes a verdict.
    pub(super) fn write_verdict(&mut self, verdict: Verdict) {
        let (op, label) = self.verdict_data(self.at.table, verdict);
        match label {
            Some(label) => self.asm.branch(Insn::of(op), label),
            None => self.asm.emit(Insn::of(op)),
        }
    }

    /// A verdict as an operation, and where it leads.
    pub(super) fn verdict_data(&mut self, table: usize, verdict: Verdict) -> (u8, Option<Label>) {
        match verdict {
            Verdict::Accept => (op::ACCEPT, None),
            Verdict::Drop => (op::DROP, None),
            Verdict::Jump(chain) => (op::JUMP, Some(self.chain_label(table, chain))),
            Verdict::Goto(chain) => (op::GOTO, Some(self.chain_label(table, chain))),
            Verdict::Return => (op::RETURN, None),
            Verdict::Continue => (op::CONTINUE, None),
        }
    }

    fn verdict_map(&mut self, key: &Expr, map: SetId) {
        match self.shape(self.at.table, map) {
            Shape::Map(index) => {
                self.key(key, index);
                let set = self.ruleset.tables[self.at.table].set(map);
                let any = set.elements.iter();
                let mut any = any.filter(|e| e.key.patterns().is_empty());
                let Some(Data::Verdict(verdict)) = any.next().and_then(|e| e.data.clone()) else {
                    let fail = self.fail;
                    return self.search(Insn::of(op::VERDICT_MAP), map, index, fail);
                };
                // `*`: what no other element matches.
                let (other, done) = (self.asm.label(), self.asm.label());
                self.search(Insn::of(op::VERDICT_MAP), map, index, other);
                self.asm.branch(Insn::of(op::GOTO), done);
                self.asm.place(other);
                self.write_verdict(verdict);
                self.asm.place(done);
            }
            Shape::Inline => self.inline_verdict(key, map),
        }
    }

    fn reject(&mut self, reject: Reject) {
        let (kind, code) = match reject {
            Reject::TcpReset => (0, 0),
            Reject::Icmp(code) => (1, code),
            Reject::Icmpv6(code) => (2, code),
            Reject::Icmpx(code) => (3, code),
        };
        let mut answer = Insn::of(op::REJECT);
        answer.flags = flags(0, true, false);
        answer.a[0] = kind << 8 | u32::from(code);
        self.asm.emit(answer);
    }

    fn count(&mut self, index: usize, counter: &CounterRef) {
        match counter {
            CounterRef::Own { packets, bytes } => {
                let number = self.counter(Owner::Statement(self.at, index), *packets, *bytes);
                self.count_in(number);
            }
            CounterRef::Named(id) => {
                let number = self.named_counter(self.at.table, *id);
                self.count_in(number);
            }
            CounterRef::Map { key, map } => self.by_map(key, *map, |compiler, data| {
                if let Data::Counter(id) = data {
                    let number = compiler.named_counter(compiler.at.table, *id);
                    compiler.count_in(number);
                }
            }),
        }
    }

    pub(super) fn count_in(&mut self, number: u32) {
        let mut count = Insn::of(op::COUNT);
        count.a[0] = number;
        self.asm.emit(count);
    }

    fn limit(&mut self, limit: &ObjectRef<Limit, LimitId>) {
        match limit {
            ObjectRef::Own(limit) => {
                let number = self.limiter(*limit);
                self.limit_by((number, limit.over));
            }
            ObjectRef::Named(id) => {
                let named = self.named_limit(self.at.table, *id);
                self.limit_by(named);
            }
            ObjectRef::Map { key, map } => self.by_map(key, *map, |compiler, data| {
                if let Data::Limit(id) = data {
                    let named = compiler.named_limit(compiler.at.table, *id);
                    compiler.limit_by(named);
                }
            }),
        }
    }

    fn limit_by(&mut self, (number, over): (u32, bool)) {
        let fail = self.fail;
        let mut limit = Insn::of(op::LIMIT);
        limit.flags = flags(0, true, over);
        limit.a[0] = number;
        self.asm.test(limit, fail);
    }

    fn quota_statement(&mut self, index: usize, quota: &ObjectRef<Quota, QuotaId>) {
        match quota {
            ObjectRef::Own(quota) => {
                let number = self.quota(Owner::Statement(self.at, index), quota.used);
                self.quota_by((number, *quota));
            }
            ObjectRef::Named(id) => {
                let named = self.named_quota(self.at.table, *id);
                self.quota_by(named);
            }
            ObjectRef::Map { key, map } => self.by_map(key, *map, |compiler, data| {
                if let Data::Quota(id) = data {
                    let named = compiler.named_quota(compiler.at.table, *id);
                    compiler.quota_by(named);
                }
            }),
        }
    }

    fn quota_by(&mut self, (number, quota): (u32, Quota)) {
        let fail = self.fail;
        let mut limit = Insn::of(op::QUOTA);
        limit.flags = flags(0, true, quota.over);
        limit.a[0] = number;
        limit.b = [(quota.bytes >> 32) as u32, quota.bytes as u32, 0, 0];
        self.asm.test(limit, fail);
    }

    /// Writes what `each` does for the object that `map` maps `key` to.
    fn by_map(&mut self, key: &Expr, map: SetId, each: impl Fn(&mut Self, &Data)) {
        let set = self.ruleset.tables[self.at.table].set(map);
        let (fail, done) = (self.fail, self.asm.label());
        let Some(parts) = self.loaded(key) else {
            return;
        };
        for element in &set.elements {
            let other = self.asm.label();
            self.is_element(&parts, element, other);
            if let Some(data) = &element.data {
                each(self, data);
            }
            self.asm.branch(Insn::of(op::GOTO), done);
            self.asm.place(other);
        }
        self.asm.branch(Insn::of(op::GOTO), fail);
        self.asm.place(done);
    }

    fn set_mark(&mut self, operation: u8, expr: &Expr) {
        let Some(place) = self.load(expr) else {
            return;
        };
        // The mark is the word: what stands elsewhere in its word is moved first.
        let from = self.alone(place);
        let mut set = Insn::of(operation);
        set.field = from;
        self.asm.emit(set);
    }

    /// The word in which a value stands alone.
    fn alone(&mut self, place: super::place::Place) -> u8 {
        let to = field::REGS;
        self.copy(place, to, false);
        to
    }
}
