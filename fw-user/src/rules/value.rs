//! Values: from text, once the type is known, and back.

use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::diag::did_you_mean;
use super::ir::{DataType, Pattern};
use super::lex::is_octal;
use super::parse::{parse_number, parse_time};
use super::symbols;

/// What a text is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadValue {
    /// In a sentence.
    pub(super) message: String,
    /// What was meant, perhaps.
    pub(super) help: Option<String>,
}

fn bad(message: impl Into<String>) -> BadValue {
    BadValue {
        message: message.into(),
        help: None,
    }
}

const NANOSECONDS: u128 = 1_000_000_000;
const SECONDS_A_DAY: i64 = 86_400;

/// IFNAMSIZ, with the terminating zero.
const LONGEST_NAME: usize = 16;

/// Reads a value of that type.
///
/// # Errors
/// What it is not.
pub(super) fn parse(datatype: DataType, text: &str) -> Result<Pattern, BadValue> {
    match datatype {
        DataType::IfName => interface(text).map(Pattern::Name),
        DataType::IfIndex => match parse_number(text) {
            Some(index) => fits(datatype, index),
            None => interface(text).map(Pattern::Name),
        },
        _ => number(datatype, text),
    }
}

/// Reads a name that ends in `*`.
///
/// # Errors
/// It is no name of interfaces.
pub(super) fn parse_wildcard(datatype: DataType, text: &str) -> Result<Pattern, BadValue> {
    let prefix = text.strip_suffix('*').unwrap_or(text);
    if datatype != DataType::IfName {
        let mut refused = bad(format!("a {} can't end in `*`", datatype.name()));
        if datatype == DataType::IfIndex {
            refused.help = Some("use `iifname` or `oifname`".into());
        }
        return Err(refused);
    }
    if prefix.is_empty() || prefix.ends_with('\\') {
        return Err(bad("a name in front of `*` is needed"));
    }
    interface(prefix).map(Pattern::Wildcard)
}

fn interface(text: &str) -> Result<Box<str>, BadValue> {
    if text.len() >= LONGEST_NAME {
        return Err(bad(format!(
            "String exceeds maximum length of {LONGEST_NAME}"
        )));
    }
    if text.is_empty() {
        return Err(bad("an interface has a name"));
    }
    Ok(text.into())
}

fn fits(datatype: DataType, value: u128) -> Result<Pattern, BadValue> {
    if value > datatype.max() {
        return Err(bad(format!(
            "Value {value} exceeds valid range 0-{}",
            datatype.max()
        )));
    }
    Ok(Pattern::Exact(value))
}

fn number(datatype: DataType, text: &str) -> Result<Pattern, BadValue> {
    // nft reads times in quotes as decimal, and nothing else.
    let is_time = matches!(datatype, DataType::Time | DataType::Date | DataType::Hour);
    if !is_time && is_octal(text) {
        return Err(octal(text));
    }
    let value = match datatype {
        DataType::Ipv4Addr => text.parse().map(|a: Ipv4Addr| u32::from(a).into()).ok(),
        DataType::Ipv6Addr => text.parse().map(|a: Ipv6Addr| u128::from(a)).ok(),
        DataType::EtherAddr => ethernet(text),
        DataType::Time => parse_time(text),
        DataType::Date => date(text),
        DataType::Hour => hour(text),
        _ => symbols::value_of(datatype, text).or_else(|| parse_number(text)),
    };
    match value {
        Some(value) => fits(datatype, value),
        None => Err(not_a(datatype, text)),
    }
}

/// Of digits with a 0 in front: what nft would read, and what to write.
#[must_use]
pub(super) fn octal(text: &str) -> BadValue {
    let decimal = text.trim_start_matches('0');
    match u128::from_str_radix(text, 8) {
        Ok(value) => BadValue {
            message: format!("`{text}` is octal for nft, {value}"),
            help: Some(format!("write {value}, or {decimal} if that is meant")),
        },
        Err(_) => BadValue {
            message: format!("`{text}` begins as an octal number and is none"),
            help: Some(format!("write {decimal}")),
        },
    }
}

