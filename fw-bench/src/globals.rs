//! Settings of the whole machine that the kernel's connection tracking needs for a million flows: they
//! are put back whatever becomes of this process.
//!
//! A `Drop` does not run when a signal ends the process. So a small shell process waits at the other
//! end of a pipe, in a process group of its own where a Ctrl-C on the terminal does not reach it.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};

/// Flows of all namespaces together.
const MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
/// Buckets of the one hash table of all namespaces.
const BUCKETS: &str = "/proc/sys/net/netfilter/nf_conntrack_buckets";

/// `$1` and `$2` the old values. Reads first: end of file when the owner is gone or is done. The
/// kernel raises the maximum with the buckets, so that comes last.
const SCRIPT: &str = r#"
read -r word
echo "$1" >/proc/sys/net/netfilter/nf_conntrack_buckets
echo "$2" >/proc/sys/net/netfilter/nf_conntrack_max
"#;

static GUARD: Mutex<Option<Child>> = Mutex::new(None);

/// The machine's settings, changed for as long as this lives.
#[derive(Debug)]
pub struct Globals {
    buckets: u64,
}

impl Globals {
    /// Notes the settings, and starts what will put them back.
    ///
    /// # Errors
    /// When the kernel has no connection tracking.
    pub fn keep() -> Result<Self> {
        // Built in, or loaded already, or there is no modprobe: reading will tell.
        let _ = Command::new("modprobe")
            .arg("nf_conntrack")
            .stderr(Stdio::null())
            .status();
        let (max, buckets) = (read(MAX)?, read(BUCKETS)?);
        let guard = guard(buckets, max).spawn().context("can't start sh")?;
        *slot() = Some(guard);
        Ok(Self { buckets })
    }

    /// The buckets as they were.
    #[must_use]
    pub fn stock_buckets(&self) -> u64 {
        self.buckets
    }

    /// Sets the size of the kernel's hash table and the most flows that it takes.
    ///
    /// # Errors
    /// Outside the machine's first network namespace, where they can't be set.
    pub fn set(&self, buckets: u64, max: u64) -> Result<()> {
        if read(BUCKETS)? != buckets {
            write(BUCKETS, buckets)?;
        }
        write(MAX, max)
    }
}

impl Drop for Globals {
    fn drop(&mut self) {
        restore();
    }
}

/// Puts the settings back now: for a signal handler too.
pub fn restore() {
    if let Some(mut guard) = slot().take() {
        drop(guard.stdin.take());
        let _ = guard.wait();
    }
}

fn slot() -> MutexGuard<'static, Option<Child>> {
    GUARD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn guard(buckets: u64, max: u64) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new("sh");
    command
        .args(["-c", SCRIPT, "bench-guard"])
        .args([buckets.to_string(), max.to_string()])
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn read(path: &str) -> Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("can't read {path}"))?;
    text.trim()
        .parse()
        .with_context(|| format!("no number in {path}"))
}

fn write(path: &str, value: u64) -> Result<()> {
    fs::write(path, value.to_string()).with_context(|| format!("can't write {value} to {path}"))
}
