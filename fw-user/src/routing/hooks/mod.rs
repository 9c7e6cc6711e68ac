//! Whether anything in the kernel sees forwarded packets, and might change or drop them: then the first packet of
//! each flow has to go by way of the kernel, which later ones need not.

mod btf;
mod symbols;

use std::fmt;

use aya::programs::tc::TcAttachType;
use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions};
use fw_common::abi::{HookList, programs};
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::paths::Paths;
use crate::sys::netlink_raw::{dump, number};
use crate::sys::record;
use btf::Btf;
use symbols::Symbols;

/// Where in `netns_nf` the lists are that forwarded packets meet, by hook: `NF_INET_PRE_ROUTING`,
/// `NF_INET_FORWARD`, `NF_INET_POST_ROUTING`.
const PLACES: [(u32, &str); 3] = [(0, "prerouting"), (2, "forward"), (4, "postrouting")];
/// Length of a pointer.
const POINTER: u32 = 8;
/// Two put fragments together, and what leaves by XDP is none. AppArmor's looks only at packets of the host's own
/// sockets, in every network namespace of a kernel that has it.
const HARMLESS: [&str; 3] = [
    "ipv4_conntrack_defrag",
    "ipv6_defrag",
    "apparmor_ip_postroute",
];
/// Said of a machine where it is not known.
const CANNOT_TELL: &str = "it can't be found out whether kernel rules see forwarded packets";

/// Something that sees forwarded packets.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seer {
    what: String,
    place: String,
}

impl fmt::Display for Seer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.place)
    }
}

/// What looks for it.
#[derive(Debug)]
pub struct Hooks {
    /// `fw_hooks`, and what to ask it; or why that can't be done.
    reader: Result<(SchedClassifier, Layout), String>,
    symbols: Symbols,
}

impl Hooks {
    /// Opens the pinned program.
    #[must_use]
    pub fn open(paths: &Paths) -> Self {
        let program = SchedClassifier::from_pin(paths.program(programs::HOOKS));
        let reader = match (program, Layout::read()) {
            (Ok(program), Ok(layout)) => Ok((program, layout)),
            (Err(e), _) => Err(format!("{CANNOT_TELL}: {}", crate::error::chain(&e))),
            (_, Err(why)) => Err(format!("{CANNOT_TELL}: {why}")),
        };
        Self {
            reader,
            symbols: Symbols::default(),
        }
    }

    /// Why first packets of flows have to go by way of the kernel of this network namespace; `None`: they need
    /// not. `ports` are the numbers and names of the filtered interfaces.
    #[must_use]
    pub fn look(&mut self, ports: &[(u32, String)]) -> Option<String> {
        let (program, layout) = match &self.reader {
            Ok(reader) => reader,
            Err(why) => return Some(why.clone()),
        };
        let Some(mut seers) = hooked(program, layout, ports, &mut self.symbols) else {
            return Some(CANNOT_TELL.into());
        };
        match classifiers(ports) {
            Some(found) => seers.extend(found),
            None => return Some(CANNOT_TELL.into()),
        }
        tell(&seers)
    }
}

fn tell(seers: &[Seer]) -> Option<String> {
    /// As many are named.
    const NAMED: usize = 4;
    if seers.is_empty() {
        return None;
    }
    let names: Vec<_> = seers.iter().take(NAMED).map(Seer::to_string).collect();
    let more = match seers.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!("they are seen by {}{more}", names.join(", ")))
}

/// All netfilter hooks that forwarded packets meet; `None` if one list can't be read.
fn hooked(
    program: &SchedClassifier,
    layout: &Layout,
    ports: &[(u32, String)],
    symbols: &mut Symbols,
) -> Option<Vec<Seer>> {
    let mut found = Vec::new();
    for (question, place) in &layout.of_namespace {
        found.push((ask(program, question, 0)?, place.clone()));
    }
    for (index, name) in ports {
        for (question, place) in &layout.of_device {
            let place = format!("{place} of {}", name.escape_debug());
            found.push((ask(program, question, *index)?, place));
        }
    }
    let functions: Vec<u64> = found.iter().flat_map(|(list, _)| functions(list)).collect();
    symbols.learn(&functions);
    let seers = found
        .iter()
        .flat_map(|(list, place)| seers_of(list, place, symbols));
    Some(seers.collect())
}

