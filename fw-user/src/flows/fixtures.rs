//! Flows for the tests of the formats.

use fw_common::abi::{Clock, Config, Key4, Key6};
use fw_common::flow::FlowKey;

use super::{FlowEntry, Key, Rate, Row};
use crate::clock::TickClock;

#[path = "../../tests/cli_support/spec.rs"]
#[expect(dead_code, reason = "the rest is for the tests of the commands")]
mod spec;

pub(crate) use spec::{ANSWERED, ASSURED, HZ, NOW, Spec, dns6, netbios, ping, ssh};

pub(crate) fn clock() -> TickClock {
    let config = Config {
        hz: HZ as u32,
        clock: Clock {
            tick_ns: 1_000_000_000 / HZ,
            offset: 0,
        },
        ..Config::ZERO
    };
    TickClock::new(&config).unwrap()
}

impl Spec {
    /// An entry, made through the maps' own types.
    pub(crate) fn build(&self) -> FlowEntry {
        if self.v6() {
            self.entry(Key6::canonical(&self.tuple(), self.zone))
        } else {
            self.entry(Key4::canonical(&self.tuple(), self.zone))
        }
    }

    /// A row of a table: packets and bytes a second up, and half of each down.
    pub(crate) fn row(&self, speed: Option<(f64, f64)>) -> Row {
        let rate = |part: f64| {
            speed.map(|(packets, bytes)| Rate {
                packets: packets * part,
                bytes: bytes * part,
            })
        };
        Row {
            entry: self.build(),
            rates: rate(1.0).zip(rate(0.5)).map(|(up, down)| [up, down]),
        }
    }

    fn entry<K: FlowKey>(&self, (key, from_hi): (K, bool)) -> FlowEntry
    where
        Key: From<K>,
    {
        FlowEntry::live(&key, &self.flow(from_hi), &clock(), NOW).unwrap()
    }
}
