//! Declarations of sets and maps.

use super::declare::check_name;
use super::elements::empty_set;
use super::{Failed, Resolve, Resolver};
use crate::rules::ast::{self, DataSpec, Name};
use crate::rules::diag::{Diagnostic, did_you_mean};
use crate::rules::ir::{DataKind, DataType, Expr, Set, SetFlags, SetId};
use crate::rules::span::Span;

/// Types that a declaration can name; numbers without a width come by `typeof` only.
const TYPES: [DataType; 27] = [
    DataType::Ipv4Addr,
    DataType::Ipv6Addr,
    DataType::EtherAddr,
    DataType::EtherType,
    DataType::InetProto,
    DataType::InetService,
    DataType::Mark,
    DataType::IfName,
    DataType::IfIndex,
    DataType::IfType,
    DataType::DevGroup,
    DataType::NfProto,
    DataType::PktType,
    DataType::IcmpType,
    DataType::IcmpCode,
    DataType::Icmpv6Type,
    DataType::Icmpv6Code,
    DataType::IcmpxCode,
    DataType::IgmpType,
    DataType::TcpFlag,
    DataType::CtState,
    DataType::CtStatus,
    DataType::CtDir,
    DataType::Dscp,
    DataType::Ecn,
    DataType::FibAddrType,
    DataType::Boolean,
];

