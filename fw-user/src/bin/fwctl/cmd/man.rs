//! `fwctl man`: the manual, made of the same text as `--help`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::{Cli, Globals};
use crate::term;

/// Options of `fwctl man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl man | man -l -
  fwctl man --dir /usr/local/share/man/man8    a page for each command too")]
pub(crate) struct Args {
    /// Write all pages to this directory
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl Args {
    /// Prints or writes the pages.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, _globals: &Globals) -> anyhow::Result<ExitCode> {
        let mut root = Cli::command().disable_help_subcommand(true);
        root.build();
        match self.dir {
            Some(dir) => write_all(&root, &dir)?,
            None => {
                let mut out = term::output();
                out.write_all(&page(&root)?)?;
                out.flush()?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn write_all(root: &clap::Command, dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for command in std::iter::once(root).chain(root.get_subcommands()) {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let path = dir.join(format!("{name}.8"));
        std::fs::write(&path, page(command)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Section 8: system administration.
fn page(command: &clap::Command) -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone()).section("8").render(&mut page)?;
    Ok(page)
}
