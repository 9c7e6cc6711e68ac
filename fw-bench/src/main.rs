//! `cargo xtask bench` runs this as root.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, ValueEnum};
use fw_bench::bench::Bench;
use fw_bench::globals::{self, Globals};
use fw_bench::machine::{self, Machine};
use fw_bench::report::{self, Run, Section};
use fw_bench::workload::{self, Workload};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use xtask::lab;

/// The firewall beside the kernel's own, in a network lab
#[derive(Debug, Parser)]
#[command(name = "fw-bench", max_term_width = 100)]
struct Args {
    /// Few contestants, rounds and packets: three minutes in all
    #[arg(long)]
    quick: bool,
    /// Only this workload (repeat it for more); --list shows their names
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Measurements of each kind [default: 5, quick: 3]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// What is printed on standard output
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Where record, document and plot are kept
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The program under test
    #[arg(long, value_name = "PATH")]
    fwctl: PathBuf,
    /// The command to be named in the document
    #[arg(long, value_name = "TEXT", default_value = "fw-bench")]
    command: String,
    /// The version to be named in the document
    #[arg(long, value_name = "TEXT", default_value = "unknown")]
    source: String,
    /// Show the workloads' names and what they are
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Tables for people
    Table,
    /// One JSON array
    Json,
}

/// A signal has come; another thread puts everything back and ends the process.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    match Args::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        // The lab was taken away from under it.
        Err(_) if INTERRUPTED.load(Ordering::Acquire) => loop {
            thread::park();
        },
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Args {
    fn run(&self) -> Result<()> {
        if self.list {
            for Workload { name, title, .. } in workload::ALL {
                println!("{name:<10} {title}");
            }
            return Ok(());
        }
        if !rustix::process::geteuid().is_root() {
            bail!("needs root: network namespaces and BPF; `cargo xtask bench` asks sudo");
        }
        let chosen = self.chosen()?;
        tear_down_on_signals()?;
        let bench = Bench {
            quick: self.quick,
            rounds: self.rounds.unwrap_or(if self.quick { 3 } else { 5 }).max(1),
            fwctl: self.fwctl.clone(),
            globals: Globals::keep()?,
        };
        let mut sections = Vec::new();
        for workload in chosen {
            sections.push(self.measure(&bench, workload)?);
            // After each: what is measured is kept if a later one fails.
            let order: Vec<_> = workload::ALL.iter().map(|workload| workload.name).collect();
            report::publish(&self.dir, sections.clone(), &order)?;
        }
        if self.output == Output::Json {
            println!("{}", serde_json::to_string_pretty(&sections)?);
        }
        bench.say(&format!("written to {}", self.dir.display()));
        Ok(())
    }

    fn chosen(&self) -> Result<Vec<&'static Workload>> {
        if self.only.is_empty() {
            let all = workload::ALL.iter();
            return Ok(all
                .filter(|workload| workload.quick || !self.quick)
                .collect());
        }
        let find = |name: &String| {
            let found = workload::ALL.iter().find(|workload| workload.name == name);
            found.with_context(|| format!("no workload {name:?}; `--list` shows their names"))
        };
        self.only.iter().map(find).collect()
    }

    fn measure(&self, bench: &Bench, workload: &Workload) -> Result<Section> {
        eprintln!("\n== {}: {}", workload.name, workload.title);
        let run = Run {
            date: jiff::Zoned::now()
                .strftime("%Y-%m-%dT%H:%M:%S%:z")
                .to_string(),
            command: self.command.clone(),
            version: self.source.clone(),
            load: machine::load(),
            rounds: bench.rounds,
            machine: Machine::here(),
        };
        let section =
            (workload.run)(bench).with_context(|| format!("workload {}", workload.name))?;
        let section = Section {
            name: workload.name.to_owned(),
            title: workload.title.to_owned(),
            run,
            ..section
        };
        if self.output == Output::Table {
            println!("\n{}\n", section.title);
            for table in &section.tables {
                println!("{}", table.to_markdown());
            }
            for note in &section.notes {
                println!("- {note}");
            }
        }
        if section.is_noisy() {
            eprintln!("   noisy: figures marked ~ differ by more than a third between rounds");
        }
        Ok(section)
    }
}

/// From now on such a signal first puts everything back. (It would go back without this too, a moment
/// later: guards see our end.)
fn tear_down_on_signals() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            INTERRUPTED.store(true, Ordering::Release);
            eprintln!("\nbench: interrupted; removing the lab");
            lab::tear_down_all();
            globals::restore();
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}
