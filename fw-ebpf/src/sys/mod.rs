//! The fence: everything that needs `unsafe`, behind functions that do not.

pub(crate) mod answer;
pub(crate) mod atomic;
mod connections;
pub(crate) mod entry;
pub(crate) mod fragments;
pub(crate) mod helpers;
pub(crate) mod hops;
mod inbound;
pub(crate) mod kernel;
pub(crate) mod machines;
pub(crate) mod maps;
mod packed;
pub(crate) mod packet;
pub(crate) mod report;
pub(crate) mod ruleset;
pub(crate) mod scratch;
mod sets;
pub(crate) mod settling;
pub(crate) mod skb;
pub(crate) mod sources;
pub(crate) mod subprogram;
pub(crate) mod tracing;
pub(crate) mod trails;
