//! `cargo xtask lab`.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;

use super::setup::{self, Consent, Scope};
use crate::{privilege, say};
use xtask::lab::{self, Lab, Owner};

/// A router between two hosts, in network namespaces
///
/// client 192.168.1.2 - 192.168.1.1 router 10.0.0.1 - 10.0.0.2 server, and 2001:db8:1::/64 and
/// 2001:db8:2::/64 with the same last numbers. The router's ports are eth0 (to the client) and eth1.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build a lab and leave it up
    Up {
        /// What to call it, if there are to be several
        #[arg(long, default_value = "lab")]
        name: String,
    },
    /// Remove a lab, and end what runs in it
    Down {
        /// Which one; not needed if there is one only
        #[arg(long)]
        name: Option<String>,
        /// All of them, also those of other users and of dead processes
        #[arg(long, conflicts_with = "name")]
        all: bool,
    },
    /// List the labs on this machine
    Status,
    /// Run a command on a host of a lab
    ///
    /// It joins the host's network namespace only, so that pins on the BPF file system are seen
    /// (`ip netns exec` hides them).
    #[command(after_help = "Example: cargo xtask lab exec router tcpdump -ni eth0")]
    Exec {
        /// Which lab; not needed if there is one only
        #[arg(long)]
        name: Option<String>,
        /// client, router or server
        host: String,
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

impl Args {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        if let Verb::Status = self.verb {
            return Ok(status());
        }
        if matches!(self.verb, Verb::Up { .. }) {
            setup::ensure(Scope::Lab, Consent::Ask)?;
        }
        if !privilege::is_root() {
            return privilege::again(std::env::args_os().skip(1));
        }
        match &self.verb {
            Verb::Up { name } => up(name)?,
            Verb::Down { all: true, .. } => {
                lab::list().iter().try_for_each(|lab| down(&lab.name))?;
            }
            Verb::Down { name, .. } => down(&chosen(name.as_deref())?)?,
            Verb::Exec {
                name,
                host,
                command,
            } => exec(name.as_deref(), host, command)?,
            Verb::Status => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn up(name: &str) -> Result<()> {
    Lab::up_as(name)?.persist()?;
    let option = if name == "lab" {
        String::new()
    } else {
        format!(" --name {name}")
    };
    println!("lab {name} is up:");
    println!(
        "  client 192.168.1.2, 2001:db8:1::2 -- eth0 router eth1 -- server 10.0.0.2, 2001:db8:2::2"
    );
    println!("  cargo xtask lab exec{option} client ping -c 1 10.0.0.2");
    println!("  ip -n fw-{name}-router addr");
    println!("  cargo xtask lab down{option}");
    Ok(())
}

fn down(name: &str) -> Result<()> {
    if !lab::list().iter().any(|lab| lab.name == name) {
        bail!("no lab {name}");
    }
    lab::tear_down(name)?;
    println!("lab {name} is gone");
    Ok(())
}

fn status() -> ExitCode {
    let labs = lab::list();
    if labs.is_empty() {
        say::note("no lab is up");
    }
    for record in labs {
        let owner = match record.owner {
            Owner::Nobody => "up until `cargo xtask lab down`".to_owned(),
            Owner::Alive(pid) => format!("belongs to process {pid}"),
            Owner::Dead => "left behind by a dead process".to_owned(),
        };
        println!(
            "{:<24} fw-{}-{{client,router,server}}  {owner}",
            record.name, record.name
        );
    }
    ExitCode::SUCCESS
}

/// Never returns if it can start the command: it becomes it.
fn exec(name: Option<&str>, host: &str, command: &[OsString]) -> Result<()> {
    let host = lab::host(&chosen(name)?, host)?;
    let [program, args @ ..] = command else {
        bail!("no command")
    };
    let error = host.command(program).args(args).exec();
    Err(error).context("can't run nsenter")
}

/// The lab that is meant: the one named, or the only one.
fn chosen(name: Option<&str>) -> Result<String> {
    if let Some(name) = name {
        return Ok(name.to_owned());
    }
    match lab::list().as_slice() {
        [only] => Ok(only.name.clone()),
        [] => bail!("no lab is up; `cargo xtask lab up` builds one"),
        labs => {
            let names: Vec<_> = labs.iter().map(|lab| lab.name.as_str()).collect();
            bail!("which lab? --name is one of {}", names.join(", "))
        }
    }
}
