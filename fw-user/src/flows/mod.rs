//! Flows as people and scripts see them: entries, filters, and the formats of `fwctl list`.
//!
//! The line format, its words and its order are conntrack(8)'s.

mod entry;
mod filter;
#[cfg(test)]
mod fixtures;
mod interfaces;
mod json;
mod line;
mod names;
mod print;
mod save;
mod select;
mod table;
mod xml;

pub use entry::{Endpoints, FlowEntry, Key, Service, Side};
pub use filter::{Filter, Masked, Prefix};
pub use interfaces::Interfaces;
pub use names::{
    family_name, has_ports, parse_family, parse_proto, proto_name, proto_number, state_name,
    state_names,
};
pub use print::{Format, Layout, Printer};
pub use select::{FilterArgs, SelectError};
pub use table::Reading;
