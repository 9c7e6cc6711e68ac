//! Runs scripts on both firewalls at once, and compares after every packet.
//!
//! Hundreds of scripts, each between hosts of its own, take their steps together: the kernel's table
//! is read once for all of them. Our clock is virtual, and set to what has really passed.

use std::time::{Duration, Instant};

use anyhow::Result;
use fw_common::abi::{Config, IfaceConfig, LinkKey, Tally};
use fw_common::ruleset::Link;
use fw_common::wire::Family;
use fw_user::rules::compile::Compiled;

use super::answer::Answer;
use super::arrivals::Arrivals;
use super::differences::{self, Case};
use super::entry::Entry;
use super::frame::{build, case_of};
use super::harness::{HZ, Program};
use super::judged::{Judged, judge, judge_own};
use super::kernel::Kernel;
use super::outcome::{Difference, Outcome, Seen, agree};
use super::script::{Oddity, Packet, Script, Step};
use super::settings::Settings;

/// Scripts that run side by side. Our maps have room for several flows of each.
pub(crate) const SIDE_BY_SIDE: usize = 300;

/// Frames on their way before the far ends are read.
const IN_FLIGHT: usize = 100;

/// How long frames may be on their way, and the kernel's table be read: both sides go by the clock, and where
/// the machine stands still between the one's look and the other's they rightly differ.
const STILL: Duration = Duration::from_millis(400);

/// Times that scripts are run until the machine has not stood still.
pub(crate) const RUNS: usize = 6;

/// Both firewalls.
pub(crate) struct Arena {
    kernel: Kernel,
    /// The router's interface on each side.
    ports: [u32; 2],
    program: Program,
    start: Instant,
    /// Changes our settings, and not the kernel's.
    bias: fn(&mut Config),
    /// Whether rules under test may drop packets.
    ruled: bool,
    /// Runs so far.
    turn: u32,
    /// Whether the machine has stood still in this run.
    stalled: bool,
}

impl Arena {
    pub(crate) fn open() -> Result<Self> {
        Self::open_biased(|_| {})
    }

    /// Both, of which ours sends packets of established flows straight from XDP, or from TC.
    pub(crate) fn open_fast(at_tc: bool) -> Result<Self> {
        let program = Program::load_at(at_tc, |_| {});
        let mut arena = Self::open_with(program, |config| config.fasttrack = 1)?;
        let (program, ports) = (&mut arena.program, arena.ports);
        arena.kernel.router().enter(|| {
            for port in ports {
                program.open(port);
            }
        })?;
        Ok(arena)
    }

    /// Both, of which ours has settings changed by `bias`: to see that differences are seen.
    pub(crate) fn open_biased(bias: fn(&mut Config)) -> Result<Self> {
        Self::open_with(Program::load(|_| {}), bias)
    }

    fn open_with(mut program: Program, bias: fn(&mut Config)) -> Result<Self> {
        let kernel = Kernel::up()?;
        let ports = kernel.ports()?;
        for port in ports {
            program.come_in_by(port);
            program.set_iface(IfaceConfig::default());
        }
        Ok(Self {
            kernel,
            ports,
            program,
            start: Instant::now(),
            bias,
            ruled: false,
            turn: 0,
            stalled: false,
        })
    }

    /// Puts rules under test into force in the kernel.
    pub(crate) fn nft(&self, text: &str) -> Result<()> {
        self.kernel.load(text)
    }

    /// Puts the same into force on our side.
    pub(crate) fn rule(&mut self, compiled: &Compiled) -> Result<()> {
        self.ruled = true;
        let mut maps = self.program.ruleset();
        let links = ["eth0", "eth1"].into_iter().zip(self.ports);
        let links: Vec<_> = links.map(|(name, port)| link(name, port)).collect();
        self.program.links().write(&links)?;
        let mut surroundings = self.program.surroundings();
        self.kernel.router().enter(|| surroundings.look())??;
        surroundings.set_clock()?;
        maps.load(compiled, self.program.clock().now(), HZ)?;
        Ok(())
    }

