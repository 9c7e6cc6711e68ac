//! Expressions and comparisons.

use crate::rules::ir::{
    CtField, DataType, Direction, Expr, ExtField, FibKey, FibResult, Field, Match, Op, Pattern,
    Right, Table, TcpOption, TcpOptionField,
};
use crate::rules::print::{Style, set};
use crate::rules::value;

pub(in crate::rules) fn field(field: Field) -> String {
    match field {
        Field::Header(header) => format!("{} {}", header.protocol().name(), header.name()),
        Field::Meta(meta) if meta.is_bare() => meta.name().to_owned(),
        Field::Meta(meta) => format!("meta {}", meta.name()),
        Field::Ct(ct, direction) => ct_field(ct, direction),
        Field::TcpOption(option, field) => {
            format!(
                "tcp option {} {}",
                option_name(option, field),
                option_field(field)
            )
        }
        Field::TcpOptionExists(option) => format!("tcp option {}", option.name()),
        Field::ExtHeader(header, field) => format!("{} {}", header.name(), ext_field(field)),
        Field::ExtHeaderExists(header) => format!("exthdr {}", header.name()),
        Field::Fib { key, result } => fib(key, result),
    }
}

fn ct_field(ct: CtField, direction: Option<Direction>) -> String {
    match direction {
        // Both directions have the same.
        Some(direction) if !matches!(ct, CtField::L3proto | CtField::Protocol) => {
            format!("ct {} {}", direction.name(), ct.name())
        }
        _ => format!("ct {}", ct.name()),
    }
}

fn option_name(option: TcpOption, field: TcpOptionField) -> String {
    match field {
        TcpOptionField::Left(block) | TcpOptionField::Right(block) if block > 0 => {
            format!("{}{block}", option.name())
        }
        _ => option.name().to_owned(),
    }
}

fn option_field(field: TcpOptionField) -> &'static str {
    match field {
        TcpOptionField::Length => "length",
        TcpOptionField::Size => "size",
        TcpOptionField::Count => "count",
        TcpOptionField::Left(_) => "left",
        TcpOptionField::Right(_) => "right",
        TcpOptionField::Tsval => "tsval",
        TcpOptionField::Tsecr => "tsecr",
    }
}

fn ext_field(field: ExtField) -> &'static str {
    field.name()
}

fn fib(key: FibKey, result: FibResult) -> String {
    let parts = [
        (key.saddr, "saddr"),
        (key.daddr, "daddr"),
        (key.mark, "mark"),
        (key.iif, "iif"),
        (key.oif, "oif"),
    ];
    let parts: Vec<&str> = parts
        .iter()
        .filter(|(there, _)| *there)
        .map(|(_, name)| *name)
        .collect();
    let result = match result {
        FibResult::Oif | FibResult::OifExists => "oif",
        FibResult::Oifname => "oifname",
        FibResult::Type => "type",
    };
    format!("fib {} {result}", parts.join(" . "))
}

pub(super) fn expr(table: &Table, one: &Expr, style: Style, tabs: usize) -> String {
    match one {
        Expr::Field(one) => field(*one),
        Expr::Constant(constant, datatype) if datatype.is_bitmask() => {
            value::print_bits(*datatype, *constant, " | ")
        }
        Expr::Constant(constant, datatype) => value::print(*datatype, *constant),
        Expr::Bitwise {
            expr: inner,
            mask,
            flip,
        } => {
            let inner_text = operand(table, inner, style, tabs);
            bitwise(&inner_text, inner.datatype(), *mask, *flip)
        }
        Expr::Shift {
            expr: inner,
            left,
            by,
        } => {
            let sign = if *left { "<<" } else { ">>" };
            format!("{} {sign} {by}", operand(table, inner, style, tabs))
        }
        Expr::Concat(parts) => {
            let parts: Vec<String> = parts
                .iter()
                .map(|part| expr(table, part, style, tabs))
                .collect();
            parts.join(" . ")
        }
        Expr::Map { key, map } => format!(
            "{} map {}",
            expr(table, key, style, tabs),
            set::reference(table, *map, style, tabs)
        ),
    }
}

fn operand(table: &Table, inner: &Expr, style: Style, tabs: usize) -> String {
    let text = expr(table, inner, style, tabs);
    match inner {
        Expr::Bitwise { .. } | Expr::Shift { .. } => format!("({text})"),
        _ => text,
    }
}

