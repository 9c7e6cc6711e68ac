//! The compiled ruleset in its maps: written to the bank that is not in force, then switched to.

mod elements;
mod inner;
mod order;
mod sets;
mod vectors;

use std::hash::{BuildHasher as _, RandomState};

use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, PerCpuValues};
use fw_common::abi::{
    Active, Hits, LOG_SLOTS, LogText, METER_SLOTS, PATH_SLOTS, PathKey, RULE_SLOTS, RulesHead,
    TALLY_SLOTS, Tally, log_flags, maps, needs,
};
use fw_common::ruleset::{Insn, Rate, op};

pub use self::elements::ChangeError;
use self::order::Orders;
use self::sets::Sets;
use self::vectors::Vectors;
use super::{Maps, MapsError, failed};
use crate::rules::compile::Compiled;
use crate::rules::ir::{Log, LogLevel};

/// The maps of the ruleset. One process at a time may write to them: the daemon.
pub struct RulesetMaps {
    rules: Array<MapData, Insn>,
    heads: Array<MapData, RulesHead>,
    active: Array<MapData, u64>,
    tallies: PerCpuArray<MapData, Hits>,
    paths: HashMap<MapData, PathKey, u32>,
    path_tallies: PerCpuArray<MapData, Hits>,
    rates: Array<MapData, Rate>,
    quotas: Array<MapData, u64>,
    log_texts: Array<MapData, LogText>,
    sets: Sets,
    orders: Orders,
    vectors: Vectors,
    cpus: usize,
}

impl RulesetMaps {
    /// Opens the pinned maps.
    ///
    /// # Errors
    /// See [`MapsError`].
    pub fn open(maps: &Maps) -> Result<Self, MapsError> {
        Self::from_maps(|name| maps.data(name))
    }

    /// Takes the maps that `find` finds by name.
    ///
    /// # Errors
    /// What `find` says; a map of another layout.
    pub fn from_maps(
        mut find: impl FnMut(&'static str) -> Result<MapData, MapsError>,
    ) -> Result<Self, MapsError> {
        let cpus = aya::util::nr_cpus().map_err(|(_, source)| MapsError::Io {
            name: maps::TALLIES,
            source,
        })?;
        let mut map = |name: &'static str| -> Result<Map, MapsError> {
            Map::from_map_data(find(name)?).map_err(failed(name))
        };
        Ok(Self {
            rules: typed(maps::RULES, map(maps::RULES)?)?,
            heads: typed(maps::RULE_HEADS, map(maps::RULE_HEADS)?)?,
            active: typed(maps::ACTIVE, map(maps::ACTIVE)?)?,
            tallies: typed(maps::TALLIES, map(maps::TALLIES)?)?,
            paths: typed(maps::PATHS, map(maps::PATHS)?)?,
            path_tallies: typed(maps::PATH_TALLIES, map(maps::PATH_TALLIES)?)?,
            rates: typed(maps::RATES, map(maps::RATES)?)?,
            quotas: typed(maps::QUOTAS, map(maps::QUOTAS)?)?,
            log_texts: typed(maps::LOG_TEXTS, map(maps::LOG_TEXTS)?)?,
            sets: Sets::new(&mut map)?,
            orders: Orders::default(),
            vectors: Vectors::new(map(maps::VECTORS)?)?,
            cpus,
        })
    }

