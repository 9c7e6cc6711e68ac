//! What the chores tell the user: on standard error, so that standard output stays for results.

use std::env;
use std::io::{IsTerminal as _, stderr};
use std::process::Command;

/// A heading.
pub(crate) fn heading(text: &str) {
    eprintln!("\n{}", styled("1", &format!("== {text}")));
}

/// One line of progress.
pub(crate) fn note(text: &str) {
    eprintln!("   {text}");
}

/// The command that is about to run, as the user could type it.
pub(crate) fn command(command: &Command) {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&quoted(&arg.to_string_lossy()));
    }
    eprintln!("   {}", styled("2", &format!("$ {line}")));
}

/// `text` with the SGR attributes `sgr`, if standard error is a terminal that wants colour.
pub(crate) fn styled(sgr: &str, text: &str) -> String {
    let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if plain || !stderr().is_terminal() {
        return text.to_owned();
    }
    format!("\x1b[{sgr}m{text}\x1b[0m")
}

fn quoted(arg: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@%+".contains(c);
    if !arg.is_empty() && arg.chars().all(harmless) {
        return arg.to_owned();
    }
    format!("'{}'", arg.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn quoted_survives_a_shell() {
        assert_eq!(quoted("--root=target/tools"), "--root=target/tools");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
