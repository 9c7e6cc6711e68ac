//! Chains, and the order in which the base chains of a hook see a packet.

use std::collections::HashMap;

use fw_common::abi::{RULE_SLOTS, SET_SLOTS, TALLY_SLOTS};
use fw_common::ruleset::field;
use fw_common::ruleset::{Entry, Insn, flag, op};

use super::super::ir::{
    BaseChain, ChainId, CounterId, Family, Hook, LimitId, Policy, QuotaId, Rule, Ruleset, SetId,
    Source,
};
use super::asm::{Assembler, Label};
use super::classes::Blocks;
use super::growing::{self, Growing};
use super::guard::MOST;
use super::needs::needed;
use super::sets::Shape;
use super::{CompileError, Compiled, Grouping, Lookup, NOWHERE, RuleId, Span};

/// Priority of conntrack's own hook: chains before it see no flow.
const CONNTRACK: i32 = -200;
/// Errors after which there is no point in going on.
const MAX_ERRORS: usize = 50;

/// A ruleset on its way to instructions.
pub(super) struct Compiler<'a> {
    pub(super) ruleset: &'a Ruleset,
    pub(super) lookup: &'a dyn Lookup,
    pub(super) asm: Assembler,
    pub(super) out: Compiled,
    pub(super) shapes: HashMap<(usize, SetId), Shape>,
    pub(super) growing: HashMap<(usize, SetId), Growing>,
    pub(super) counters: HashMap<(usize, CounterId), u32>,
    pub(super) limits: HashMap<(usize, LimitId), u32>,
    pub(super) quotas: HashMap<(usize, QuotaId), u32>,
    pub(super) policies: HashMap<(usize, ChainId), u32>,
    pub(super) guards: HashMap<usize, u32>,
    /// Every rule is counted.
    pub(super) count_all: bool,
    /// Which chains have groups.
    pub(super) grouping: Grouping,
    /// How many groups there are.
    pub(super) groups: u32,
    /// Their vectors.
    pub(super) blocks: Blocks,
    chains: HashMap<(usize, ChainId), Label>,
    errors: Vec<CompileError>,
    /// The rule that is being written.
    pub(super) at: RuleId,
    source: Source,
    /// Where it goes on if a match does not hold.
    pub(super) fail: Label,
    /// Whether its protocol is known to have ports.
    pub(super) ported: bool,
    /// Intermediate values of the statement.
    pub(super) temps: u8,
    /// Lists of connections of rules' own.
    pub(super) lists: u32,
}

