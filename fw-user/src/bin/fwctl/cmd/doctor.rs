//! `fwctl doctor`: what is in the way on this machine, and what mends it.

use std::io::{self, Write};
use std::process::ExitCode;

use fw_user::attach::shown;
use fw_user::doctor::{self, Finding, Level};

use crate::args::Globals;
use crate::cmd::Format;
use crate::term;

/// Options of `fwctl doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl doctor
  fwctl doctor -i wan0 -i lan0
  fwctl doctor -o json | jq '.[] | select(.level == \"warning\")'

It changes nothing. Below what is not as it should be stands the command that mends it.
Exit status: 0 if nothing keeps the firewall from working (there may be warnings), 1 if something does.")]
pub(crate) struct Args {
    /// Look at this interface [default: those that are filtered, else all that could be]
    #[arg(short, long, value_name = "IFACE")]
    interface: Vec<String>,
    /// json: one array
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

impl Args {
    /// Prints what was found.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        let findings = doctor::examine(&globals.paths(), &self.interface)?;
        let mut out = term::output();
        match self.output {
            Some(Format::Json) => {
                serde_json::to_writer(&mut out, &findings)?;
                writeln!(out)?;
            }
            None => print(&mut out, &findings, globals.color.enabled())?,
        }
        out.flush()?;
        let of = |level| findings.iter().filter(|f| f.level == level).count();
        let (errors, warnings) = (of(Level::Error), of(Level::Warning));
        term::note(format_args!("{errors} errors, {warnings} warnings"));
        Ok(if errors == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn print(out: &mut impl Write, findings: &[Finding], color: bool) -> io::Result<()> {
    let mut about = None;
    for finding in findings {
        if about != Some(&finding.interface) {
            about = Some(&finding.interface);
            let name = finding.interface.as_deref();
            writeln!(out, "{}", name.map_or_else(|| "machine".into(), shown))?;
        }
        let level = finding.level.name();
        let (begin, end) = match finding.level {
            _ if !color => ("", ""),
            Level::Ok => ("\x1b[32m", "\x1b[0m"),
            Level::Note => ("\x1b[36m", "\x1b[0m"),
            Level::Warning => ("\x1b[33m", "\x1b[0m"),
            Level::Error => ("\x1b[31m", "\x1b[0m"),
        };
        writeln!(out, "  {begin}{level:7}{end}  {}", finding.what)?;
        if let Some(mend) = &finding.mend {
            writeln!(out, "           {mend}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_stands_under_what_it_is_about() {
        let finding = |interface: Option<&str>, level, mend: Option<&str>| Finding {
            interface: interface.map(str::to_owned),
            level,
            check: "check".into(),
            what: "one sentence".into(),
            mend: mend.map(str::to_owned),
        };
        let findings = [
            finding(None, Level::Ok, None),
            finding(Some("eth0"), Level::Warning, Some("a command")),
            finding(Some("eth0"), Level::Error, Some("another")),
        ];
        let mut out = Vec::new();
        print(&mut out, &findings, false).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "machine\n  ok       one sentence\neth0\n  warning  one sentence\n           a command\n  \
             error    one sentence\n           another\n"
        );
    }
}
