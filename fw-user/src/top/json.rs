//! A page as a JSON object.

use std::io::{self, Write};

use serde::{Serialize, Serializer};

use super::Page;
use crate::flows::{Interfaces, Rate, Rows, RuleNames, rfc3339};

#[derive(Serialize)]
struct Object<'a> {
    time: String,
    /// The time that the rates are of.
    seconds: Option<f64>,
    uptime: Option<u64>,
    accounting: bool,
    flows: Flows,
    rates: Option<Rates>,
    drops: Pairs<f64>,
    selected: Selected,
    top: Rows<'a>,
}

/// The whole table.
#[derive(Serialize)]
struct Flows {
    count: u64,
    ipv4: u64,
    ipv6: u64,
    assured: u64,
    capacity: u64,
}

/// Of all packets, a second.
#[derive(Serialize)]
struct Rates {
    packets: f64,
    dropped: f64,
    new_flows: f64,
}

/// The flows that the filter selects.
#[derive(Serialize)]
struct Selected {
    count: u64,
    proto: Pairs<u64>,
    state: Pairs<u64>,
    rates: Option<Rate>,
}

/// An object whose fields have an order.
struct Pairs<T>(Vec<(String, T)>);

impl<T: Serialize> Serialize for Pairs<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Writes the object and a line's end.
///
/// # Errors
/// What the output says.
pub fn write(
    out: &mut impl Write,
    page: &Page,
    names: (&mut Interfaces, &mut RuleNames),
) -> io::Result<()> {
    let traffic = page.traffic.as_ref();
    let drops = traffic.map_or(&[][..], |traffic| &traffic.drops);
    let drops = drops
        .iter()
        .map(|(reason, rate)| (reason.name().into(), *rate));
    let known = page.accounting && page.seconds.is_some();
    let room = &page.room;
    let object = Object {
        time: rfc3339(page.time),
        seconds: page.seconds,
        uptime: page.uptime.map(|time| time.as_secs()),
        accounting: page.accounting,
        flows: Flows {
            count: room.ipv4 + room.ipv6,
            ipv4: room.ipv4,
            ipv6: room.ipv6,
            assured: room.assured,
            capacity: room.capacity,
        },
        rates: traffic.map(|traffic| Rates {
            packets: traffic.packets,
            dropped: traffic.dropped(),
            new_flows: traffic.created,
        }),
        drops: Pairs(drops.collect()),
        selected: Selected {
            count: page.census.count,
            proto: Pairs(page.census.protocols()),
            state: Pairs(page.census.states()),
            rates: known.then_some(page.census.speed),
        },
        top: Rows::new(&page.rows, page.accounting, names),
    };
    serde_json::to_writer(&mut *out, &object)?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::page;
    use super::*;

    fn text(page: &Page) -> String {
        let mut out = Vec::new();
        write(
            &mut out,
            page,
            (&mut Interfaces::default(), &mut RuleNames::default()),
        )
        .expect("memory");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn the_object_is_one_line_and_says_what_the_page_does() {
        let text = text(&page());
        assert_eq!(text.matches('\n').count(), 1);
        assert!(
            text.starts_with(
                r#"{"time":"2027-01-15T08:00:00.25Z","seconds":2.0,"uptime":3725,"accounting":true,"#
            ),
            "{text}"
        );
        for part in [
            r#""flows":{"count":4,"ipv4":3,"ipv6":1,"assured":1,"capacity":262144}"#,
            r#""rates":{"packets":1802.25,"dropped":20.5,"new_flows":0.5}"#,
            r#""drops":{"policy":20.0,"bad-ip-checksum":0.5}"#,
            r#""selected":{"count":4,"proto":{"udp":2,"icmp":1,"tcp":1},"state":{"ESTABLISHED":1},"#,
            r#""rates":{"packets":1800.75,"bytes":2250036.75}},"top":[{"family":"ipv4","proto":"tcp","#,
            r#""rule":null,"age":7,"rates":{"original":{"packets":1200.0,"bytes":1500000.0},"#,
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(text.ends_with("\"age\":7,\"rates\":null}]}\n"), "{text}");
    }

    #[test]
    fn what_is_unknown_is_null() {
        let first = Page {
            seconds: None,
            uptime: None,
            traffic: None,
            ..page()
        };
        let text = text(&first);
        for part in [
            r#""seconds":null,"uptime":null"#,
            r#""rates":null,"drops":{}"#,
            r#""ESTABLISHED":1},"rates":null}"#,
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
