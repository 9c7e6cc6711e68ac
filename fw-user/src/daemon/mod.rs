//! The daemon.

mod lock;
mod preflight;
