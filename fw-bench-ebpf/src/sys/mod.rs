//! The fence: the only modules of this crate that may hold `unsafe`.

pub(crate) mod maps;
pub(crate) mod packet;
