//! What rules ask that is in no header at a fixed place: as the programs note it, for one packet in words.

use std::io;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use fw_common::abi::needs;
use fw_common::ruleset::Facts;
use fw_common::ruleset::fib::{Answer, Side, rtn};
use fw_common::wire::{Family, Meta};

use crate::attach::links::link;
use crate::routing::{find_local, read_locals};
use crate::sys::netlink::{Interface, Netlink, Towards};
use crate::sys::zone::kernel_zone;

/// Notes what `needed` ([`needs`]) names. What this machine does not tell stays unknown. The CPU is not
/// asked for: nobody knows where a packet will be seen.
pub(super) fn note(facts: &mut Facts, frame: &[u8], meta: &Meta, needed: u32) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_nanos());
    facts.time(u64::try_from(now).unwrap_or(0), kernel_zone());
    facts.options(frame, meta);
    facts.extensions(frame, meta);
    for (side, kind, way) in [
        (Side::Source, needs::SADDR_TYPE, needs::SADDR_OIF),
        (Side::Destination, needs::DADDR_TYPE, needs::DADDR_OIF),
    ] {
        if needed & (kind | way) != 0 {
            fib(facts, meta, side, needed & way != 0);
        }
    }
}

fn fib(facts: &mut Facts, meta: &Meta, side: Side, way: bool) {
    let Ok(locals) = read_locals() else {
        return;
    };
    let local = find_local(&locals, meta.family, side.of(meta));
    let (answer, links) = if Facts::fib_needs_route(meta, side, local, way) {
        ask(address(meta.family, side.of(meta))).unwrap_or((Answer::Unknown, Vec::new()))
    } else {
        (Answer::NotAsked, Vec::new())
    };
    facts.fib_type(meta, side, local, answer);
    if let Some(index) = facts.fib_way(meta, side, local, answer) {
        let found = links.iter().find(|one| one.index == index).map(link);
        facts.fib_by(side, index, local, found.as_ref());
    }
}

fn ask(address: IpAddr) -> io::Result<(Answer, Vec<Interface>)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let netlink = Netlink::connect()?;
        let known = netlink.interfaces().await?;
        let answer = match netlink.way(address).await {
            Ok(Towards::Out(index)) => Answer::By(index),
            Ok(Towards::Local) => Answer::Unknown,
            Ok(Towards::Nowhere) | Err(_) => Answer::None(rtn::UNREACHABLE),
        };
        Ok((answer, known))
    })
}

fn address(family: Family, bytes: &[u8; 16]) -> IpAddr {
    let [a, b, c, d, ..] = *bytes;
    match family {
        Family::V4 => [a, b, c, d].into(),
        Family::V6 => (*bytes).into(),
    }
}
