//! Statements.

use super::{Style, expr, rule, set};
use crate::rules::ir::{
    CounterRef, DataType, Family, Limit, LimitUnit, Log, LogFlags, LogLevel, ObjectRef, Quota,
    Reject, Stateful, Statement, Table, UpdateOp, Verdict,
};
use crate::rules::symbols;
use crate::rules::value::print_time;

pub(super) fn statements(table: &Table, all: &[Statement], style: Style, tabs: usize) -> String {
    let texts: Vec<String> = all
        .iter()
        .filter(|one| !matches!(one, Statement::Match(one) if one.implied))
        .map(|one| statement(table, one, style, tabs))
        .collect();
    texts.join(" ")
}

fn statement(table: &Table, one: &Statement, style: Style, tabs: usize) -> String {
    let text = |one| expr::expr(table, one, style, tabs);
    let map = |id| set::reference(table, id, style, tabs);
    match one {
        Statement::Match(one) => expr::compare(table, one, style, tabs),
        Statement::Verdict(one) => verdict(table, one, style, tabs),
        Statement::VerdictMap { key, map: id } => format!("{} vmap {}", text(key), map(*id)),
        Statement::Reject(one) => reject(table.family, *one),
        Statement::Counter(CounterRef::Own { packets, bytes }) => stateful(
            &Stateful::Counter {
                packets: *packets,
                bytes: *bytes,
            },
            style,
        ),
        Statement::Counter(CounterRef::Named(id)) => {
            format!("counter name \"{}\"", table.counters[id.0].name)
        }
        Statement::Counter(CounterRef::Map { key, map: id }) => {
            format!("counter name {} map {}", text(key), map(*id))
        }
        Statement::Limit(ObjectRef::Own(limit)) => stateful(&Stateful::Limit(*limit), style),
        Statement::Limit(ObjectRef::Named(id)) => {
            format!("limit name \"{}\"", table.limits[id.0].name)
        }
        Statement::Limit(ObjectRef::Map { key, map: id }) => {
            format!("limit name {} map {}", text(key), map(*id))
        }
        Statement::Quota(ObjectRef::Own(quota)) => stateful(&Stateful::Quota(*quota), style),
        Statement::Quota(ObjectRef::Named(id)) => {
            format!("quota name \"{}\"", table.quotas[id.0].name)
        }
        Statement::Quota(ObjectRef::Map { key, map: id }) => {
            format!("quota name {} map {}", text(key), map(*id))
        }
        Statement::CtCount(count) => stateful(count, style),
        Statement::Log(one) => log(one),
        Statement::Notrack => "notrack".into(),
        Statement::SetCtMark(value) => format!("ct mark set {}", text(value)),
        Statement::SetMark(value) => format!("meta mark set {}", text(value)),
        Statement::SetUpdate { .. } => update(table, one, style, tabs),
        Statement::FlowOffload(id) => format!("flow add @{}", table.flowtables[id.0].name),
    }
}

pub(super) fn verdict(table: &Table, one: &Verdict, style: Style, tabs: usize) -> String {
    let (word, id) = match one {
        Verdict::Accept => return "accept".into(),
        Verdict::Drop => return "drop".into(),
        Verdict::Return => return "return".into(),
        Verdict::Continue => return "continue".into(),
        Verdict::Jump(id) => ("jump", id),
        Verdict::Goto(id) => ("goto", id),
    };
    let chain = table.chain(*id);
    if let Some(name) = &chain.name {
        return format!("{word} {name}");
    }
    let indent = "\t".repeat(tabs);
    let mut text = format!("{word} {{\n");
    for one in &chain.rules {
        let one = rule(table, one, style, tabs + 1);
        text.push_str(&format!("{indent}\t{one}\n"));
    }
    text.push_str(&format!("{indent}}}"));
    text
}

fn reject(family: Family, one: Reject) -> String {
    use DataType as T;
    let (word, datatype, code) = match (one, family) {
        (Reject::TcpReset, _) => return "reject with tcp reset".into(),
        // What a bare `reject` means there.
        (Reject::Icmpx(1), _) | (Reject::Icmp(3), Family::Ip) => return "reject".into(),
        (Reject::Icmpv6(4), Family::Ip6) => return "reject".into(),
        (Reject::Icmp(code), _) => ("icmp", T::IcmpCode, code),
        (Reject::Icmpv6(code), _) => ("icmpv6", T::Icmpv6Code, code),
        (Reject::Icmpx(code), _) => ("icmpx", T::IcmpxCode, code),
    };
    let name = symbols::name_of(datatype, code.into()).map_or(code.to_string(), str::to_owned);
    format!("reject with {word} {name}")
}

