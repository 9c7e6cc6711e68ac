//! `fwctl set`: elements of the sets in force.

use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fw_user::control::client::Client;
use fw_user::control::sets::{Answer, Change, Op, SETS};
use serde_json::json;

use super::timeouts::usage_error;
use crate::args::{Globals, Usage};
use crate::cmd::Format;
use crate::term;

/// Options of `fwctl set`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl set add blocklist 203.0.113.7 198.51.100.0/24
  fwctl set add inet fw guests '192.168.1.20 timeout 2h'
  fwctl set delete inet fw blocklist 203.0.113.7
  fwctl set list blocklist -o json
  fwctl set load blocklist prefixes.txt

A change takes effect on flows that are there with their next packet. It lasts until the ruleset is
replaced: `fwctl rules apply` brings the elements of its file. The table may be left out where only one
has a set of that name.")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Add elements
    #[command(
        after_help = "Example:\n  fwctl set add inet fw blocklist 203.0.113.7 198.51.100.0/24"
    )]
    Add(Elements),
    /// Remove elements
    #[command(after_help = "Example:\n  fwctl set delete blocklist 203.0.113.7")]
    Delete(Elements),
    /// Show a set
    #[command(after_help = "Example:\n  fwctl set list blocklist")]
    List {
        /// [FAMILY TABLE] SET
        #[arg(required = true, num_args = 1..=3, value_name = "SET")]
        set: Vec<String>,
        /// json: one array of elements
        #[arg(short, long, value_name = "FORMAT")]
        output: Option<Format>,
    },
    /// Remove all elements
    #[command(after_help = "Example:\n  fwctl set flush inet fw blocklist")]
    Flush {
        /// [FAMILY TABLE] SET
        #[arg(required = true, num_args = 1..=3, value_name = "SET")]
        set: Vec<String>,
    },
    /// Replace all elements at once by those in a file
    #[command(after_help = "Example:\n  fwctl set load inet fw blocklist prefixes.txt")]
    Load {
        /// [FAMILY TABLE] SET, then a file with an element a line (# begins a comment); - is standard
        /// input
        #[arg(required = true, num_args = 2..=4, value_names = ["SET", "FILE"])]
        set: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Elements {
    /// [FAMILY TABLE] SET, then elements as in a ruleset
    #[arg(required = true, num_args = 2.., value_names = ["SET", "ELEMENT"])]
    words: Vec<String>,
}

/// Largest file of elements.
const MOST_BYTES: u64 = 64 << 20;

impl Args {
    /// Does it.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Add(Elements { words }) => change(globals, Op::Add, &words)?,
            Action::Delete(Elements { words }) => change(globals, Op::Delete, &words)?,
            Action::Flush { set } => {
                let (asked, _) = split(Op::Flush, &set);
                ask(globals, &asked)?;
            }
            Action::List { set, output } => list(globals, &set, output)?,
            Action::Load { set } => load(globals, set)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn ask(globals: &Globals, asked: &Change) -> anyhow::Result<Answer> {
    let client = Client::connect(&globals.socket)?;
    client.put(SETS, asked).map_err(usage_error)
}

fn change(globals: &Globals, op: Op, words: &[String]) -> anyhow::Result<()> {
    let (mut asked, elements) = split(op, words);
    if elements.is_empty() {
        return Err(Usage(format!("which elements of {}?", asked.set)).into());
    }
    asked.elements = elements.join(", ");
    ask(globals, &asked).map(drop)
}

fn list(globals: &Globals, set: &[String], output: Option<Format>) -> anyhow::Result<()> {
    let (asked, _) = split(Op::List, set);
    let answer = ask(globals, &asked)?;
    let mut out = term::output();
    match output {
        Some(Format::Json) => writeln!(out, "{}", json!(answer.elements))?,
        None => write!(out, "{}", answer.text)?,
    }
    Ok(out.flush()?)
}

fn load(globals: &Globals, mut words: Vec<String>) -> anyhow::Result<()> {
    let file = PathBuf::from(words.pop().unwrap_or_default());
    let (mut asked, _) = split(Op::Load, &words);
    asked.elements = read(&file)?;
    let answer = ask(globals, &asked)?;
    term::note(format_args!(
        "set {}: {} keys loaded",
        asked.set, answer.changed
    ));
    Ok(())
}

/// The elements of a file, commas between them.
fn read(file: &Path) -> anyhow::Result<String> {
    let failed = |e: std::io::Error| Usage(format!("{}: {e}", file.display()));
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(file).map_err(failed)?)
    };
    let mut text = String::new();
    input
        .take(MOST_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > MOST_BYTES {
        let (file, most) = (file.display(), MOST_BYTES >> 20);
        return Err(Usage(format!("{file}: more than {most} MiB of elements")).into());
    }
    let mut elements = String::with_capacity(text.len());
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let line = line.trim().trim_end_matches(',');
        if line.is_empty() {
            continue;
        }
        if !elements.is_empty() {
            elements.push_str(", ");
        }
        elements.push_str(line);
    }
    Ok(elements)
}

/// `[FAMILY TABLE] SET` in front of the rest.
fn split(op: Op, words: &[String]) -> (Change, &[String]) {
    let (table, rest) = match words {
        [family, table, rest @ ..]
            if !rest.is_empty() && ["ip", "ip6", "inet", "netdev"].contains(&family.as_str()) =>
        {
            (Some(format!("{family} {table}")), rest)
        }
        _ => (None, words),
    };
    let (set, rest) = rest
        .split_first()
        .map_or((String::new(), rest), |(s, r)| (s.clone(), r));
    let asked = Change {
        op,
        table,
        set,
        elements: String::new(),
    };
    (asked, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_may_be_left_out() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let long = words("inet fw blocklist 1.2.3.4 5.6.7.8");
        let (asked, rest) = split(Op::Add, &long);
        assert_eq!(
            (asked.table.as_deref(), asked.set.as_str()),
            (Some("inet fw"), "blocklist")
        );
        assert_eq!(rest, ["1.2.3.4", "5.6.7.8"]);
        let short = words("blocklist 1.2.3.4");
        let (asked, rest) = split(Op::Add, &short);
        assert_eq!(
            (asked.table, asked.set.as_str(), rest.len()),
            (None, "blocklist", 1)
        );
    }
}
