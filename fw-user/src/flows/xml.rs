//! The XML of `conntrack -o xml`, for the scripts that parse it.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use fw_common::status;

use super::names::{family_name, proto_name};
use super::{FlowEntry, Layout, Service, Side};

/// What stands before the first flow.
pub(super) const HEAD: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<conntrack>\n";
/// What stands behind the last flow.
pub(super) const TAIL: &str = "</conntrack>\n";

/// Appends one `<flow>` and the line's end. Every name and value is ours: nothing to escape.
pub(super) fn write(out: &mut Vec<u8>, entry: &FlowEntry, layout: &Layout) {
    let mut xml = String::from("<flow>");
    for (direction, side) in [("original", &entry.original), ("reply", &entry.reply)] {
        meta(&mut xml, entry, direction, side, layout);
    }
    independent(&mut xml, entry, layout);
    xml.push_str("</flow>\n");
    out.extend_from_slice(xml.as_bytes());
}

fn meta(xml: &mut String, entry: &FlowEntry, direction: &str, side: &Side, layout: &Layout) {
    let ends = entry.endpoints(side);
    let _ = write!(
        xml,
        "<meta direction=\"{direction}\"><layer3 protonum=\"{}\" protoname=\"{}\">\
         <src>{}</src><dst>{}</dst></layer3><layer4 protonum=\"{}\" protoname=\"{}\">",
        entry.family as u8,
        family_name(entry.family),
        ends.src,
        ends.dst,
        entry.proto,
        proto_name(entry.proto),
    );
    // conntrack has no elements for ICMP's type, code and id.
    let _ = match entry.service(side) {
        Service::Ports { sport, dport } => {
            write!(xml, "<sport>{sport}</sport><dport>{dport}</dport>")
        }
        Service::Keys { src, dst } => {
            write!(xml, "<srckey>{src:#x}</srckey><dstkey>{dst:#x}</dstkey>")
        }
        Service::Query { .. } | Service::None => Ok(()),
    };
    xml.push_str("</layer4>");
    if layout.accounting {
        let _ = write!(
            xml,
            "<counters><packets>{}</packets><bytes>{}</bytes></counters>",
            side.packets, side.bytes
        );
    }
    xml.push_str("</meta>");
}

fn independent(xml: &mut String, entry: &FlowEntry, layout: &Layout) {
    xml.push_str("<meta direction=\"independent\">");
    if let Some(state) = entry.state {
        let _ = write!(xml, "<state>{state}</state>");
    }
    let (timeout, mark, id) = (entry.timeout, entry.mark, entry.id);
    let _ = write!(xml, "<timeout>{timeout}</timeout><mark>{mark}</mark>");
    if entry.zone != 0 {
        let _ = write!(xml, "<zone>{}</zone>", entry.zone);
    }
    let _ = write!(xml, "<use>1</use><id>{id}</id>");
    if entry.has(status::ASSURED) {
        xml.push_str("<assured/>");
    }
    if !entry.has(status::SEEN_REPLY) {
        xml.push_str("<unreplied/>");
    }
    if layout.ktimestamp {
        let now = SystemTime::now();
        let start = now - entry.age;
        let since_epoch = start.duration_since(UNIX_EPOCH).unwrap_or_default();
        let _ = write!(
            xml,
            "<timestamp><start>{}</start></timestamp><deltatime>{}</deltatime>",
            since_epoch.as_nanos(),
            entry.seconds_until(now)
        );
    }
    xml.push_str("</meta>");
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::*;
    use super::*;

    fn xml(flow: &Spec, layout: Layout) -> String {
        let mut out = Vec::new();
        write(&mut out, &flow.build(), &layout);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn timestamps_on_demand() {
        let layout: Layout = "xml,ktimestamp".parse().unwrap();
        let text = xml(&ssh(), layout);
        let (_, tail) = text.split_once("<assured/><timestamp><start>").unwrap();
        let (start, tail) = tail.split_once("</start></timestamp>").unwrap();
        assert!(start.parse::<u64>().unwrap() > 1_600_000_000_000_000_000);
        assert_eq!(tail, "<deltatime>7</deltatime></meta></flow>\n");
    }

    #[test]
    fn element_order_of_conntrack() {
        let flow = Spec {
            src: "fd91:1::2",
            dst: "fd91:2::2",
            sport: 3333,
            dport: 443,
            state: fw_common::tcp::State::SynSent as u8,
            status: status::CONFIRMED,
            timeout: 119,
            counted: [(1, 60), (0, 0)],
            ..ssh()
        };
        let layout = Layout {
            accounting: true,
            ..Layout::default()
        };
        assert_eq!(
            xml(&flow, layout),
            concat!(
                r#"<flow><meta direction="original"><layer3 protonum="10" protoname="ipv6">"#,
                "<src>fd91:1::2</src><dst>fd91:2::2</dst></layer3>",
                r#"<layer4 protonum="6" protoname="tcp"><sport>3333</sport><dport>443</dport></layer4>"#,
                "<counters><packets>1</packets><bytes>60</bytes></counters></meta>",
                r#"<meta direction="reply"><layer3 protonum="10" protoname="ipv6">"#,
                "<src>fd91:2::2</src><dst>fd91:1::2</dst></layer3>",
                r#"<layer4 protonum="6" protoname="tcp"><sport>443</sport><dport>3333</dport></layer4>"#,
                "<counters><packets>0</packets><bytes>0</bytes></counters></meta>",
                r#"<meta direction="independent"><state>SYN_SENT</state><timeout>119</timeout>"#,
                "<mark>0</mark><use>1</use><id>1874</id><unreplied/></meta></flow>\n",
            )
        );
    }
}