/// What might change or drop forwarded packets at one place.
fn seers_of(list: &HookList, place: &str, symbols: &Symbols) -> impl Iterator<Item = Seer> {
    let named = functions_of(list, symbols).into_iter();
    let seers = named.filter(|name| !HARMLESS.contains(&name.as_str()));
    seers.map(|what| Seer {
        what,
        place: place.to_owned(),
    })
}

fn functions(list: &HookList) -> impl Iterator<Item = u64> {
    let there = list.entries.iter().take(list.found as usize);
    there.map(|entry| entry.function)
}

/// Names of all hooks of a list, also of those that have none.
fn functions_of(list: &HookList, symbols: &Symbols) -> Vec<String> {
    let named = functions(list).map(|at| match symbols.name(at) {
        Some(name) => name.to_string(),
        None => "a netfilter hook".into(),
    });
    let unseen = (list.found as usize).saturating_sub(HookList::ENTRIES);
    named
        .chain((0..unseen).map(|_| "a netfilter hook".into()))
        .collect()
}

/// Puts a question to the program, in this thread's network namespace; `None` if it has no answer.
fn ask(program: &SchedClassifier, question: &HookList, ifindex: u32) -> Option<HookList> {
    /// `__sk_buff::ifindex`, and behind it.
    const IFINDEX: usize = 40;
    const CONTEXT: usize = 44;
    let mut context = [0; CONTEXT];
    context[IFINDEX..].copy_from_slice(&ifindex.to_ne_bytes());
    let mut answer = [0; size_of::<HookList>()];
    let mut options = TestRunOptions::new();
    options.data_in = Some(record::bytes(question));
    options.data_out = Some(&mut answer);
    options.ctx_in = Some(&context);
    let result = program.test_run(options).ok()?;
    let list: HookList = record::read(&answer)?;
    (result.return_value == 0 && list.found != HookList::UNKNOWN).then_some(list)
}

/// The questions to `fw_hooks` on this kernel.
#[derive(Debug)]
struct Layout {
    of_namespace: Vec<(HookList, String)>,
    of_device: Vec<(HookList, String)>,
}

impl Layout {
    fn read() -> Result<Self, String> {
        let btf = Btf::read().map_err(|e| e.to_string())?;
        Self::of(&btf)
    }

    fn of(btf: &Btf) -> Result<Self, String> {
        let mut layout = Self {
            of_namespace: Vec::new(),
            of_device: Vec::new(),
        };
        if !btf.has("netns_nf") {
            // A kernel without netfilter.
            return Ok(layout);
        }
        let offset = |name: &str, member: &str| {
            let found = btf.offset(name, member);
            found.ok_or_else(|| format!("the kernel's struct {name} has no {member}"))
        };
        let question = HookList {
            device: offset("sk_buff", "dev")?,
            namespace: offset("net_device", "nd_net")?,
            count: offset("nf_hook_entries", "num_hook_entries")?,
            hooks: offset("nf_hook_entries", "hooks")?,
            ..HookList::default()
        };
        let netfilter = offset("net", "nf")?;
        for (family, member) in [("ip", "hooks_ipv4"), ("ip6", "hooks_ipv6")] {
            let lists = netfilter + offset("netns_nf", member)?;
            for (hook, name) in PLACES {
                let list = lists + hook * POINTER;
                let question = HookList { list, ..question };
                layout
                    .of_namespace
                    .push((question, format!("{family} {name}")));
            }
        }
        // A kernel may have been built without these.
        for (member, name) in [
            ("nf_hooks_ingress", "ingress"),
            ("nf_hooks_egress", "egress"),
        ] {
            if let Some(list) = btf.offset("net_device", member) {
                let question = HookList {
                    namespace: HookList::NO_NAMESPACE,
                    list,
                    ..question
                };
                layout.of_device.push((question, name.into()));
            }
        }
        Ok(layout)
    }
}

