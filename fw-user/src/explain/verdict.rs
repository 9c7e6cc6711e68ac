//! From a packet in words to its verdict, and why.

use fw_common::abi::{Config, Flow};
use fw_common::flow::{FlowKey, Tuple, direction_from};
use fw_common::route::Kind;
use fw_common::ruleset::{Entry, Facts, Machine, Outcome, Track, effect, field};
use fw_common::wire::{self, Family, Meta, inner, proto};
use fw_common::{CtInfo, Dir, Reason, Verdict, icmp, policy, track};

use super::asked;
use super::packet::Sketch;
use super::path::{Step, Walker};
use super::way::{To, Way};
use crate::life::Ready;
use crate::rules::failsafe::Failsafe;
use crate::rules::host::Host;

/// What becomes of a packet.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// What conntrack says of it.
    pub state: CtInfo,
    /// The rules that it meets.
    pub steps: Vec<Step>,
    /// Its end.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// How it is refused, if it is answered.
    pub rejected: bool,
    /// What the ruleset alone says, if it only observes and this is not the verdict.
    pub observed: bool,
    /// Why it gets no further although it passes.
    pub ends: Option<End>,
}

/// Why a packet that passes does not leave the router: the kernel throws it away, and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its TTL or hop limit ends here.
    Ttl,
    /// The route is of type blackhole, unreachable or prohibit.
    Route,
}

impl End {
    /// The word for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ttl => "ttl",
            Self::Route => "route",
        }
    }
}

/// The flow table as far as a packet asks for it.
pub trait Flows {
    /// The live flow of that packet.
    fn find(&self, family: Family, tuple: &Tuple) -> Option<Flow>;
    /// The settings.
    fn config(&self) -> &Config;
    /// Now, in ticks.
    fn now(&self) -> u64;
}

/// A packet on its way.
struct Journey<'a> {
    sketch: &'a Sketch,
    way: &'a Way,
    frame: Vec<u8>,
    meta: Meta,
    facts: Facts,
    steps: Vec<Step>,
}

/// Explains what becomes of a packet. `rules` are those in force; with none everything passes.
#[must_use]
pub fn explain(
    sketch: &Sketch,
    way: &Way,
    rules: Option<&Ready>,
    failsafe: &[Failsafe],
    flows: &dyn Flows,
) -> Explanation {
    let ends = end_of(sketch, way);
    let mut found = judge(sketch, way, rules, failsafe, flows);
    found.ends = ends.filter(|_| found.verdict == Verdict::Pass);
    found
}

/// Whether the kernel forwards it.
fn end_of(sketch: &Sketch, way: &Way) -> Option<End> {
    match &way.to {
        To::Nowhere => Some(End::Route),
        To::Out(_) if way.from.is_some() && sketch.ttl <= 1 => Some(End::Ttl),
        To::Out(_) | To::Local => None,
    }
}

fn judge(
    sketch: &Sketch,
    way: &Way,
    rules: Option<&Ready>,
    failsafe: &[Failsafe],
    flows: &dyn Flows,
) -> Explanation {
    let frame = sketch.frame();
    let mut journey = Journey {
        sketch,
        way,
        meta: Meta::default(),
        frame,
        facts: Facts::default(),
        steps: Vec::new(),
    };
    if let Err(reason) = wire::parse(journey.frame.as_slice(), &mut journey.meta) {
        return journey.end(CtInfo::Invalid, Verdict::Drop, reason);
    }
    let Some(ready) = rules else {
        return journey.without_rules(flows);
    };
    journey.read_facts(ready.compiled.needs);
    let names = failsafe.iter().map(ToString::to_string).collect();
    let walker = Walker::new(&ready.ruleset, &ready.compiled, names);
    let mut host = Host::new(&ready.compiled);
    journey.through(&walker, &mut host, flows, ready.compiled.observe)
}

