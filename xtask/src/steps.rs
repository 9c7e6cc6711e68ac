//! A series of checks: each announced and timed, all run, the outcome at the end.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::say;
use crate::tally::Tally;

/// The checks so far.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration, bool)>,
    tally: Tally,
    failures: Vec<String>,
}

impl Steps {
    /// Runs `work` as the check called `name`. An error is a failed check, not the end.
    pub(crate) fn run(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        self.time(name, |steps| match work() {
            Ok(()) => true,
            Err(error) => steps.fail(name, &format!("{error:#}")),
        });
    }

    /// Runs `work`, which runs tests, as the check called `name`.
    pub(crate) fn run_tests(&mut self, name: &str, work: impl FnOnce(&mut Tally) -> Result<()>) {
        self.time(name, |steps| {
            let outcome = work(&mut steps.tally);
            let failures = steps.tally.take_failures();
            let explained = !failures.is_empty();
            steps.failures.extend(failures);
            match outcome {
                Ok(()) => !explained,
                // The failed tests say it better.
                Err(_) if explained => false,
                Err(error) => steps.fail(name, &format!("{error:#}")),
            }
        });
    }

    /// Notes that the check called `name` cannot run here.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        say::note(&format!("SKIP {name}: {why}"));
        self.tally.skipped += 1;
    }

    fn time(&mut self, name: &str, work: impl FnOnce(&mut Self) -> bool) {
        say::heading(name);
        let start = Instant::now();
        let ok = work(self);
        let took = start.elapsed();
        let word = if ok {
            say::styled("32", "ok")
        } else {
            say::styled("1;31", "FAILED")
        };
        say::note(&format!("{word}: {name}, {:.1} s", took.as_secs_f32()));
        self.done.push((name.to_owned(), took, ok));
    }

    fn fail(&mut self, name: &str, why: &str) -> bool {
        say::note(why);
        self.failures.push(format!("{name}: {why}"));
        self.tally.failed += 1;
        false
    }

    /// Prints the summary; the last line, on standard output, has the numbers.
    pub(crate) fn finish(&self) -> ExitCode {
        say::heading("summary");
        for (name, took, ok) in &self.done {
            let word = if *ok { "ok" } else { "FAILED" };
            say::note(&format!("{word:<6} {:>7.1} s  {name}", took.as_secs_f32()));
        }
        for failure in &self.failures {
            say::note(&say::styled("31", &format!("failed: {failure}")));
        }
        let Tally {
            passed,
            failed,
            skipped,
            ..
        } = &self.tally;
        println!("{passed} passed, {failed} failed, {skipped} skipped");
        if *failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// Shows and runs `command`; it must succeed.
///
/// # Errors
/// When it can't be started, or does not succeed.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    say::command(command);
    let status = command.status()?;
    anyhow::ensure!(status.success(), "{status}");
    Ok(())
}
