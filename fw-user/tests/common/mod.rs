//! What the root tests share: the gate, frames, the loaded programs.
#![expect(dead_code, reason = "each test binary uses its own part")]

pub mod frames;
pub mod program;

/// Whether this test may run: it needs root. Without, it says so and passes, unless
/// `FW_REQUIRE_ROOT=1` (as in CI) makes that a failure.
pub fn root(test: &str) -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    assert!(
        std::env::var_os("FW_REQUIRE_ROOT").is_none_or(|v| v != "1"),
        "{test} needs root, and FW_REQUIRE_ROOT=1 forbids to skip it"
    );
    eprintln!("SKIP {test}: needs root (run `cargo xtask test`)");
    false
}