/// A number of bytes in the largest unit that leaves no rest.
fn bytes(number: u64) -> String {
    match number {
        0 => "0 bytes".into(),
        n if n % (1 << 20) == 0 => format!("{} mbytes", n >> 20),
        n if n % (1 << 10) == 0 => format!("{} kbytes", n >> 10),
        n => format!("{n} bytes"),
    }
}

pub(super) fn limit_rate(limit: &Limit) -> String {
    let over = if limit.over { "over " } else { "" };
    let per = limit.per.name();
    let (rate, burst) = match limit.unit {
        LimitUnit::Packets => {
            let burst = match limit.burst {
                5 => String::new(),
                other => format!(" burst {other} packets"),
            };
            (format!("{}/{per}", limit.rate), burst)
        }
        LimitUnit::Bytes => {
            let burst = match limit.burst {
                0 => String::new(),
                other => format!(" burst {}", bytes(other)),
            };
            (format!("{}/{per}", bytes(limit.rate)), burst)
        }
    };
    format!("rate {over}{rate}{burst}")
}

pub(super) fn quota_bytes(quota: &Quota, style: Style) -> String {
    let over = if quota.over { "over " } else { "" };
    let used = match quota.used {
        used if used > 0 && !style.stateless => format!(" used {}", bytes(used)),
        _ => String::new(),
    };
    format!("{over}{}{used}", bytes(quota.bytes))
}

pub(super) fn stateful(one: &Stateful, style: Style) -> String {
    match one {
        Stateful::Counter { .. } if style.stateless => "counter".into(),
        Stateful::Counter { packets, bytes } => format!("counter packets {packets} bytes {bytes}"),
        Stateful::Limit(limit) => format!("limit {}", limit_rate(limit)),
        Stateful::Quota(quota) => format!("quota {}", quota_bytes(quota, style)),
        Stateful::CtCount { over, count } => {
            let over = if *over { "over " } else { "" };
            format!("ct count {over}{count}")
        }
    }
}

/// What every new element gets a copy of: it counts nothing itself.
pub(super) fn template(one: &Stateful) -> String {
    let style = Style {
        stateless: true,
        ..Style::default()
    };
    stateful(one, style)
}

fn log(one: &Log) -> String {
    let mut text = String::from("log");
    if let Some(prefix) = &one.prefix {
        text.push_str(&format!(" prefix \"{prefix}\""));
    }
    if let Some(group) = one.group {
        text.push_str(&format!(" group {group}"));
        if let Some(length) = one.snaplen {
            text.push_str(&format!(" snaplen {length}"));
        }
        if let Some(packets) = one.queue_threshold {
            text.push_str(&format!(" queue-threshold {packets}"));
        }
    }
    if let Some(level) = one.level.filter(|level| *level != LogLevel::Warn) {
        let found = LogLevel::NAMES.iter().find(|(_, known)| *known == level);
        text.push_str(&format!(" level {}", found.map_or("", |(name, _)| name)));
    }
    text.push_str(&log_flags(one.flags));
    text
}

fn log_flags(flags: LogFlags) -> String {
    let LogFlags {
        tcp_sequence,
        tcp_options,
        ip_options,
        skuid,
        ether,
    } = flags;
    if tcp_sequence && tcp_options && ip_options && skuid && ether {
        return " flags all".into();
    }
    let mut text = String::new();
    match (tcp_sequence, tcp_options) {
        (true, true) => text.push_str(" flags tcp sequence,options"),
        (true, false) => text.push_str(" flags tcp sequence"),
        (false, true) => text.push_str(" flags tcp options"),
        (false, false) => {}
    }
    for (there, words) in [
        (ip_options, " flags ip options"),
        (skuid, " flags skuid"),
        (ether, " flags ether"),
    ] {
        if there {
            text.push_str(words);
        }
    }
    text
}

fn update(table: &Table, one: &Statement, style: Style, tabs: usize) -> String {
    let Statement::SetUpdate {
        op,
        set: id,
        key,
        data,
        timeout,
        statements,
    } = one
    else {
        return String::new();
    };
    let mut element = expr::expr(table, key, style, tabs);
    if let Some(timeout) = timeout {
        element.push_str(&format!(" timeout {}", print_time(timeout.as_millis())));
    }
    for one in statements {
        element.push_str(&format!(" {}", template(one)));
    }
    if let Some(data) = data {
        element.push_str(&format!(" : {}", expr::expr(table, data, style, tabs)));
    }
    let found = table.set(*id);
    let name = found.name.as_deref().unwrap_or("");
    if found.meter {
        let size = found.size.unwrap_or(0);
        return format!("meter {name} size {size} {{ {element} }}");
    }
    let word = match op {
        UpdateOp::Add => "add",
        UpdateOp::Update => "update",
        UpdateOp::Delete => "delete",
    };
    format!("{word} @{name} {{ {element} }}")
}
