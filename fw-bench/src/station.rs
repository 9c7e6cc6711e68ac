//! A host that generates packets, and counts those that come to it.

use std::io::ErrorKind;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use aya::maps::{Array, MapData, PerCpuArray};
use aya::programs::xdp::XdpMode;
use aya::programs::{ProgramError, TestRun as _, TestRunAttrs, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader, include_bytes_aligned};
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use xtask::lab::Host;

use crate::abi::Walk;
use crate::machine;
use crate::sys::thread;
use crate::traffic::{Program, Traffic};

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/generator.o"));

/// Frames that go through the generator together. Fewer cost more each; of more than 256 a veth pair
/// loses some.
const BATCH: u32 = 64;
/// Packets a system call: it waits for RCU, some ten milliseconds, before it returns.
const PER_CALL: u64 = 1 << 20;
/// `struct xdp_md`: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
const CONTEXT: usize = 24;

/// A host with a generator and a sink on one of its interfaces.
#[derive(Debug)]
pub struct Station {
    host: Host,
    ifindex: u32,
    ebpf: Ebpf,
    /// What was sent last: the same again goes on where that ended.
    last: Option<Traffic>,
}

/// What sending took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// CPU time of the thread, in which all of it happens.
    pub cpu: Duration,
    /// Packets sent.
    pub sent: u64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.cpu += other.cpu;
        self.sent += other.sent;
    }
}

impl Station {
    /// Loads the programs, and attaches the sink to `interface` of `host`.
    ///
    /// # Errors
    /// Without root, without the BPF object, or on a kernel that refuses the programs.
    pub fn open(host: &Host, interface: &str) -> Result<Self> {
        if OBJECT.is_empty() {
            bail!("built without the generator's BPF object: run `cargo xtask setup`");
        }
        let mut ebpf = EbpfLoader::new()
            .load(OBJECT)
            .context("can't load the generator")?;
        for name in ["udp4", "tcp4", "udp6", "tcp6", "sink"] {
            xdp_mut(&mut ebpf, name)?
                .load()
                .with_context(|| format!("the kernel refuses the program {name}"))?;
        }
        let ifindex = host.enter(|| -> Result<u32> {
            xdp_mut(&mut ebpf, "sink")?
                .attach(interface, XdpMode::Driver)
                .with_context(|| format!("can't attach the sink to {interface}"))?;
            let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
            Ok(name_to_index(&socket, interface)?)
        })??;
        Ok(Self {
            host: host.clone(),
            ifindex,
            ebpf,
            last: None,
        })
    }

    /// Packets that have arrived since the start.
    ///
    /// # Errors
    /// When the map can't be read.
    pub fn arrived(&self) -> Result<u64> {
        let map = self.ebpf.map("ARRIVED").context("no map ARRIVED")?;
        let map = PerCpuArray::<_, u64>::try_from(map)?;
        Ok(map.get(&0, 0)?.iter().sum())
    }

    /// Sends `packets` packets and waits until they are through.
    ///
    /// # Errors
    /// When the kernel can't run the generator.
    pub fn send(&mut self, traffic: &Traffic, packets: u64) -> Result<Cost> {
        let Program { name, plan } = traffic.program();
        if self.last != Some(*traffic) {
            self.array("PLAN")?.set(0, plan, 0)?;
            self.array("WALK")?.set(0, Walk::default(), 0)?;
            self.last = Some(*traffic);
        }
        let mut walk: Walk = self.array("WALK")?.get(&0, 0)?;
        walk.left = packets;
        self.array("WALK")?.set(0, walk, 0)?;
        let program = self.ebpf.program(name).context("no such program")?;
        let program: &Xdp = program.try_into()?;
        let walk = Array::try_from(self.ebpf.map("WALK").context("no map WALK")?)?;
        let ifindex = self.ifindex;
        let cpu = self
            .host
            .enter(|| run(program, &walk, ifindex, plan.frame))??;
        Ok(Cost { cpu, sent: packets })
    }

    fn array<T: aya::Pod>(&mut self, name: &str) -> Result<Array<&mut MapData, T>> {
        let map = self
            .ebpf
            .map_mut(name)
            .with_context(|| format!("no map {name}"))?;
        Ok(Array::try_from(map)?)
    }
}

/// The CPU on which packets are made and routed: the last, for the first has most interrupts.
#[must_use]
pub fn measuring_cpu() -> usize {
    available_parallelism().map_or(0, |cpus| cpus.get() - 1)
}

fn xdp_mut<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp> {
    let program = ebpf.program_mut(name);
    let program = program.with_context(|| format!("no program {name}"))?;
    Ok(program.try_into()?)
}

/// Runs the generator until it has sent what [`Walk::left`] says. The CPU time that it took.
fn run(program: &Xdp, walk: &Array<&MapData, Walk>, ifindex: u32, frame: u32) -> Result<Duration> {
    let mut cpus = CpuSet::new();
    cpus.set(measuring_cpu());
    sched_setaffinity(None, &cpus).context("can't choose a CPU")?;
    thread::prefer().context("can't get real-time priority")?;
    let frame = vec![0; frame as usize];
    let mut context = [0; CONTEXT];
    context[4..8].copy_from_slice(&(frame.len() as u32).to_ne_bytes());
    context[12..16].copy_from_slice(&ifindex.to_ne_bytes());
    let begin = cpu_time()?;
    let mut left = walk.get(&0, 0)?.left;
    while left > 0 {
        let mut options = TestRunOptions::new();
        options.data_in = Some(&frame);
        options.ctx_in = Some(&context);
        options.repeat = left.min(PER_CALL) as u32;
        options.attrs = TestRunAttrs::new().xdp_live_frames(BATCH);
        let cut_short = match program.test_run(options) {
            Err(error) if is_interrupted(&error) => true,
            done => done
                .map(|_| false)
                .context("BPF_PROG_TEST_RUN with live frames")?,
        };
        // The last batch is run whole; the generator sends no more than it is told to.
        let before = std::mem::replace(&mut left, walk.get(&0, 0)?.left);
        ensure!(cut_short || left < before, "the generator sends nothing");
    }
    Ok(cpu_time()?.saturating_sub(begin))
}

/// Whether a signal, or a machine that was stopped meanwhile, has ended the call before its time.
fn is_interrupted(error: &ProgramError) -> bool {
    matches!(error, ProgramError::SyscallError(call) if call.io_error.kind() == ErrorKind::Interrupted)
}

/// CPU time of this thread, and of the softirqs that ran in it.
fn cpu_time() -> Result<Duration> {
    let thread = Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    Ok(thread + machine::softirq_time(measuring_cpu())?)
}
