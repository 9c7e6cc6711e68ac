//! `fwctl explain`: which rule decides on a packet, and why, without sending it.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use fw_common::Verdict;
use fw_user::explain::{End, Explanation, Sketch, To, Wanted, Way, explain, live, trace};
use fw_user::rules::failsafe::Failsafe;
use serde_json::{Value, json};

use crate::args::{Globals, Usage};
use crate::cmd::Format;
use crate::term;

/// Options of `fwctl explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl explain 'tcp 192.168.1.2:41080 > 10.0.0.2:22 syn' -i eth0
  fwctl explain 'udp [2001:db8::2]:4000 > [2001:db8::1]:53' -i eth0 --local
  fwctl explain 'icmp 10.0.0.2 > 192.168.1.2 echo-request' -i eth1 --rules new.nft --oif eth0
  fwctl explain 'tcp 10.0.0.1:9 > 10.0.0.2:80 ack state established mark 7 vlan 4 length 1500'

The packet goes through the rules in force and the live flow table, or, with --rules, through those of a
file, for which no privileges are needed. Without -i the router itself sends it. Nothing is sent, counted
or changed. Exit status: 0 it passes; 1 it is dropped, or ends in the router (its TTL, or a route that throws
it away: the kernel sees to that, and answers); 2 bad arguments.")]
pub(crate) struct Args {
    /// The packet: protocol, source, >, destination, then flags or an ICMP type, vlan N, mark N,
    /// length N, ttl N, dscp N, state STATE
    #[arg(value_name = "PACKET")]
    packet: String,
    /// Interface that it comes in by
    #[arg(short, long, value_name = "IFACE")]
    interface: Option<String>,
    /// Interface that it leaves by, in place of what the routing tables say
    #[arg(long, value_name = "IFACE", conflicts_with = "local")]
    oif: Option<String>,
    /// It is for the router itself, whatever the routing tables say
    #[arg(long)]
    local: bool,
    /// Rules of a file in place of those in force
    #[arg(short, long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Port that no ruleset closes, for --rules
    #[arg(long, value_name = "PROTO:PORT[@SOURCE]", requires = "rules")]
    failsafe: Vec<String>,
    /// json: one object
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

impl Args {
    /// Explains the packet.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        let sketch: Sketch = self.packet.parse().map_err(|e| Usage(format!("{e}")))?;
        let wanted = Wanted {
            iif: self.interface.clone(),
            oif: self.oif.clone(),
            local: self.local,
        };
        let way = wanted.resolve(sketch.src, sketch.dst, sketch.mark)?;
        let scene = match &self.rules {
            Some(file) => {
                let failsafe = self.failsafe()?;
                match live::Scene::of_file(file, failsafe) {
                    Ok(scene) => scene,
                    Err(messages) => {
                        term::text(format_args!("{messages}"));
                        return Ok(ExitCode::FAILURE);
                    }
                }
            }
            None => live::Scene::in_force(&globals.paths())?,
        };
        let found = explain(&sketch, &way, scene.rules(), scene.failsafe(), &scene);
        let mut out = term::output();
        match self.output {
            Some(Format::Json) => writeln!(out, "{}", object(&self.packet, &way, &found))?,
            None => print(&mut out, &way, &found)?,
        }
        out.flush()?;
        Ok(match (found.verdict, found.ends) {
            (Verdict::Pass, None) => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        })
    }

    fn failsafe(&self) -> Result<Vec<Failsafe>, Usage> {
        let parsed = self.failsafe.iter().map(|text| {
            let port = text.parse();
            port.map_err(|expected| Usage(format!("--failsafe `{text}`: {expected} is expected")))
        });
        parsed.collect()
    }
}

fn print(out: &mut impl Write, way: &Way, found: &Explanation) -> io::Result<()> {
    writeln!(out, "way: {}", describe(way))?;
    writeln!(out, "state: {}", found.state.name())?;
    for step in &found.steps {
        writeln!(out, "{step}")?;
    }
    if found.steps.is_empty() {
        writeln!(out, "no rule is asked")?;
    }
    let verdict = word(found);
    writeln!(out, "verdict: {verdict} (reason {})", found.reason.name())?;
    match found.ends {
        Some(end) => writeln!(out, "end: {}", sentence(end)),
        None => Ok(()),
    }
}

const fn sentence(end: End) -> &'static str {
    match end {
        End::Ttl => "its TTL ends here: the kernel throws it away and answers `time exceeded`",
        End::Route => {
            "its route throws it away: the kernel answers, unless the route is a blackhole"
        }
    }
}

const fn word(found: &Explanation) -> &'static str {
    match found.verdict {
        Verdict::Pass if found.observed => "accept, the rules only observe: they would drop it",
        Verdict::Pass => "accept",
        Verdict::Drop if found.rejected => "reject",
        Verdict::Drop => "drop",
    }
}

fn describe(way: &Way) -> String {
    let from = match &way.from {
        Some(from) => format!("in by {}", from.name),
        None => "from the router itself".into(),
    };
    match &way.to {
        To::Local => format!("{from}, for the router itself"),
        To::Out(to) => format!("{from}, out by {}", to.name),
        To::Nowhere => format!("{from}, to a route that throws it away"),
    }
}

fn object(packet: &str, way: &Way, found: &Explanation) -> Value {
    let steps: Vec<Value> = found.steps.iter().map(trace::step).collect();
    json!({
        "packet": packet,
        "iif": way.from.as_ref().map(|side| &side.name),
        "oif": match &way.to {
            To::Out(side) => Some(&side.name),
            To::Local | To::Nowhere => None,
        },
        "local": way.to == To::Local,
        "state": found.state.name(),
        "steps": steps,
        "verdict": match found.verdict {
            Verdict::Pass => "accept",
            Verdict::Drop if found.rejected => "reject",
            Verdict::Drop => "drop",
        },
        "observed": found.observed,
        "reason": found.reason.name(),
        "ends": found.ends.map(End::name),
    })
}