fn not_a(datatype: DataType, text: &str) -> BadValue {
    let shown: String = text.chars().take(40).collect();
    let what = match datatype {
        DataType::Ipv4Addr => "an IPv4 address",
        DataType::Ipv6Addr => "an IPv6 address",
        DataType::EtherAddr => "an Ethernet address",
        DataType::InetService => "a port or a service's name",
        DataType::InetProto => "a protocol",
        DataType::Time => "a time like `30s`",
        DataType::Date => "a time like \"2026-12-31 23:59:59\"",
        DataType::Hour => "a time of day like \"17:30\"",
        DataType::Integer(_) | DataType::Mark => "a number",
        other => {
            let names = symbols::names(other).iter().map(|(name, _)| *name);
            return BadValue {
                message: format!("`{shown}` is no {}", other.name()),
                help: did_you_mean(text, names.clone()).or_else(|| {
                    let list: Vec<&str> = names.collect();
                    (!list.is_empty()).then(|| format!("it is one of {}", list.join(", ")))
                }),
            };
        }
    };
    let help = match datatype {
        DataType::Ipv4Addr | DataType::Ipv6Addr => looks_like_name(text)
            .then(|| "names of hosts are not looked up: write the address".to_owned())
            .or_else(|| with_zeroes(text)),
        DataType::InetService => did_you_mean(text, symbols::service_names()),
        _ => did_you_mean(text, symbols::names(datatype).iter().map(|(name, _)| *name)),
    };
    BadValue {
        message: format!("`{shown}` is not {what}"),
        help,
    }
}

/// What to do with the zeroes in front of an address' numbers.
fn with_zeroes(text: &str) -> Option<String> {
    let mut numbers = text.split('.');
    let zero = |number: &str| number.len() > 1 && number.starts_with('0');
    numbers
        .any(zero)
        .then(|| "with a 0 in front numbers are octal for nft: leave it out".to_owned())
}

fn looks_like_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && !text.contains(':')
}

fn ethernet(text: &str) -> Option<u128> {
    let mut groups = text.split(':');
    let mut value = 0;
    for _ in 0..6 {
        let group = groups.next().filter(|group| group.len() <= 2)?;
        value = value << 8 | u128::from_str_radix(group, 16).ok()?;
    }
    groups.next().is_none().then_some(value)
}

/// Local time, or seconds since 1970.
fn date(text: &str) -> Option<u128> {
    if let Some(seconds) = parse_number(text) {
        return seconds.checked_mul(NANOSECONDS);
    }
    let (day, time) = text.split_once(' ').unwrap_or((text, "00:00:00"));
    let day: Date = jiff::fmt::strtime::parse("%Y-%m-%d", day)
        .and_then(|parsed| parsed.to_date())
        .ok()?;
    let zoned = day
        .to_datetime(clock_time(time)?)
        .to_zoned(TimeZone::system())
        .ok()?;
    u128::try_from(zoned.timestamp().as_nanosecond()).ok()
}

fn clock_time(text: &str) -> Option<Time> {
    let format = if text.matches(':').count() == 2 {
        "%H:%M:%S"
    } else {
        "%H:%M"
    };
    jiff::fmt::strtime::parse(format, text)
        .and_then(|parsed| parsed.to_time())
        .ok()
}

/// Seconds that local time is ahead of UTC now: what nft takes for the whole year, too.
fn offset() -> i64 {
    Zoned::now().offset().seconds().into()
}

/// Second of the day in UTC of a local time.
fn hour(text: &str) -> Option<u128> {
    let time = clock_time(text)?;
    let seconds =
        i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    u128::try_from((seconds - offset()).rem_euclid(SECONDS_A_DAY)).ok()
}

/// Writes a value as nft does, `value` alone (not one of several bits).
#[must_use]
pub(super) fn print(datatype: DataType, value: u128) -> String {
    match datatype {
        DataType::Ipv4Addr => Ipv4Addr::from(u32::try_from(value).unwrap_or(0)).to_string(),
        DataType::Ipv6Addr => Ipv6Addr::from(value).to_string(),
        DataType::EtherAddr => print_ethernet(value),
        DataType::Mark => format!("0x{value:08x}"),
        DataType::Time => print_time(value),
        DataType::Date => print_date(value),
        DataType::Hour => print_hour(value),
        DataType::Day | DataType::DevGroup => match symbols::name_of(datatype, value) {
            Some(name) => format!("\"{name}\""),
            None => value.to_string(),
        },
        DataType::EtherType => match symbols::name_of(datatype, value) {
            Some(name) => name.to_owned(),
            None => format!("0x{value:04x}"),
        },
        DataType::TcpFlag | DataType::CtState | DataType::CtStatus | DataType::Dscp => {
            match symbols::name_of(datatype, value) {
                Some(name) => name.to_owned(),
                None => format!("0x{value:x}"),
            }
        }
        _ => match symbols::name_of(datatype, value) {
            Some(name) => name.to_owned(),
            None => value.to_string(),
        },
    }
}