    /// Takes them away on both sides.
    pub(crate) fn no_rules(&mut self) -> Result<()> {
        self.ruled = false;
        self.program.ruleset().unload()?;
        self.kernel.unload()
    }

    /// Indexes of the router's interfaces.
    pub(crate) const fn ports(&self) -> [u32; 2] {
        self.ports
    }

    /// The kernel's rules with their counters.
    pub(crate) fn kernel_ruleset(&self) -> Result<serde_json::Value> {
        self.kernel.ruleset()
    }

    /// Our counters, in the order of [`Compiled::counters`].
    pub(crate) fn counters(&self, count: usize) -> Result<Vec<Tally>> {
        Ok(self.program.ruleset().counters(count)?)
    }

    /// Runs at most [`SIDE_BY_SIDE`] scripts from empty tables. Differences are of a run in which the machine
    /// did not stand still, as far as there is one.
    pub(crate) fn run(&mut self, scripts: &[Script], settings: Settings) -> Result<Vec<Outcome>> {
        assert!(scripts.len() <= SIDE_BY_SIDE);
        let mut outcomes = self.run_once(scripts, settings)?;
        for _ in 1..RUNS {
            let odd = outcomes.iter().any(|o| o.unexplained().is_some());
            // Rules count, and fill sets: to be run again they have to be loaded again.
            if !self.stalled || !odd || self.ruled {
                break;
            }
            outcomes = self.run_once(scripts, settings)?;
        }
        Ok(outcomes)
    }

    /// Whether the machine has stood still in the last run, so that a difference says little.
    pub(crate) const fn has_stalled(&self) -> bool {
        self.stalled
    }

    fn run_once(&mut self, scripts: &[Script], settings: Settings) -> Result<Vec<Outcome>> {
        self.kernel.reset(&settings)?;
        self.program.clear();
        self.program.configure(|config| {
            settings.apply(config);
            (self.bias)(config);
        });
        self.start = Instant::now();
        self.turn += 1;
        self.stalled = false;
        let mut outcomes = vec![Outcome::default(); scripts.len()];
        let steps = scripts
            .iter()
            .map(|script| script.steps.len())
            .max()
            .unwrap_or(0);
        for step in 0..steps {
            self.step(step, scripts, &mut outcomes)?;
        }
        Ok(outcomes)
    }

    /// One step of every script that has it and has shown no difference yet.
    fn step(&mut self, step: usize, scripts: &[Script], outcomes: &mut [Outcome]) -> Result<()> {
        let mut seen: Vec<Option<Judged>> = vec![None; scripts.len()];
        let mut kernels = Arrivals::of(scripts.len());
        let (mut wait, mut begin) = (0, Instant::now());
        for (case, script) in scripts.iter().enumerate() {
            match script.steps.get(step) {
                Some(Step::Wait(ms)) => wait = wait.max(*ms),
                Some(Step::Send(packet)) if outcomes[case].difference.is_none() => {
                    seen[case] = Some(self.send(packet, script.family, case as u16)?);
                    if count(&seen).is_multiple_of(IN_FLIGHT) {
                        self.collect(&mut kernels, begin)?;
                        begin = Instant::now();
                    }
                }
                _ => {}
            }
        }
        self.collect(&mut kernels, begin)?;
        self.compare(step, scripts, outcomes, (seen, kernels))?;
        // Not waiting for anything: that time passes is what is tested.
        std::thread::sleep(Duration::from_millis(wait.into()));
        Ok(())
    }

    /// Shows a packet to both; what we made of it.
    fn send(&mut self, packet: &Packet, family: Family, case: u16) -> Result<Judged> {
        let frames = build(packet, family, case, self.turn);
        let own = packet.has(&Oddity::FromRouter);
        let side = if own { packet.dst } else { packet.src }.side();
        let (program, port) = (&mut self.program, self.ports[side]);
        let now = self.start.elapsed().as_secs_f64();
        // In the router's namespace: what becomes of a packet depends on where it will go.
        let judged = self.kernel.router().enter(|| {
            program.at(now);
            program.come_in_by(port);
            if own {
                judge_own(program, &frames)
            } else {
                judge(program, family, &frames)
            }
        })?;
        for (_, frame) in &frames {
            if own {
                self.kernel.send_own(family, frame)?;
            } else {
                self.kernel.send(side, frame)?;
            }
        }
        Ok(judged)
    }

