//! The fence: the only modules of this crate that may hold `unsafe`.

pub(crate) mod child;
mod plain;
pub(crate) mod thread;
