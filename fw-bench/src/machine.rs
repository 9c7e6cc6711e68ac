//! On what it was measured.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// The machine and what else it was doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many.
    pub cpus: usize,
    /// Memory in GiB.
    pub memory: u64,
    /// Whether it is a guest, by the processor's own word.
    pub guest: bool,
    /// The kernel's version.
    pub kernel: String,
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn here() -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = info.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_once(':'));
            value.map_or("", |(_, value)| value.trim())
        };
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let total = memory.split_whitespace().nth(1);
        Self {
            processor: field("model name").to_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory: total
                .and_then(|kb| kb.parse().ok())
                .unwrap_or(0_u64)
                .div_ceil(1 << 20),
            guest: field("flags").split(' ').any(|flag| flag == "hypervisor"),
            kernel: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
        }
    }

    /// One line.
    #[must_use]
    pub fn describe(&self) -> String {
        let Self {
            processor,
            cpus,
            memory,
            guest,
            kernel,
        } = self;
        let guest = if *guest { ", a virtual machine" } else { "" };
        format!("{processor}, {cpus} CPUs, {memory} GiB{guest}; Linux {kernel}")
    }
}

/// Programs that were running or wanted to, averaged over a minute.
#[must_use]
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next();
    first.and_then(|load| load.parse().ok()).unwrap_or(0.0)
}

/// Memory that the kernel and programs have taken, in bytes, once it has been the same for two seconds: of a
/// transaction the kernel gives back what it needs no more some time later.
///
/// Not what is still available: that goes up and down by hundreds of megabytes with what the host lets a guest have.
#[must_use]
pub fn used_memory() -> u64 {
    const NOTHING: u64 = 1 << 20;
    let (mut before, mut same) = (used_now(), 0);
    for _ in 0..40 {
        sleep(Duration::from_millis(500));
        let now = used_now();
        same = if now.abs_diff(before) < NOTHING {
            same + 1
        } else {
            0
        };
        before = now;
        if same == 4 {
            break;
        }
    }
    before
}

fn used_now() -> u64 {
    const TAKEN: [&str; 5] = ["AnonPages", "Shmem", "SUnreclaim", "VmallocUsed", "Percpu"];
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let taken = lines.filter(|(name, _)| TAKEN.contains(name));
    let kb = taken.filter_map(|(_, size)| size.split_whitespace().next()?.parse::<u64>().ok());
    kb.sum::<u64>() * 1024
}

/// Time that a CPU spent in softirqs, as far as threads are not charged for it.
///
/// Softirqs count as the thread in which they ran, unless the kernel has `IRQ_TIME_ACCOUNTING`, as that
/// of distributions often does. Then they are in `/proc/stat` alone, to a hundredth of a second.
///
/// # Errors
/// When the kernel does not show it.
pub fn softirq_time(cpu: usize) -> Result<Duration> {
    static APART: OnceLock<bool> = OnceLock::new();
    if !APART.get_or_init(softirqs_are_apart) {
        return Ok(Duration::ZERO);
    }
    let text = fs::read_to_string("/proc/stat")?;
    let name = format!("cpu{cpu} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    // user nice system idle iowait irq softirq (proc(5)).
    let ticks = line.and_then(|line| line.split_whitespace().nth(6)?.parse::<u64>().ok());
    let ticks = ticks.context("no softirq time in /proc/stat")?;
    Ok(Duration::from_millis(
        ticks * 1000 / rustix::param::clock_ticks_per_second(),
    ))
}

/// Whether the kernel was built to charge no thread for softirqs; not, if it does not tell.
fn softirqs_are_apart() -> bool {
    const OPTION: &str = "CONFIG_IRQ_TIME_ACCOUNTING=y";
    let release = Machine::here().kernel;
    let text = fs::read_to_string(format!("/boot/config-{release}"));
    let text = text.unwrap_or_else(|_| {
        let done = Command::new("zcat").arg("/proc/config.gz").output();
        done.map_or(String::new(), |done| {
            String::from_utf8_lossy(&done.stdout).into_owned()
        })
    });
    text.lines().any(|line| line == OPTION)
}
