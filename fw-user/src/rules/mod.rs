//! nftables' rule language: from text to a typed ruleset, and back.
//!
//! text → `lex` → tokens → `parse` → `ast` → `resolve` → [`ir`] → `print` → text. Only `ir` leaves this
//! module: the compiler reads it, listings print it. All mistakes of a file come in one
//! [`diag::Report`].

mod ast;
pub mod compile;
pub mod diag;
pub mod elements;
pub mod failsafe;
mod files;
pub mod host;
pub mod intervals;
pub mod ir;
mod lex;
mod load;
pub mod logline;
mod parse;
mod print;
mod refuse;
mod resolve;
pub mod span;
mod symbols;
mod system;
mod value;

pub use load::{Loaded, Options, load_file, load_from, load_text};
pub use print::{Style, print_element, print_ruleset};
pub use system::System;
