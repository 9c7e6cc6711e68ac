//! Sets: literals with their elements, and `set NAME { … }`.

use super::{Parse, Parser};
use crate::rules::ast::{
    DataSpec, Element, Expr, ExprKind, Extras, MapData, Name, Set, Target, Verdict,
};
use crate::rules::diag::Diagnostic;
use crate::rules::lex::Punct;

impl Parser<'_> {
    /// `{ element, … }`.
    pub(super) fn set_literal(&mut self) -> Parse<Expr> {
        self.nested(Self::set_literal_within)
    }

    fn set_literal_within(&mut self) -> Parse<Expr> {
        let open = self.expect(Punct::OpenBrace)?.span;
        let mut elements = Vec::new();
        loop {
            self.skip_newlines();
            if self.is(Punct::CloseBrace) {
                break;
            }
            elements.push(self.element()?);
            self.skip_newlines();
            if !self.take(Punct::Comma) {
                break;
            }
        }
        let close = self.expect(Punct::CloseBrace)?.span;
        elements.shrink_to_fit();
        let kind = ExprKind::Set(elements);
        Ok(Expr {
            kind,
            span: open.to(close),
        })
    }

    fn element(&mut self) -> Parse<Element> {
        self.elements = self.elements.saturating_add(1);
        let key = self.value()?;
        let extras = self.extras()?;
        let data = if self.take(Punct::Colon) {
            Some(self.map_data()?)
        } else {
            None
        };
        Ok(Element { key, data, extras })
    }

    fn map_data(&mut self) -> Parse<MapData> {
        match self.verdict()? {
            Some(Verdict::Jump(Target::Block(_)) | Verdict::Goto(Target::Block(_))) => {
                let message = Diagnostic::error(self.last, "a map can't hold rules")
                    .help("give the chain a name: `jump NAME`");
                self.fail(message)
            }
            Some(verdict) => Ok(MapData::Verdict(verdict)),
            None => Ok(MapData::Value(self.value()?)),
        }
    }

    fn extras(&mut self) -> Parse<Option<Box<Extras>>> {
        let mut extras = None;
        loop {
            if let Some(statement) = self.stateful()? {
                let extras: &mut Box<Extras> = extras.get_or_insert_default();
                extras.statements.push(statement);
                continue;
            }
            let Some(word) = self.word() else {
                return Ok(extras);
            };
            if !matches!(word.as_str(), "timeout" | "expires" | "comment") {
                return Ok(extras);
            }
            self.advance();
            let found: &mut Box<Extras> = extras.get_or_insert_default();
            match word.as_str() {
                "timeout" => found.timeout = Some(self.duration()?),
                "expires" => found.expires = Some(self.duration()?),
                _ => found.comment = Some(self.comment()?),
            }
        }
    }

    /// What follows `set` or `map` and its name.
    pub(super) fn set_block(&mut self, name: Name, is_map: bool) -> Parse<Set> {
        let mut set = Set {
            name,
            is_map,
            types: None,
            typeofs: None,
            data: None,
            flags: Vec::new(),
            timeout: None,
            gc_interval: None,
            size: None,
            auto_merge: false,
            statements: Vec::new(),
            comment: None,
            elements: None,
        };
        self.expect(Punct::OpenBrace)?;
        self.block_items(|parser| parser.set_item(&mut set));
        if set.types.is_none() && set.typeofs.is_none() {
            let message = Diagnostic::error(set.name.span, "set definition does not specify key")
                .help("say `type …;` in its block, for instance `type ipv4_addr;`");
            return self.fail(message);
        }
        if is_map && set.data.is_none() {
            let message = Diagnostic::error(
                set.name.span,
                "map definition does not specify mapping data type",
            )
            .help("say what it maps to: `type ipv4_addr : verdict;`");
            return self.fail(message);
        }
        Ok(set)
    }

    fn set_item(&mut self, set: &mut Set) -> Parse<()> {
        const ITEMS: [&str; 11] = [
            "type",
            "typeof",
            "flags",
            "timeout",
            "gc-interval",
            "size",
            "auto-merge",
            "comment",
            "elements",
            "policy",
            "counter",
        ];
        if let Some(statement) = self.stateful()? {
            set.statements.push(statement);
            return Ok(());
        }
        let word = self.word().unwrap_or_default();
        if !ITEMS.contains(&word.as_str()) {
            return self.unexpected_of("a property of the set", &ITEMS);
        }
        self.advance();
        match word.as_str() {
            "type" => self.set_type(set),
            "typeof" => self.set_typeof(set),
            "flags" => self.set_flags(set),
            "timeout" => self.duration().map(|time| set.timeout = Some(time)),
            "gc-interval" => self.duration().map(|time| set.gc_interval = Some(time)),
            "size" => self.number("a size").map(|size| set.size = Some(size)),
            "comment" => self.comment().map(|text| set.comment = Some(text)),
            "policy" => self.set_policy(),
            "elements" => {
                self.expect(Punct::Equals)?;
                let elements = self.set_or_reference()?;
                if set.elements.is_some() {
                    let message = Diagnostic::error(elements.span, "elements stand here twice");
                    return self.fail(message);
                }
                set.elements = Some(elements);
                Ok(())
            }
            _ => {
                set.auto_merge = true;
                Ok(())
            }
        }
    }

    /// How the kernel should store it: no difference to any packet.
    fn set_policy(&mut self) -> Parse<()> {
        if self.take_word("performance") || self.take_word("memory") {
            return Ok(());
        }
        self.unexpected_of("`performance` or `memory`", &["performance", "memory"])
    }

    fn set_type(&mut self, set: &mut Set) -> Parse<()> {
        let mut types = vec![self.any_word("a type")?];
        while self.take(Punct::Dot) {
            types.push(self.any_word("a type")?);
        }
        set.types = Some(types);
        if set.is_map {
            self.expect(Punct::Colon)?;
            set.data = Some(DataSpec::Type(self.any_word("a type, or `verdict`")?));
        }
        Ok(())
    }

    fn set_typeof(&mut self, set: &mut Set) -> Parse<()> {
        set.typeofs = Some(self.left()?);
        if set.is_map {
            self.expect(Punct::Colon)?;
            let word = self.word().unwrap_or_default();
            let is_object = matches!(word.as_str(), "verdict" | "counter" | "limit" | "quota");
            set.data = Some(if is_object {
                DataSpec::Type(self.any_word("a type")?)
            } else {
                DataSpec::Typeof(self.left()?)
            });
        }
        Ok(())
    }

    fn set_flags(&mut self, set: &mut Set) -> Parse<()> {
        loop {
            set.flags.push(self.any_word("a flag")?);
            if !self.take(Punct::Comma) {
                return Ok(());
            }
        }
    }
}
