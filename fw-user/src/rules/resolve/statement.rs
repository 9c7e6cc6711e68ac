//! Statements.

use super::elements::empty_set;
use super::known::{Network, Rule};
use super::{Resolve, Resolver};
use crate::rules::ast::{self, ExprKind, RejectWith, StatementKind as K};
use crate::rules::diag::Diagnostic;
use crate::rules::ir::{
    ChainId, CounterRef, DataKind, DataType, Expr, Family, Hook, Log, LogLevel, ObjectRef, Reject,
    Set, SetFlags, SetId, Statement, UpdateOp,
};
use crate::rules::span::Span;

/// Elements of a meter that does not say its size: nft's default.
const METER_SIZE: u32 = 65_535;

impl Resolver<'_> {
    pub(super) fn statement(
        &mut self,
        rule: &mut Rule,
        chain: ChainId,
        statement: &ast::Statement,
    ) -> Resolve<()> {
        let span = statement.span;
        let table = rule.table;
        let resolved = match &statement.kind {
            K::Match(left, relation, right) => return self.compare(rule, left, *relation, right),
            K::Verdict(verdict) => Statement::Verdict(self.verdict(table, verdict)?),
            K::VerdictMap(key, map) => {
                let key = self.left(rule, key)?;
                let map = self.map_for(table, &key, map, DataKind::Verdict)?;
                Statement::VerdictMap { key, map }
            }
            K::Reject(with) => Statement::Reject(self.reject(rule, with.as_ref(), span)?),
            K::Counter(ast::ObjectRef::Own((packets, bytes))) => {
                let (packets, bytes) = (*packets, *bytes);
                Statement::Counter(CounterRef::Own { packets, bytes })
            }
            K::Counter(ast::ObjectRef::Named(name)) => {
                Statement::Counter(CounterRef::Named(self.counter(table, name)?))
            }
            K::Counter(ast::ObjectRef::Map(expr)) => {
                let (key, map) = self.object_map(rule, expr, DataKind::Counter)?;
                Statement::Counter(CounterRef::Map { key, map })
            }
            K::Limit(ast::ObjectRef::Own(limit)) => Statement::Limit(ObjectRef::Own(*limit)),
            K::Limit(ast::ObjectRef::Named(name)) => {
                Statement::Limit(ObjectRef::Named(self.limit(table, name)?))
            }
            K::Limit(ast::ObjectRef::Map(expr)) => {
                let (key, map) = self.object_map(rule, expr, DataKind::Limit)?;
                Statement::Limit(ObjectRef::Map { key, map })
            }
            K::Quota(ast::ObjectRef::Own(quota)) => Statement::Quota(ObjectRef::Own(*quota)),
            K::Quota(ast::ObjectRef::Named(name)) => {
                Statement::Quota(ObjectRef::Named(self.quota(table, name)?))
            }
            K::Quota(ast::ObjectRef::Map(expr)) => {
                let (key, map) = self.object_map(rule, expr, DataKind::Quota)?;
                Statement::Quota(ObjectRef::Map { key, map })
            }
            K::CtCount(count) => {
                self.tracked_only(rule, span)?;
                Statement::CtCount(*count)
            }
            K::Log(log) => Statement::Log(self.log(log, span)?),
            K::Notrack => {
                self.tracked_only(rule, span)?;
                self.doubt_notrack(table, chain, span);
                Statement::Notrack
            }
            K::SetCtMark(value) => {
                self.tracked_only(rule, span)?;
                Statement::SetCtMark(self.new_value(rule, value, DataType::Mark)?)
            }
            K::SetMark(value) => Statement::SetMark(self.new_value(rule, value, DataType::Mark)?),
            K::Update(update) => {
                let set = self.set(table, &update.set)?;
                self.update(rule, set, update)?
            }
            K::Meter { name, size, update } => self.meter(rule, name, *size, update)?,
            K::Flow(name) => {
                self.forward_only(table, chain, span)?;
                Statement::FlowOffload(self.flowtable(table, name)?)
            }
        };
        rule.statements.push(resolved);
        rule.deps.fence(rule.statements.len());
        Ok(())
    }

    fn object_map(
        &mut self,
        rule: &mut Rule,
        expr: &ast::Expr,
        data: DataKind,
    ) -> Resolve<(Expr, SetId)> {
        let ExprKind::Map(key, map) = &expr.kind else {
            return self.error(expr.span, "a map is expected here");
        };
        let key = self.left(rule, key)?;
        let map = self.map_for(rule.table, &key, map, data)?;
        Ok((key, map))
    }

    fn tracked_only(&mut self, rule: &Rule, span: Span) -> Resolve<()> {
        if self.drafts[rule.table].table.family == Family::Netdev {
            let message = Diagnostic::error(span, "ct is not supported in the netdev family")
                .label("frames come here before they are tracked");
            return self.fail(message);
        }
        Ok(())
    }

    /// Tracking stands at priority -200 of prerouting and output.
    fn doubt_notrack(&mut self, table: usize, chain: ChainId, span: Span) {
        let Some(base) = &self.drafts[table].table.chains[chain.0].base else {
            return;
        };
        let before = base.priority < -200 && matches!(base.hook, Hook::Prerouting | Hook::Output);
        if !before {
            let message = Diagnostic::warning(span, "this packet is tracked already").help(
                "notrack works in `hook prerouting priority raw` and `hook output priority raw`",
            );
            self.report.push(message);
        }
    }

    fn forward_only(&mut self, table: usize, chain: ChainId, span: Span) -> Resolve<()> {
        let base = &self.drafts[table].table.chains[chain.0].base;
        if base.as_ref().is_some_and(|base| base.hook != Hook::Forward) {
            let message = "a flow is offloaded in a chain of hook forward";
            return self.error(span, message);
        }
        Ok(())
    }

    fn reject(
        &mut self,
        rule: &mut Rule,
        with: Option<&RejectWith>,
        span: Span,
    ) -> Resolve<Reject> {
        let family = self.drafts[rule.table].table.family;
        match with {
            None => match rule.deps.network() {
                Some(Network::Ip) => {
                    self.reject_needs(rule, Network::Ip, span)?;
                    Ok(Reject::Icmp(3))
                }
                Some(Network::Ip6) => {
                    self.reject_needs(rule, Network::Ip6, span)?;
                    Ok(Reject::Icmpv6(4))
                }
                None => Ok(Reject::Icmpx(1)),
            },
            Some(RejectWith::TcpReset) => {
                match rule.deps.transport() {
                    Some(6) => {}
                    Some(_) => {
                        let message = "you cannot use tcp reset with this protocol";
                        return self.error(span, message);
                    }
                    None => {
                        // In a table of both families nft prints it.
                        let one_family = matches!(family, Family::Ip | Family::Ip6);
                        let implied = one_family && rule.deps.only_matches();
                        first(rule, implied, |rule| {
                            self.need_transport(rule, "tcp", 6, span)
                        })?;
                    }
                }
                Ok(Reject::TcpReset)
            }
            Some(RejectWith::Icmp(code)) => {
                self.reject_needs(rule, Network::Ip, span)?;
                self.code(code, DataType::IcmpCode).map(Reject::Icmp)
            }
            Some(RejectWith::Icmpv6(code)) => {
                self.reject_needs(rule, Network::Ip6, span)?;
                self.code(code, DataType::Icmpv6Code).map(Reject::Icmpv6)
            }
            Some(RejectWith::Icmpx(code)) => {
                if matches!(family, Family::Ip | Family::Ip6) {
                    let message = "abstracted ICMP unreachable not supported";
                    let message = Diagnostic::error(span, message)
                        .label("only families with both IPv4 and IPv6 have it")
                        .help("write `with icmp …` or `with icmpv6 …`");
                    return self.fail(message);
                }
                self.code(code, DataType::IcmpxCode).map(Reject::Icmpx)
            }
        }
    }

    fn reject_needs(&mut self, rule: &mut Rule, network: Network, span: Span) -> Resolve<()> {
        if rule.deps.network().is_some() {
            return self.need_network(rule, network, span);
        }
        if rule.deps.knows_link() {
            // nft puts what is missing in front of the link's matches, and can't read it back.
            let message = Diagnostic::error(span, "the family is not known here")
                .help("match it before: `meta nfproto ipv4` or `meta nfproto ipv6`");
            return self.fail(message);
        }
        let implied = rule.deps.only_matches();
        first(rule, implied, |rule| self.need_network(rule, network, span))
    }

    fn code(&mut self, code: &ast::Expr, datatype: DataType) -> Resolve<u8> {
        let value = self.constant(code, datatype)?;
        // The kernel knows no others: NFT_REJECT_ICMPX_MAX, and what icmp_send takes.
        let most = match datatype {
            DataType::IcmpCode => 15,
            DataType::Icmpv6Code => 6,
            _ => 3,
        };
        match u8::try_from(value) {
            Ok(code) if code <= most => Ok(code),
            _ => self.error(code.span, format!("there are codes 0-{most}")),
        }
    }

    fn log(&mut self, log: &ast::Log, span: Span) -> Resolve<Log> {
        let has_flags = log.flags != crate::rules::ir::LogFlags::default();
        let what = match (log.level, has_flags, log.group) {
            (Some(_), _, Some(_)) => "level",
            (_, true, Some(_)) => "flags",
            _ => "",
        };
        if !what.is_empty() {
            let message = format!("{what} and group are mutually exclusive");
            return self.error(span, message);
        }
        if let Some((LogLevel::Audit, _)) = log.level
            && (log.prefix.is_some() || has_flags)
        {
            let message = "log level audit doesn't support any further options";
            return self.error(span, message);
        }
        let group = log.group.map(|(group, _)| group);
        Ok(Log {
            prefix: log.prefix.clone(),
            level: log.level.map(|(level, _)| level),
            flags: log.flags,
            group,
            // Only a listener's.
            snaplen: log.snaplen.filter(|length| group.is_some() && *length > 0),
            queue_threshold: log.queue_threshold.filter(|_| group.is_some()),
        })
    }

    fn update(&mut self, rule: &mut Rule, id: SetId, update: &ast::Update) -> Resolve<Statement> {
        let key = self.left(rule, &update.key)?;
        let types: Vec<DataType> = key.parts().iter().map(Expr::datatype).collect();
        self.check_set_key(rule.table, id, &types, update.key.span)?;
        let set = &self.drafts[rule.table].table.sets[id.0];
        let (flags, data) = (set.flags, set.data);
        if !flags.dynamic && !flags.timeout {
            let message = Diagnostic::error(update.set.span, "rules can't change this set")
                .help("add `flags dynamic;` to its declaration");
            return self.fail(message);
        }
        if flags.interval || flags.constant {
            let message = "rules can't change a set of intervals or constants";
            return self.error(update.set.span, message);
        }
        if update.timeout.is_some() && !flags.timeout {
            let message = Diagnostic::error(update.set.span, "elements of this set don't expire")
                .help("add `flags timeout;` to its declaration");
            return self.fail(message);
        }
        let data = match (data, &update.data) {
            (None, None) => None,
            (Some(DataKind::Value(datatype)), Some(data)) => {
                Some(self.new_value(rule, data, datatype)?)
            }
            (None, Some(data)) => return self.error(data.span, "a set maps to nothing"),
            (Some(_), _) if update.op == UpdateOp::Delete => None,
            (Some(_), _) => {
                let message = "an element of this map needs `: value`";
                return self.error(update.key.span, message);
            }
        };
        if update.op == UpdateOp::Delete && !update.statements.is_empty() {
            return self.error(update.key.span, "what is deleted keeps no state");
        }
        Ok(Statement::SetUpdate {
            op: update.op,
            set: id,
            key,
            data,
            timeout: update.timeout,
            statements: update.statements.clone(),
        })
    }

    /// A meter is a dynamic set that is declared where it is used.
    fn meter(
        &mut self,
        rule: &mut Rule,
        name: &ast::Name,
        size: Option<u32>,
        update: &ast::Update,
    ) -> Resolve<Statement> {
        let draft = &self.drafts[rule.table];
        if draft.sets.contains_key(&name.text) {
            let message = format!("a set `{}` exists already", name.text);
            let message = Diagnostic::error(name.span, message)
                .help(format!("write `update @{} {{ … }}`", name.text));
            return self.fail(message);
        }
        let key = self.left(rule, &update.key)?;
        let types = key.parts().iter().map(Expr::datatype).collect();
        let key_typeof = Some(key.parts().to_vec());
        let draft = &mut self.drafts[rule.table];
        let id = SetId(draft.table.sets.len());
        let handle = draft.handle();
        draft.sets.insert(name.text.clone(), id);
        draft.table.sets.push(Set {
            name: Some(name.text.clone()),
            handle,
            key_typeof,
            flags: SetFlags {
                dynamic: true,
                timeout: update.timeout.is_some(),
                ..SetFlags::default()
            },
            meter: true,
            size: Some(size.unwrap_or(METER_SIZE)),
            ..empty_set(types, None)
        });
        Ok(Statement::SetUpdate {
            op: update.op,
            set: id,
            key,
            data: None,
            timeout: update.timeout,
            statements: update.statements.clone(),
        })
    }
}

/// What a reject needs stands in front of the whole rule, so that other packets count nowhere in it.
fn first(
    rule: &mut Rule,
    implied: bool,
    need: impl FnOnce(&mut Rule) -> Resolve<()>,
) -> Resolve<()> {
    let before = rule.statements.len();
    need(rule)?;
    let mut added = rule.statements.split_off(before);
    for statement in &mut added {
        if let Statement::Match(one) = statement {
            one.implied = implied;
        }
    }
    rule.statements.splice(0..0, added);
    Ok(())
}
