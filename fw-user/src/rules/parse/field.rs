//! What stands on the left of a comparison.

use super::{Parse, Parser};
use crate::rules::ast::ExprKind;
use crate::rules::diag::{Diagnostic, did_you_mean};
use crate::rules::ir::{
    CtField, Direction, ExtField, ExtHeader, FibKey, FibResult, Field, Header, Meta, Protocol,
    TcpOption, TcpOptionField,
};
use crate::rules::lex::{Kind, Punct};
use crate::rules::refuse::{Place, refusal};

/// `meta` keys that nft reads without `meta`.
const BARE: [&str; 13] = [
    "iif", "iifname", "iiftype", "iifgroup", "oif", "oifname", "oiftype", "oifgroup", "mark",
    "pkttype", "cpu", "time", "day",
];

impl Parser<'_> {
    /// The field that begins here, if a field does.
    pub(super) fn field(&mut self) -> Parse<Option<ExprKind>> {
        let Some(word) = self.word() else {
            return Ok(None);
        };
        if BARE.contains(&word.as_str()) || word == "hour" {
            return self
                .meta(&word)
                .map(|meta| Some(ExprKind::Field(Field::Meta(meta))));
        }
        let field = match word.as_str() {
            "meta" => {
                self.advance();
                let key = self.word().unwrap_or_default();
                Field::Meta(self.meta(&key)?)
            }
            "ct" => {
                self.advance();
                return self.ct().map(Some);
            }
            "fib" => {
                self.advance();
                self.fib()?
            }
            "tcp" if self.second_is_option() => {
                self.advance();
                self.advance();
                self.tcp_option()?
            }
            "exthdr" => {
                self.advance();
                let header = self.ext_header()?;
                self.advance();
                Field::ExtHeaderExists(header)
            }
            "sctp" | "ip" if self.second_is_option() => return self.no_option(&word),
            _ => match Protocol::ALL.iter().find(|one| one.name() == word) {
                Some(protocol) => {
                    self.advance();
                    self.header(*protocol)?
                }
                None if ExtHeader::NAMES.iter().any(|(name, ..)| *name == word) && word != "rt"
                    || word == "rt" && self.second_is_rt_header() =>
                {
                    let header = self.ext_header()?;
                    self.advance();
                    self.ext_field(header)?
                }
                None => return Ok(None),
            },
        };
        Ok(Some(ExprKind::Field(field)))
    }

    fn second(&mut self) -> String {
        let token = self.peek_at(1);
        self.text(token.span).to_owned()
    }

    fn second_is_option(&mut self) -> bool {
        matches!(self.second().as_str(), "option" | "chunk")
    }

    /// `rt` is a header here and the route elsewhere.
    pub(super) fn begins_rt_header(&mut self) -> bool {
        self.is_word("rt") && self.second_is_rt_header()
    }

    fn second_is_rt_header(&mut self) -> bool {
        matches!(
            self.second().as_str(),
            "type" | "seg-left" | "nexthdr" | "hdrlength"
        )
    }

    fn no_option<T>(&mut self, word: &str) -> Parse<T> {
        let start = self.advance().span;
        let span = start.to(self.peek().span);
        let what = match word {
            "ip" => "options of IPv4",
            _ => "chunks of SCTP",
        };
        let message = Diagnostic::error(span, format!("{what} are not read"))
            .label("fwctl can't match this")
            .help("packets with IPv4 options go to the kernel: match there, with nft");
        self.fail(message)
    }

    fn meta(&mut self, key: &str) -> Parse<Meta> {
        if let Some((_, meta)) = Meta::NAMES.iter().find(|(name, _)| *name == key) {
            self.advance();
            return Ok(*meta);
        }
        self.refuse_word(Place::Meta)?;
        self.unexpected_of("what of the packet", &Meta::NAMES.map(|(name, _)| name))
    }

    /// Reports the word that comes next if nftables knows it here and we don't.
    pub(super) fn refuse_word(&mut self, place: Place) -> Parse<()> {
        let token = self.peek();
        let word = self.text(token.span);
        match refusal(place, word) {
            Some(refused) if token.kind == Kind::Word => self.fail(
                Diagnostic::error(token.span, format!("`{}` is not supported", refused.what))
                    .label(refused.why)
                    .help(refused.instead),
            ),
            _ => Ok(()),
        }
    }

    fn header(&mut self, protocol: Protocol) -> Parse<Field> {
        let word = self.word().unwrap_or_default();
        let word = match (protocol, word.as_str()) {
            // Linux 5.x's and nft's older name of the bit.
            (Protocol::Vlan, "cfi") => "dei",
            (_, word) => word,
        };
        let fields = Header::ALL.iter().filter(|one| one.protocol() == protocol);
        if let Some(found) = fields.clone().find(|one| one.name() == word) {
            self.advance();
            return Ok(Field::Header(*found));
        }
        let names: Vec<&str> = fields.map(|one| one.name()).collect();
        self.unexpected_of(
            &format!("a field of {}: {}", protocol.name(), names.join(", ")),
            &names,
        )
    }

    fn ct(&mut self) -> Parse<ExprKind> {
        let start = self.peek().span;
        let direction = match self.word().as_deref() {
            Some("original") => Some(Direction::Original),
            Some("reply") => Some(Direction::Reply),
            _ => None,
        };
        if direction.is_some() {
            self.advance();
        }
        let word = self.word().unwrap_or_default();
        if let (Some(direction), "saddr" | "daddr") = (direction, word.as_str()) {
            self.advance();
            let field = if word == "saddr" {
                CtField::IpSaddr
            } else {
                CtField::IpDaddr
            };
            return Ok(ExprKind::CtAddress(field, direction));
        }
        let second = self.second();
        let both = format!("{word} {second}");
        let field = CtField::NAMES
            .iter()
            .find(|(name, _)| *name == word || *name == both);
        let Some((name, field)) = field else {
            self.refuse_word(Place::Ct)?;
            return self.unexpected_of("what of the flow", &CtField::NAMES.map(|(name, _)| name));
        };
        self.advance();
        if name.contains(' ') {
            self.advance();
        }
        self.check_direction(*field, direction, start)?;
        Ok(ExprKind::Field(Field::Ct(*field, direction)))
    }

    fn check_direction(
        &mut self,
        field: CtField,
        direction: Option<Direction>,
        start: crate::rules::span::Span,
    ) -> Parse<()> {
        let span = start.to(self.last);
        let (needs, may) = match field {
            CtField::IpSaddr | CtField::IpDaddr | CtField::Ip6Saddr | CtField::Ip6Daddr => {
                (true, true)
            }
            CtField::ProtoSrc | CtField::ProtoDst => (true, true),
            CtField::Bytes | CtField::Packets | CtField::Avgpkt | CtField::Zone => (false, true),
            CtField::L3proto | CtField::Protocol => (false, true),
            _ => (false, false),
        };
        if needs && direction.is_none() {
            let message = Diagnostic::error(span, "a direction is missing").help(format!(
                "write `ct original {}` or `ct reply …`",
                field.name()
            ));
            return self.fail(message);
        }
        if !may && direction.is_some() {
            let message = Diagnostic::error(span, "this belongs to both directions")
                .help(format!("write `ct {}`", field.name()));
            return self.fail(message);
        }
        Ok(())
    }

    fn fib(&mut self) -> Parse<Field> {
        let mut key = FibKey::default();
        let start = self.peek().span;
        loop {
            let word = self.word().unwrap_or_default();
            let slot = match word.as_str() {
                "saddr" => &mut key.saddr,
                "daddr" => &mut key.daddr,
                "mark" => &mut key.mark,
                "iif" => &mut key.iif,
                "oif" => &mut key.oif,
                _ => {
                    return self.unexpected_of(
                        "`saddr`, `daddr`, `mark`, `iif` or `oif`",
                        &["saddr", "daddr", "mark", "iif", "oif"],
                    );
                }
            };
            let again = std::mem::replace(slot, true);
            self.advance();
            if again {
                return self.fail(Diagnostic::error(self.last, "this stands here twice"));
            }
            if !self.take(Punct::Dot) {
                break;
            }
        }
        if key.saddr == key.daddr {
            let span = start.to(self.last);
            let message = Diagnostic::error(span, "fib: what is looked up?")
                .label("one of `saddr` and `daddr` is needed");
            return self.fail(message);
        }
        let result = match self.word().as_deref() {
            Some("oif") => FibResult::Oif,
            Some("oifname") => FibResult::Oifname,
            Some("type") => FibResult::Type,
            _ => {
                return self
                    .unexpected_of("`oif`, `oifname` or `type`", &["oif", "oifname", "type"]);
            }
        };
        self.advance();
        if key.iif && key.oif {
            let message = Diagnostic::error(start.to(self.last), "fib: `iif` excludes `oif`");
            return self.fail(message);
        }
        // `exists` and `missing` ask whether there is a route at all.
        let result = match result {
            FibResult::Oif if self.is_word("exists") || self.is_word("missing") => {
                FibResult::OifExists
            }
            other => other,
        };
        Ok(Field::Fib { key, result })
    }

    fn tcp_option(&mut self) -> Parse<Field> {
        let word = self.word().unwrap_or_default();
        // nft's older spelling of blocks: `sack1 left`.
        let (name, block) = match word.as_str() {
            "sack0" => ("sack", 0),
            "sack1" => ("sack", 1),
            "sack2" => ("sack", 2),
            "sack3" => ("sack", 3),
            "sack-permitted" => ("sack-perm", 0),
            "mss" => ("maxseg", 0),
            "noop" => ("nop", 0),
            other => (other, 0),
        };
        let found = TcpOption::NAMES.iter().find(|(known, ..)| *known == name);
        let Some((_, option, _)) = found else {
            let names = TcpOption::NAMES.map(|(name, ..)| name);
            return self.unexpected_of(&format!("an option: {}", names.join(", ")), &names);
        };
        self.advance();
        if self.is_word("exists") || self.is_word("missing") {
            return Ok(Field::TcpOptionExists(*option));
        }
        let (fields, words): (Vec<_>, Vec<_>) = option_fields(*option, block)
            .into_iter()
            .map(|(word, field)| (field, word))
            .unzip();
        let word = self.word().unwrap_or_default();
        match words.iter().position(|known| *known == word) {
            Some(position) => {
                self.advance();
                Ok(Field::TcpOption(*option, fields[position]))
            }
            None => {
                let expected = format!("`exists`, `missing`, or one of {}", words.join(", "));
                self.unexpected_of(&expected, &words)
            }
        }
    }

    fn ext_header(&mut self) -> Parse<ExtHeader> {
        let word = self.word().unwrap_or_default();
        match ExtHeader::NAMES.iter().find(|(name, ..)| *name == word) {
            Some((_, header, _)) => Ok(*header),
            None => {
                let names = ExtHeader::NAMES.map(|(name, ..)| name);
                self.unexpected_of("an extension header", &names)
            }
        }
    }

    fn ext_field(&mut self, header: ExtHeader) -> Parse<Field> {
        let fields: &[ExtField] = match header {
            ExtHeader::Hbh | ExtHeader::Dst => &[ExtField::Nexthdr, ExtField::Hdrlength],
            ExtHeader::Rt => &[
                ExtField::Nexthdr,
                ExtField::Hdrlength,
                ExtField::RtType,
                ExtField::RtSegLeft,
            ],
            ExtHeader::Frag => &[
                ExtField::Nexthdr,
                ExtField::FragOff,
                ExtField::FragMore,
                ExtField::FragId,
            ],
            ExtHeader::Mh => &[ExtField::Nexthdr, ExtField::Hdrlength, ExtField::MhType],
        };
        let word = self.word().unwrap_or_default();
        if let Some(found) = fields.iter().find(|field| field.name() == word) {
            self.advance();
            return Ok(Field::ExtHeader(header, *found));
        }
        let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
        let help = did_you_mean(&word, names.iter().copied());
        let span = self.peek().span;
        let message = Diagnostic::error(span, format!("{} has no such field", header.name()))
            .label(format!("expected one of {}", names.join(", ")))
            .maybe_help(help);
        self.fail(message)
    }
}

fn option_fields(option: TcpOption, block: u8) -> Vec<(&'static str, TcpOptionField)> {
    use TcpOptionField as F;
    let mut fields = match option {
        TcpOption::Eol | TcpOption::Nop => return Vec::new(),
        TcpOption::Maxseg => vec![("size", F::Size)],
        TcpOption::Window => vec![("count", F::Count)],
        TcpOption::Sack => vec![("left", F::Left(block)), ("right", F::Right(block))],
        TcpOption::Timestamp => vec![("tsval", F::Tsval), ("tsecr", F::Tsecr)],
        _ => Vec::new(),
    };
    fields.push(("length", F::Length));
    fields
}
