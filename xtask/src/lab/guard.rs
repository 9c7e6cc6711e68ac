//! Tears a lab down, whatever becomes of the process that built it.
//!
//! A `Drop` does not run when a signal ends the process, and a signal handler not on `kill -9`. So
//! a small shell process waits at the other end of a pipe, in a process group of its own where a
//! Ctrl-C on the terminal does not reach it. All ways to end a lab run the same script.

use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, bail};

use super::{Host, bpffs, network, record};

/// `$1` the run directory, `$2` the pin directory, the rest the namespaces. Reads a line first: end
/// of file when the owner is gone or is done, `stay` when the lab is to outlive it.
///
/// Two may be at it at once, a dead owner's guard and a `lab down`. The second waits for the first,
/// and must not touch a new lab that got the name since: the directory it has locked is another one
/// then. So that directory goes last.
///
/// Processes are asked to end before the namespaces go: a firewall may want to unpin its programs.
const SCRIPT: &str = r#"
read -r word
[ "$word" = stay ] && exit 0
run=$1 pins=$2
shift 2
exec 9<"$run" || exit 0
flock 9
[ "$run" -ef /proc/self/fd/9 ] || exit 0
pids() { for ns in "$@"; do ip netns pids "$ns" 2>/dev/null; done; }
all=$(pids "$@")
[ -n "$all" ] && kill -TERM $all 2>/dev/null
tries=0
while [ -n "$(pids "$@")" ] && [ "$tries" -lt 30 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
all=$(pids "$@")
[ -n "$all" ] && kill -KILL $all 2>/dev/null
for ns in "$@"; do ip netns del "$ns" 2>/dev/null; done
rm -rf "$pins"
rm -rf "$run"
"#;

/// The labs of this process, for [`tear_down_all`].
static RUNNING: Mutex<Vec<(String, Child)>> = Mutex::new(Vec::new());

fn running() -> MutexGuard<'static, Vec<(String, Child)>> {
    // A panic elsewhere leaves the list itself whole.
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The guard of the lab with this name.
#[derive(Debug)]
pub(super) struct Guard(String);

impl Guard {
    pub(super) fn start(name: &str) -> Result<Self> {
        let child = script(name).spawn().context("can't start sh")?;
        running().push((name.to_owned(), child));
        Ok(Self(name.to_owned()))
    }

    /// Sends the guard away; the lab stays.
    pub(super) fn dismiss(self) -> Result<()> {
        use std::io::Write as _;
        let Some(mut child) = take(&self.0) else {
            return Ok(());
        };
        let mut pipe = child.stdin.take().context("the guard has no pipe")?;
        pipe.write_all(b"stay\n")?;
        finish(&self.0, child)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(child) = take(&self.0)
            && let Err(error) = finish(&self.0, child)
        {
            eprintln!("{error:#}");
        }
    }
}

/// Tears down the lab called `name`, whoever built it. No error if there is none.
///
/// # Errors
/// When the shell can't be started or something of the lab is still there after it.
pub fn tear_down(name: &str) -> Result<()> {
    super::check_name(name)?;
    let child = script(name).spawn().context("can't start sh")?;
    finish(name, child)?;
    if record::directory(name).exists() {
        bail!("can't remove lab {name}: root needed?");
    }
    Ok(())
}

/// Tears down all labs of this process, for a signal handler: nothing else of them is to be used
/// after that.
pub fn tear_down_all() {
    let labs = std::mem::take(&mut *running());
    for (name, child) in labs {
        let _ = finish(&name, child);
    }
}

fn take(name: &str) -> Option<Child> {
    let mut labs = running();
    let at = labs.iter().position(|(running, _)| running == name)?;
    Some(labs.swap_remove(at).1)
}

/// Closes the pipe and waits until the script is through.
fn finish(name: &str, mut child: Child) -> Result<()> {
    drop(child.stdin.take());
    child
        .wait()
        .with_context(|| format!("can't wait for the guard of lab {name}"))?;
    Ok(())
}

fn script(name: &str) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new("sh");
    command
        .args(["-c", SCRIPT, "lab-guard"])
        .arg(record::directory(name))
        .arg(bpffs(name));
    command.args(network::ROLES.map(|role| Host::new(name, role).netns().to_owned()));
    command.current_dir("/").process_group(0);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
