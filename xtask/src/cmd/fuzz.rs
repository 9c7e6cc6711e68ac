//! `cargo xtask fuzz`.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};

use super::lint::cargo;
use super::test::host_triple;
use crate::say;
use crate::steps::{Steps, succeed};
use xtask::paths;

/// Fuzz the parsers, the state machines and the rule language
///
/// Each target starts from named seeds, and from what earlier runs have found. The ordinary compiler
/// does: libFuzzer needs its instrumentation and a C++ compiler, neither nightly nor cargo-fuzz (which
/// works on the same directory, `fw-common/fuzz`). A short run is part of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Time for each target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Run this input, a file that an earlier run left, instead of new ones
    #[arg(long, value_name = "FILE", requires = "target")]
    input: Option<PathBuf>,
    /// Only these targets [default: all]
    target: Vec<String>,
}

/// What cargo-fuzz gives the compiler, but for the sanitizers: there is no `unsafe` to watch.
const FLAGS: [&str; 9] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Ccodegen-units=1",
    // Overflow, which nothing here may rely on, is a finding.
    "-Cdebug-assertions",
    "--cfg=fuzzing",
];

/// Longest input: a conversation of some hundred packets.
const MAX_LEN: u32 = 4096;

impl Args {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        if let Some(missing) = missing() {
            anyhow::bail!(missing);
        }
        let all = targets()?;
        let unknown = self.target.iter().find(|name| !all.contains(name));
        if let Some(name) = unknown {
            anyhow::bail!("no target `{name}`: there are {}", all.join(", "));
        }
        let chosen = if self.target.is_empty() {
            &all
        } else {
            &self.target
        };
        let mut steps = Steps::default();
        match &self.input {
            Some(input) => {
                let input = input.canonicalize().context("--input")?;
                build()?;
                for name in chosen {
                    steps.run(name, || succeed(program(name)?.arg(&input)));
                }
            }
            None => fuzz(&mut steps, chosen, self.seconds),
        }
        Ok(steps.finish())
    }
}

/// Adds a run of every target to `steps`; a skipped one where something is missing.
pub(super) fn fuzz_all(steps: &mut Steps, seconds: u64) {
    match (missing(), targets()) {
        (Some(missing), _) => steps.skip("fuzzing", &missing),
        (None, Ok(all)) => fuzz(steps, &all, seconds),
        (None, Err(error)) => steps.run("fuzzing", || Err(error)),
    }
}

fn fuzz(steps: &mut Steps, targets: &[String], seconds: u64) {
    let mut built = false;
    steps.run("fuzz targets and seeds", || {
        build()?;
        seeds()?;
        built = true;
        Ok(())
    });
    if !built {
        return;
    }
    for name in targets {
        steps.run(&format!("fuzzing {name}"), || run(name, seconds));
    }
}

/// What this machine lacks.
fn missing() -> Option<String> {
    let compilers = ["c++", "g++", "clang++"];
    let mut found = compilers.iter().flat_map(|name| paths::executables(name));
    if found.next().is_some() || std::env::var_os("CXX").is_some() {
        return None;
    }
    Some("no C++ compiler for libFuzzer: `apt-get install g++`".into())
}

fn directory() -> PathBuf {
    paths::workspace().join("fw-common/fuzz")
}

/// The names of all targets, which are those of the files.
fn targets() -> Result<Vec<String>> {
    let dir = directory().join("fuzz_targets");
    let entries = dir.read_dir().with_context(|| dir.display().to_string())?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let is_source = path.extension().is_some_and(|ext| ext == "rs");
            let stem = path.file_stem()?.to_str()?;
            is_source.then(|| stem.to_owned())
        })
        .collect();
    names.sort();
    Ok(names)
}

fn build() -> Result<()> {
    succeed(
        cargo()
            .current_dir(directory())
            // A target named, even this machine's own, keeps the flags from build scripts and macros.
            .args(["build", "--release", "--target", &host_triple()?])
            .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"))
            .env_remove("CARGO_TARGET_DIR"),
    )
}

/// Writes the seeds into the corpus of each target.
fn seeds() -> Result<()> {
    succeed(
        cargo()
            .current_dir(directory())
            .args(["run", "--quiet", "--example", "seeds"])
            .env_remove("CARGO_TARGET_DIR"),
    )
}

/// The instrumented program of a target.
fn program(name: &str) -> Result<Command> {
    let built = directory()
        .join("target")
        .join(host_triple()?)
        .join("release")
        .join(name);
    let mut command = Command::new(built);
    command.current_dir(directory());
    Ok(command)
}

fn run(name: &str, seconds: u64) -> Result<()> {
    let (corpus, artifacts) = (format!("corpus/{name}"), format!("artifacts/{name}/"));
    for dir in [&corpus, &artifacts] {
        std::fs::create_dir_all(directory().join(dir))?;
    }
    let mut command = program(name)?;
    command
        .arg(&corpus)
        .arg(format!("-artifact_prefix={artifacts}"))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={MAX_LEN}"))
        .args(["-print_final_stats=1", "-verbosity=0", "-timeout=5"]);
    say::command(&command);
    let status = command.status().context("can't run the target")?;
    ensure!(
        status.success(),
        "{name} has a finding: see above; `cargo xtask fuzz {name} --input \
         fw-common/fuzz/{artifacts}FILE` repeats it"
    );
    Ok(())
}
