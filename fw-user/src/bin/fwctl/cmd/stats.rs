//! `fwctl stats`: the counters.

use std::io::{self, Write};
use std::process::ExitCode;

use fw_common::{CtInfo, Reason};
use fw_user::maps::Counters;
use serde_json::{Map, Value, json};

use crate::args::Globals;
use crate::cmd::Format;
use crate::term;

/// Options of `fwctl stats`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl stats                                  a line for each CPU, and their sum
  fwctl stats --total
  fwctl stats -o json | jq .total.reasons

Counters of `conntrack -S` come first. Then packets by the state that conntrack gave them
(packets_new=…), then packets by the reason of their verdict: in lines those that are not 0, in JSON
all of them. `drop` counts packets for whose flow there was no room or that a limit refused,
`insert_failed` those among them that the map refused, `early_drop` flows pushed out by newer ones (as of
the last sweep but one).")]
pub(crate) struct Args {
    /// Only the lines of the CPUs, as `conntrack -S`
    #[arg(long, conflicts_with = "total")]
    per_cpu: bool,
    /// Only the sum
    #[arg(long)]
    total: bool,
    /// json: one object
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

impl Args {
    /// Prints the counters.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        let cpus = globals.maps()?.counters()?.per_cpu()?;
        let total = Counters::sum(&cpus);
        let mut out = term::output();
        match self.output {
            Some(Format::Json) => self.json(&mut out, &cpus, &total)?,
            None => self.lines(&mut out, &cpus, &total)?,
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }

    fn lines(&self, out: &mut impl Write, cpus: &[Counters], total: &Counters) -> io::Result<()> {
        if !self.total {
            for (cpu, counters) in cpus.iter().enumerate() {
                line(out, &format!("cpu={cpu}"), counters)?;
            }
        }
        if !self.per_cpu {
            line(out, "total", total)?;
        }
        Ok(())
    }

    fn json(&self, out: &mut impl Write, cpus: &[Counters], total: &Counters) -> io::Result<()> {
        let mut all = Map::new();
        if !self.total {
            all.insert("cpus".into(), cpus.iter().map(object).collect());
        }
        if !self.per_cpu {
            all.insert("total".into(), object(total));
        }
        serde_json::to_writer(&mut *out, &Value::Object(all))?;
        writeln!(out)
    }
}

/// A line as conntrack(8) prints it: the label in eight columns, a tab, and a blank behind each
/// field, the last too.
fn line(out: &mut impl Write, label: &str, counters: &Counters) -> io::Result<()> {
    write!(out, "{label:<8}\t")?;
    for (name, value) in counters.fixed() {
        write!(out, "{name}={value} ")?;
    }
    for (info, value) in counters.states() {
        write!(out, "packets_{}={value} ", state(info))?;
    }
    for (reason, value) in nonzero(counters) {
        write!(out, "{}={value} ", reason.name())?;
    }
    for (left, value) in counters.left().filter(|(_, value)| *value != 0) {
        write!(out, "{}={value} ", left.name())?;
    }
    writeln!(out)
}

fn object(counters: &Counters) -> Value {
    let mut object: Map<String, Value> = counters
        .fixed()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let states: Map<_, _> = counters
        .states()
        .map(|(info, value)| (state(info).into(), value.into()))
        .collect();
    let reasons: Map<_, _> = counters
        .reasons()
        .map(|(reason, value)| (reason.name().into(), value.into()))
        .collect();
    object.insert("packets".into(), json!(states));
    let left: Map<_, _> = counters
        .left()
        .filter(|(_, value)| *value != 0)
        .map(|(left, value)| (left.name().into(), value.into()))
        .collect();
    object.insert("reasons".into(), json!(reasons));
    object.insert("left".into(), json!(left));
    object.into()
}

fn nonzero(counters: &Counters) -> impl Iterator<Item = (Reason, u64)> {
    counters.reasons().filter(|(_, value)| *value != 0)
}

/// Unlike the rules, the counters tell the directions apart.
const fn state(info: CtInfo) -> &'static str {
    match info {
        CtInfo::EstablishedReply => "established_reply",
        CtInfo::RelatedReply => "related_reply",
        other => other.name(),
    }
}

#[cfg(test)]
mod tests {
    use fw_common::abi::Counter;
    use fw_common::fasttrack::Left;

    use super::*;

    fn counters() -> Counters {
        let mut counters = Counters::zero();
        counters.set(Counter::INVALID, 2);
        counters.set(Counter::of_state(CtInfo::New), 5);
        counters.set(Counter::of_reason(Reason::BadTcpFlags), 3);
        counters
    }

    #[test]
    fn line_begins_as_conntracks() {
        let mut out = Vec::new();
        line(&mut out, "cpu=0", &counters()).unwrap();
        let text = String::from_utf8(out).unwrap();
        // conntrack v1.4.7 on Linux 6.18, but for its line's end.
        let conntrack = "cpu=0   \tfound=0 invalid=2 insert=0 insert_failed=0 drop=0 early_drop=0 \
                         error=0 search_restart=0 clash_resolve=0 chaintoolong=0 ";
        assert!(text.starts_with(conntrack), "{text:?}");
        assert!(text.contains(" packets_new=5 "), "{text:?}");
        assert!(text.ends_with(" bad-tcp-flags=3 \n"), "{text:?}");
    }

    #[test]
    fn names_are_unique_within_a_line() {
        let mut all = Counters::zero();
        for slot in 0..Counter::SLOTS {
            all.set(Counter(slot), 1);
        }
        let mut out = Vec::new();
        line(&mut out, "total", &all).unwrap();
        let text = String::from_utf8(out).unwrap();
        let mut names: Vec<_> = text
            .split_whitespace()
            .filter_map(|field| field.split_once('='))
            .map(|(name, _)| name)
            .collect();
        let fields = names.len();
        let states = CtInfo::ALL.len() + Left::ALL.len();
        let expected = Counter::NAMES.len() + states + Reason::ALL.len();
        assert_eq!(fields, expected);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), fields);
    }

    #[test]
    fn json_has_the_same_numbers() {
        let value = object(&counters());
        assert_eq!(value["invalid"], 2);
        assert_eq!(value["packets"]["new"], 5);
        assert_eq!(value["reasons"]["bad-tcp-flags"], 3);
        let reasons = value["reasons"].as_object().unwrap();
        assert_eq!(reasons.len(), Reason::ALL.len());
    }
}
