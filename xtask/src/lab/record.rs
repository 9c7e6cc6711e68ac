//! What is known of a lab from outside: a directory in `/run`, with a file that says whose it is.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process;

use anyhow::{Context as _, Result, bail};

/// Where the records are: one directory a lab.
const BASE: &str = "/run/fwctl-lab";

/// The process that a lab goes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// None: the lab stays until it is taken down.
    Nobody,
    /// The process with this id, which is alive.
    Alive(u32),
    /// A process that is gone, and whose guard is too.
    Dead,
}

/// A lab on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub owner: Owner,
}

/// The labs on this machine, by name.
#[must_use]
pub fn list() -> Vec<Record> {
    let entries = fs::read_dir(BASE).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut labs: Vec<Record> = names
        .map(|name| Record {
            owner: read_owner(&name),
            name,
        })
        .collect();
    labs.sort_by(|a, b| a.name.cmp(&b.name));
    labs
}

pub(super) fn directory(name: &str) -> PathBuf {
    PathBuf::from(BASE).join(name)
}

/// Makes the lab's directory, ours. That it is made in one step is the lock against another lab of
/// the same name.
pub(super) fn create(name: &str) -> Result<()> {
    let made = fs::create_dir_all(BASE).and_then(|()| fs::create_dir(directory(name)));
    match made {
        Ok(()) => write(name, Owner::Alive(process::id())),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("a lab called {name} is up; `cargo xtask lab down --name {name}` removes it")
        }
        Err(error) => Err(error).with_context(|| format!("can't make {BASE}/{name}")),
    }
}

pub(super) fn write(name: &str, owner: Owner) -> Result<()> {
    let text = match owner {
        Owner::Alive(pid) => format!("{pid} {}\n", start_time(pid).unwrap_or_default()),
        Owner::Nobody | Owner::Dead => "nobody\n".into(),
    };
    let file = directory(name).join("owner");
    fs::write(&file, text).with_context(|| format!("can't write {}", file.display()))
}

fn read_owner(name: &str) -> Owner {
    let text = fs::read_to_string(directory(name).join("owner")).unwrap_or_default();
    let mut fields = text.split_whitespace();
    match (fields.next(), fields.next()) {
        (Some("nobody"), _) => Owner::Nobody,
        (Some(pid), Some(start)) => match pid.parse() {
            // Process ids are used again: the same id started at another time is another process.
            Ok(pid) if start_time(pid).is_some_and(|now| now == start) => Owner::Alive(pid),
            _ => Owner::Dead,
        },
        _ => Owner::Dead,
    }
}

/// Field 22 of proc_pid_stat(5), in clock ticks since boot; the name before it may have spaces.
fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19).map(str::to_owned)
}