    /// The ruleset in force.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn active(&self) -> Result<Active, MapsError> {
        let word = self.active.get(&0, 0).map_err(failed(maps::ACTIVE))?;
        Ok(Active(word))
    }

    /// The number under which the ruleset in force was loaded; 0: none was.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn generation(&self) -> Result<u32, MapsError> {
        let active = self.active()?;
        if active.epoch() == 0 {
            return Ok(0);
        }
        let head = self.heads.get(&active.bank(), 0);
        Ok(head.map_err(failed(maps::RULE_HEADS))?.generation)
    }

    /// Whether exactly this ruleset is in force, be it that an earlier process has loaded it. If so, its
    /// sets are this one's to give back.
    ///
    /// # Errors
    /// A map can't be read.
    pub fn adopt(&mut self, compiled: &Compiled) -> Result<bool, MapsError> {
        let active = self.active()?;
        let bank = active.bank();
        if active.epoch() == 0 {
            return Ok(false);
        }
        let head = self.heads.get(&bank, 0).map_err(failed(maps::RULE_HEADS))?;
        if head.entries != compiled.entries || head.needs != needs_of(compiled) {
            return Ok(false);
        }
        for (at, insn) in (bank * RULE_SLOTS..).zip(&compiled.program) {
            let there = self.rules.get(&at, 0).map_err(failed(maps::RULES))?;
            if there != self.sets.located(*insn, bank) {
                return Ok(false);
            }
        }
        self.sets.adopt(&compiled.sets, bank);
        self.vectors.adopt(&compiled.blocks, bank);
        Ok(true)
    }

    /// Puts a ruleset into force under the next number, which it returns. See [`Self::load_as`].
    ///
    /// # Errors
    /// A map can't be written; then the old ruleset stays in force.
    pub fn load(&mut self, compiled: &Compiled, now: u64, hz: u32) -> Result<u32, MapsError> {
        let number = next(self.active()?.epoch());
        self.load_as(compiled, number, now, hz)?;
        Ok(number)
    }

    /// Puts a ruleset into force under `number`, which is higher than any before it. Every packet sees
    /// the old one or the new one; when this returns, none sees the old one any more. `now` is the tick,
    /// `hz` ticks are a second.
    ///
    /// Waits for all CPUs to leave the old ruleset, which may take a second: not for an async task.
    ///
    /// # Errors
    /// A map can't be written; then the old ruleset stays in force.
    pub fn load_as(
        &mut self,
        compiled: &Compiled,
        number: u32,
        now: u64,
        hz: u32,
    ) -> Result<(), MapsError> {
        let old = self.active()?;
        let bank = if old.epoch() == 0 { 0 } else { 1 - old.bank() };
        self.write(compiled, bank, number)?;
        self.sets.load(&compiled.sets, bank, now, hz)?;
        self.order(&compiled.sets, bank)?;
        self.vectors.load(&compiled.blocks, bank)?;
        self.switch(Active::new(number, bank).with_entries(&compiled.entries))?;
        // Nobody looks at the old one any more.
        self.vectors.clear(1 - bank)?;
        self.sets.clear(1 - bank)
    }

    /// Takes the ruleset out of force: everything passes, as far as the built-in policy lets it.
    ///
    /// # Errors
    /// A map can't be written.
    pub fn unload(&mut self) -> Result<(), MapsError> {
        let old = self.active()?;
        self.switch(Active::NONE)?;
        self.vectors.clear(old.bank())?;
        self.sets.clear(old.bank())
    }

    /// Makes flows forget what was concluded for them: a set has changed.
    ///
    /// # Errors
    /// The map can't be written.
    pub fn renew(&mut self) -> Result<u32, MapsError> {
        let old = self.active()?;
        if old.epoch() == 0 {
            return Ok(0);
        }
        let epoch = next(old.epoch());
        let active = old.renumbered(epoch);
        self.active
            .set(0, active.0, 0)
            .map_err(failed(maps::ACTIVE))?;
        Ok(epoch)
    }

    fn switch(&mut self, active: Active) -> Result<(), MapsError> {
        self.active
            .set(0, active.0, 0)
            .map_err(failed(maps::ACTIVE))?;
        self.sets.wait_for_programs()
    }

    /// Writes everything but the sets' elements to a bank that no packet sees.
    fn write(&mut self, compiled: &Compiled, bank: u32, number: u32) -> Result<(), MapsError> {
        let first = bank * RULE_SLOTS;
        for (at, insn) in (first..first + RULE_SLOTS).zip(&compiled.program) {
            let insn = self.sets.located(*insn, bank);
            self.rules.set(at, insn, 0).map_err(failed(maps::RULES))?;
        }
        for (at, rate) in (bank * METER_SLOTS..).zip(&compiled.rates) {
            self.rates.set(at, rate, 0).map_err(failed(maps::RATES))?;
        }
        for (at, used) in (bank * METER_SLOTS..).zip(&compiled.quotas) {
            self.quotas
                .set(at, used.bytes, 0)
                .map_err(failed(maps::QUOTAS))?;
        }
        for (at, told) in (bank * LOG_SLOTS..).zip(&compiled.logs) {
            let set = self.log_texts.set(at, log_text(&told.log), 0);
            set.map_err(failed(maps::LOG_TEXTS))?;
        }
        self.forget_paths(bank)?;
        for (at, counter) in (bank * TALLY_SLOTS + 1..).zip(&compiled.counters) {
            let start = Hits {
                tally: Tally {
                    packets: counter.packets,
                    bytes: counter.bytes,
                },
                last: 0,
            };
            let values = self.first_cpu(start)?;
            let set = self.tallies.set(at, values, 0);
            set.map_err(failed(maps::TALLIES))?;
        }
        let head = RulesHead {
            entries: compiled.entries,
            paths: 0,
            needs: needs_of(compiled),
            generation: number,
            secret: secret(number),
        };
        let set = self.heads.set(bank, head, 0);
        set.map_err(failed(maps::RULE_HEADS))
    }

    /// `start` on the first CPU, nothing on the others.
    fn first_cpu(&self, start: Hits) -> Result<PerCpuValues<Hits>, MapsError> {
        let mut values = vec![Hits::default(); self.cpus];
        if let Some(first) = values.first_mut() {
            *first = start;
        }
        PerCpuValues::try_from(values).map_err(|source| MapsError::Io {
            name: maps::TALLIES,
            source,
        })
    }

    fn forget_paths(&mut self, bank: u32) -> Result<(), MapsError> {
        let failed = failed(maps::PATHS);
        let keys: Vec<PathKey> = self
            .paths
            .keys()
            .collect::<Result<_, _>>()
            .map_err(&failed)?;
        for key in keys.iter().filter(|key| key.bank == bank) {
            let number = self.paths.get(key, 0).map_err(&failed)?;
            self.paths.remove(key).map_err(&failed)?;
            let zero = self.first_cpu(Hits::default())?;
            let set = self.path_tallies.set(bank * PATH_SLOTS + number, zero, 0);
            set.map_err(super::failed(maps::PATH_TALLIES))?;
        }
        Ok(())
    }

    /// Packets and bytes of the counters of the ruleset in force. See [`Self::hits`].
    ///
    /// # Errors
    /// A map can't be read.
    pub fn counters(&self, count: usize) -> Result<Vec<Tally>, MapsError> {
        let hits = self.hits(count)?;
        Ok(hits.into_iter().map(|hits| hits.tally).collect())
    }

    /// The counters of the ruleset in force, in the order of [`Compiled::counters`]: what was counted by
    /// the rules themselves, and what was counted on the paths that lead through them.
    ///
    /// # Errors
    /// A map can't be read.
    pub fn hits(&self, count: usize) -> Result<Vec<Hits>, MapsError> {
        let bank = self.active()?.bank();
        let mut tallies = Vec::with_capacity(count);
        for at in (bank * TALLY_SLOTS + 1..).take(count) {
            tallies.push(sum(&self.tallies, at).map_err(failed(maps::TALLIES))?);
        }
        for item in &self.paths {
            let (key, number) = item.map_err(failed(maps::PATHS))?;
            if key.bank != bank {
                continue;
            }
            let at = bank * PATH_SLOTS + number;
            let path = sum(&self.path_tallies, at).map_err(failed(maps::PATH_TALLIES))?;
            for number in key.trail.into_iter().take_while(|number| *number != 0) {
                if let Some(hits) = tallies.get_mut(usize::from(number) - 1) {
                    *hits = hits.and(&path);
                }
            }
        }
        Ok(tallies)
    }

    /// Bytes that the quotas of the ruleset in force have counted, in the order of [`Compiled::quotas`].
    ///
    /// # Errors
    /// The map can't be read.
    pub fn quotas(&self, count: usize) -> Result<Vec<u64>, MapsError> {
        let bank = self.active()?.bank();
        let used = (bank * METER_SLOTS..).take(count);
        used.map(|at| self.quotas.get(&at, 0).map_err(failed(maps::QUOTAS)))
            .collect()
    }
}

