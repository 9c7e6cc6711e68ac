//! How the demo looks: headings, prompts, explanations, all on standard output.

use std::io::{IsTerminal as _, stdout};

/// Begins a scene.
pub(super) fn heading(text: &str) {
    println!("\n{}", styled("1", &format!("=== {text}")));
}

/// Says what happens.
pub(super) fn say(text: &str) {
    println!("    {text}");
}

/// Says what the output above means.
pub(super) fn explain(text: &str) {
    println!("{}", styled("36", &format!("    ^ {text}")));
}

/// Shows a command at a host's prompt.
pub(super) fn prompt(host: &str, command: &str) {
    println!(
        "{} {}",
        styled("32", &format!("{host}#")),
        styled("1", command)
    );
}

fn styled(sgr: &str, text: &str) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if plain || !stdout().is_terminal() {
        return text.to_owned();
    }
    format!("\x1b[{sgr}m{text}\x1b[0m")
}
