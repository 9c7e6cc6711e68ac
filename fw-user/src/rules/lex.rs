//! Text to tokens: nftables' words, numbers, addresses and punctuation, each with its place.
//!
//! As in nft's scanner the longest token wins, so `ssh-telnet` is one word, `22-25` is three tokens
//! and `fe80::1` is an address. What a word means is the parser's business.

use std::net::Ipv6Addr;

use super::span::{FileId, Span};

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// What it is.
    pub(super) kind: Kind,
    /// Where it stands. Of a quoted string: what is between the quotes.
    pub(super) span: Span,
}

/// Kinds of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// A keyword or name.
    Word,
    /// A word that ends in `*`, quoted or not.
    Wildcard,
    /// Decimal or `0x…`.
    Number,
    /// A number with a 0 in front that makes another one of it: see [`is_octal`].
    Octal,
    /// `1d2h30s`.
    Time,
    /// An IPv4, IPv6 or Ethernet address.
    Address,
    /// `"…"`.
    Quoted,
    /// Punctuation and operators, by how they are written.
    Punct(Punct),
    /// End of a line.
    Newline,
    /// Nothing that the language knows.
    Junk,
    /// End of the text.
    End,
}

macro_rules! punctuation {
    ($($name:ident $text:literal,)*) => {
        /// Punctuation and operators.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(in crate::rules) enum Punct { $($name,)* }

        impl Punct {
            /// Longer ones stand before those that they begin with.
            const ALL: &[Self] = &[$(Self::$name,)*];

            /// How it is written.
            #[must_use]
            pub(super) fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

punctuation! {
    EqEq "==", NotEq "!=", LessEq "<=", GreaterEq ">=", ShiftLeft "<<", ShiftRight ">>",
    Less "<", Greater ">", Equals "=", Not "!", And "&", Or "|", Xor "^", Slash "/", Dash "-",
    Plus "+", Star "*", Comma ",", Colon ":", Semicolon ";", Dot ".", At "@", Dollar "$",
    OpenBrace "{", CloseBrace "}", OpenParen "(", CloseParen ")", OpenBracket "[",
    CloseBracket "]",
}

/// Reads a text token by token.
#[derive(Clone, Debug)]
pub(super) struct Lexer {
    file: FileId,
    position: usize,
    /// Where a line ended as those of DOS do.
    dos: Option<usize>,
}

impl Lexer {
    /// At the begin of a text.
    #[must_use]
    pub(super) fn new(file: FileId) -> Self {
        Self {
            file,
            position: 0,
            dos: None,
        }
    }

    /// The first line of a text that ends as those of DOS do, with a carriage return, if one does. In comments
    /// they harm nobody.
    pub(super) fn dos_line_end(file: FileId, text: &str) -> Option<Span> {
        if !text.contains("\r\n") {
            return None;
        }
        let mut lexer = Self::new(file);
        while lexer.dos.is_none() && lexer.next(text).kind != Kind::End {}
        let at = lexer.dos?;
        Some(lexer.token(Kind::Newline, at, at + 1).span)
    }

    /// The next token of `text`, which must be the same at each call.
    pub(super) fn next(&mut self, text: &str) -> Token {
        self.skip_blanks(text);
        let start = self.position;
        let rest = text.get(start..).unwrap_or("");
        let Some(first) = rest.chars().next() else {
            return self.token(Kind::End, start, start);
        };
        let (kind, length) = match first {
            '\n' => (Kind::Newline, 1),
            '"' => return self.quoted(rest),
            '_' | 'a'..='z' | 'A'..='Z' | '0'..='9' | ':' => word_or_number(rest),
            _ => punctuation(rest).unwrap_or((Kind::Junk, first.len_utf8())),
        };
        self.position += length;
        self.token(kind, start, self.position)
    }

    fn token(&self, kind: Kind, start: usize, end: usize) -> Token {
        let narrow = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        Token {
            kind,
            span: Span {
                file: self.file,
                start: narrow(start),
                end: narrow(end),
            },
        }
    }

    /// Blanks, comments, and ends of lines behind a backslash.
    fn skip_blanks(&mut self, text: &str) {
        loop {
            let rest = text.get(self.position..).unwrap_or("");
            let skip = if rest.starts_with([' ', '\t']) {
                1
            } else if rest.starts_with("\r\n") {
                self.dos.get_or_insert(self.position);
                1
            } else if rest.starts_with("\\\r\n") {
                self.dos.get_or_insert(self.position + 1);
                3
            } else if rest.starts_with("\\\n") {
                2
            } else if rest.starts_with('#') {
                rest.find('\n').unwrap_or(rest.len())
            } else {
                return;
            };
            self.position += skip;
        }
    }

    /// nft's strings know no escapes and end at the next quote.
    fn quoted(&mut self, rest: &str) -> Token {
        let start = self.position + 1;
        let inner = rest.get(1..).unwrap_or("");
        let Some(length) = inner
            .find(['"', '\n'])
            .filter(|end| inner[*end..].starts_with('"'))
        else {
            self.position += inner.find('\n').unwrap_or(inner.len()) + 1;
            return self.token(Kind::Junk, start - 1, self.position);
        };
        self.position = start + length + 1;
        let kind = if inner[..length].ends_with('*') {
            Kind::Wildcard
        } else {
            Kind::Quoted
        };
        self.token(kind, start, start + length)
    }
}

fn punctuation(rest: &str) -> Option<(Kind, usize)> {
    let found = Punct::ALL.iter().find(|one| rest.starts_with(one.text()))?;
    let length = found.text().len();
    // nft takes `.tcp` for a word; a concatenation's dot stands alone.
    let glued = rest[length..].starts_with(|next: char| next.is_ascii_alphanumeric());
    if *found == Punct::Dot && glued {
        return Some((Kind::Junk, length));
    }
    Some((Kind::Punct(*found), length))
}

/// The longest of: an address, a word, a time, a number.
fn word_or_number(rest: &str) -> (Kind, usize) {
    let address = address_length(rest);
    let word = word_length(rest);
    if address > 0 && address >= word {
        return (Kind::Address, address);
    }
    if word > 0 {
        if rest[word..].starts_with('*') {
            return (Kind::Wildcard, word + 1);
        }
        return (Kind::Word, word);
    }
    if rest.starts_with(':') {
        return (Kind::Punct(Punct::Colon), 1);
    }
    number(rest)
}

fn run_length(rest: &str, belongs: impl Fn(char) -> bool) -> usize {
    rest.find(|next: char| !belongs(next)).unwrap_or(rest.len())
}

fn word_length(rest: &str) -> usize {
    if rest.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        run_length(rest, |next| {
            next.is_ascii_alphanumeric() || matches!(next, '/' | '-' | '_' | '.')
        })
    } else {
        0
    }
}

/// Longest text of an IPv6 address with an IPv4 address in it.
const LONGEST_ADDRESS: usize = 46;

fn address_length(rest: &str) -> usize {
    let run = run_length(rest, |next| {
        next.is_ascii_hexdigit() || matches!(next, ':' | '.')
    });
    let run = &rest[..run.min(LONGEST_ADDRESS)];
    let dotted = run_length(run, |next| next.is_ascii_digit() || next == '.');
    let dotted = run[..dotted].trim_end_matches('.');
    // What looks like one is taken for one, be it wrong: then it is said what it is not.
    let groups = dotted.split('.');
    let looks_like =
        groups.clone().count() > 2 && groups.into_iter().all(|group| !group.is_empty());
    let mut best = if looks_like { dotted.len() } else { 0 };
    if run.bytes().filter(|byte| *byte == b':').count() >= 2 {
        let candidates = (best + 1..=run.len()).rev();
        let found = candidates.into_iter().find(|end| {
            let text = &run[..*end];
            text.parse::<Ipv6Addr>().is_ok() || is_ethernet(text)
        });
        best = found.unwrap_or(best);
    }
    best
}

fn is_ethernet(text: &str) -> bool {
    let groups = text.split(':');
    groups.clone().count() == 6
        && groups
            .into_iter()
            .all(|group| matches!(group.len(), 1 | 2) && !group.contains('.'))
}

fn number(rest: &str) -> (Kind, usize) {
    // The two words that begin with a digit.
    for word in ["8021ad", "8021q"] {
        if rest.starts_with(word) {
            return (Kind::Word, word.len());
        }
    }
    if let Some(hex) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        let digits = run_length(hex, |next| next.is_ascii_hexdigit());
        if digits > 0 {
            return (Kind::Number, 2 + digits);
        }
    }
    let time = time_length(rest);
    if time > 0 {
        return (Kind::Time, time);
    }
    let digits = run_length(rest, |next| next.is_ascii_digit());
    let kind = if is_octal(&rest[..digits]) {
        Kind::Octal
    } else {
        Kind::Number
    };
    (kind, digits)
}

/// Whether nft reads digits as octal because of a 0 in front of them, and not as the number that stands
/// there: `0120` and `08`, but not `07`.
pub(super) fn is_octal(text: &str) -> bool {
    let digits = text.trim_start_matches('0');
    digits.len() < text.len()
        && digits.bytes().all(|digit| digit.is_ascii_digit())
        && (digits.len() > 1 || matches!(digits, "8" | "9"))
}

/// Length of `1d2h3m4s5ms`: units from long to short, each at most once.
fn time_length(rest: &str) -> usize {
    let mut end = 0;
    for unit in ["d", "h", "m", "s", "ms"] {
        let digits = run_length(&rest[end..], |next| next.is_ascii_digit());
        let after = &rest[end + digits..];
        // `5ms` is five milliseconds, not five minutes.
        if digits > 0 && after.starts_with(unit) && !(unit == "m" && after.starts_with("ms")) {
            end += digits + unit.len();
        }
    }
    let glued = rest[end..].starts_with(|next: char| next.is_ascii_alphabetic());
    if glued { 0 } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        let mut lexer = Lexer::new(FileId(0));
        std::iter::from_fn(|| {
            let token = lexer.next(text);
            let stands = &text[token.span.start as usize..token.span.end as usize];
            (token.kind != Kind::End).then_some((token.kind, stands))
        })
        .collect()
    }

    #[test]
    fn the_longest_token_wins() {
        use Kind::{Address, Number, Octal, Punct as P, Time, Wildcard, Word};
        let dash = (P(Punct::Dash), "-");
        assert_eq!(kinds("ssh-telnet"), [(Word, "ssh-telnet")]);
        assert_eq!(kinds("22-25"), [(Number, "22"), dash, (Number, "25")]);
        assert_eq!(
            kinds("1.2.3.4-fe80::1"),
            [(Address, "1.2.3.4"), dash, (Address, "fe80::1")]
        );
        assert_eq!(kinds("1:2:3:4:5:6"), [(Address, "1:2:3:4:5:6")]);
        for wrong in ["1.2.3.400", "10.0.0", "10.0.0.010", "1.2.3.4.5"] {
            assert_eq!(kinds(wrong), [(Address, wrong)]);
        }
        assert_eq!(
            kinds("22:accept"),
            [(Number, "22"), (P(Punct::Colon), ":"), (Word, "accept")]
        );
        assert_eq!(kinds("1d2h5ms"), [(Time, "1d2h5ms")]);
        assert_eq!(kinds("5ms 5m"), [(Time, "5ms"), (Time, "5m")]);
        assert_eq!(kinds("eth*"), [(Wildcard, "eth*")]);
        assert_eq!(kinds("0x1f"), [(Number, "0x1f")]);
        assert_eq!(kinds("0x01f"), [(Number, "0x01f")]);
        assert_eq!(kinds("08h"), [(Time, "08h")]);
        for number in ["0", "00", "07", "10"] {
            assert_eq!(kinds(number), [(Number, number)]);
        }
        for octal in ["010", "08", "009", "00017"] {
            assert_eq!(kinds(octal), [(Octal, octal)]);
        }
        assert_eq!(kinds("::"), [(Address, "::")]);
    }

    #[test]
    fn comments_and_continued_lines_vanish() {
        assert_eq!(
            kinds("a # b \"c\nd \\\n e"),
            [
                (Kind::Word, "a"),
                (Kind::Newline, "\n"),
                (Kind::Word, "d"),
                (Kind::Word, "e")
            ]
        );
    }

    #[test]
    fn lines_of_dos_are_found_outside_of_comments() {
        let found = |text| Lexer::dos_line_end(FileId(0), text).map(|span| span.start);
        assert_eq!(found("a # b\r\nc\r\nd\r\n"), Some(8));
        assert_eq!(found("a \\\r\nb"), Some(3));
        assert_eq!(found("a # b\r\n"), None);
        assert_eq!(kinds("a\rb")[1].0, Kind::Junk);
    }

    #[test]
    fn strings_end_on_their_line() {
        assert_eq!(kinds("\"a b\""), [(Kind::Quoted, "a b")]);
        assert_eq!(kinds("\"eth*\""), [(Kind::Wildcard, "eth*")]);
        assert_eq!(kinds("\"a\n")[0].0, Kind::Junk);
        assert_eq!(kinds("\u{1}é")[0].0, Kind::Junk);
    }
}
