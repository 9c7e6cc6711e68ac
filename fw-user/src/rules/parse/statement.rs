//! Statements of a rule.

use std::rc::Rc;

use super::{Failed, Parse, Parser};
use crate::rules::ast::{
    Expr, ExprKind, Log, ObjectRef, RejectWith, Statement, StatementKind as K, Target, Update,
    Verdict,
};
use crate::rules::diag::Diagnostic;
use crate::rules::ir::{
    CtField, ExtHeader, Field, LogFlags, LogLevel, Meta, Protocol, Stateful, UpdateOp,
};
use crate::rules::lex::Punct;
use crate::rules::refuse::Place;

/// Words at which statements begin, for suggestions.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    const WORDS: [&str; 24] = [
        "accept", "drop", "reject", "return", "continue", "jump", "goto", "counter", "limit",
        "quota", "log", "notrack", "update", "add", "delete", "flow", "meter", "meta", "ct", "fib",
        "iif", "oif", "exthdr", "comment",
    ];
    WORDS
        .into_iter()
        .chain(Protocol::ALL.into_iter().map(Protocol::name))
        .chain(Meta::NAMES.into_iter().map(|(name, _)| name))
        .chain(ExtHeader::NAMES.into_iter().map(|(name, ..)| name))
}

impl Parser<'_> {
    pub(super) fn statement(&mut self) -> Parse<Statement> {
        let start = self.peek().span;
        let kind = self.statement_kind()?;
        let span = start.to(self.last);
        Ok(Statement { kind, span })
    }

    fn statement_kind(&mut self) -> Parse<K> {
        if let Some(verdict) = self.verdict()? {
            return Ok(K::Verdict(verdict));
        }
        let word = self.word().unwrap_or_default();
        let second = self.peek_at(1);
        let second = self.text(second.span).to_owned();
        match (word.as_str(), second.as_str()) {
            ("reject", _) => {
                self.advance();
                Ok(K::Reject(self.reject()?))
            }
            ("counter", _) => {
                self.advance();
                self.object(Self::counts).map(K::Counter)
            }
            ("limit", _) => {
                self.advance();
                self.object(Self::limit).map(K::Limit)
            }
            ("quota", _) => {
                self.advance();
                self.object(Self::quota).map(K::Quota)
            }
            ("log", _) => {
                self.advance();
                self.log().map(K::Log)
            }
            ("notrack", _) => {
                self.advance();
                Ok(K::Notrack)
            }
            ("ct", "count") => {
                self.advance();
                self.advance();
                self.ct_count().map(K::CtCount)
            }
            ("add" | "update" | "delete", "@") => self.update(),
            ("flow", _) => self.flow(),
            ("meter", _) => self.meter(),
            ("set", _) => {
                let message = Diagnostic::error(self.peek().span, "`set` is not supported here")
                    .help("write `update @NAME { … }` or `add @NAME { … }`");
                self.fail(message)
            }
            _ => self.match_or_set(),
        }
    }

    /// A verdict, if one stands here.
    pub(super) fn verdict(&mut self) -> Parse<Option<Verdict>> {
        let verdict = match self.word().as_deref() {
            Some("accept") => Verdict::Accept,
            Some("drop") => Verdict::Drop,
            Some("return") => Verdict::Return,
            Some("continue") => Verdict::Continue,
            Some("jump") => {
                self.advance();
                return Ok(Some(Verdict::Jump(self.target()?)));
            }
            Some("goto") => {
                self.advance();
                return Ok(Some(Verdict::Goto(self.target()?)));
            }
            _ => return Ok(None),
        };
        self.advance();
        Ok(Some(verdict))
    }

    fn target(&mut self) -> Parse<Target> {
        if self.is(Punct::OpenBrace) {
            return Ok(Target::Block(Rc::new(self.rule_block()?)));
        }
        Ok(Target::Chain(self.chain_name()?))
    }

    /// A comparison, a verdict map, or a field that is set.
    fn match_or_set(&mut self) -> Parse<K> {
        let left = self.matched()?;
        if self.is_word("set") {
            return self.set_field(&left);
        }
        if self.take_word("vmap") {
            let map = self.set_or_reference()?;
            return Ok(K::VerdictMap(left, map));
        }
        if self.is_word("map") {
            let message = Diagnostic::error(self.peek().span, "a map gives a value to nobody here")
                .help("use it behind `meta mark set`, or `vmap` for verdicts");
            return self.fail(message);
        }
        let relation = self.relation();
        let right = self.right()?;
        Ok(K::Match(left, relation, right))
    }

    fn set_field(&mut self, left: &Expr) -> Parse<K> {
        let set = self.advance().span;
        match &left.kind {
            ExprKind::Field(Field::Meta(Meta::Mark)) => self.mapped().map(K::SetMark),
            ExprKind::Field(Field::Ct(CtField::Mark, None)) => self.mapped().map(K::SetCtMark),
            _ => {
                let what = self.text(left.span).to_owned();
                let message =
                    Diagnostic::error(left.span.to(set), format!("`{what}` can't be set"))
                        .label("only `meta mark` and `ct mark` can; fwctl changes no packets")
                        .help("keep that rule in a file of its own and load it with nft");
                self.fail(message)
            }
        }
    }

    /// A value, with the map that gives it if there is one.
    fn mapped(&mut self) -> Parse<Expr> {
        let key = self.left()?;
        if !self.take_word("map") {
            return Ok(key);
        }
        let map = self.set_or_reference()?;
        let span = key.span.to(map.span);
        let kind = ExprKind::Map(Box::new(key), Box::new(map));
        Ok(Expr { kind, span })
    }

    /// `name …`, or what a rule's own object says.
    fn object<T>(&mut self, own: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<ObjectRef<T>> {
        if !self.take_word("name") {
            return own(self).map(ObjectRef::Own);
        }
        let token = self.peek();
        let is_field = token.kind == crate::rules::lex::Kind::Word
            && words().any(|word| word == self.text(token.span));
        if is_field {
            let key = self.left()?;
            self.expect_word("map")?;
            let map = self.set_or_reference()?;
            let span = key.span.to(map.span);
            let kind = ExprKind::Map(Box::new(key), Box::new(map));
            return Ok(ObjectRef::Map(Expr { kind, span }));
        }
        Ok(ObjectRef::Named(self.name("a name")?))
    }

    fn reject(&mut self) -> Parse<Option<RejectWith>> {
        if !self.take_word("with") {
            return Ok(None);
        }
        let word = self.word().unwrap_or_default();
        let with: fn(Expr) -> RejectWith = match word.as_str() {
            "tcp" => {
                self.advance();
                self.expect_word("reset")?;
                return Ok(Some(RejectWith::TcpReset));
            }
            "icmp" => RejectWith::Icmp,
            "icmpv6" => RejectWith::Icmpv6,
            "icmpx" => RejectWith::Icmpx,
            _ => {
                let words = ["tcp", "icmp", "icmpv6", "icmpx"];
                return self.unexpected_of("`tcp reset`, `icmp`, `icmpv6` or `icmpx`", &words);
            }
        };
        self.advance();
        self.take_word("type");
        Ok(Some(with(self.value()?)))
    }

    fn log(&mut self) -> Parse<Log> {
        let mut log = Log::default();
        loop {
            let word = self.word().unwrap_or_default();
            let known = [
                "prefix",
                "level",
                "flags",
                "group",
                "snaplen",
                "queue-threshold",
            ];
            if !known.contains(&word.as_str()) {
                return Ok(log);
            }
            self.advance();
            let span = self.peek().span;
            match word.as_str() {
                "prefix" => log.prefix = Some(self.log_prefix()?),
                "level" => log.level = Some((self.log_level()?, span)),
                "flags" => self.log_flags(&mut log.flags)?,
                "group" => log.group = Some((self.number("a group")?, span)),
                "snaplen" => log.snaplen = Some(self.number("a length")?),
                _ => log.queue_threshold = Some(self.number("a number of packets")?),
            }
        }
    }

    fn log_prefix(&mut self) -> Parse<String> {
        let span = self.peek().span;
        let text = if self.is(Punct::Dollar) {
            self.name("a text in quotes")?.text
        } else {
            self.string("a text in quotes")?
        };
        // NF_LOG_PREFIXLEN with the terminating zero.
        if text.len() > 127 {
            return self.fail(
                Diagnostic::error(span, "log prefix is too long")
                    .label(format!("{} bytes; 127 at most", text.len())),
            );
        }
        Ok(text)
    }

    fn log_level(&mut self) -> Parse<LogLevel> {
        let word = self.word().unwrap_or_default();
        let name = if word == "warning" { "warn" } else { &word };
        match LogLevel::NAMES.iter().find(|(known, _)| *known == name) {
            Some((_, level)) => {
                self.advance();
                Ok(*level)
            }
            None => {
                let names = LogLevel::NAMES.map(|(name, _)| name);
                self.unexpected_of(&format!("a level: {}", names.join(", ")), &names)
            }
        }
    }

    fn log_flags(&mut self, flags: &mut LogFlags) -> Parse<()> {
        let words = ["tcp", "ip", "skuid", "ether", "all"];
        match self.word().as_deref() {
            Some("tcp") => {
                self.advance();
                loop {
                    match self.word().as_deref() {
                        Some("sequence") => flags.tcp_sequence = true,
                        Some("options") => flags.tcp_options = true,
                        _ => {
                            let words = ["sequence", "options"];
                            return self.unexpected_of("`sequence` or `options`", &words);
                        }
                    }
                    self.advance();
                    if !self.take(Punct::Comma) {
                        return Ok(());
                    }
                }
            }
            Some("ip") => {
                self.advance();
                flags.ip_options = true;
                return self.expect_word("options");
            }
            Some("skuid") => flags.skuid = true,
            Some("ether") => flags.ether = true,
            Some("all") => {
                *flags = LogFlags {
                    tcp_sequence: true,
                    tcp_options: true,
                    ip_options: true,
                    skuid: true,
                    ether: true,
                };
            }
            _ => {
                return self
                    .unexpected_of("`tcp …`, `ip options`, `skuid`, `ether` or `all`", &words);
            }
        }
        self.advance();
        Ok(())
    }

    fn update(&mut self) -> Parse<K> {
        let op = match self.word().as_deref() {
            Some("add") => UpdateOp::Add,
            Some("update") => UpdateOp::Update,
            _ => UpdateOp::Delete,
        };
        self.advance();
        self.expect(Punct::At)?;
        let set = self.identifier("a set's name")?;
        self.update_element(op, set).map(K::Update)
    }

    /// `{ key [timeout T] [statements] [: data] }`.
    fn update_element(&mut self, op: UpdateOp, set: crate::rules::ast::Name) -> Parse<Update> {
        self.expect(Punct::OpenBrace)?;
        let key = self.matched()?;
        let timeout = if self.take_word("timeout") {
            Some(self.duration()?)
        } else {
            None
        };
        let mut statements: Vec<Stateful> = Vec::new();
        while let Some(statement) = self.stateful()? {
            statements.push(statement);
        }
        let data = if self.take(Punct::Colon) {
            Some(self.left()?)
        } else {
            None
        };
        self.expect(Punct::CloseBrace)?;
        Ok(Update {
            op,
            set,
            key,
            data,
            timeout,
            statements,
        })
    }

    fn meter(&mut self) -> Parse<K> {
        self.advance();
        let name = self.identifier("a name")?;
        let size = if self.take_word("size") {
            Some(self.number("a size")?)
        } else {
            None
        };
        let mut update = self.update_element(UpdateOp::Add, name.clone())?;
        if update.timeout.is_some() {
            update.op = UpdateOp::Update;
        }
        if update.statements.is_empty() {
            let message = Diagnostic::error(name.span, "a meter without a statement")
                .help("say what it measures: `{ ip saddr limit rate 10/second }`");
            self.report.push(message);
            return Err(Failed);
        }
        Ok(K::Meter { name, size, update })
    }

    fn flow(&mut self) -> Parse<K> {
        self.advance();
        if !self.take_word("add") && !self.take_word("offload") {
            self.refuse_word(Place::Statement)?;
            return self.unexpected_of("`add @…` or `offload @…`", &["add", "offload"]);
        }
        self.expect(Punct::At)?;
        Ok(K::Flow(self.identifier("a flowtable's name")?))
    }
}
