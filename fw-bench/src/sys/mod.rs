//! The fence: the only modules of this crate that may hold `unsafe`.

mod plain;
pub(crate) mod thread;
