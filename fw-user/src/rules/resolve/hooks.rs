//! Base chains: which hooks and priorities there are.

use super::{Resolve, Resolver, ast};
use crate::rules::ast::Name;
use crate::rules::diag::{Diagnostic, did_you_mean};
use crate::rules::ir::{BaseChain, ChainId, Family, Hook, Policy};
use crate::rules::span::Span;

const HOOKS: [Hook; 5] = [
    Hook::Ingress,
    Hook::Prerouting,
    Hook::Input,
    Hook::Forward,
    Hook::Output,
];

/// Priorities with names, where they have one.
#[must_use]
pub(in crate::rules) fn priorities(family: Family, hook: Hook) -> &'static [(&'static str, i32)] {
    match (family, hook) {
        (Family::Netdev, _) | (_, Hook::Ingress) => &[("filter", 0)],
        (_, Hook::Prerouting) => &[
            ("raw", -300),
            ("mangle", -150),
            ("dstnat", -100),
            ("filter", 0),
            ("security", 50),
        ],
        _ => &[
            ("raw", -300),
            ("mangle", -150),
            ("filter", 0),
            ("security", 50),
        ],
    }
}

impl Resolver<'_> {
    /// Makes a base chain of it if it says so; checks it against what it was.
    pub(super) fn hook_in(&mut self, table: usize, id: ChainId, chain: &ast::Chain) -> Resolve<()> {
        let before = self.drafts[table].table.chains[id.0].base.clone();
        let base = match (&chain.hook, before) {
            (Some(spec), before) => {
                let base = self.base(table, spec, chain.policy.map(|(policy, _)| policy))?;
                if let Some(before) = before {
                    let differs = (before.hook, before.priority, &before.devices)
                        != (base.hook, base.priority, &base.devices);
                    if differs {
                        let message = "this chain has another hook already";
                        return self.error(spec.span, message);
                    }
                    let policy = chain.policy.map_or(before.policy, |(policy, _)| policy);
                    BaseChain { policy, ..base }
                } else {
                    let is_new = self.drafts[table].table.chains[id.0].rules.is_empty();
                    if !is_new {
                        let message = "this chain is there without a hook already";
                        return self.error(spec.span, message);
                    }
                    base
                }
            }
            (None, Some(before)) => {
                let policy = chain.policy.map_or(before.policy, |(policy, _)| policy);
                BaseChain { policy, ..before }
            }
            (None, None) => {
                let Some((_, span)) = chain.policy else {
                    return Ok(());
                };
                let message = Diagnostic::error(span, "only base chains have a policy")
                    .label("this chain has no hook")
                    .help("say `type filter hook … priority …;` before it");
                return self.fail(message);
            }
        };
        self.drafts[table].table.chains[id.0].base = Some(base);
        Ok(())
    }

    fn base(
        &mut self,
        table: usize,
        spec: &ast::HookSpec,
        policy: Option<Policy>,
    ) -> Resolve<BaseChain> {
        if spec.kind.text != "filter" {
            let message = format!("chain type `{}` is unknown", spec.kind.text);
            let message = Diagnostic::error(spec.kind.span, message).help("write `type filter`");
            return self.fail(message);
        }
        let family = self.drafts[table].table.family;
        let hook = self.hook(family, &spec.hook)?;
        if hook == Hook::Ingress && spec.devices.is_empty() {
            let message = Diagnostic::error(spec.hook.span, "an ingress chain needs a device")
                .help("write `hook ingress device \"eth0\" priority …`");
            return self.fail(message);
        }
        if let (true, Some(device)) = (hook != Hook::Ingress, spec.devices.first()) {
            let message = format!("hook {} has no device", hook.name());
            let message = Diagnostic::error(device.span, message)
                .help("match the interface in the rules: `iifname`");
            return self.fail(message);
        }
        let priority = self.priority(
            family,
            hook,
            spec.priority_name.as_ref(),
            spec.priority,
            spec.priority_span,
        )?;
        let mut devices: Vec<String> = Vec::new();
        for device in &spec.devices {
            if device.text.is_empty() || device.text.len() > 15 {
                return self.error(device.span, "this is no interface's name");
            }
            devices.push(device.text.clone());
        }
        Ok(BaseChain {
            hook,
            priority,
            policy: policy.unwrap_or(Policy::Accept),
            devices,
        })
    }

    fn hook(&mut self, family: Family, name: &Name) -> Resolve<Hook> {
        let found = HOOKS.into_iter().find(|hook| hook.name() == name.text);
        let fits = |hook: &Hook| match family {
            Family::Inet => true,
            Family::Netdev => *hook == Hook::Ingress,
            Family::Ip | Family::Ip6 => *hook != Hook::Ingress,
        };
        match found.filter(fits) {
            Some(hook) => Ok(hook),
            None => {
                let known = HOOKS.into_iter().filter(fits).map(Hook::name);
                let list: Vec<&str> = known.clone().collect();
                let help = did_you_mean(&name.text, known)
                    .unwrap_or_else(|| format!("there are {}", list.join(", ")));
                let message = format!("family {} has no hook `{}`", family.name(), name.text);
                self.fail(Diagnostic::error(name.span, message).help(help))
            }
        }
    }

    fn priority(
        &mut self,
        family: Family,
        hook: Hook,
        name: Option<&Name>,
        offset: i64,
        span: Span,
    ) -> Resolve<i32> {
        let base = match name {
            None => 0,
            Some(name) => {
                let known = priorities(family, hook);
                match known.iter().find(|(known, _)| *known == name.text) {
                    Some((_, priority)) => i64::from(*priority),
                    None => {
                        let names = known.iter().map(|(name, _)| *name);
                        let list: Vec<&str> = names.clone().collect();
                        let help = did_you_mean(&name.text, names)
                            .unwrap_or_else(|| format!("there are {}", list.join(", ")));
                        let message = Diagnostic::error(
                            name.span,
                            "invalid priority expression value in this context",
                        )
                        .label(format!("not in hook {}", hook.name()))
                        .help(help);
                        return self.fail(message);
                    }
                }
            }
        };
        match i32::try_from(base + offset) {
            Ok(priority) => Ok(priority),
            Err(_) => self.error(span, "priority out of range"),
        }
    }

    pub(super) fn flowtable_priority(
        &mut self,
        name: Option<&Name>,
        offset: i64,
        span: Span,
    ) -> Resolve<i32> {
        self.priority(Family::Netdev, Hook::Ingress, name, offset, span)
    }
}
