//! A flow as a JSON object.

use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::SystemTime;

use fw_common::status;
use serde::Serialize;

use super::interfaces::Interfaces;
use super::names::{family_name, proto_name};
use super::rule_names::RuleNames;
use super::{Cause, FlowEntry, FlowEvent, Layout, Rate, Rates, Row, Service, Side};

#[derive(Serialize)]
struct Object<'a> {
    family: &'a str,
    proto: &'a str,
    protonum: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
    timeout: u64,
    original: Direction,
    reply: Direction,
    status: Status,
    mark: u32,
    zone: u16,
    id: u32,
    interface: ByDirection<'a>,
    /// What let the flow in; null where no rule was asked, or one that is no longer there.
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<String>,
}

#[derive(Serialize)]
struct Direction {
    src: IpAddr,
    dst: IpAddr,
    #[serde(flatten)]
    service: Fields,
    #[serde(flatten)]
    counters: Option<Counters>,
}

/// The fields of [`Service`], by the names of the line format.
#[derive(Serialize)]
#[serde(untagged)]
enum Fields {
    Ports {
        sport: u16,
        dport: u16,
    },
    Query {
        #[serde(rename = "type")]
        kind: u8,
        code: u8,
        id: u16,
    },
    Keys {
        srckey: u16,
        dstkey: u16,
    },
    None {},
}

#[derive(Serialize)]
struct Counters {
    packets: u64,
    bytes: u64,
}

/// Null for packets that the host itself sends, and for a direction not seen yet.
#[derive(Serialize)]
struct ByDirection<'a> {
    original: Option<&'a str>,
    reply: Option<&'a str>,
}

/// Names of the bits that are set.
struct Status(u32);

impl Serialize for Status {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let set = status::NAMES.iter().filter(|(bit, _)| self.0 & bit != 0);
        serializer.collect_seq(set.map(|(_, name)| name))
    }
}

/// An event: the flow, and what happened to it.
#[derive(Serialize)]
struct EventObject<'a> {
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    cause: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<&'a str>,
    #[serde(flatten)]
    flow: Object<'a>,
}

/// A flow, how old it is in seconds, and how fast; null for what has not been measured.
#[derive(Serialize)]
struct RowObject<'a> {
    #[serde(flatten)]
    flow: Object<'a>,
    age: u64,
    rates: Option<Speeds>,
}

#[derive(Serialize)]
struct Speeds {
    original: Rate,
    reply: Rate,
}

impl From<Rates> for Speeds {
    fn from([original, reply]: Rates) -> Self {
        Self { original, reply }
    }
}

/// Flows with their rates, as an array.
pub(crate) struct Rows<'a> {
    rows: &'a [Row],
    layout: Layout,
    names: Vec<[Option<Rc<str>>; 2]>,
    rules: Vec<Option<String>>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(
        rows: &'a [Row],
        accounting: bool,
        (interfaces, rules): (&mut Interfaces, &mut RuleNames),
    ) -> Self {
        let names = rows.iter().map(|row| names(&row.entry, interfaces));
        let rules = rows
            .iter()
            .map(|row| rules.name(row.entry.ruled).map(str::to_owned));
        Self {
            rows,
            layout: Layout {
                accounting,
                ..Layout::default()
            },
            names: names.collect(),
            rules: rules.collect(),
        }
    }
}

impl Serialize for Rows<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.rows.iter().zip(&self.names).zip(&self.rules);
        serializer.collect_seq(rows.map(|((row, names), rule)| RowObject {
            flow: object(&row.entry, &self.layout, (names, rule.as_deref()), None),
            age: row.entry.age.as_secs(),
            rates: row.rates.map(Speeds::from),
        }))
    }
}

/// Appends the object, without a line's end.
pub(super) fn write(
    out: &mut Vec<u8>,
    entry: &FlowEntry,
    layout: &Layout,
    (interfaces, rules): (&mut Interfaces, &mut RuleNames),
) -> io::Result<()> {
    let ifaces = names(entry, interfaces);
    let start = layout
        .ktimestamp
        .then(|| rfc3339(SystemTime::now() - entry.age));
    let names = (&ifaces, rules.name(entry.ruled));
    let object = object(entry, layout, names, start);
    serde_json::to_writer(out, &object).map_err(io::Error::from)
}

