//! What the compiler refuses.

use std::fmt;

use super::super::ir::Source;

/// Something in a ruleset that can't be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// Where it stands.
    pub source: Source,
    /// What is wrong and what to do.
    pub message: String,
}

impl CompileError {
    /// A refusal of what stands at `source`.
    pub(super) fn new(source: Source, message: impl Into<String>) -> Self {
        Self {
            source,
            message: message.into(),
        }
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Source { line, column, .. } = self.source;
        if line == 0 {
            return f.write_str(&self.message);
        }
        write!(f, "line {line}, column {column}: {}", self.message)
    }
}

impl std::error::Error for CompileError {}
