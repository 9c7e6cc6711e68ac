//! Elements of sets and maps.

use super::compare::field_bits;
use super::overlap;
use super::{Resolve, Resolver};
use crate::rules::ast::{self, ExprKind, MapData};
use crate::rules::diag::Diagnostic;
use crate::rules::ir::{
    Data, DataKind, DataType, Element, ElementKey, Expr, Extras, Pattern, Set, SetFlags, SetId,
};
use crate::rules::parse::innermost;
use crate::rules::span::Span;

impl Resolver<'_> {
    /// A set that stands in a rule.
    pub(super) fn anonymous_set(
        &mut self,
        table: usize,
        types: &[DataType],
        data: Option<DataKind>,
        elements: &[ast::Element],
        span: Span,
    ) -> Resolve<SetId> {
        if elements.is_empty() {
            return self.error(span, "Set is empty");
        }
        let mut set = empty_set(types.to_vec(), data);
        set.flags.constant = true;
        let mut resolved = self.resolve_elements(table, &set, elements, true)?;
        let is_interval = resolved
            .iter()
            .any(|(element, _)| is_interval(&element.key));
        set.flags.interval = is_interval;
        if is_interval && data.is_none() && types.len() == 1 {
            overlap::merge(&mut resolved, types[0]);
        }
        self.check_elements(&set, &mut resolved)?;
        set.elements = resolved.into_iter().map(|(element, _)| element).collect();
        Ok(self.push_set(table, set))
    }

    /// An anonymous set of these values.
    pub(super) fn set_of_patterns(
        &mut self,
        table: usize,
        datatype: DataType,
        patterns: Vec<Pattern>,
    ) -> SetId {
        let mut set = empty_set(vec![datatype], None);
        set.flags.constant = true;
        set.elements = patterns
            .into_iter()
            .map(|pattern| Element {
                key: ElementKey::One(pattern),
                data: None,
                extras: None,
            })
            .collect();
        self.push_set(table, set)
    }

    fn push_set(&mut self, table: usize, set: Set) -> SetId {
        let sets = &mut self.drafts[table].table.sets;
        sets.push(set);
        SetId(sets.len() - 1)
    }

    /// `elements = …` and `add element`.
    pub(super) fn add_elements(
        &mut self,
        table: usize,
        id: SetId,
        elements: &ast::Expr,
        create: bool,
    ) -> Resolve<()> {
        let resolved = self.elements_of(table, id, elements)?;
        let set = &mut self.drafts[table].table.sets[id.0];
        let mut set = std::mem::replace(set, empty_set(Vec::new(), None));
        let known = std::mem::take(&mut set.elements);
        if create {
            let twin = resolved
                .iter()
                .find(|(element, _)| known.iter().any(|other| other.key == element.key));
            if let Some((_, span)) = twin {
                let span = *span;
                set.elements = known;
                self.drafts[table].table.sets[id.0] = set;
                return self.error(span, "this element is there already");
            }
        }
        let mut all: Vec<(Element, Span)> = known
            .into_iter()
            .map(|element| (element, elements.span))
            .chain(resolved)
            .collect();
        if set.auto_merge && set.key.len() == 1 {
            overlap::merge(&mut all, set.key[0]);
        }
        let checked = self.check_elements(&set, &mut all);
        set.elements = all.into_iter().map(|(element, _)| element).collect();
        self.drafts[table].table.sets[id.0] = set;
        checked
    }

    pub(super) fn delete_elements(
        &mut self,
        table: usize,
        id: SetId,
        elements: &ast::Expr,
    ) -> Resolve<()> {
        let resolved = self.elements_of(table, id, elements)?;
        for (element, span) in resolved {
            let known = &mut self.drafts[table].table.sets[id.0].elements;
            match known.iter().position(|other| other.key == element.key) {
                Some(position) => {
                    known.remove(position);
                }
                None => return self.error(span, "there is no such element to delete"),
            }
        }
        Ok(())
    }

    fn elements_of(
        &mut self,
        table: usize,
        id: SetId,
        elements: &ast::Expr,
    ) -> Resolve<Vec<(Element, Span)>> {
        let inner = innermost(elements);
        let ExprKind::Set(list) = &inner.kind else {
            return self.error(elements.span, "elements in braces are expected: `{ …, … }`");
        };
        let set = &self.drafts[table].table.sets[id.0];
        let mut like = empty_set(set.key.clone(), set.data);
        like.name.clone_from(&set.name);
        like.flags = set.flags;
        like.timeout = set.timeout;
        self.resolve_elements(table, &like, list, false)
    }

    /// Reads elements; those of variables are taken in.
    fn resolve_elements(
        &mut self,
        table: usize,
        set: &Set,
        elements: &[ast::Element],
        anonymous: bool,
    ) -> Resolve<Vec<(Element, Span)>> {
        let mut resolved = Vec::with_capacity(elements.len().min(self.elements_left));
        let mut result = Ok(());
        for element in elements {
            if self.report.is_full() {
                break;
            }
            let inner = innermost(&element.key);
            if let (ExprKind::Set(list), None) = (&inner.kind, &element.data) {
                match self.resolve_elements(table, set, list, anonymous) {
                    Ok(more) => resolved.extend(more),
                    Err(failed) => result = Err(failed),
                }
                continue;
            }
            if self.elements_left == 0 {
                return self.error(element.key.span, "too many elements in all sets together");
            }
            self.elements_left -= 1;
            match self.element(table, set, element, anonymous) {
                Ok(element) => resolved.push(element),
                Err(failed) => result = Err(failed),
            }
        }
        result.map(|()| resolved)
    }

    fn element(
        &mut self,
        table: usize,
        set: &Set,
        element: &ast::Element,
        anonymous: bool,
    ) -> Resolve<(Element, Span)> {
        let span = element.key.span;
        let key = self.element_key(set, &element.key)?;
        if !anonymous && !set.flags.interval {
            let what = key.patterns().iter().find_map(|pattern| match pattern {
                Pattern::Range(..) => Some("range"),
                Pattern::Prefix(..) => Some("prefix"),
                Pattern::Wildcard(_) => Some("wildcard"),
                _ => None,
            });
            if let Some(what) = what {
                let message = "You must add 'flags interval' to your set declaration if you want \
                               to add such elements";
                let message = Diagnostic::error(span, message).label(format!("this is a {what}"));
                return self.fail(message);
            }
        }
        let data = self.element_data(table, set, element.data.as_ref(), span)?;
        let extras = element.extras.as_deref().map(|extras| {
            Box::new(Extras {
                timeout: extras.timeout,
                expires: extras.expires,
                comment: extras.comment.clone(),
                statements: extras.statements.clone(),
            })
        });
        let lives = extras
            .as_deref()
            .is_some_and(|extras| extras.timeout.is_some() || extras.expires.is_some());
        if lives && anonymous {
            let message = "elements of a set without a name don't expire";
            return self.error(span, message);
        }
        if lives && !set.flags.timeout {
            let message = Diagnostic::error(span, "elements of this set don't expire")
                .help("add `flags timeout;` to its declaration");
            return self.fail(message);
        }
        Ok((Element { key, data, extras }, span))
    }

    fn element_key(&mut self, set: &Set, key: &ast::Expr) -> Resolve<ElementKey> {
        let inner = innermost(key);
        if let ExprKind::Any = inner.kind {
            return Ok(ElementKey::Any);
        }
        let parts = match &inner.kind {
            ExprKind::Concat(parts) => parts.as_slice(),
            _ => std::slice::from_ref(inner),
        };
        if parts.len() != set.key.len() {
            let types: Vec<&str> = set.key.iter().map(|datatype| datatype.name()).collect();
            let message = format!("datatype mismatch, expected {}", types.join(" . "));
            let message = Diagnostic::error(key.span, message).label(format!(
                "this has {} component{}",
                parts.len(),
                if parts.len() == 1 { "" } else { "s" }
            ));
            return self.fail(message);
        }
        let mut patterns = Vec::with_capacity(parts.len());
        for (part, datatype) in parts.iter().zip(&set.key) {
            let bits = field_bits(&Expr::Constant(0, *datatype));
            let span = if parts.len() == 1 {
                key.span
            } else {
                part.span
            };
            let pattern = self.pattern(part, *datatype, bits, span)?;
            // nft's way of writing one value.
            patterns.push(match pattern {
                Pattern::Range(first, last) if first == last => Pattern::Exact(first),
                Pattern::Range(first, last) if first > last => {
                    return self.error(span, "Range has zero or negative size");
                }
                Pattern::Prefix(value, length) if length == datatype.bits() => {
                    Pattern::Exact(value)
                }
                other => other,
            });
        }
        if patterns.len() == 1
            && let Some(pattern) = patterns.pop()
        {
            return Ok(ElementKey::One(pattern));
        }
        Ok(ElementKey::Concat(patterns.into()))
    }

    fn element_data(
        &mut self,
        table: usize,
        set: &Set,
        data: Option<&MapData>,
        span: Span,
    ) -> Resolve<Option<Data>> {
        let Some(kind) = set.data else {
            return match data {
                None => Ok(None),
                Some(_) => {
                    let message = Diagnostic::error(span, "a set maps to nothing")
                        .help("with `: value` it is a map: use `map` or `vmap`");
                    self.fail(message)
                }
            };
        };
        let Some(data) = data else {
            return self.error(span, "an element of a map needs `: value`");
        };
        let data = match (kind, data) {
            (DataKind::Verdict, MapData::Verdict(verdict)) => {
                Data::Verdict(self.verdict(table, verdict)?)
            }
            (DataKind::Verdict, MapData::Value(value)) => {
                let message = "a verdict is expected here: `accept`, `drop`, `jump …`";
                return self.error(value.span, message);
            }
            (_, MapData::Verdict(_)) => {
                return self.error(span, "this map does not map to verdicts");
            }
            (DataKind::Value(datatype), MapData::Value(value)) => {
                let bits = datatype.bits();
                Data::Value(self.pattern(value, datatype, bits, value.span)?)
            }
            (DataKind::Counter, MapData::Value(value)) => Data::Counter(
                self.object_name(value)
                    .and_then(|name| self.counter(table, &name))?,
            ),
            (DataKind::Limit, MapData::Value(value)) => Data::Limit(
                self.object_name(value)
                    .and_then(|name| self.limit(table, &name))?,
            ),
            (DataKind::Quota, MapData::Value(value)) => Data::Quota(
                self.object_name(value)
                    .and_then(|name| self.quota(table, &name))?,
            ),
        };
        Ok(Some(data))
    }

    fn object_name(&mut self, value: &ast::Expr) -> Resolve<ast::Name> {
        match innermost(value).kind {
            ExprKind::Symbol { .. } => Ok(ast::Name {
                text: self.text(innermost(value).span).to_owned(),
                span: value.span,
            }),
            _ => self.error(value.span, "a name is expected here"),
        }
    }

    /// Orders the elements and refuses what the kernel would refuse.
    fn check_elements(&mut self, set: &Set, elements: &mut Vec<(Element, Span)>) -> Resolve<()> {
        match overlap::order(set, elements) {
            Ok(()) => Ok(()),
            Err(overlap::Clash {
                first,
                second,
                same,
            }) => {
                let message = if same {
                    "this key is there already"
                } else {
                    "conflicting intervals specified"
                };
                let mut message = Diagnostic::error(second, message).and(first, "the other one");
                if set.name.is_some() && set.data.is_none() && set.key.len() == 1 {
                    message =
                        message.help("with `auto-merge` in the set's declaration they become one");
                }
                self.fail(message)
            }
        }
    }
}

/// A set with nothing in it.
pub(super) fn empty_set(key: Vec<DataType>, data: Option<DataKind>) -> Set {
    Set {
        name: None,
        handle: 0,
        key,
        key_typeof: None,
        data,
        data_typeof: None,
        flags: SetFlags::default(),
        timeout: None,
        gc_interval: None,
        meter: false,
        size: None,
        auto_merge: false,
        statements: Vec::new(),
        comment: None,
        elements: Vec::new(),
    }
}

fn is_interval(key: &ElementKey) -> bool {
    key.patterns().iter().any(|pattern| {
        matches!(
            pattern,
            Pattern::Range(..) | Pattern::Prefix(..) | Pattern::Wildcard(_)
        )
    })
}