impl Journey<'_> {
    fn end(self, state: CtInfo, verdict: Verdict, reason: Reason) -> Explanation {
        Explanation {
            state,
            steps: self.steps,
            verdict,
            reason,
            rejected: false,
            observed: false,
            ends: None,
        }
    }

    fn without_rules(self, flows: &dyn Flows) -> Explanation {
        let (state, reason, _) = self.state(flows);
        let (verdict, reason) = policy::decide(state, reason, flows.config());
        self.end(state, verdict, reason)
    }

    fn read_facts(&mut self, needed: u32) {
        let facts = &mut self.facts;
        facts.read(self.frame.as_slice(), &self.meta, self.way.from.is_some());
        facts.set(field::MARK, self.sketch.mark);
        facts.goes(match self.way.to {
            To::Local => Kind::Local,
            To::Out(_) => Kind::Forward,
            To::Nowhere => Kind::Unreachable,
        });
        match (&self.way.from, &self.way.to) {
            (Some(from), To::Out(to)) => {
                facts.came_in_by(&from.link);
                facts.set(field::PORT, from.link.index);
                facts.routed_to(&to.link);
            }
            (Some(from), _) => {
                facts.came_in_by(&from.link);
                facts.set(field::PORT, from.link.index);
            }
            (None, To::Out(to)) => facts.leaves_by(&to.link),
            (None, _) => {}
        }
        asked::note(facts, &self.frame, &self.meta, needed);
    }

    fn through(
        mut self,
        walker: &Walker<'_>,
        host: &mut Host<'_>,
        flows: &dyn Flows,
        observe: bool,
    ) -> Explanation {
        let (early, late) = self.hooks();
        let machine = self.walk(walker, host, early);
        if let Some(end) = self.decided(&machine, CtInfo::Untracked, observe) {
            return end;
        }
        self.facts.set(field::MARK, machine.facts.get(field::MARK));
        let (state, reason, flow) = if machine.has(effect::NOTRACK) {
            (CtInfo::Untracked, Reason::Untracked, None)
        } else {
            self.state(flows)
        };
        let (verdict, reason) = policy::decide(state, reason, flows.config());
        if verdict == Verdict::Drop {
            return self.end(state, verdict, reason);
        }
        self.facts.state(state);
        if let Some((flow, dir)) = &flow {
            let config = flows.config();
            let track = Track {
                flow,
                dir: *dir,
                zone: 0,
                now: flows.now(),
                hz: config.hz,
            };
            self.facts.track(&self.meta, &track);
        }
        let machine = self.walk(walker, host, late);
        match self.decided(&machine, state, observe) {
            Some(end) => end,
            None => self.end(state, Verdict::Pass, reason),
        }
    }

    /// The hooks before and after conntrack.
    fn hooks(&self) -> (Entry, Entry) {
        match (&self.way.from, &self.way.to) {
            (None, _) => (Entry::EarlyOutput, Entry::Output),
            (_, To::Local) => (Entry::Early, Entry::Input),
            (_, To::Nowhere) => (Entry::Early, Entry::Prerouting),
            (_, To::Out(_)) if self.meta.ttl <= 1 => (Entry::Early, Entry::Prerouting),
            (_, To::Out(_)) => (Entry::Early, Entry::Forward),
        }
    }

    fn walk(&mut self, walker: &Walker<'_>, host: &mut Host<'_>, entry: Entry) -> Machine {
        let v6 = self.meta.family == Family::V6;
        walker.walk(host, entry, v6, self.facts, &mut self.steps)
    }

    /// The end, if the chains of a hook decided it.
    fn decided(&mut self, machine: &Machine, state: CtInfo, observe: bool) -> Option<Explanation> {
        let rejected = machine.outcome() == Outcome::Reject;
        let reason = match machine.outcome() {
            Outcome::Accept => return None,
            Outcome::Drop => Reason::Policy,
            Outcome::Reject => Reason::Rejected,
            Outcome::Unanswered => Reason::RouteUnknown,
            Outcome::Running | Outcome::Broken => Reason::BrokenRuleset,
        };
        let observed = observe && matches!(reason, Reason::Policy | Reason::Rejected);
        Some(Explanation {
            state,
            steps: std::mem::take(&mut self.steps),
            verdict: if observed {
                Verdict::Pass
            } else {
                Verdict::Drop
            },
            reason: if observed { Reason::Observed } else { reason },
            rejected,
            observed,
            ends: None,
        })
    }

    /// What conntrack would say, and the flow that the packet belongs to or would begin.
    fn state(&self, flows: &dyn Flows) -> (CtInfo, Reason, Option<(Flow, Dir)>) {
        if let Some(state) = self.sketch.state {
            return (state, Reason::Accepted, None);
        }
        let mut meta = self.meta;
        if let Err((info, reason)) = track::admit(&meta) {
            return (info, reason, None);
        }
        if icmp::is_icmp(meta.family, meta.proto) && inner::quotes(&meta) {
            // What it quotes was not said.
            return (CtInfo::Invalid, Reason::Accepted, None);
        }
        let tuple = match Tuple::of(&meta) {
            Ok(tuple) => tuple,
            Err(reason) => return (CtInfo::Invalid, reason, None),
        };
        let (config, now) = (flows.config(), flows.now());
        if let Some(mut flow) = flows.find(meta.family, &tuple) {
            let dir = direction_from(flow.origin, from_hi(meta.family, &tuple));
            continue_stream(&mut meta, &flow, dir);
            let outcome = track::advance(&mut flow, dir, &meta, config, now);
            if outcome.fate != track::Fate::Reopen {
                return (outcome.info, outcome.reason, Some((flow, dir)));
            }
        }
        let mut flow = Flow::default();
        match track::open(&mut flow, &meta, config, now) {
            Ok(()) => (CtInfo::New, Reason::Accepted, Some((flow, Dir::Original))),
            Err(reason) => (CtInfo::Invalid, reason, None),
        }
    }
}

fn from_hi(family: Family, tuple: &Tuple) -> bool {
    use fw_common::abi::{Key4, Key6};
    match family {
        Family::V4 => Key4::canonical(tuple, 0).1,
        Family::V6 => Key6::canonical(tuple, 0).1,
    }
}

/// A segment in words has no sequence numbers: those that come next in its connection are meant.
fn continue_stream(meta: &mut Meta, flow: &Flow, dir: Dir) {
    if meta.proto != proto::TCP {
        return;
    }
    let here = &flow.legs[dir.index() & 1];
    let there = &flow.legs[(dir.index() + 1) & 1];
    meta.tcp.seq = here.end;
    meta.tcp.ack = there.end;
    meta.tcp.sack = meta.tcp.ack;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::Side;

    #[test]
    fn what_ends_in_the_router_goes_no_further() {
        let side = || Side {
            name: "eth0".into(),
            link: fw_common::ruleset::Link::default(),
        };
        let end = |ttl: u8, from: Option<Side>, to: To| {
            let sketch = format!("icmp 192.168.1.2 > 10.0.0.2 echo-request ttl {ttl}");
            end_of(&sketch.parse().unwrap(), &Way { from, to })
        };
        assert_eq!(end(1, Some(side()), To::Out(side())), Some(End::Ttl));
        assert_eq!(end(2, Some(side()), To::Out(side())), None);
        assert_eq!(end(1, Some(side()), To::Local), None);
        assert_eq!(end(1, None, To::Out(side())), None, "the first hop");
        assert_eq!(end(64, Some(side()), To::Nowhere), Some(End::Route));
    }
}
