//! Numbers with units: durations, rates, sizes; and quoted strings.

use std::time::Duration;

use super::{Parse, Parser};
use crate::rules::diag::Diagnostic;
use crate::rules::ir::{Limit, LimitUnit, Quota, Stateful, TimeUnit};
use crate::rules::lex::{Kind, Punct, is_octal};
use crate::rules::span::Span;
use crate::rules::value;

/// nft's default of a limit of packets.
const DEFAULT_BURST: u64 = 5;

impl Parser<'_> {
    /// A number that fits.
    pub(super) fn number<T: TryFrom<u128>>(&mut self, what: &str) -> Parse<T> {
        let token = self.peek();
        let mut span = token.span;
        let text = match token.kind {
            Kind::Number => {
                self.advance();
                self.text(token.span).to_owned()
            }
            Kind::Punct(Punct::Dollar) => {
                let variable = self.variable()?;
                span = variable.span;
                self.name_of(&variable, what)?.text
            }
            _ => return self.unexpected(what),
        };
        if is_octal(&text) {
            return self.octal(span, &text);
        }
        let value = parse_number(&text).and_then(|value| T::try_from(value).ok());
        match value {
            Some(value) => Ok(value),
            None => self.fail(Diagnostic::error(span, format!("{what} out of range"))),
        }
    }

    /// Refuses a number that nft reads otherwise than it is written.
    pub(super) fn octal<T>(&mut self, span: Span, text: &str) -> Parse<T> {
        let refused = value::octal(text);
        self.fail(Diagnostic::error(span, refused.message).maybe_help(refused.help))
    }

    /// A string in quotes, or a word.
    pub(super) fn string(&mut self, what: &str) -> Parse<String> {
        let token = self.peek();
        match token.kind {
            Kind::Word if super::words::is_keyword(self.text(token.span)) => self.unexpected(what),
            Kind::Quoted | Kind::Word | Kind::Wildcard => {
                self.advance();
                Ok(self.text(token.span).to_owned())
            }
            _ => self.unexpected(what),
        }
    }

    /// `"…"` after `comment`: as long as nft takes it.
    pub(super) fn comment(&mut self) -> Parse<String> {
        let span = self.peek().span;
        let text = self.string("a comment in quotes")?;
        if text.len() > 128 {
            let message = Diagnostic::error(span, "comment too long")
                .label(format!("{} bytes; 128 at most", text.len()));
            return self.fail(message);
        }
        Ok(text)
    }

    /// `1d2h`, `30s`, or a number of seconds.
    pub(super) fn duration(&mut self) -> Parse<Duration> {
        let token = self.peek();
        if !matches!(token.kind, Kind::Time | Kind::Number | Kind::Quoted) {
            return self.unexpected("a time like `30s` or `1h30m`");
        }
        self.advance();
        let milliseconds = parse_time(self.text(token.span));
        match milliseconds.and_then(|time| u64::try_from(time).ok()) {
            Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
            None => self.fail(Diagnostic::error(token.span, "time out of range")),
        }
    }

    /// `bytes`, `kbytes` or `mbytes`: how many bytes one is.
    fn byte_unit(&mut self) -> Option<u64> {
        let unit = byte_unit(&self.word()?)?;
        self.advance();
        Some(unit)
    }

    fn times(&mut self, span: Span, number: u64, unit: u64) -> Parse<u64> {
        match number.checked_mul(unit) {
            Some(bytes) => Ok(bytes),
            None => self.fail(Diagnostic::error(span, "number of bytes out of range")),
        }
    }

    /// `[over|until] N unit [used N unit]`, behind `quota`.
    pub(super) fn quota(&mut self) -> Parse<Quota> {
        let over = self.over();
        let bytes = self.bytes()?;
        let used = if self.take_word("used") {
            self.bytes()?
        } else {
            0
        };
        Ok(Quota { bytes, used, over })
    }

    fn bytes(&mut self) -> Parse<u64> {
        let span = self.peek().span;
        let number = self.number("a number of bytes")?;
        match self.byte_unit() {
            Some(unit) => self.times(span, number, unit),
            None => self.unexpected_of("`bytes`, `kbytes` or `mbytes`", &BYTES),
        }
    }

    /// `over`, or `until`, which says that it is not.
    pub(super) fn over(&mut self) -> bool {
        if self.take_word("over") {
            return true;
        }
        self.take_word("until");
        false
    }

    /// `rate [over] N[ unit]/time [burst N unit]`, behind `limit`.
    pub(super) fn limit(&mut self) -> Parse<Limit> {
        self.expect_word("rate")?;
        let over = self.over();
        let start = self.peek().span;
        let number: u64 = self.number("a rate")?;
        let (bytes, per) = self.rate_unit()?;
        let rate = self.times(start, number, bytes.unwrap_or(1))?;
        if rate == 0 {
            let message = Diagnostic::error(start, "a rate of 0")
                .help("nothing would match: use a verdict without limit");
            return self.fail(message);
        }
        let unit = match bytes {
            Some(_) => LimitUnit::Bytes,
            None => LimitUnit::Packets,
        };
        let burst = self.burst(unit)?;
        Ok(Limit {
            rate,
            per,
            unit,
            burst,
            over,
        })
    }

    /// `/second`, or `kbytes/second`, which is one word.
    fn rate_unit(&mut self) -> Parse<(Option<u64>, TimeUnit)> {
        if self.take(Punct::Slash) {
            let word = self.word().unwrap_or_default();
            return match time_unit(&word) {
                Some(unit) => {
                    self.advance();
                    Ok((None, unit))
                }
                None => self.unexpected_of(
                    "`second`, `minute`, `hour`, `day` or `week`",
                    &UNITS.map(TimeUnit::name),
                ),
            };
        }
        let word = self.word().unwrap_or_default();
        let found = word
            .split_once('/')
            .and_then(|(bytes, per)| Some((byte_unit(bytes)?, time_unit(per)?)));
        match found {
            Some((bytes, per)) => {
                self.advance();
                Ok((Some(bytes), per))
            }
            None => {
                let words = ["bytes/second", "kbytes/second", "mbytes/second"];
                self.unexpected_of("`/second` or `kbytes/second` and the like", &words)
            }
        }
    }

    fn burst(&mut self, unit: LimitUnit) -> Parse<u64> {
        if !self.take_word("burst") {
            return Ok(match unit {
                LimitUnit::Packets => DEFAULT_BURST,
                LimitUnit::Bytes => 0,
            });
        }
        let span = self.peek().span;
        let number: u32 = self.number("a burst")?;
        match unit {
            LimitUnit::Packets => {
                self.expect_word("packets")?;
                if number == 0 {
                    return self.fail(Diagnostic::error(span, "packet limit burst must be > 0"));
                }
                Ok(number.into())
            }
            LimitUnit::Bytes => match self.byte_unit() {
                Some(bytes) => {
                    let burst = self.times(span, number.into(), bytes)?;
                    if burst > u32::MAX.into() {
                        return self.fail(Diagnostic::error(span, "a burst out of range"));
                    }
                    Ok(burst)
                }
                None => self.unexpected_of("`bytes`, `kbytes` or `mbytes`", &BYTES),
            },
        }
    }

    /// `[packets N bytes N]`, behind `counter`.
    pub(super) fn counts(&mut self) -> Parse<(u64, u64)> {
        if !self.take_word("packets") {
            return Ok((0, 0));
        }
        let packets = self.number("a number of packets")?;
        self.expect_word("bytes")?;
        Ok((packets, self.number("a number of bytes")?))
    }

    /// `counter …`, `limit …`, `quota …`, `ct count …`: what a set's elements can have.
    pub(super) fn stateful(&mut self) -> Parse<Option<Stateful>> {
        let Some(word) = self.word() else {
            return Ok(None);
        };
        let statement = match word.as_str() {
            "counter" => {
                self.advance();
                let (packets, bytes) = self.counts()?;
                Stateful::Counter { packets, bytes }
            }
            "limit" => {
                self.advance();
                Stateful::Limit(self.limit()?)
            }
            "quota" => {
                self.advance();
                Stateful::Quota(self.quota()?)
            }
            "ct" => {
                self.advance();
                self.expect_word("count")?;
                self.ct_count()?
            }
            _ => return Ok(None),
        };
        Ok(Some(statement))
    }

    /// `[over] N`, behind `ct count`.
    pub(super) fn ct_count(&mut self) -> Parse<Stateful> {
        let over = self.take_word("over");
        let count = self.number("a number of connections")?;
        Ok(Stateful::CtCount { over, count })
    }
}

