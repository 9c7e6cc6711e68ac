//! Durations as users write them: `30`, `30s`, `3m`, `5d`, `1h30m`, and `250ms` where that is fine
//! enough to mean something.

use std::time::Duration;

use fw_common::timeout::Timeout;

/// What stands after a number, longest first: `1h30m` must not be written `30m1h`.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// How a duration is written, for error messages.
pub const SYNTAX: &str = "`30`, `30s`, `3m`, `5d` or `1h30m`";

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not of the form number, unit, number, unit…
    #[error("a duration is written {SYNTAX}")]
    Syntax,
    /// More than 2^64 milliseconds.
    #[error("the duration is too long")]
    Overflow,
}

/// Reads a duration of at least 0; a bare number is seconds.
///
/// # Errors
/// [`DurationError::Syntax`] also for units that do not get smaller from left to right.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        let secs = text.parse().map_err(|_| DurationError::Overflow)?;
        return Ok(Duration::from_secs(secs));
    }
    let mut rest = text;
    let mut millis = 0_u64;
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let (value, scale, tail) = component(rest)?;
        if scale >= smallest {
            return Err(DurationError::Syntax);
        }
        smallest = scale;
        millis = value
            .checked_mul(scale)
            .and_then(|part| millis.checked_add(part))
            .ok_or(DurationError::Overflow)?;
        rest = tail;
    }
    if smallest == u64::MAX {
        return Err(DurationError::Syntax);
    }
    Ok(Duration::from_millis(millis))
}

/// One number with its unit, and what follows.
fn component(text: &str) -> Result<(u64, u64, &str), DurationError> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
    let (number, rest) = text.split_at(digits);
    if number.is_empty() {
        return Err(DurationError::Syntax);
    }
    let unit_len = rest
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    let (unit, tail) = rest.split_at(unit_len);
    let scale = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or(DurationError::Syntax)?
        .1;
    let value = number.parse().map_err(|_| DurationError::Overflow)?;
    Ok((value, scale, tail))
}

/// What a timeout may be, for error messages.
#[must_use]
pub fn timeout_range() -> String {
    let max = Timeout::MAX_SECS;
    let longest = show(Duration::from_secs(max.into()));
    format!("1 to {max} seconds ({longest})")
}

/// Reads a timeout: whole seconds within [`timeout_range`].
///
/// # Errors
/// A sentence that says what is expected.
pub fn parse_timeout(text: &str) -> Result<u32, String> {
    let expected = || format!("{}, written {SYNTAX}", timeout_range());
    let duration = parse(text).map_err(|_| expected())?;
    match u32::try_from(duration.as_secs()) {
        Ok(secs @ 1..=Timeout::MAX_SECS) if duration.subsec_nanos() == 0 => Ok(secs),
        _ => Err(expected()),
    }
}

/// Reads a timeout that may be 0.
///
/// # Errors
/// A sentence that says what is expected.
pub fn parse_pause(text: &str) -> Result<u32, String> {
    match parse(text) {
        Ok(duration) if duration.is_zero() => Ok(0),
        _ => parse_timeout(text).map_err(|expected| format!("0, or {expected}")),
    }
}

/// The duration as [`parse`] reads it, down to whole seconds if it is a second or longer.
#[must_use]
pub fn show(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis >= 1000 {
        millis -= millis % 1000;
    }
    let mut text = String::new();
    for (unit, scale) in UNITS {
        if millis >= scale {
            text.push_str(&format!("{}{unit}", millis / scale));
            millis %= scale;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_documented_form() {
        for (text, secs) in [
            ("30", 30),
            ("30s", 30),
            ("3m", 180),
            ("5d", 432_000),
            ("1h30m", 5400),
            ("1d2h3m4s", 93_784),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(secs)), "{text}");
        }
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn a_pause_may_be_none() {
        for (text, secs) in [("0", 0), ("0s", 0), ("2", 2), ("3m", 180)] {
            assert_eq!(parse_pause(text), Ok(secs), "{text}");
        }
        for text in ["-1", "500ms", "soon", "2147484"] {
            let expected = parse_pause(text).expect_err(text);
            assert!(expected.starts_with("0, or 1 to 2147483"), "{expected}");
        }
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in [
            "", "-5", "-5s", "+5", "5 s", "s", "5x", "1m1h", "1m1m", "1h30", "1.5h", "٣",
        ] {
            assert_eq!(parse(text), Err(DurationError::Syntax), "{text:?}");
        }
        for text in ["18446744073709551616", "213503982335d"] {
            assert_eq!(parse(text), Err(DurationError::Overflow), "{text:?}");
        }
    }

    #[test]
    fn timeouts_are_whole_seconds_in_range() {
        assert_eq!(parse_timeout("5d"), Ok(432_000));
        assert_eq!(parse_timeout("2147483"), Ok(2_147_483));
        for text in ["0", "0s", "-1", "2147484", "25d", "500ms", "1s500ms"] {
            let error = parse_timeout(text).expect_err(text);
            assert!(error.contains("1 to 2147483 seconds"), "{error}");
        }
    }

    #[test]
    fn shows_what_it_reads() {
        for text in ["30s", "3m", "5d", "1h30m", "250ms", "0s"] {
            assert_eq!(show(parse(text).expect(text)), text);
        }
        assert_eq!(show(Duration::from_millis(1500)), "1s");
    }
}
