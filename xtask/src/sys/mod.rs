//! The fence: the only module of this crate that may hold `unsafe`.

pub mod packet;