impl Resolver<'_> {
    pub(super) fn add_set(&mut self, table: usize, set: ast::Set, create: bool) -> Resolve<()> {
        check_name(self, &set.name)?;
        let known = self.drafts[table].sets.get(&set.name.text).copied();
        let declared = self.declaration(table, &set)?;
        let id = match known {
            Some(_) if create => {
                let message = format!("set `{}` exists already", set.name.text);
                return self.error(set.name.span, message);
            }
            Some(id) => {
                self.same_declaration(table, id, &declared, set.name.span)?;
                id
            }
            None => self.declare_set(table, declared, &set.name.text),
        };
        match set.elements {
            Some(elements) => self.add_elements(table, id, &elements, false),
            None => Ok(()),
        }
    }

    fn declare_set(&mut self, table: usize, set: Set, name: &str) -> SetId {
        let draft = &mut self.drafts[table];
        let id = SetId(draft.table.sets.len());
        let handle = draft.handle();
        draft.sets.insert(name.to_owned(), id);
        draft.table.sets.push(Set { handle, ..set });
        id
    }

    /// A set that is declared once more must be the same.
    fn same_declaration(
        &mut self,
        table: usize,
        id: SetId,
        declared: &Set,
        span: Span,
    ) -> Resolve<()> {
        let known = &self.drafts[table].table.sets[id.0];
        let same = (&known.key, known.data, known.flags, known.timeout)
            == (
                &declared.key,
                declared.data,
                declared.flags,
                declared.timeout,
            );
        if same {
            return Ok(());
        }
        self.error(span, "a set of that name is there already, and differs")
    }

    fn declaration(&mut self, table: usize, set: &ast::Set) -> Resolve<Set> {
        let mut key_typeof = None;
        let key = match (&set.types, &set.typeofs) {
            (Some(names), _) => self.types(names)?,
            (None, Some(expr)) => {
                let exprs = self.typeof_exprs(table, expr)?;
                let types = exprs.iter().map(Expr::datatype).collect();
                key_typeof = Some(exprs);
                types
            }
            (None, None) => return Err(Failed),
        };
        let mut data_typeof = None;
        let data = match &set.data {
            None => None,
            Some(DataSpec::Type(name)) => Some(self.data_kind(name)?),
            Some(DataSpec::Typeof(expr)) => {
                let exprs = self.typeof_exprs(table, expr)?;
                let [expr] = exprs.as_slice() else {
                    return self.error(expr.span, "a map maps to one value");
                };
                data_typeof = Some(expr.clone());
                Some(DataKind::Value(expr.datatype()))
            }
        };
        let mut flags = self.flags(&set.flags)?;
        flags.timeout |= set.timeout.is_some();
        self.check_flags(set, flags)?;
        Ok(Set {
            name: Some(set.name.text.clone()),
            key_typeof,
            data_typeof,
            flags,
            timeout: set.timeout,
            gc_interval: set.gc_interval,
            // nft's default where rules add elements.
            size: set.size.or(flags.dynamic.then_some(65_535)),
            auto_merge: set.auto_merge,
            statements: set.statements.clone(),
            comment: set.comment.clone(),
            ..empty_set(key, data)
        })
    }

    fn types(&mut self, names: &[Name]) -> Resolve<Vec<DataType>> {
        let mut types = Vec::new();
        for name in names {
            types.push(self.datatype(name)?);
        }
        let bytes: u16 = types.iter().map(|one| one.bits().div_ceil(32) * 4).sum();
        if let (Some(name), true) = (names.first(), bytes > 64) {
            let message = format!("a key of {bytes} bytes: 64 at most");
            return self.error(name.span, message);
        }
        Ok(types)
    }

    fn datatype(&mut self, name: &Name) -> Resolve<DataType> {
        if let Some(found) = TYPES.into_iter().find(|one| one.name() == name.text) {
            return Ok(found);
        }
        let help = match name.text.as_str() {
            "integer" | "string" | "time" | "day" | "hour" => {
                Some("say which field: `typeof …` in place of `type …`".to_owned())
            }
            other => did_you_mean(other, TYPES.into_iter().map(DataType::name)),
        };
        let message = format!("unknown datatype {}", name.text);
        self.fail(Diagnostic::error(name.span, message).maybe_help(help))
    }

    fn data_kind(&mut self, name: &Name) -> Resolve<DataKind> {
        match name.text.as_str() {
            "verdict" => Ok(DataKind::Verdict),
            "counter" => Ok(DataKind::Counter),
            "limit" => Ok(DataKind::Limit),
            "quota" => Ok(DataKind::Quota),
            _ => self.datatype(name).map(DataKind::Value),
        }
    }

    fn flags(&mut self, names: &[Name]) -> Resolve<SetFlags> {
        let mut flags = SetFlags::default();
        for name in names {
            match name.text.as_str() {
                "interval" => flags.interval = true,
                "timeout" => flags.timeout = true,
                "constant" => flags.constant = true,
                "dynamic" => flags.dynamic = true,
                other => {
                    let words = ["interval", "timeout", "constant", "dynamic"];
                    let help = did_you_mean(other, words)
                        .unwrap_or_else(|| format!("there are {}", words.join(", ")));
                    let message = format!("unknown set flag `{other}`");
                    return self.fail(Diagnostic::error(name.span, message).help(help));
                }
            }
        }
        Ok(flags)
    }

    fn check_flags(&mut self, set: &ast::Set, flags: SetFlags) -> Resolve<()> {
        let span = set.flags.first().map_or(set.name.span, |name| name.span);
        if flags.dynamic && flags.interval {
            let message = Diagnostic::error(span, "rules can't add to a set of intervals")
                .label("`dynamic` excludes `interval`");
            return self.fail(message);
        }
        if flags.dynamic && flags.constant {
            return self.error(span, "`dynamic` excludes `constant`");
        }
        if set.auto_merge && !flags.interval {
            let message = Diagnostic::error(set.name.span, "auto-merge is for sets of intervals")
                .help("add `flags interval;`");
            return self.fail(message);
        }
        if set.auto_merge && set.is_map {
            return self.error(set.name.span, "auto-merge is for sets, not for maps");
        }
        Ok(())
    }

    /// Whether a set is one of such keys.
    pub(super) fn check_set_key(
        &mut self,
        table: usize,
        id: SetId,
        types: &[DataType],
        span: Span,
    ) -> Resolve<()> {
        let set = &self.drafts[table].table.sets[id.0];
        if set.key == types {
            return Ok(());
        }
        let list = |types: &[DataType]| {
            let names: Vec<&str> = types.iter().map(|datatype| datatype.name()).collect();
            names.join(" . ")
        };
        let message = format!(
            "datatype mismatch, expected {}, expression has type {}",
            list(types),
            list(&set.key)
        );
        self.error(span, message)
    }
}
