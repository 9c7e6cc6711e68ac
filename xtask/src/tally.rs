//! Reads what `cargo test -- --show-output` prints: counts, and picks what a person wants to see.
//!
//! libtest knows no skipped tests: one that lacks root passes. Such a test says so in a line that
//! begins with `SKIP`, which is shown only with `--show-output`, together with all that the tests
//! that passed have printed. So that part is read here and not shown.

/// Counts of tests, and the parser's place in the text.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
    failures: Vec<String>,
    /// What is running, as cargo announces it.
    program: String,
    section: Section,
    /// Tests of this program that said `SKIP`: its result line counts them as passed.
    pretenders: u32,
}

/// Part of a test program's output.
#[derive(Debug, Default, PartialEq, Eq)]
enum Section {
    #[default]
    Progress,
    Successes,
    Failures,
}

impl Tally {
    /// Takes in the next line; whether to show it.
    pub(crate) fn read(&mut self, line: &str) -> bool {
        if let Some(program) = announced(line) {
            program.clone_into(&mut self.program);
            self.section = Section::Progress;
            self.pretenders = 0;
            return true;
        }
        match line {
            "successes:" => self.section = Section::Successes,
            "failures:" => self.section = Section::Failures,
            _ if line.starts_with("test result: ") => self.read_result(line),
            _ if line.starts_with("SKIP ") => self.read_skip(),
            _ => return self.read_other(line),
        }
        self.section != Section::Successes || line.starts_with("SKIP ")
    }

    /// The tests that failed since this was last called.
    pub(crate) fn take_failures(&mut self) -> Vec<String> {
        std::mem::take(&mut self.failures)
    }

    /// `test result: ok. 8 passed; 0 failed; 1 ignored; …`
    fn read_result(&mut self, line: &str) {
        self.section = Section::Progress;
        let pretenders = std::mem::take(&mut self.pretenders);
        self.passed += number_before(line, " passed").saturating_sub(pretenders);
        self.failed += number_before(line, " failed");
        self.skipped += number_before(line, " ignored");
    }

    fn read_skip(&mut self) {
        self.skipped += 1;
        self.pretenders += 1;
    }

    fn read_other(&mut self, line: &str) -> bool {
        if self.section == Section::Failures
            && let Some(test) = between(line, "---- ", " stdout ----")
        {
            self.failures.push(format!("{}: {test}", self.program));
        }
        let noise = line.is_empty() || line.starts_with("running ");
        let passed =
            line.starts_with("test ") && (line.ends_with(" ok") || line.contains("ignored"));
        match self.section {
            Section::Progress => !noise && !passed,
            Section::Successes => false,
            Section::Failures => true,
        }
    }
}

/// The program in `     Running tests/lab.rs (target/debug/deps/lab-0123)` or `   Doc-tests xtask`.
fn announced(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let rest = line
        .strip_prefix("Running ")
        .or_else(|| line.strip_prefix("Doc-tests "))?;
    let name = rest.split(" (").next()?;
    Some(name.strip_prefix("unittests ").unwrap_or(name))
}

/// The number that stands before `word`; 0 if there is none.
fn number_before(line: &str, word: &str) -> u32 {
    let before = line.split(word).next().unwrap_or_default();
    before
        .rsplit(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

fn between<'a>(line: &'a str, start: &str, end: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.strip_suffix(end)
}

#[cfg(test)]
mod tests {
    use super::Tally;

    const OUTPUT: &str = "\
   Compiling fw-common v0.1.0
    Finished `test` profile [unoptimized + debuginfo] target(s) in 1.00s
     Running unittests src/lib.rs (target/debug/deps/fw_common-0123)

running 2 tests
test flow::key ... ok
test flow::later ... ignored

test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

     Running tests/lab.rs (target/debug/deps/lab-4567)

running 3 tests
test one ... ok
test two ... ok
test three ... FAILED

successes:

---- one stdout ----
SKIP one: needs root

---- two stdout ----
chatter

successes:
    one
    two

failures:

---- three stdout ----
assertion failed

failures:
    three

test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.93s

   Doc-tests xtask
";

    #[test]
    fn counts_skipped_tests_apart() {
        let mut tally = Tally::default();
        OUTPUT.lines().for_each(|line| {
            tally.read(line);
        });
        assert_eq!((tally.passed, tally.failed, tally.skipped), (2, 1, 2));
        assert_eq!(tally.take_failures(), ["tests/lab.rs: three"]);
        assert_eq!(tally.program, "xtask");
    }

    #[test]
    fn a_run_of_nothing_but_skipped_tests_passed_none() {
        let mut tally = Tally::default();
        for line in [
            "successes:",
            "SKIP one: needs root",
            "test result: ok. 1 passed; 0 failed; 0 ignored",
        ] {
            tally.read(line);
        }
        assert_eq!((tally.passed, tally.failed, tally.skipped), (0, 0, 1));
    }

    #[test]
    fn shows_failures_and_no_chatter() {
        let mut tally = Tally::default();
        let shown: Vec<&str> = OUTPUT.lines().filter(|line| tally.read(line)).collect();
        for wanted in [
            "SKIP one: needs root",
            "assertion failed",
            "test three ... FAILED",
        ] {
            assert!(shown.contains(&wanted), "{wanted} in {shown:?}");
        }
        assert!(!shown.contains(&"chatter"));
        assert!(!shown.contains(&"test one ... ok"));
    }
}
