//! The line that `conntrack -L` prints for a flow.

use std::io::Write;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use fw_common::status;

use super::event::{Cause, EventKind, FlowEvent};
use super::names::{family_name, proto_name};
use super::{FlowEntry, Layout, Service, Side};

/// Appends the line and its end.
///
/// The order is libnetfilter_conntrack's. One thing is not: there, a flow of a flowtable has neither
/// timeout nor state, because its kernel does not follow it. We do, and print both.
pub(super) fn write(out: &mut Vec<u8>, entry: &FlowEntry, layout: &Layout) {
    let now = SystemTime::now();
    let parts = Parts {
        timeout: true,
        state: true,
        counters: layout.accounting,
        mark: true,
        uses: true,
        seconds: (layout.ktimestamp || layout.age).then(|| entry.seconds_until(now)),
        start: layout.ktimestamp.then(|| now - entry.age),
        stop: None,
    };
    body(out, entry, layout, &parts);
    text(out, "\n");
}

/// Appends the line of an event and its end: what `ctnetlink_conntrack_event` puts into a message, in
/// the words of `conntrack -E`.
pub(super) fn write_event(out: &mut Vec<u8>, event: &FlowEvent, layout: &Layout) {
    let entry = &event.entry;
    if layout.timestamp {
        let since = event.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (secs, micros) = (since.as_secs(), since.subsec_micros());
        push(out, format_args!("[{secs}.{micros:06}]\t"));
    }
    // Nine columns, to the right.
    text(
        out,
        match event.kind {
            EventKind::New => "    [NEW] ",
            EventKind::Update => " [UPDATE] ",
            EventKind::Destroy => "[DESTROY] ",
        },
    );
    let ended = event.kind == EventKind::Destroy;
    let times = ended && layout.ktimestamp;
    let parts = Parts {
        timeout: !ended || entry.timeout > 0,
        state: event.state_changed,
        counters: ended && layout.accounting,
        mark: event.mark_changed || entry.mark != 0,
        uses: false,
        seconds: (ended && (layout.ktimestamp || layout.age))
            .then(|| entry.seconds_until(event.at)),
        start: times.then(|| event.at - entry.age),
        stop: times.then_some(event.at),
    };
    body(out, entry, layout, &parts);
    if let Cause::User { pid, program } = &event.cause {
        push(
            out,
            format_args!(" [USERSPACE] portid={pid} progname={program}"),
        );
    }
    text(out, "\n");
}

/// What of an entry a line has.
struct Parts {
    timeout: bool,
    state: bool,
    counters: bool,
    mark: bool,
    uses: bool,
    seconds: Option<u64>,
    start: Option<SystemTime>,
    stop: Option<SystemTime>,
}

fn body(out: &mut Vec<u8>, entry: &FlowEntry, layout: &Layout, parts: &Parts) {
    head(out, entry, layout, parts);
    side(out, entry, &entry.original, parts);
    if !entry.has(status::SEEN_REPLY) {
        text(out, "[UNREPLIED] ");
    }
    side(out, entry, &entry.reply, parts);
    if let Some(flag) = flag(entry) {
        text(out, "[");
        text(out, flag);
        text(out, "] ");
    }
    tail(out, entry, layout, parts);
    // Every part brings the blank behind it.
    out.pop_if(|last| *last == b' ');
}

/// The one flag behind the reply tuple: which path the packets take says more than ASSURED, which
/// only such flows can be.
pub(super) const fn flag(entry: &FlowEntry) -> Option<&'static str> {
    if entry.has(status::HW_OFFLOAD) {
        Some("HW_OFFLOAD")
    } else if entry.has(status::OFFLOAD) {
        Some("OFFLOAD")
    } else if entry.has(status::ASSURED) {
        Some("ASSURED")
    } else {
        None
    }
}

fn head(out: &mut Vec<u8>, entry: &FlowEntry, layout: &Layout, parts: &Parts) {
    if layout.extended {
        padded(out, family_name(entry.family));
        number(out, entry.family as u64);
        text(out, " ");
    }
    padded(out, proto_name(entry.proto));
    number(out, entry.proto.into());
    text(out, " ");
    if parts.timeout {
        number(out, entry.timeout);
        text(out, " ");
    }
    if let Some(state) = entry.state.filter(|_| parts.state) {
        text(out, state);
        text(out, " ");
    }
}

fn side(out: &mut Vec<u8>, entry: &FlowEntry, side: &Side, parts: &Parts) {
    let ends = entry.endpoints(side);
    text(out, "src=");
    address(out, ends.src);
    text(out, " dst=");
    address(out, ends.dst);
    text(out, " ");
    match entry.service(side) {
        Service::Ports { sport, dport } => {
            field(out, "sport=", sport.into());
            field(out, "dport=", dport.into());
        }
        Service::Query { kind, code, id } => {
            field(out, "type=", kind.into());
            field(out, "code=", code.into());
            field(out, "id=", id.into());
        }
        Service::Keys { src, dst } => push(out, format_args!("srckey={src:#x} dstkey={dst:#x} ")),
        Service::None => {}
    }
    if parts.counters {
        field(out, "packets=", side.packets);
        field(out, "bytes=", side.bytes);
    }
}

fn tail(out: &mut Vec<u8>, entry: &FlowEntry, layout: &Layout, parts: &Parts) {
    if parts.mark {
        field(out, "mark=", entry.mark.into());
    }
    if entry.zone != 0 {
        field(out, "zone=", entry.zone.into());
    }
    if let Some(seconds) = parts.seconds {
        field(out, "delta-time=", seconds);
    }
    if let Some(start) = parts.start {
        push(out, format_args!("[start={}] ", local(start)));
    }
    if let Some(stop) = parts.stop {
        push(out, format_args!("[stop={}] ", local(stop)));
    }
    if parts.uses {
        text(out, "use=1 ");
    }
    if layout.id {
        field(out, "id=", entry.id.into());
    }
}

/// As `ctime(3)` writes local time.
fn local(time: SystemTime) -> String {
    let zoned = jiff::Timestamp::try_from(time)
        .unwrap_or_default()
        .to_zoned(jiff::tz::TimeZone::system());
    zoned.strftime("%a %b %e %H:%M:%S %Y").to_string()
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// A name in its column of eight, and the blank behind it.
fn padded(out: &mut Vec<u8>, name: &str) {
    text(out, name);
    let width = out.len() + 9 - name.len().min(8);
    out.resize(width, b' ');
}

fn field(out: &mut Vec<u8>, name: &str, value: u64) {
    text(out, name);
    number(out, value);
    out.push(b' ');
}

/// Decimal digits. A listing is mostly numbers, and `fmt` takes several times as long.
fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn address(out: &mut Vec<u8>, address: IpAddr) {
    let IpAddr::V4(address) = address else {
        return push(out, format_args!("{address}"));
    };
    let [a, b, c, d] = address.octets();
    number(out, a.into());
    for octet in [b, c, d] {
        out.push(b'.');
        number(out, octet.into());
    }
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a vector cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