/// A base chain that a packet gets to.
#[derive(Clone, Copy)]
struct Hooked<'a> {
    base: &'a BaseChain,
    label: Label,
    /// Number of its policy's counter; 0: none.
    policy: u32,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(ruleset: &'a Ruleset, lookup: &'a dyn Lookup, grouping: Grouping) -> Self {
        let mut asm = Assembler::default();
        let fail = asm.label();
        Self {
            ruleset,
            lookup,
            asm,
            out: Compiled::default(),
            shapes: HashMap::new(),
            growing: growing::sets(ruleset),
            counters: HashMap::new(),
            limits: HashMap::new(),
            quotas: HashMap::new(),
            policies: HashMap::new(),
            guards: HashMap::new(),
            count_all: false,
            grouping,
            groups: 0,
            blocks: Blocks::default(),
            chains: HashMap::new(),
            errors: Vec::new(),
            at: RuleId {
                table: 0,
                chain: ChainId(0),
                rule: 0,
            },
            source: NOWHERE,
            fail,
            ported: false,
            temps: 0,
            lists: 0,
        }
    }

    /// Notes what can't be done at the rule that is being written.
    pub(super) fn error(&mut self, message: impl Into<String>) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(CompileError::new(self.source, message));
        }
    }

    /// Index of an interface; an error if there is none of that name.
    pub(super) fn ifindex(&mut self, name: &str) -> Option<u128> {
        let found = self.lookup.ifindex(name);
        if found.is_none() {
            self.error(format!(
                "there is no interface {name}: with `iifname` and `oifname` the rule waits for it"
            ));
        }
        found.map(u128::from)
    }

    /// Where a chain begins.
    pub(super) fn chain_label(&mut self, table: usize, chain: ChainId) -> Label {
        let asm = &mut self.asm;
        *self
            .chains
            .entry((table, chain))
            .or_insert_with(|| asm.label())
    }

    /// Whether there is room to count what no statement counts, for listings.
    fn counts_all(&self) -> bool {
        let chains = self.ruleset.tables.iter().flat_map(|table| &table.chains);
        let rules: usize = chains.map(|chain| chain.rules.len() + 1).sum();
        let named = self.ruleset.tables.iter().map(|table| table.counters.len());
        rules + named.sum::<usize>() + MOST < TALLY_SLOTS as usize
    }

    pub(super) fn run(mut self) -> Result<Compiled, Vec<CompileError>> {
        self.count_all = self.counts_all();
        for table in 0..self.ruleset.tables.len() {
            for chain in 0..self.ruleset.tables[table].chains.len() {
                self.chain(table, ChainId(chain));
            }
            // Also those that no rule names yet: elements can be added to them.
            for set in 0..self.ruleset.tables[table].sets.len() {
                if self.ruleset.tables[table].sets[set].name.is_some() {
                    self.shape(table, SetId(set));
                }
            }
        }
        for (position, v6) in [(0, false), (1, true)] {
            for entry in Entry::ALL {
                self.out.entries[entry as usize][position] = self.entry(entry, v6);
            }
        }
        let asm = std::mem::take(&mut self.asm);
        let (program, labels) = asm.finish();
        self.link_sets(&labels);
        self.out.program = program;
        self.out.blocks = std::mem::take(&mut self.blocks.blocks);
        self.out.needs = needed(&self.out);
        if self.out.program.len() > RULE_SLOTS as usize {
            self.source = NOWHERE;
            self.error(format!(
                "the rules take {} instructions, and there is room for {RULE_SLOTS}: put addresses and \
                 ports into sets and maps instead of a rule each",
                self.out.program.len()
            ));
        }
        // Half of the slots are the other bank's; the last is for waiting.
        let most = SET_SLOTS as usize / 2 - 1;
        if self.out.sets.len() > most {
            self.source = NOWHERE;
            self.error(format!(
                "the rules take {} sets and maps, and there is room for {most}: put what is compared with \
                 the same field into one",
                self.out.sets.len()
            ));
        }
        if self.errors.is_empty() {
            Ok(self.out)
        } else {
            Err(self.errors)
        }
    }

    fn chain(&mut self, table: usize, id: ChainId) {
        let label = self.chain_label(table, id);
        self.asm.place(label);
        self.out.chains.push((self.asm.here(), table, id));
        let chain = self.ruleset.tables[table].chain(id);
        self.at = RuleId {
            table,
            chain: id,
            rule: 0,
        };
        let group = self.group(chain);
        for (position, rule) in chain.rules.iter().enumerate() {
            if let Some(group) = &group {
                self.seek(group, position);
            }
            self.at.rule = position;
            self.rule(rule);
            if let Some(group) = &group {
                self.leave(group, position);
            }
        }
        self.asm.emit(Insn::of(op::RETURN));
        if let Some(group) = &group {
            self.write_group(table, group);
        }
    }

    fn rule(&mut self, rule: &Rule) {
        self.source = rule.source;
        self.fail = self.asm.label();
        self.ported = false;
        let start = self.asm.here();
        let counted = self.count_before(&rule.statements);
        for (index, statement) in rule.statements.iter().enumerate() {
            if counted == Some(index) {
                self.count_rule();
            }
            self.statement(index, statement);
        }
        if counted == Some(rule.statements.len()) {
            self.count_rule();
        }
        let fail = self.fail;
        self.asm.place(fail);
        self.out.spans.push(Span {
            start,
            end: self.asm.here(),
            rule: self.at,
        });
    }

    /// Writes the way through the base chains of a hook; its address plus one, 0 if there are none.
    fn entry(&mut self, entry: Entry, v6: bool) -> u32 {
        let before = self.hooked(v6, |base| {
            base.hook == Hook::Prerouting && base.priority >= CONNTRACK
        });
        let chains = match entry {
            Entry::Early => {
                let mut chains = self.hooked(v6, |base| base.hook == Hook::Ingress);
                chains.extend(self.hooked(v6, |base| {
                    base.hook == Hook::Prerouting && base.priority < CONNTRACK
                }));
                chains
            }
            Entry::Prerouting => before.clone(),
            Entry::Input => {
                let mut chains = before.clone();
                chains.extend(self.hooked(v6, |base| base.hook == Hook::Input));
                chains
            }
            Entry::Forward => return self.forward(&before, v6),
            Entry::EarlyOutput => self.hooked(v6, |base| {
                base.hook == Hook::Output && base.priority < CONNTRACK
            }),
            Entry::Output => self.hooked(v6, |base| {
                base.hook == Hook::Output && base.priority >= CONNTRACK
            }),
        };
        if chains.is_empty() {
            return 0;
        }
        let start = self.asm.here();
        self.guard(entry, v6);
        self.bases(&chains);
        self.asm.emit(Insn::of(op::PASS));
        start + 1
    }

    /// Chains before routing, which don't know where the packet leaves, and those after it, which see
    /// its TTL one lower.
    fn forward(&mut self, before: &[Hooked<'_>], v6: bool) -> u32 {
        let after = self.hooked(v6, |base| base.hook == Hook::Forward);
        if before.is_empty() && after.is_empty() {
            return 0;
        }
        let start = self.asm.here();
        self.bases(before);
        for (from, to) in [
            (field::ROUTED, field::OIF),
            (field::ROUTED + 4, field::OIFNAME),
        ] {
            let mut publish = Insn::of(op::COPY4);
            publish.field = from;
            publish.to = to;
            publish.a = [u32::MAX; 4];
            self.asm.emit(publish);
        }
        self.asm.emit(Insn::of(op::HOP));
        self.bases(&after);
        self.asm.emit(Insn::of(op::PASS));
        start + 1
    }

    /// The base chains of live tables that `wanted` wants, in the order in which packets see them.
    fn hooked(&mut self, v6: bool, wanted: impl Fn(&BaseChain) -> bool) -> Vec<Hooked<'a>> {
        let mut found = Vec::new();
        for (position, table) in self.ruleset.tables.iter().enumerate() {
            let sees = match table.family {
                Family::Ip => !v6,
                Family::Ip6 => v6,
                Family::Inet | Family::Netdev => true,
            };
            if !sees || table.dormant {
                continue;
            }
            for (chain, body) in table.chains.iter().enumerate() {
                if let Some(base) = body.base.as_ref().filter(|base| wanted(base)) {
                    let label = self.chain_label(position, ChainId(chain));
                    let policy = self.policy_counter(position, ChainId(chain));
                    found.push(Hooked {
                        base,
                        label,
                        policy,
                    });
                }
            }
        }
        // Stable: of two with one priority the last registered runs first (`nf_hook_entries_grow`).
        found.reverse();
        found.sort_by_key(|hooked| hooked.base.priority);
        found
    }

    /// Writes the row of base chains; behind it goes on who was accepted by all.
    fn bases(&mut self, chains: &[Hooked<'_>]) {
        for Hooked {
            base,
            label,
            policy,
        } in chains
        {
            let next = self.asm.label();
            self.devices(base, next);
            let mut enter = Insn::of(op::BASE);
            enter.a[2] = u32::from(base.policy == Policy::Drop);
            enter.a[3] = *policy;
            self.asm.branches(enter, *label, next);
            self.asm.place(next);
        }
    }

    /// Only packets of the chain's devices go on; others to `otherwise`.
    fn devices(&mut self, base: &BaseChain, otherwise: Label) {
        if base.devices.is_empty() {
            return;
        }
        self.source = NOWHERE;
        let found = self.asm.label();
        for device in &base.devices {
            let Some(index) = self.ifindex(device) else {
                continue;
            };
            let mut other = Insn::of(op::EQUAL);
            other.flags = flag::NOT;
            other.field = field::PORT;
            other.a[0] = u32::MAX;
            other.b[0] = index as u32;
            self.asm.test(other, found);
        }
        self.asm.branch(Insn::of(op::GOTO), otherwise);
        self.asm.place(found);
    }
}