/// Programs and filters of others at TC; `None` if they can't be listed.
fn classifiers(ports: &[(u32, String)]) -> Option<Vec<Seer>> {
    /// `RTM_GETQDISC`; length of `struct tcmsg`; `TC_H_CLSACT`, which is `TC_H_INGRESS`.
    const GET_QDISC: u16 = 38;
    const HEADER: usize = 20;
    const CLSACT: u32 = 0xffff_fff1;
    let mut found = Vec::new();
    let qdiscs = dump(NETLINK_ROUTE, GET_QDISC, &[0; HEADER]).ok()?;
    for (index, name) in ports {
        let place = || name.escape_debug().to_string();
        let hooked = |body: &[u8]| {
            let (device, parent) = (body.get(4..8)?, body.get(12..16)?);
            Some(number(device) == *index && number(parent) == CLSACT)
        };
        if qdiscs.iter().any(|qdisc| hooked(&qdisc.body) == Some(true)) {
            found.push(Seer {
                what: "tc filters".into(),
                place: place(),
            });
        }
        for side in [TcAttachType::Ingress, TcAttachType::Egress] {
            let (_, others) = SchedClassifier::query_tcx(name, side).ok()?;
            let others = others
                .into_iter()
                .filter(|program| !is_ours(program.name_as_str()));
            found.extend(others.map(|program| Seer {
                what: match program.name_as_str() {
                    Some(name) if !name.is_empty() => {
                        format!("tc program {}", name.escape_debug())
                    }
                    _ => "a tc program".into(),
                },
                place: place(),
            }));
        }
    }
    Some(found)
}

fn is_ours(name: Option<&str>) -> bool {
    /// `BPF_OBJ_NAME_LEN`, with a zero.
    const LONGEST: usize = 15;
    let ours = [programs::INGRESS_TC, programs::EGRESS];
    name.is_some_and(|name| {
        ours.iter()
            .any(|own| name == own.get(..LONGEST).unwrap_or(own))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernels_types_are_understood() {
        let layout = Layout::read().expect("a layout");
        assert_eq!(layout.of_namespace.len(), 6);
        for (question, place) in layout.of_namespace.iter().chain(&layout.of_device) {
            assert!(
                question.list % POINTER == 0 && question.list != 0,
                "{place}"
            );
        }
    }

    #[test]
    fn hooks_without_names_count_as_well() {
        let mut list = HookList {
            found: 18,
            ..HookList::default()
        };
        list.entries[0].function = 7;
        let names = functions_of(&list, &Symbols::default());
        assert_eq!(names.len(), 18);
    }

    #[test]
    fn who_can_do_nothing_to_forwarded_packets_does_not_count() {
        let mut list = HookList {
            found: 3,
            ..HookList::default()
        };
        let names = [
            (7, "apparmor_ip_postroute"),
            (8, "nf_nat_ipv4_out"),
            (9, "ipv6_defrag"),
        ];
        for (entry, (at, _)) in list.entries.iter_mut().zip(names) {
            entry.function = at;
        }
        let seers: Vec<_> = seers_of(&list, "ip postrouting", &Symbols::of(&names)).collect();
        let seen = tell(&seers).expect("NAT is seen");
        assert_eq!(seen, "they are seen by nf_nat_ipv4_out (ip postrouting)");
    }

    #[test]
    fn not_all_are_named() {
        let seer = |n: u32| Seer {
            what: format!("f{n}"),
            place: "ip forward".into(),
        };
        assert_eq!(tell(&[]), None);
        let one = "they are seen by f0 (ip forward)";
        assert_eq!(tell(&[seer(0)]).as_deref(), Some(one));
        let all: Vec<_> = (0..6).map(seer).collect();
        let said = tell(&all).expect("seen");
        assert!(said.ends_with("f3 (ip forward) and 2 more"), "{said}");
    }

    #[test]
    fn our_own_programs_are_known_by_their_names() {
        assert!(is_ours(Some("fw_egress")) && is_ours(Some("fw_ingress_tc")));
        assert!(!is_ours(Some("cil_to_host")) && !is_ours(None));
    }
}
