//! `table … { … }`, and what can stand in any block.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{Failed, Parse, Parser};
use crate::rules::ast::{Name, Object, ObjectKind, Table, TableRef};
use crate::rules::diag::Diagnostic;
use crate::rules::files::{DEEPEST_INCLUDE, has_wildcards};
use crate::rules::lex::{Kind, Punct};
use crate::rules::refuse::Place;
use crate::rules::span::{FileId, Span};

impl Parser<'_> {
    /// The items of a block whose brace is open, and its end. A mistake in one spoils only that
    /// one. Definitions in the block end with it.
    pub(super) fn block_items(&mut self, mut item: impl FnMut(&mut Self) -> Parse<()>) {
        let depth = self.depth;
        self.scopes.push(HashMap::new());
        loop {
            self.skip_separators();
            let token = self.peek();
            if token.kind == Kind::End || self.report.is_full() {
                // What was read up to here is looked at all the same, as if the brace were there.
                let _: Parse<()> = self.unexpected("`}`");
                self.depth = depth.saturating_sub(1);
                break;
            }
            if self.take(Punct::CloseBrace) {
                break;
            }
            let before = self.peek().span;
            let done = match self.common_item() {
                Some(done) => done,
                None => item(self).and_then(|()| self.item_end(depth)),
            };
            if done.is_err() {
                self.recover(depth);
                if self.peek().span == before && self.depth <= depth && !self.is(Punct::CloseBrace)
                {
                    self.advance();
                }
            }
        }
        self.scopes.pop();
    }

    /// An item ends with a line, `;`, or the brace of a block of its own.
    fn item_end(&mut self, depth: usize) -> Parse<()> {
        debug_assert!(self.depth <= depth, "items close what they open");
        // `elements = { … } }` and `type ipv4_addr }`: nft wants no separator there.
        if self.is(Punct::CloseBrace) && self.lenient {
            return Ok(());
        }
        self.expect_separator()
    }

    /// `include`, `define`, `redefine`, `undefine`, if one of them stands here.
    pub(super) fn common_item(&mut self) -> Option<Parse<()>> {
        let word = self.word()?;
        match word.as_str() {
            "include" => Some(self.include()),
            "define" | "redefine" => Some(self.definition(word == "redefine")),
            "undefine" => Some(self.undefine()),
            _ => None,
        }
    }

    fn definition(&mut self, again: bool) -> Parse<()> {
        self.advance();
        let name = self.identifier("a variable's name")?;
        self.expect(Punct::Equals)?;
        let before = self.elements;
        let value = self.definition_value()?;
        let scope = self.scopes.last();
        let there = scope.is_some_and(|scope| scope.contains_key(&name.text));
        if there && !again {
            let message =
                Diagnostic::error(name.span, format!("redefinition of symbol `{}`", name.text))
                    .help(format!(
                        "write `redefine {} = …` if that is meant",
                        name.text
                    ));
            return self.fail(message);
        }
        self.define(name.text, value, before);
        self.expect_separator()
    }

    fn undefine(&mut self) -> Parse<()> {
        self.advance();
        let name = self.identifier("a variable's name")?;
        let gone = self
            .scopes
            .last_mut()
            .and_then(|scope| scope.remove(&name.text));
        if gone.is_none() {
            let message = Diagnostic::error(name.span, format!("undefined symbol `{}`", name.text));
            return self.fail(message);
        }
        self.expect_separator()
    }

    fn include(&mut self) -> Parse<()> {
        self.advance();
        let token = self.peek();
        if !matches!(token.kind, Kind::Quoted | Kind::Wildcard) {
            return self.unexpected("a file's name in quotes");
        }
        self.advance();
        let pattern = self.text(token.span).to_owned();
        // Before the files are entered: their text comes first from here on.
        self.expect_separator()?;
        if self.frames.len() > DEEPEST_INCLUDE {
            let message = Diagnostic::error(token.span, "files include each other in a circle")
                .label(format!("more than {DEEPEST_INCLUDE} files deep"));
            self.recover_from_loop();
            return self.fail(message);
        }
        let from = self.report.sources.get(token.span.file);
        let found = self
            .files
            .find(&pattern, from.and_then(|file| file.path.as_deref()));
        if found.is_empty() && !has_wildcards(&pattern) {
            let message = Diagnostic::error(token.span, format!("can't include `{pattern}`"))
                .label("no such file here")
                .help(
                    "relative names are looked up beside this file, then in the directories of -I",
                );
            return self.fail(message);
        }
        // The last one that is entered is read first.
        for path in found.iter().rev() {
            self.include_file(path, token.span)?;
        }
        Ok(())
    }

    /// Leaves all texts that are part of the circle, so that it is reported once.
    fn recover_from_loop(&mut self) {
        self.frames.truncate(1);
    }

    fn include_file(&mut self, path: &Path, span: Span) -> Parse<()> {
        let known = self
            .report
            .sources
            .iter()
            .position(|file| file.path.as_deref() == Some(path));
        if let Some(position) = known {
            self.enter(FileId(u32::try_from(position).unwrap_or(u32::MAX)));
            return Ok(());
        }
        match self.files.read(path) {
            Ok(text) => {
                let name = path.display().to_string();
                let path: PathBuf = path.to_path_buf();
                let file = self.report.sources.add(name, Some(path), text);
                self.enter(file);
                Ok(())
            }
            Err(error) => {
                let message = Diagnostic::error(span, format!("can't include {}", path.display()))
                    .label(error.to_string());
                self.fail(message)
            }
        }
    }

    /// `[family] name`.
    pub(super) fn table_ref(&mut self) -> Parse<TableRef> {
        let family = self.family()?;
        let name = self.identifier("a table's name")?;
        Ok(TableRef { family, name })
    }

    /// What follows `table family name`.
    pub(super) fn table_block(&mut self, table: TableRef) -> Parse<Table> {
        let mut block = Table {
            table,
            dormant: false,
            comment: None,
            chains: Vec::new(),
            sets: Vec::new(),
            objects: Vec::new(),
        };
        if self.take(Punct::OpenBrace) {
            self.block_items(|parser| parser.table_item(&mut block));
        }
        Ok(block)
    }

    fn table_item(&mut self, table: &mut Table) -> Parse<()> {
        const ITEMS: [&str; 9] = [
            "chain",
            "set",
            "map",
            "counter",
            "limit",
            "quota",
            "flowtable",
            "flags",
            "comment",
        ];
        let word = self.word().unwrap_or_default();
        if !ITEMS.contains(&word.as_str()) {
            self.refuse_word(Place::Object)?;
            return self.unexpected_of("`chain`, `set`, `map`, …", &ITEMS);
        }
        self.advance();
        match word.as_str() {
            "comment" => table.comment = Some(self.comment()?),
            "flags" => {
                self.expect_word("dormant")?;
                table.dormant = true;
            }
            "chain" => {
                let name = self.identifier("a chain's name")?;
                let chain = self.chain_block(name)?;
                table.chains.push(chain);
            }
            "set" | "map" => {
                let name = self.identifier("a set's name")?;
                let set = self.lenient(|parser| parser.set_block(name, word == "map"))?;
                table.sets.push(set);
            }
            _ => {
                let name = self.identifier("a name")?;
                let object = self.lenient(|parser| parser.object_block(name, &word))?;
                table.objects.push(object);
            }
        }
        Ok(())
    }

    /// In blocks of sets and objects nft wants no separator in front of `}`.
    pub(super) fn lenient<T>(&mut self, part: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.lenient, true);
        let result = part(self);
        self.lenient = before;
        result
    }

    /// What follows `counter NAME` and the like.
    pub(super) fn object_block(&mut self, name: Name, word: &str) -> Parse<Object> {
        let span = name.span;
        let mut object = Object {
            name,
            comment: None,
            kind: ObjectKind::Counter(0, 0),
        };
        let mut said = word == "counter";
        if word == "flowtable" {
            object.kind = ObjectKind::Flowtable {
                priority_name: None,
                priority: 0,
                devices: Vec::new(),
                counter: false,
                offload: false,
            };
            said = true;
        }
        if self.take(Punct::OpenBrace) {
            self.block_items(|parser| {
                if parser.take_word("comment") {
                    object.comment = Some(parser.comment()?);
                    return Ok(());
                }
                parser.object_item(&mut object.kind, word)?;
                said = true;
                Ok(())
            });
        } else if matches!(word, "limit" | "quota") {
            self.object_item(&mut object.kind, word)?;
            said = true;
        }
        if !said {
            let message = Diagnostic::error(span, format!("this {word} says nothing"));
            self.report.push(message);
            return Err(Failed);
        }
        Ok(object)
    }

    fn object_item(&mut self, kind: &mut ObjectKind, word: &str) -> Parse<()> {
        match (word, &mut *kind) {
            ("counter", _) => {
                if !self.is_word("packets") {
                    return self.unexpected("`packets … bytes …`");
                }
                let (packets, bytes) = self.counts()?;
                *kind = ObjectKind::Counter(packets, bytes);
            }
            ("limit", _) => *kind = ObjectKind::Limit(self.limit()?),
            ("quota", _) => *kind = ObjectKind::Quota(self.quota()?),
            (
                _,
                ObjectKind::Flowtable {
                    priority_name,
                    priority,
                    devices,
                    counter,
                    offload,
                },
            ) => match self.word().as_deref() {
                Some("hook") => {
                    self.advance();
                    self.expect_word("ingress")?;
                    let found = self.priority()?;
                    (*priority_name, *priority) = (found.0, found.1);
                }
                Some("devices") => *devices = self.devices()?,
                Some("counter") => {
                    self.advance();
                    *counter = true;
                }
                Some("flags") => {
                    self.advance();
                    self.expect_word("offload")?;
                    *offload = true;
                }
                _ => {
                    let words = ["hook", "devices", "counter", "flags"];
                    return self.unexpected_of("a property of the flowtable", &words);
                }
            },
            _ => return self.unexpected("`}`"),
        }
        Ok(())
    }
}