const BYTES: [&str; 3] = ["bytes", "kbytes", "mbytes"];

fn byte_unit(word: &str) -> Option<u64> {
    match word {
        "bytes" => Some(1),
        "kbytes" => Some(1 << 10),
        "mbytes" => Some(1 << 20),
        _ => None,
    }
}

const UNITS: [TimeUnit; 5] = [
    TimeUnit::Second,
    TimeUnit::Minute,
    TimeUnit::Hour,
    TimeUnit::Day,
    TimeUnit::Week,
];

fn time_unit(word: &str) -> Option<TimeUnit> {
    UNITS.into_iter().find(|unit| unit.name() == word)
}

/// Decimal or `0x…`.
pub(in crate::rules) fn parse_number(text: &str) -> Option<u128> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u128::from_str_radix(hex, 16).ok(),
        None if text.starts_with('+') => None,
        None => text.parse().ok(),
    }
}

/// Milliseconds of `1d2h3m4s5ms`; a bare number is seconds.
pub(in crate::rules) fn parse_time(text: &str) -> Option<u128> {
    const UNITS: [(&str, u128); 5] = [
        ("ms", 1),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
    ];
    if let Some(seconds) = parse_number(text) {
        return seconds.checked_mul(1000);
    }
    let mut rest = text;
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|next: char| !next.is_ascii_digit())?;
        let number: u128 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (name, unit) = UNITS.iter().find(|(name, _)| rest.starts_with(name))?;
        total = total.checked_add(number.checked_mul(*unit)?)?;
        rest = &rest[name.len()..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers() {
        assert_eq!(parse_time("1d2h3m4s5ms"), Some(93_784_005));
        assert_eq!(parse_time("30"), Some(30_000));
        assert_eq!(parse_time("30x"), None);
        assert_eq!(parse_number("0x1F"), Some(31));
        assert_eq!(parse_number("+1"), None);
    }
}
