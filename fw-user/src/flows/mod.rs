//! Flows as people and scripts see them: entries, filters, and the formats of `fwctl list`.
//!
//! The line format, its words and its order are conntrack(8)'s.

mod cells;
mod columns;
mod entry;
mod event;
mod filter;
#[cfg(test)]
pub(crate) mod fixtures;
mod interfaces;
mod json;
mod line;
mod names;
mod order;
mod print;
mod rates;
mod rule_names;
mod save;
mod select;
mod table;
mod xml;

pub use cells::Row;
pub(crate) use cells::{Field, Tint, few, scaled};
pub(crate) use columns::Columns;
pub use entry::{Endpoints, FlowEntry, Key, Service, Side};
pub use event::{Cause, EventKind, FlowEvent};
pub use filter::{Filter, Masked, Prefix};
pub use interfaces::Interfaces;
pub(crate) use json::{Rows, rfc3339};
pub(crate) use names::proto_word;
pub use names::{
    family_name, has_ports, parse_family, parse_proto, parse_u8, parse_u16, proto_name,
    proto_number, state_name, state_names,
};
pub(crate) use order::First;
pub use order::Sort;
pub use print::{EventPrinter, Format, Layout, Printer};
pub use rates::{Meter, Rate, Rates};
pub use rule_names::{RuleNames, Ruled};
pub use select::{CommonFilterArgs, FilterArgs, SelectError, mark};
