//! What the fuzz targets do with their input: the same checks as the property tests.

#[path = "../../tests/oracle/mod.rs"]
mod oracle;
#[path = "../../tests/support/mod.rs"]
mod support;

mod frame;
mod options;
mod packets;
mod talk;

pub use frame::frame;
pub use options::tcp_options;
pub use packets::packets;
pub use talk::talk;
