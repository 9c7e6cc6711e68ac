//! `cargo xtask setup`: what a fresh machine lacks.
//!
//! Each need is looked for first and installed only if it is missing, so that running this again
//! changes nothing. The other verbs call [`ensure`] with what they need themselves.

mod apt;
mod compiler;
mod linker;
mod mount;
mod packages;

use std::io::{IsTerminal as _, Write as _, stdin};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::say;
use xtask::ebpf::toolchain::{self, Missing};

/// Install what building and testing need
///
/// Looks for a BPF toolchain (a Rust compiler with the source of `core`, bpf-linker, LLVM), for the
/// programs that the lab and the tests use, and for the BPF file system; installs what is missing
/// with rustup, cargo and apt. Says what it does before it does it; run it as often as you like.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Don't ask before installing
    #[arg(short, long)]
    yes: bool,
    /// Only say what is missing; exit status 1 if anything is
    #[arg(long, conflicts_with = "yes")]
    check: bool,
}

impl Args {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        say::heading("setup: what building and testing need");
        let missing = missing(Scope::Everything);
        report(&missing);
        if self.check {
            return Ok(if missing.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        let consent = if self.yes {
            Consent::Given
        } else {
            Consent::Ask
        };
        ensure(Scope::Everything, consent)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Which needs a verb has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The BPF toolchain.
    Build,
    /// The programs of the lab, and the BPF file system.
    Lab,
    /// Both: what it takes to build and to run.
    Run,
    /// And rustfmt and clippy.
    Everything,
}

/// Whether the user has agreed to installing things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    /// `--yes`.
    Given,
    /// Ask if there is a terminal to ask on; without one (CI), running the verb is consent.
    Ask,
}

/// Something that is not there.
#[derive(Debug)]
enum Need {
    Packages(Vec<&'static str>),
    Toolchain(Missing),
    Components(Vec<&'static str>),
    Mount,
}

/// Installs what `scope` lacks; says nothing if that is nothing.
///
/// # Errors
/// Names what could not be installed and the command that does it.
pub(crate) fn ensure(scope: Scope, consent: Consent) -> Result<()> {
    let needs = missing(scope);
    if needs.is_empty() {
        return Ok(());
    }
    say::heading("setup: installing what is missing");
    report(&needs);
    if consent == Consent::Ask && stdin().is_terminal() && !agreed()? {
        bail!("nothing was installed; `cargo xtask setup` does it when you like");
    }
    needs.into_iter().try_for_each(provide)?;
    if let Some(need) = missing(scope).first() {
        bail!("still missing after installing: {}", need.describe());
    }
    say::note("everything is there");
    Ok(())
}

fn missing(scope: Scope) -> Vec<Need> {
    let mut needs = Vec::new();
    if scope != Scope::Build {
        let packages = packages::missing();
        needs.extend((!packages.is_empty()).then_some(Need::Packages(packages)));
    }
    if scope != Scope::Lab {
        needs.extend(toolchain::find().err().map(Need::Toolchain));
    }
    if scope == Scope::Everything {
        let components = compiler::missing_components();
        needs.extend((!components.is_empty()).then_some(Need::Components(components)));
    }
    // Last: installing packages above may be what brings `mount`.
    needs.extend((scope != Scope::Build && !mount::is_mounted()).then_some(Need::Mount));
    needs
}

fn report(needs: &[Need]) {
    for need in needs {
        say::note(&format!("missing: {}", need.describe()));
    }
    if let Ok(tools) = toolchain::find() {
        let (rustc, linker) = (tools.rustc.display(), tools.linker.display());
        let llvm = tools.llvm.canonicalize().unwrap_or(tools.llvm);
        say::note(&format!(
            "BPF toolchain: {rustc}, {linker}, {}",
            llvm.display()
        ));
    }
    if needs.is_empty() {
        say::note("everything is there");
    }
}

fn agreed() -> Result<bool> {
    eprint!("   Install? [Y/n] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "" | "y" | "Y" | "yes"))
}

impl Need {
    fn describe(&self) -> String {
        match self {
            Self::Packages(names) => format!("packages {}", names.join(" ")),
            Self::Toolchain(missing) => missing.to_string(),
            Self::Components(names) => format!("cargo {}", names.join(", cargo ")),
            Self::Mount => format!("the BPF file system on {}", mount::BPFFS),
        }
    }
}

fn provide(need: Need) -> Result<()> {
    match need {
        Need::Packages(names) => apt::install(&names),
        Need::Toolchain(missing) => provide_toolchain(missing),
        Need::Components(names) => compiler::install_components(&names),
        Need::Mount => mount::mount(),
    }
}

/// The needs of the toolchain show one after the other: the linker is looked for when there is a
/// compiler, LLVM when there is a linker.
fn provide_toolchain(mut missing: Missing) -> Result<()> {
    loop {
        match &missing {
            Missing::Compiler(_) => compiler::install()?,
            Missing::Linker => linker::install()?,
            Missing::Llvm(_) => compiler::install_with_known_llvm()?,
        }
        match toolchain::find() {
            Ok(_) => return Ok(()),
            Err(next) if std::mem::discriminant(&next) == std::mem::discriminant(&missing) => {
                return Err(next).context("installing did not help");
            }
            Err(next) => missing = next,
        }
    }
}

/// Shows and runs `command`, its output going to the user.
fn run(command: &mut Command) -> Result<()> {
    say::command(command);
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("can't run {program}"))?;
    if !status.success() {
        bail!("{program} failed ({status})");
    }
    Ok(())
}