    /// Waits for what was sent from `begin` on.
    fn collect(&mut self, kernels: &mut Arrivals, begin: Instant) -> Result<()> {
        self.kernel.collect(kernels)?;
        self.stalled |= begin.elapsed() > STILL;
        Ok(())
    }

    fn compare(
        &mut self,
        step: usize,
        scripts: &[Script],
        outcomes: &mut [Outcome],
        (seen, kernels): (Vec<Option<Judged>>, Arrivals),
    ) -> Result<()> {
        let begin = Instant::now();
        let mut theirs = sorted(self.kernel.entries()?, scripts.len());
        let mut ours = sorted(self.entries(), scripts.len());
        self.stalled |= begin.elapsed() > STILL;
        let Arrivals { packets, answers } = kernels;
        let kernels = packets.into_iter().zip(answers);
        for (case, (judged, (arrival, answer))) in seen.into_iter().zip(kernels).enumerate() {
            let (Some(judged), Some(Step::Send(packet))) = (judged, scripts[case].steps.get(step))
            else {
                continue;
            };
            let Judged {
                class, state, left, ..
            } = judged;
            // The kernel sends an answer to a false source on to the true one.
            let read = |frame: Vec<u8>| Answer::read(&frame, !packet.has(&Oddity::Spoofed));
            let (seen, frame) = arrival.map(|a| (a.class, a.frame)).unzip();
            let kernel = Seen {
                class: seen,
                state: None,
                entries: std::mem::take(&mut theirs[case]),
                frame: frame.flatten().filter(|_| left.is_some()),
                answer: answer.filter(|_| self.ruled).and_then(read),
            };
            outcomes[case].straight += usize::from(left.is_some());
            let ours = Seen {
                class,
                state,
                entries: std::mem::take(&mut ours[case]),
                frame: left,
                answer: judged.answer.and_then(read),
            };
            outcomes[case].packets += 1;
            outcomes[case].passed += usize::from(kernel.class.is_some() && ours.class.is_some());
            if !agree(&kernel, &ours) {
                let explained = differences::explain(Case {
                    packet,
                    kernel: &kernel,
                    ours: &ours,
                });
                outcomes[case].difference = Some(Difference {
                    step,
                    kernel,
                    ours,
                    explained,
                });
            }
        }
        Ok(())
    }

    /// Our table, with the number of the script.
    fn entries(&mut self) -> Vec<(u16, Entry)> {
        self.program.at(self.start.elapsed().as_secs_f64());
        let numbered = |flow: &_| {
            let entry = Entry::of_ours(flow);
            let Entry {
                family, original, ..
            } = &entry;
            let case = case_of(*family, &original.src).or_else(|| case_of(*family, &original.dst));
            (case.expect("a flow of a script"), entry)
        };
        self.program.flows().iter().map(numbered).collect()
    }
}

/// What rules know of an interface of the router.
fn link(name: &str, port: u32) -> (LinkKey, Link) {
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    let mut words = [0; 4];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
    }
    let link = Link {
        index: port,
        kind: 1,
        group: 0,
        name: words,
    };
    (LinkKey { port, vlan: 0 }, link)
}

fn count<T>(slots: &[Option<T>]) -> usize {
    slots.iter().flatten().count()
}

/// Entries by script.
fn sorted(entries: Vec<(u16, Entry)>, scripts: usize) -> Vec<Vec<Entry>> {
    let mut sorted = vec![Vec::new(); scripts];
    for (case, entry) in entries {
        if let Some(list) = sorted.get_mut(usize::from(case)) {
            list.push(entry);
        }
    }
    for list in &mut sorted {
        list.sort_by_key(Entry::rank);
    }
    sorted
}
