//! Sets, maps and their elements.

use super::{Style, expr, handle, line, statement};
use crate::rules::ir::{Data, DataKind, DataType, Element, ElementKey, Pattern, Set, SetId, Table};
use crate::rules::value::{print_bits, print_time};

/// `@name`, or the elements of a set that has none.
pub(super) fn reference(table: &Table, id: SetId, style: Style, tabs: usize) -> String {
    let set = table.set(id);
    if let Some(name) = &set.name {
        return format!("@{name}");
    }
    let elements: Vec<String> = set
        .elements
        .iter()
        .map(|one| element(table, set, one, style, tabs))
        .collect();
    format!("{{ {} }}", elements.join(", "))
}

pub(super) fn print_set(table: &Table, set: &Set, style: Style) -> String {
    let kind = if set.data.is_some() { "map" } else { "set" };
    let mut out = format!("\t{kind} {} {{", set.name.as_deref().unwrap_or(""));
    handle(&mut out, set.handle, style);
    out.push('\n');
    line(&mut out, 2, &types(table, set, style));
    if let Some(size) = set.size {
        line(&mut out, 2, &format!("size {size}"));
    }
    let flags = flags(set);
    if !flags.is_empty() {
        line(&mut out, 2, &format!("flags {flags}"));
    }
    for one in &set.statements {
        line(&mut out, 2, &statement::template(one));
    }
    if set.auto_merge {
        line(&mut out, 2, "auto-merge");
    }
    if let Some(timeout) = set.timeout {
        line(
            &mut out,
            2,
            &format!("timeout {}", print_time(timeout.as_millis())),
        );
    }
    if let Some(interval) = set.gc_interval {
        line(
            &mut out,
            2,
            &format!("gc-interval {}", print_time(interval.as_millis())),
        );
    }
    if let Some(comment) = &set.comment {
        line(&mut out, 2, &format!("comment \"{comment}\""));
    }
    if !set.elements.is_empty() && !style.terse {
        out.push_str(&elements(table, set, style));
    }
    line(&mut out, 1, "}");
    out
}

fn types(table: &Table, set: &Set, style: Style) -> String {
    let data = match (&set.data_typeof, set.data) {
        (Some(one), _) => format!(" : {}", expr::expr(table, one, style, 2)),
        (None, Some(DataKind::Verdict)) => " : verdict".into(),
        (None, Some(DataKind::Value(datatype))) => format!(" : {}", datatype.name()),
        (None, Some(DataKind::Counter)) => " : counter".into(),
        (None, Some(DataKind::Limit)) => " : limit".into(),
        (None, Some(DataKind::Quota)) => " : quota".into(),
        (None, None) => String::new(),
    };
    match &set.key_typeof {
        Some(exprs) => {
            let parts: Vec<String> = exprs
                .iter()
                .map(|one| expr::expr(table, one, style, 2))
                .collect();
            format!("typeof {}{data}", parts.join(" . "))
        }
        None => {
            let parts: Vec<&str> = set.key.iter().map(|one| one.name()).collect();
            format!("type {}{data}", parts.join(" . "))
        }
    }
}

fn flags(set: &Set) -> String {
    let others = set.flags.constant || set.flags.dynamic || set.flags.interval;
    let flags = [
        (set.flags.constant, "constant"),
        (set.flags.dynamic, "dynamic"),
        (set.flags.interval, "interval"),
        // With a default lifetime nft finds the flag redundant, if no other is there.
        (
            set.flags.timeout && (set.timeout.is_none() || others),
            "timeout",
        ),
    ];
    let names: Vec<&str> = flags
        .iter()
        .filter(|(there, _)| *there)
        .map(|(_, name)| *name)
        .collect();
    names.join(",")
}

/// `elements = { … }` with as many a line as nft prints of that type.
fn elements(table: &Table, set: &Set, style: Style) -> String {
    const INDENT: &str = ",\n\t\t\t     ";
    let a_line = match set.key.as_slice() {
        [DataType::Ipv4Addr | DataType::CtState | DataType::CtStatus | DataType::PktType] => 2,
        [DataType::InetService | DataType::InetProto | DataType::Mark | DataType::Integer(_)] => 5,
        [DataType::IfIndex | DataType::NfProto | DataType::TcpFlag | DataType::CtDir] => 5,
        _ => 1,
    };
    let mut text = String::from("\t\telements = { ");
    for (count, one) in set.elements.iter().enumerate() {
        if count > 0 {
            text.push_str(if count % a_line == 0 { INDENT } else { ", " });
        }
        text.push_str(&element(table, set, one, style, 2));
    }
    text.push_str(" }\n");
    text
}

/// One element, as it stands in its set.
#[must_use]
pub fn print_element(table: &Table, set: &Set, one: &Element) -> String {
    element(table, set, one, Style::default(), 2)
}

fn element(table: &Table, set: &Set, one: &Element, style: Style, tabs: usize) -> String {
    let mut text = key(set, &one.key);
    if let Some(extras) = &one.extras {
        for one in &extras.statements {
            text.push_str(&format!(" {}", statement::stateful(one, style)));
        }
        if let Some(timeout) = extras.timeout {
            text.push_str(&format!(" timeout {}", print_time(timeout.as_millis())));
        }
        if let Some(expires) = extras.expires {
            text.push_str(&format!(" expires {}", print_time(expires.as_millis())));
        }
        if let Some(comment) = &extras.comment {
            text.push_str(&format!(" comment \"{comment}\""));
        }
    }
    let data = match &one.data {
        None => return text,
        Some(Data::Verdict(verdict)) => statement::verdict(table, verdict, style, tabs),
        Some(Data::Value(value)) => match set.data {
            Some(DataKind::Value(datatype)) => expr::pattern(value, datatype),
            _ => String::new(),
        },
        Some(Data::Counter(id)) => format!("\"{}\"", table.counters[id.0].name),
        Some(Data::Limit(id)) => format!("\"{}\"", table.limits[id.0].name),
        Some(Data::Quota(id)) => format!("\"{}\"", table.quotas[id.0].name),
    };
    format!("{text} : {data}")
}

fn key(set: &Set, key: &ElementKey) -> String {
    if *key == ElementKey::Any {
        return "*".into();
    }
    let parts: Vec<String> = key
        .patterns()
        .iter()
        .zip(&set.key)
        .map(|(one, datatype)| match one {
            Pattern::Exact(bits) if datatype.is_bitmask() => print_bits(*datatype, *bits, " | "),
            one => expr::pattern(one, *datatype),
        })
        .collect();
    parts.join(" . ")
}
