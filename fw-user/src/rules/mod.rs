//! nftables' rule language: from text to a typed ruleset.

pub mod ir;