/// `(x & mask) ^ flip` in the words that make it so: as nft takes it apart again.
fn bitwise(inner: &str, datatype: DataType, mask: u128, flip: u128) -> String {
    let all = datatype.max();
    let number = |value: u128| match datatype {
        DataType::Mark => format!("0x{value:08x}"),
        one if one.is_bitmask() => {
            let bits = value::print_bits(one, value, " | ");
            if bits.contains('|') {
                format!("({bits})")
            } else {
                bits
            }
        }
        one => value::print(one, value),
    };
    if flip == 0 {
        return format!("{inner} & {}", number(mask));
    }
    if mask == all {
        return format!("{inner} ^ {}", number(flip));
    }
    // Bits that are cleared and then inverted are set: an or.
    let set = flip & !mask & all;
    let inverted = flip & mask;
    let kept = (mask | set) & all;
    let mut text = inner.to_owned();
    if kept != all {
        text = format!("{text} & {}", number(kept));
    }
    if inverted != 0 {
        text = format!("{text} ^ {}", number(inverted));
    }
    if set != 0 {
        text = format!("{text} | {}", number(set));
    }
    text
}

/// A value, range, prefix or name.
pub(super) fn pattern(one: &Pattern, datatype: DataType) -> String {
    match one {
        Pattern::Exact(exact) => value::print(datatype, *exact),
        Pattern::Range(first, last) => format!(
            "{}-{}",
            range_end(datatype, *first),
            range_end(datatype, *last)
        ),
        Pattern::Prefix(prefix, length) => {
            format!("{}/{length}", value::print(datatype, *prefix))
        }
        Pattern::Name(name) => format!("\"{name}\""),
        Pattern::Wildcard(name) => format!("\"{name}*\""),
    }
}

/// nft prints the ends of ranges as numbers, where both are.
fn range_end(datatype: DataType, end: u128) -> String {
    match datatype {
        DataType::Day
        | DataType::IcmpType
        | DataType::IcmpCode
        | DataType::Icmpv6Type
        | DataType::Icmpv6Code
        | DataType::IgmpType
        | DataType::InetProto
        | DataType::PktType
        | DataType::DevGroup
        | DataType::CtDir
        | DataType::NfProto
        | DataType::FibAddrType => end.to_string(),
        DataType::Dscp => format!("0x{end:02x}"),
        DataType::Time => format!("{}s", end / 1000),
        _ => value::print(datatype, end),
    }
}

pub(super) fn compare(table: &Table, one: &Match, style: Style, tabs: usize) -> String {
    let datatype = one.left.datatype();
    if let (
        true,
        Expr::Bitwise {
            expr: inner,
            mask,
            flip: 0,
        },
        Right::Patterns(right),
    ) = (datatype.is_bitmask(), &one.left, &one.right)
        && let ([Pattern::Exact(wanted)], Expr::Field(inner)) = (right.as_slice(), &**inner)
    {
        return flags(*inner, one.op, *mask, *wanted);
    }
    let left = expr(table, &one.left, style, tabs);
    let is_masked = matches!(one.left, Expr::Bitwise { .. } | Expr::Shift { .. });
    let right = match &one.right {
        Right::Set(id) => {
            let sign = match one.op {
                Op::Ne => " !=",
                _ if is_masked => " ==",
                _ => "",
            };
            return format!("{left}{sign} {}", set::reference(table, *id, style, tabs));
        }
        Right::Patterns(patterns) => right_side(patterns, &one.left, one.op),
    };
    let sign = match one.op {
        Op::Eq if datatype.is_bitmask() || is_masked => "== ",
        Op::Eq | Op::AnyBit => "",
        Op::Ne => "!= ",
        Op::Lt => "< ",
        Op::Gt => "> ",
        Op::Le => "<= ",
        Op::Ge => ">= ",
        Op::NoBit => "! ",
    };
    format!("{left} {sign}{right}")
}

fn right_side(patterns: &[Pattern], left: &Expr, op: Op) -> String {
    let parts: Vec<String> = patterns
        .iter()
        .zip(left.parts())
        .map(|(one, part)| {
            let datatype = part.datatype();
            match (one, op) {
                (Pattern::Exact(bits), Op::AnyBit | Op::NoBit) => {
                    value::print_bits(datatype, *bits, ",")
                }
                _ => pattern(one, datatype),
            }
        })
        .collect();
    parts.join(" . ")
}

/// `tcp flags syn / syn,ack`. nft prints the longer form for a single bit of each.
fn flags(inner: Field, op: Op, mask: u128, wanted: u128) -> String {
    let left = field(inner);
    let datatype = inner.datatype();
    let sign = if op == Op::Ne { "!= " } else { "" };
    if mask.count_ones() < 2 {
        let mask = value::print_bits(datatype, mask, ",");
        let wanted = value::print_bits(datatype, wanted, " | ");
        let sign = if op == Op::Ne { "!=" } else { "==" };
        return format!("{left} & {mask} {sign} {wanted}");
    }
    format!(
        "{left} {sign}{} / {}",
        value::print_bits(datatype, wanted, ","),
        value::print_bits(datatype, mask, ",")
    )
}