impl std::fmt::Debug for RulesetMaps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RulesetMaps").finish_non_exhaustive()
    }
}

/// A number that nobody can guess: the keys of the standard library's hashes come from the kernel's random
/// numbers.
fn secret(number: u32) -> u32 {
    (RandomState::new().hash_one(number) >> 32) as u32
}

/// A `log` statement for the map. Severity is `warn` if it does not say.
fn log_text(log: &Log) -> LogText {
    let mut text = LogText {
        level: log.level.unwrap_or(LogLevel::Warn) as u8,
        flags: 0,
        len: 0,
        pad: 0,
        prefix: [0; 128],
    };
    if log.flags.tcp_sequence {
        text.flags |= log_flags::SEQUENCE;
    }
    let prefix = log.prefix.as_deref().unwrap_or_default().bytes();
    for (to, from) in text.prefix.iter_mut().zip(prefix) {
        *to = from;
        text.len += 1;
    }
    text
}

/// The number after `epoch`: 0 stands for no ruleset.
const fn next(epoch: u32) -> u32 {
    match epoch.wrapping_add(1) & (u32::MAX >> 1) {
        0 => 1,
        next => next,
    }
}

fn sum(map: &PerCpuArray<MapData, Hits>, at: u32) -> Result<Hits, MapError> {
    let values = map.get(&at, 0)?;
    Ok(values.iter().fold(Hits::default(), Hits::and))
}

/// What the programs are told of a ruleset: [`needs`].
const fn needs_of(compiled: &Compiled) -> u32 {
    compiled.needs | if compiled.observe { needs::OBSERVE } else { 0 }
}

fn typed<M: TryFrom<Map, Error = MapError>>(name: &'static str, map: Map) -> Result<M, MapsError> {
    M::try_from(map).map_err(failed(name))
}

/// Whether an instruction names a set.
const fn names_set(insn: &Insn) -> bool {
    matches!(insn.op, op::LOOKUP | op::MAP | op::VERDICT_MAP | op::UPDATE)
}
