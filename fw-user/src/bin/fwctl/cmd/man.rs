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

fn write_all(command: &clap::Command, dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let name = command.get_display_name().unwrap_or(command.get_name());
    let path = dir.join(format!("{name}.8"));
    std::fs::write(&path, page(command)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .try_for_each(|command| write_all(command, dir))
}

/// One page, in section 8: system administration.
fn page(command: &clap::Command) -> std::io::Result<Vec<u8>> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .section("8")
        .source(concat!("fwctl ", env!("CARGO_PKG_VERSION")))
        .manual("System Administration");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(notes) = command.get_after_help() {
        page.extend_from_slice(verbatim(&notes.to_string()).as_bytes());
    }
    Ok(page)
}

/// The end of a command's help with its line breaks: clap_mangen would fill the examples into one
/// paragraph.
fn verbatim(text: &str) -> String {
    let mut roff = String::from(".SH NOTES\n.nf\n");
    for line in text.lines() {
        // Neither a request nor an escape: an empty character in front, and hyphens that can be
        // copied.
        let line = line
            .replace('\\', "\\e")
            .replace('-', "\\-")
            .replace('\'', "\\(aq");
        roff.push_str("\\&");
        roff.push_str(&line);
        roff.push('\n');
    }
    roff.push_str(".fi\n");
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_keep_their_lines_and_quotes() {
        let roff = verbatim("Example:\n  fwctl list -o json | jq '.[]'\n.x");
        let expected = [
            ".SH NOTES",
            ".nf",
            "\\&Example:",
            "\\&  fwctl list \\-o json | jq \\(aq.[]\\(aq",
            "\\&.x",
            ".fi\n",
        ];
        assert_eq!(roff, expected.join("\n"));
    }
}
