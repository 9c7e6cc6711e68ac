//! What all workloads share: how long to measure, what to measure, and the field of contestants.

use std::path::PathBuf;

use anyhow::Result;

use crate::globals::Globals;
use crate::measure::{self, Fate, Series};
use crate::rig::Rig;
use crate::router::{self, Setup, Subject};
use crate::traffic::Traffic;

/// Entries of the kernel's tuned hash table: a million flows, two tuples each.
const TUNED_BUCKETS: u64 = 1 << 21;
/// Room for the flows of every workload.
const ROOM: u64 = 1 << 22;
/// Rules in the ruleset of all workloads that are not about rules.
pub const RULES: u32 = 20;
/// Room in the flow table unless a workload needs more: fwctl's default, and this kernel's.
pub const MAX_FLOWS: u32 = 262_144;

/// How to measure.
#[derive(Debug)]
pub struct Bench {
    /// Few contestants, rounds and packets.
    pub quick: bool,
    /// Measurements of each kind.
    pub rounds: usize,
    /// The program under test.
    pub fwctl: PathBuf,
    /// The machine's settings.
    pub globals: Globals,
}

/// What the contestants do in each round.
#[derive(Clone, Copy, Debug)]
pub struct Contest {
    /// What is sent.
    pub traffic: Traffic,
    /// How many packets.
    pub packets: u64,
    /// What is to become of them.
    pub fate: Fate,
    /// Whether all flows are forgotten before each round.
    pub fresh: bool,
}

/// What each contestant measured.
pub type Results = Vec<(Subject, Series)>;

/// Contestants, and the routers that they share.
#[derive(Debug)]
pub struct Field {
    rigs: Vec<Rig>,
    contestants: Vec<(Subject, usize)>,
}

impl Bench {
    /// Says what is going on.
    pub fn say(&self, text: &str) {
        eprintln!("   {text}");
    }

    /// Who competes when `flows` flows are established. The tuned hash table matters beyond what the
    /// stock one has buckets for.
    #[must_use]
    pub fn subjects(&self, flows: u32) -> Vec<Subject> {
        let mut subjects = vec![Subject::Ceiling, Subject::Forward, Subject::Nft];
        if u64::from(flows) * 2 >= self.globals.stock_buckets() / 2 {
            subjects.push(Subject::NftTuned);
        }
        subjects.push(Subject::Native);
        if !self.quick {
            subjects.push(Subject::Generic);
            if router::supports(&self.fwctl, "--hook") {
                subjects.push(Subject::Tc);
            }
        }
        subjects
    }

    /// Builds a router for each of `subjects`.
    ///
    /// # Errors
    /// When one does not start.
    pub fn field(&self, subjects: &[Subject], setup: &Setup<'_>) -> Result<Field> {
        let (mut rigs, mut contestants) = (Vec::<Rig>::new(), Vec::new());
        for subject in subjects {
            let shared = rigs
                .iter()
                .position(|rig| subject.is_conntrack() && rig.subject.is_conntrack());
            let rig = match shared {
                Some(rig) => rig,
                None => {
                    rigs.push(Rig::up(*subject, setup, &self.fwctl)?);
                    rigs.len() - 1
                }
            };
            contestants.push((*subject, rig));
        }
        self.globals.set(self.globals.stock_buckets(), ROOM)?;
        Ok(Field { rigs, contestants })
    }

    /// Gives the kernel's tracking the hash table that `subject` has.
    ///
    /// # Errors
    /// When it can't be resized.
    pub fn prepare(&self, subject: Subject) -> Result<()> {
        match subject {
            Subject::Nft => self.globals.set(self.globals.stock_buckets(), ROOM),
            Subject::NftTuned => self.globals.set(TUNED_BUCKETS, ROOM),
            _ => Ok(()),
        }
    }
}

impl Field {
    /// The routers.
    pub fn rigs(&mut self) -> &mut [Rig] {
        &mut self.rigs
    }

    /// The contestants, each with its router.
    pub fn routers(&self) -> impl Iterator<Item = (Subject, &Rig)> {
        let contestants = self.contestants.iter();
        contestants.map(|(subject, rig)| (*subject, &self.rigs[*rig]))
    }

    /// Sends those home that `who` picks.
    pub fn leave(&mut self, who: impl Fn(Subject) -> bool) {
        self.contestants.retain(|(subject, _)| !who(*subject));
    }

    /// What is to be said of the routers.
    #[must_use]
    pub fn caveats(&self) -> Vec<String> {
        let mut caveats: Vec<String> = Vec::new();
        for caveat in self.rigs.iter().filter_map(|rig| rig.router.caveat()) {
            if !caveats.iter().any(|known| known == caveat) {
                caveats.push(caveat.to_owned());
            }
        }
        caveats
    }

    /// All contestants in turn, A B C A B C, as often as there are rounds.
    ///
    /// # Errors
    /// When one loses packets, or can't be measured.
    pub fn compete(&mut self, bench: &Bench, contest: &Contest) -> Result<Results> {
        let subjects = self.contestants.iter().map(|(subject, _)| *subject);
        let mut all: Results = subjects
            .map(|subject| (subject, Series::default()))
            .collect();
        // Round 0 is not measured: caches and page pools fill.
        for round in 0..=bench.rounds {
            for ((subject, rig), (_, series)) in self.contestants.iter().zip(&mut all) {
                let rig = &mut self.rigs[*rig];
                bench.prepare(*subject)?;
                if contest.fresh {
                    rig.router.flush()?;
                }
                let packets = match round {
                    0 => contest.packets / 8 + 64,
                    _ => contest.packets,
                };
                let ns = measure::packet(rig, &contest.traffic, packets, contest.fate)?;
                if round > 0 {
                    series.push(ns);
                }
            }
        }
        Ok(all)
    }
}
