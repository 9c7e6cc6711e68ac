//! The options with which `conntrack -R` makes the same flow again.

use std::fmt::Write as _;

use fw_common::status;
use fw_common::wire::proto;

use super::names::proto_word;
use super::{FlowEntry, Service};

/// The status bits that can be given to a new flow, in the order of `conntrack -o save`.
const SETTABLE: [(u32, &str); 4] = [
    (status::EXPECTED, "EXPECTED"),
    (status::SEEN_REPLY, "SEEN_REPLY"),
    (status::ASSURED, "ASSURED"),
    (status::FIXED_TIMEOUT, "FIXED_TIMEOUT"),
];

/// Appends the line and its end.
pub(super) fn write(out: &mut Vec<u8>, entry: &FlowEntry) {
    let mut line = format!("-A -t {} -u {}", entry.timeout, status_list(entry));
    if entry.zone != 0 {
        let _ = write!(line, " -w {}", entry.zone);
    }
    let (there, back) = (
        entry.endpoints(&entry.original),
        entry.endpoints(&entry.reply),
    );
    let _ = write!(
        line,
        " -s {} -d {} -r {} -q {} -p {}",
        there.src,
        there.dst,
        back.src,
        back.dst,
        proto_word(entry.proto)
    );
    line.push_str(&service(entry));
    if let Some(state) = entry.state {
        let _ = write!(line, " --state {state}");
    }
    line.push('\n');
    out.extend_from_slice(line.as_bytes());
}

fn status_list(entry: &FlowEntry) -> String {
    let set: Vec<_> = SETTABLE
        .iter()
        .filter(|(bit, _)| entry.has(*bit))
        .map(|(_, name)| *name)
        .collect();
    if set.is_empty() {
        "UNSET".into()
    } else {
        set.join(",")
    }
}

fn service(entry: &FlowEntry) -> String {
    match (entry.service(&entry.original), entry.service(&entry.reply)) {
        (
            Service::Ports { sport, dport },
            Service::Ports {
                sport: rs,
                dport: rd,
            },
        ) => {
            format!(" --sport {sport} --dport {dport} --reply-port-src {rs} --reply-port-dst {rd}")
        }
        (Service::Keys { src, dst }, Service::Keys { src: rs, dst: rd }) => {
            format!(" --srckey {src} --dstkey {dst} --reply-key-src {rs} --reply-key-dst {rd}")
        }
        (Service::Query { kind, code, id }, _) => {
            let icmp = if entry.proto == proto::ICMPV6 {
                "icmpv6"
            } else {
                "icmp"
            };
            format!(" --{icmp}-type {kind} --{icmp}-code {code} --{icmp}-id {id}")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::*;
    use super::*;

    fn save(flow: &Spec) -> String {
        let mut out = Vec::new();
        write(&mut out, &flow.build());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_of_conntrack_itself() {
        assert_eq!(
            save(&ssh()),
            "-A -t 431984 -u SEEN_REPLY,ASSURED -s 172.16.255.130 -d 172.16.255.131 -r 172.16.255.131 \
             -q 172.16.255.130 -p tcp --sport 41102 --dport 22 --reply-port-src 22 \
             --reply-port-dst 41102 --state ESTABLISHED\n"
        );
        assert_eq!(
            save(&ping()),
            "-A -t 29 -u SEEN_REPLY -s 192.168.1.2 -d 10.0.0.2 -r 10.0.0.2 -q 192.168.1.2 -p icmp \
             --icmp-type 8 --icmp-code 0 --icmp-id 42\n"
        );
        let esp = Spec {
            proto: proto::ESP,
            zone: 7,
            ..Spec::default()
        };
        assert_eq!(
            save(&esp),
            "-A -t 20 -u UNSET -w 7 -s 192.168.1.2 -d 192.168.1.5 -r 192.168.1.5 -q 192.168.1.2 -p 50\n"
        );
    }
}
