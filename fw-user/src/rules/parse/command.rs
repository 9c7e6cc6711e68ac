//! Commands: a file is a list of them, and a `table … { … }` block is one.

use super::{Parse, Parser};
use crate::rules::ast::{Chain, Command as C, Position, TableRef, Thing};
use crate::rules::diag::Diagnostic;
use crate::rules::ir::Family;
use crate::rules::lex::{Kind, Punct};
use crate::rules::refuse::Place;

/// Words at which commands begin.
const COMMANDS: [&str; 13] = [
    "table", "add", "create", "insert", "delete", "destroy", "flush", "include", "define",
    "redefine", "undefine", "rule", "chain",
];

/// What `add` and `delete` take.
const THINGS: [&str; 10] = [
    "table",
    "chain",
    "rule",
    "set",
    "map",
    "element",
    "counter",
    "limit",
    "quota",
    "flowtable",
];

/// Which command a word begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Create,
    Insert,
    Delete,
    Destroy,
    Flush,
}

impl Parser<'_> {
    pub(super) fn commands_until_end(&mut self) {
        loop {
            self.skip_separators();
            let token = self.peek();
            if token.kind == Kind::End || self.report.is_full() {
                return;
            }
            self.depth = 0;
            let done = match self.common_item() {
                Some(done) => done,
                None => self.command(),
            };
            if done.is_err() {
                self.recover(0);
                if self.is(Punct::CloseBrace) {
                    self.advance();
                }
            }
        }
    }

    fn command(&mut self) -> Parse<()> {
        let command = self.command_kind()?;
        self.commands.push(command);
        self.expect_separator()
    }

    fn command_kind(&mut self) -> Parse<C> {
        let word = self.word().unwrap_or_default();
        let verb = match word.as_str() {
            "add" => Verb::Add,
            "create" => Verb::Create,
            "insert" => Verb::Insert,
            "delete" => Verb::Delete,
            "destroy" => Verb::Destroy,
            "flush" => Verb::Flush,
            // Without a verb, nft takes it for `add`.
            word if THINGS.contains(&word) => return self.add(Verb::Add),
            _ => {
                self.refuse_word(Place::Command)?;
                return self.unexpected_of("a command like `table` or `add`", &COMMANDS);
            }
        };
        self.advance();
        match verb {
            Verb::Delete | Verb::Destroy => self.delete(verb),
            Verb::Flush => self.flush(),
            Verb::Add | Verb::Create | Verb::Insert => self.add(verb),
        }
    }

    /// `ip`, `ip6`, `inet`, `netdev`; `ip` if none of them stands here.
    pub(super) fn family(&mut self) -> Parse<Family> {
        let family = match self.word().as_deref() {
            Some("ip") => Family::Ip,
            Some("ip6") => Family::Ip6,
            Some("inet") => Family::Inet,
            Some("netdev") => Family::Netdev,
            // A table may have any name; it is a family only if a name follows.
            _ if self.peek_at(1).kind == Kind::Word => {
                self.refuse_word(Place::Family)?;
                return Ok(Family::Ip);
            }
            _ => return Ok(Family::Ip),
        };
        self.advance();
        Ok(family)
    }

    fn add(&mut self, verb: Verb) -> Parse<C> {
        let word = self.word().unwrap_or_default();
        let create = verb == Verb::Create;
        if verb == Verb::Insert && word != "rule" {
            return self.unexpected("`rule`");
        }
        if !THINGS.contains(&word.as_str()) {
            // `add inet filter input …` adds a rule.
            self.refuse_word(Place::Object)?;
            return self.unexpected_of("`table`, `chain`, `rule`, `set`, …", &THINGS);
        }
        self.advance();
        let table = self.table_ref()?;
        match word.as_str() {
            "table" => Ok(C::Table(self.table_block(table)?, create)),
            "rule" => self.add_rule(table, verb),
            "chain" => {
                let name = self.identifier("a chain's name")?;
                let chain = if self.is(Punct::OpenBrace) {
                    self.chain_block(name)?
                } else {
                    Chain {
                        name,
                        hook: None,
                        policy: None,
                        comment: None,
                        rules: Vec::new(),
                    }
                };
                Ok(C::Chain(table, chain, create))
            }
            "set" | "map" => {
                let name = self.identifier("a set's name")?;
                let set = self.lenient(|parser| parser.set_block(name, word == "map"))?;
                Ok(C::Set(table, set, create))
            }
            "element" => {
                let name = self.identifier("a set's name")?;
                let elements = self.set_or_reference()?;
                Ok(C::Elements(table, name, elements, create))
            }
            _ => {
                let name = self.identifier("a name")?;
                let object = self.lenient(|parser| parser.object_block(name, &word))?;
                Ok(C::Object(table, object, create))
            }
        }
    }

    fn add_rule(&mut self, table: TableRef, verb: Verb) -> Parse<C> {
        let chain = self.identifier("a chain's name")?;
        let mut index = None;
        if self.is_word("handle") || self.is_word("position") {
            let message = Diagnostic::error(self.peek().span, "there are no handles in a file")
                .label("a file is loaded as a whole: nothing has a handle yet")
                .help("say `index N`, or put the rule where it belongs");
            return self.fail(message);
        }
        if self.take_word("index") {
            let span = self.peek().span;
            index = Some((self.number("an index")?, span));
        }
        let position = match verb {
            Verb::Insert => Position::Insert(index),
            _ => Position::Add(index),
        };
        let rule = self.rule()?;
        Ok(C::Rule(table, chain, position, rule))
    }

    fn thing(&mut self) -> Option<Thing> {
        let thing = match self.word()?.as_str() {
            "chain" => Thing::Chain,
            "set" => Thing::Set,
            "map" => Thing::Map,
            "meter" => Thing::Meter,
            "counter" => Thing::Counter,
            "limit" => Thing::Limit,
            "quota" => Thing::Quota,
            "flowtable" => Thing::Flowtable,
            _ => return None,
        };
        self.advance();
        Some(thing)
    }

    fn delete(&mut self, verb: Verb) -> Parse<C> {
        let maybe = verb == Verb::Destroy;
        if self.take_word("table") {
            return Ok(C::DeleteTable(self.table_ref()?, maybe));
        }
        if self.take_word("element") {
            let table = self.table_ref()?;
            let set = self.identifier("a set's name")?;
            let elements = self.set_or_reference()?;
            return Ok(C::DeleteElements(table, set, elements));
        }
        if self.is_word("rule") {
            let message = Diagnostic::error(self.peek().span, "rules can't be deleted in a file")
                .label("a file is loaded as a whole: nothing has a handle yet")
                .help("leave the rule out, or `flush chain` first");
            return self.fail(message);
        }
        let Some(thing) = self.thing() else {
            return self.unexpected_of("`table`, `chain`, `set`, …", &THINGS);
        };
        let table = self.table_ref()?;
        let name = self.identifier("a name")?;
        Ok(C::Delete(table, thing, name, maybe))
    }

    fn flush(&mut self) -> Parse<C> {
        if self.take_word("ruleset") {
            let family = match self.word().as_deref() {
                Some("ip" | "ip6" | "inet" | "netdev") => Some(self.family()?),
                _ => None,
            };
            return Ok(C::FlushRuleset(family));
        }
        if self.take_word("table") {
            return Ok(C::FlushTable(self.table_ref()?));
        }
        match self.thing() {
            Some(Thing::Chain) => {
                let table = self.table_ref()?;
                Ok(C::FlushChain(table, self.identifier("a chain's name")?))
            }
            Some(Thing::Set | Thing::Map | Thing::Meter) => {
                let table = self.table_ref()?;
                Ok(C::FlushSet(table, self.identifier("a set's name")?))
            }
            _ => {
                let words = ["ruleset", "table", "chain", "set", "map"];
                self.unexpected_of("`ruleset`, `table`, `chain` or `set`", &words)
            }
        }
    }
}
