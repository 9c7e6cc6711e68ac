//! `fwctl rules check`: offline, for everybody, with no kernel and no interfaces.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use fw_user::rules::compile::{Lookup, compile};
use fw_user::rules::diag::Diagnostic;
use fw_user::rules::span::FileId;
use fw_user::rules::{Loaded, Options, Style, load_file, print_ruleset};

use crate::args::Globals;
use crate::term::{self, Color};

/// Options of `fwctl rules check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl rules check /etc/fwctl/rules.nft
  fwctl rules check -D wan=eth1 -I /etc/nftables.d home.nft
  nft list ruleset | fwctl rules check -

Needs no privileges, no kernel and none of the interfaces. Exit status: 0 no mistake (doubts are
shown), 1 mistakes, 2 bad arguments.")]
pub(crate) struct Args {
    /// Files of rules; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
    /// Print the ruleset as it was understood, as `nft list ruleset` would
    #[arg(short, long)]
    print: bool,
    /// Messages for programs: json
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

/// How rules are read.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct SourceArgs {
    /// Look for included files there, too
    #[arg(short = 'I', long = "includepath", value_name = "DIR")]
    include: Vec<PathBuf>,
    /// Define a variable of the rules
    #[arg(short = 'D', long = "define", value_name = "NAME=VALUE", value_parser = definition)]
    define: Vec<(String, String)>,
}

impl SourceArgs {
    /// The same for the reader of rules.
    pub(crate) fn options(&self) -> Options {
        Options {
            include: self.include.clone(),
            define: self.define.clone(),
        }
    }
}

fn definition(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("expected NAME=VALUE, like wan=eth1".into()),
    }
}

/// `-o` of this command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One array of messages
    Json,
}

/// A system that has every interface: whether one is there shows when the rules are loaded.
struct AnyInterface;

impl Lookup for AnyInterface {
    fn ifindex(&self, _name: &str) -> Option<u32> {
        Some(1)
    }

    fn hz(&self) -> u32 {
        1000
    }
}

/// Adds what the compiler refuses of a ruleset that is right by itself.
fn compilable(mut loaded: Loaded) -> Loaded {
    let Some(ruleset) = &loaded.ruleset else {
        return loaded;
    };
    if let Err(errors) = compile(ruleset, &AnyInterface) {
        for error in errors {
            let file = FileId(u32::try_from(error.source.file).unwrap_or(0));
            let (line, column) = (error.source.line, error.source.column);
            let span = loaded.report.sources.rest_of_line(file, line, column);
            loaded.report.push(Diagnostic::error(span, error.message));
        }
        loaded.ruleset = None;
    }
    loaded
}

impl Args {
    /// Checks all files.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        let options = self.source.options();
        let loaded: Vec<Loaded> = self
            .files
            .iter()
            .map(|file| compilable(load_file(file, &options)))
            .collect();
        let failed = loaded.iter().any(|one| one.report.has_errors());
        let mut out = term::output();
        if self.output == Some(Format::Json) {
            let messages: Vec<serde_json::Value> = loaded
                .iter()
                .flat_map(|one| match one.report.to_json() {
                    serde_json::Value::Array(messages) => messages,
                    other => vec![other],
                })
                .collect();
            writeln!(out, "{}", serde_json::Value::Array(messages))?;
        } else {
            let color = match globals.color {
                Color::Auto => std::io::stderr().is_terminal() && globals.color.enabled(),
                other => other.enabled(),
            };
            for one in &loaded {
                // Where nft says it; whoever reads no messages has the exit status.
                let _ = write!(std::io::stderr(), "{}", one.report.render(color));
            }
            if self.print {
                for ruleset in loaded.iter().filter_map(|one| one.ruleset.as_ref()) {
                    write!(out, "{}", print_ruleset(ruleset, Style::default()))?;
                }
            }
        }
        out.flush()?;
        Ok(if failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}