/// Appends the object of an event, without a line's end.
pub(super) fn write_event(
    out: &mut Vec<u8>,
    event: &FlowEvent,
    layout: &Layout,
    (interfaces, rules): (&mut Interfaces, &mut RuleNames),
) -> io::Result<()> {
    let entry = &event.entry;
    let ifaces = names(entry, interfaces);
    let start = layout.ktimestamp.then(|| rfc3339(event.at - entry.age));
    let (pid, program) = match &event.cause {
        Cause::User { pid, program } => (Some(*pid), Some(program.as_str())),
        Cause::Packet | Cause::Expiry => (None, None),
    };
    let object = EventObject {
        event: event.kind.word(),
        timestamp: layout.timestamp.then(|| rfc3339(event.at)),
        cause: event.cause.word(),
        pid,
        program,
        flow: object(entry, layout, (&ifaces, rules.name(entry.ruled)), start),
    };
    serde_json::to_writer(out, &object).map_err(io::Error::from)
}

/// Names of the interfaces of both directions.
fn names(entry: &FlowEntry, interfaces: &mut Interfaces) -> [Option<Rc<str>>; 2] {
    [&entry.original, &entry.reply].map(|side| interfaces.name(side.ifindex))
}

fn object<'a>(
    entry: &FlowEntry,
    layout: &Layout,
    (ifaces, rule): (&'a [Option<Rc<str>>; 2], Option<&'a str>),
    start: Option<String>,
) -> Object<'a> {
    Object {
        family: family_name(entry.family),
        proto: proto_name(entry.proto),
        protonum: entry.proto,
        state: entry.state,
        timeout: entry.timeout,
        original: direction(entry, &entry.original, layout),
        reply: direction(entry, &entry.reply, layout),
        status: Status(entry.status),
        mark: entry.mark,
        zone: entry.zone,
        id: entry.id,
        interface: ByDirection {
            original: ifaces[0].as_deref(),
            reply: ifaces[1].as_deref(),
        },
        rule,
        start,
    }
}

fn direction(entry: &FlowEntry, side: &Side, layout: &Layout) -> Direction {
    let ends = entry.endpoints(side);
    Direction {
        src: ends.src,
        dst: ends.dst,
        service: match entry.service(side) {
            Service::Ports { sport, dport } => Fields::Ports { sport, dport },
            Service::Query { kind, code, id } => Fields::Query { kind, code, id },
            Service::Keys { src, dst } => Fields::Keys {
                srckey: src,
                dstkey: dst,
            },
            Service::None => Fields::None {},
        },
        counters: layout.accounting.then_some(Counters {
            packets: side.packets,
            bytes: side.bytes,
        }),
    }
}

pub(crate) fn rfc3339(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time)
        .unwrap_or_default()
        .round(jiff::Unit::Millisecond)
        .unwrap_or_default()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::*;
    use super::*;
    use fw_common::wire::proto;

    fn json(flow: &Spec, accounting: bool) -> String {
        let layout = Layout {
            accounting,
            ..Layout::default()
        };
        let mut out = Vec::new();
        write(
            &mut out,
            &flow.build(),
            &layout,
            (&mut Interfaces::default(), &mut RuleNames::default()),
        )
        .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn documented_example() {
        assert_eq!(
            json(&ssh(), true),
            concat!(
                r#"{"family":"ipv4","proto":"tcp","protonum":6,"state":"ESTABLISHED","timeout":431984,"#,
                r#""original":{"src":"172.16.255.130","dst":"172.16.255.131","sport":41102,"dport":22,"packets":7,"bytes":702},"#,
                r#""reply":{"src":"172.16.255.131","dst":"172.16.255.130","sport":22,"dport":41102,"packets":6,"bytes":811},"#,
                r#""status":["SEEN_REPLY","ASSURED","CONFIRMED"],"mark":0,"zone":0,"id":1874,"#,
                r#""interface":{"original":null,"reply":null},"rule":null}"#
            )
        );
    }

    #[test]
    fn queries_have_type_code_and_id() {
        let text = json(&ping(), false);
        assert!(text.contains(
            r#""original":{"src":"192.168.1.2","dst":"10.0.0.2","type":8,"code":0,"id":42},"#
        ));
        assert!(text.contains(
            r#""reply":{"src":"10.0.0.2","dst":"192.168.1.2","type":0,"code":0,"id":42},"#
        ));
        assert!(!text.contains("state\""));
    }

    #[test]
    fn other_protocols_have_addresses_only() {
        let esp = Spec {
            proto: proto::ESP,
            sport: 0,
            dport: 0,
            ..Spec::default()
        };
        let text = json(&esp, false);
        assert!(text.contains(r#""original":{"src":"192.168.1.2","dst":"192.168.1.5"},"#));
        assert!(text.contains(r#""proto":"unknown","protonum":50,"#));
    }
}
