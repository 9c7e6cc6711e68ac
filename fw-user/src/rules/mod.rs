//! nftables' rule language: from text to a typed ruleset.

pub mod compile;
pub mod host;
pub mod ir;
