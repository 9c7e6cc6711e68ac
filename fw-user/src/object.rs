//! The embedded BPF object: checked against what is pinned, loaded, its clock read.

mod capacity;
mod error;
mod pins;

use std::path::PathBuf;

use aya::programs::{ProgramError, SchedClassifier, TestRun as _, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use aya_log::EbpfLogger;
use fw_common::abi::{Clock, maps, programs};
use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

pub use capacity::Capacity;
pub use error::ObjectError;

use crate::paths::Paths;
use crate::sys::verify;
use pins::Pinned;

/// The BPF object as an ELF file; empty if this build has none.
pub static ELF: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/fw-ebpf.o"));

/// Runs of `fw_clock`; the quickest counts.
const CLOCK_SAMPLES: usize = 8;
/// Shortest packet of a test run: an Ethernet header.
const CLOCK_PACKET: usize = 64;

/// The programs and maps in the kernel. Dropping it leaves what is pinned or attached by pinned
/// links as it is.
#[derive(Debug)]
pub struct Firewall {
    ebpf: Ebpf,
    capacity: Capacity,
    reused: bool,
}

impl Firewall {
    /// Loads the programs over the maps pinned below `paths`, which are made if there are none.
    /// `flows` is what `--max-flows` asks for; existing maps keep their size.
    ///
    /// The directories must exist already.
    ///
    /// # Errors
    /// [`ObjectError`]; then no pin is left that was not there before.
    pub fn load(paths: &Paths, flows: u32) -> Result<Self, ObjectError> {
        if ELF.is_empty() {
            return Err(ObjectError::NoObject);
        }
        let wanted = Capacity::of(flows, possible_cpus()?);
        let pinned = Pinned::find(paths, ELF)?;
        let capacity = pinned.capacity(wanted);
        let result = load_programs(paths, capacity);
        if result.is_err() {
            pinned.remove_others(paths);
        }
        Ok(Self {
            ebpf: result?,
            capacity,
            reused: pinned.is_complete(),
        })
    }

    /// The sizes of the flow maps.
    #[must_use]
    pub const fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// Whether the maps of an earlier run were taken over, with their flows.
    #[must_use]
    pub const fn reused(&self) -> bool {
        self.reused
    }

    /// The program for the XDP hook.
    ///
    /// # Errors
    /// [`ObjectError::NoProgram`] if the object is not ours.
    pub fn ingress(&mut self) -> Result<&mut Xdp, ObjectError> {
        xdp(&mut self.ebpf, programs::INGRESS)
    }

    /// The program for the TC ingress hook. Not every machine needs it, so it is loaded when it is asked
    /// for.
    ///
    /// # Errors
    /// [`ObjectError::NoProgram`] if the object is not ours; the kernel refuses it; it cannot be pinned.
    pub fn ingress_tc(&mut self, paths: &Paths) -> Result<&mut SchedClassifier, ObjectError> {
        let name = programs::INGRESS_TC;
        let program = classifier(&mut self.ebpf, name)?;
        if program.fd().is_err() {
            let loaded = verify::load(|| program.load());
            loaded.map_err(|e| ObjectError::program(name, e))?;
            self.pin(name, paths)?;
        }
        classifier(&mut self.ebpf, name)
    }

    /// The program for the TC egress hook.
    ///
    /// # Errors
    /// [`ObjectError::NoProgram`] if the object is not ours.
    pub fn egress(&mut self) -> Result<&mut SchedClassifier, ObjectError> {
        classifier(&mut self.ebpf, programs::EGRESS)
    }

    /// Learns how the programs' ticks relate to `CLOCK_MONOTONIC`, by running one that tells its
    /// own. The kernel derives its jiffies from that very clock, so the relation is constant.
    ///
    /// # Errors
    /// The kernel refuses the test run.
    pub fn clock(&mut self) -> Result<Clock, ObjectError> {
        let program = xdp(&mut self.ebpf, programs::CLOCK)?;
        let tick_ns = nanos(clock_getres(ClockId::MonotonicCoarse)).max(1);
        let mut best = (u64::MAX, 0);
        for _ in 0..CLOCK_SAMPLES {
            let before = nanos(clock_gettime(ClockId::Monotonic));
            let tick = read_tick(program)?;
            let after = nanos(clock_gettime(ClockId::Monotonic));
            let took = after.saturating_sub(before);
            if took < best.0 {
                let middle = before + took / 2;
                let expected = middle / tick_ns;
                best = (took, tick.wrapping_sub(expected).cast_signed());
            }
        }
        Ok(Clock {
            tick_ns,
            offset: best.1,
        })
    }

    /// The log of the programs, if they were built with one.
    ///
    /// # Errors
    /// Its map is not what this library expects.
    pub fn log<T: log::Log>(&mut self, to: T) -> Result<Option<EbpfLogger<T>>, aya_log::Error> {
        if self.ebpf.map("AYA_LOGS").is_none() {
            return Ok(None);
        }
        EbpfLogger::init_with_logger(&mut self.ebpf, to).map(Some)
    }

    /// Ticks a second.
    #[must_use]
    pub fn hz() -> u32 {
        let tick_ns = nanos(clock_getres(ClockId::MonotonicCoarse)).max(1);
        u32::try_from(1_000_000_000_u64.div_ceil(tick_ns)).unwrap_or(1)
    }

    /// Pins the programs, so that tools can run them; replaces those of an earlier run.
    ///
    /// # Errors
    /// The pin cannot be made.
    pub fn pin_programs(&mut self, paths: &Paths) -> Result<(), ObjectError> {
        [programs::INGRESS, programs::EGRESS, programs::EDIT]
            .into_iter()
            .try_for_each(|name| self.pin(name, paths))?;
        if classifier(&mut self.ebpf, programs::HOOKS)?.fd().is_ok() {
            self.pin(programs::HOOKS, paths)?;
        }
        Ok(())
    }

    fn pin(&mut self, name: &'static str, paths: &Paths) -> Result<(), ObjectError> {
        let path = paths.program(name);
        // Made beside and renamed over: there is always one to open. (A BPF file system refuses names
        // with a dot.)
        let fresh = PathBuf::from(format!("{}-new", path.display()));
        let failed = |cause| ObjectError::Pin {
            path: path.clone(),
            cause,
        };
        remove_if_there(&fresh).map_err(failed)?;
        let program = self
            .ebpf
            .program_mut(name)
            .ok_or(ObjectError::NoProgram(name))?;
        program
            .pin(&fresh)
            .map_err(|e| failed(std::io::Error::other(e)))?;
        std::fs::rename(&fresh, &path).map_err(failed)
    }
}

fn load_programs(paths: &Paths, capacity: Capacity) -> Result<Ebpf, ObjectError> {
    let mut loader = EbpfLoader::new();
    for name in maps::PINNED {
        loader.map_pin_path(name, paths.map(name));
    }
    for (name, entries) in capacity.entries() {
        loader.map_max_entries(name, entries);
    }
    let mut ebpf = loader.load(ELF)?;
    for name in [programs::INGRESS, programs::CLOCK, programs::EDIT] {
        let program = xdp(&mut ebpf, name)?;
        let result = verify::load(|| program.load());
        result.map_err(|e| ObjectError::program(name, e))?;
    }
    let program = classifier(&mut ebpf, programs::EGRESS)?;
    let result = verify::load(|| program.load());
    result.map_err(|e| ObjectError::program(programs::EGRESS, e))?;
    // A kernel that is locked down lets nobody read its memory. Whoever misses the program says so.
    let program = classifier(&mut ebpf, programs::HOOKS)?;
    drop(verify::load(|| program.load()));
    Ok(ebpf)
}

fn xdp<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Xdp, ObjectError> {
    let program = ebpf.program_mut(name).ok_or(ObjectError::NoProgram(name))?;
    program.try_into().map_err(|_| ObjectError::NoProgram(name))
}

fn classifier<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut SchedClassifier, ObjectError> {
    let program = ebpf.program_mut(name).ok_or(ObjectError::NoProgram(name))?;
    program.try_into().map_err(|_| ObjectError::NoProgram(name))
}

/// The tick that `fw_clock` writes into its packet.
fn read_tick(program: &mut Xdp) -> Result<u64, ObjectError> {
    let mut packet = [0; CLOCK_PACKET];
    let mut options = TestRunOptions::new();
    options.data_in = Some(&[0; CLOCK_PACKET]);
    options.data_out = Some(&mut packet);
    program
        .test_run(options)
        .map_err(|e: ProgramError| ObjectError::program(programs::CLOCK, e))?;
    let (tick, _) = packet.split_first_chunk().unwrap_or((&[0; 8], &[]));
    Ok(u64::from_le_bytes(*tick))
}

fn nanos(time: Timespec) -> u64 {
    let secs = u64::try_from(time.tv_sec).unwrap_or(0);
    secs * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

fn possible_cpus() -> Result<u32, ObjectError> {
    let cpus = aya::util::nr_cpus().map_err(|(_, e)| ObjectError::Cpus(e))?;
    Ok(u32::try_from(cpus).unwrap_or(u32::MAX))
}

/// Removes a file; nothing there is no error.
fn remove_if_there(path: &std::path::Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