fn print_ethernet(value: u128) -> String {
    let byte = |shift: u32| (value >> shift) & 0xff;
    let bytes = [40, 32, 24, 16, 8, 0].map(|shift| format!("{:02x}", byte(shift)));
    bytes.join(":")
}

/// `1d2h3m4s5ms`, without what is zero.
#[must_use]
pub(super) fn print_time(milliseconds: u128) -> String {
    const UNITS: [(u128, &str); 5] = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1000, "s"),
        (1, "ms"),
    ];
    let mut rest = milliseconds;
    let mut text = String::new();
    for (unit, name) in UNITS {
        if rest >= unit {
            text.push_str(&format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

fn print_date(nanoseconds: u128) -> String {
    let timestamp = i128::try_from(nanoseconds)
        .ok()
        .and_then(|time| Timestamp::from_nanosecond(time).ok());
    match timestamp {
        Some(timestamp) => {
            let local: DateTime = timestamp.to_zoned(TimeZone::system()).datetime();
            format!("\"{}\"", local.strftime("%Y-%m-%d %H:%M:%S"))
        }
        None => (nanoseconds / NANOSECONDS).to_string(),
    }
}

fn print_hour(utc: u128) -> String {
    let seconds = i64::try_from(utc).unwrap_or(0) + offset();
    let seconds = seconds.rem_euclid(SECONDS_A_DAY);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if seconds == 0 {
        format!("\"{hours:02}:{minutes:02}\"")
    } else {
        format!("\"{hours:02}:{minutes:02}:{seconds:02}\"")
    }
}

/// The names of a value's bits; the number where a bit has none or none is set.
#[must_use]
pub(super) fn print_bits(datatype: DataType, value: u128, between: &str) -> String {
    let set: Vec<_> = symbols::names(datatype)
        .iter()
        .filter(|(_, bit)| value & bit == *bit)
        .collect();
    let named = set.iter().fold(0, |all, (_, bit)| all | bit);
    if value == 0 || named != value {
        return format!("0x{value:x}");
    }
    let names: Vec<&str> = set.into_iter().map(|(name, _)| *name).collect();
    names.join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for (datatype, text, printed) in [
            (DataType::Ipv4Addr, "10.0.0.1", "10.0.0.1"),
            (DataType::Ipv6Addr, "::ffff:1.2.3.4", "::ffff:1.2.3.4"),
            (DataType::EtherAddr, "1:2:3:4:5:a", "01:02:03:04:05:0a"),
            (DataType::InetService, "ssh", "22"),
            (DataType::Mark, "5", "0x00000005"),
            (DataType::EtherType, "vlan", "8021q"),
            (DataType::EtherType, "0x1234", "0x1234"),
            (DataType::Time, "90s", "1m30s"),
            (DataType::Day, "Monday", "\"Monday\""),
            (DataType::Hour, "08:00", "\"08:00\""),
            (DataType::Date, "2026-01-02", "\"2026-01-02 00:00:00\""),
            (DataType::InetProto, "icmpv6", "ipv6-icmp"),
        ] {
            let Ok(Pattern::Exact(value)) = parse(datatype, text) else {
                panic!("{text}");
            };
            assert_eq!(print(datatype, value), printed);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(parse(DataType::InetService, "65536").is_err());
        assert!(parse(DataType::Ipv4Addr, "1.2.3").is_err());
        assert!(parse(DataType::IfName, "sixteen_letters_").is_err());
        assert!(
            parse(DataType::CtState, "establishd")
                .unwrap_err()
                .help
                .unwrap()
                .contains("established")
        );
        assert_eq!(print_bits(DataType::TcpFlag, 0x12, ","), "syn,ack");
    }
}
