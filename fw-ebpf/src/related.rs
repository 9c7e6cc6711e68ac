//! ICMP errors: they belong to the flow of the packet that they quote.

use fw_common::abi::{Config, Key4, Key6};
use fw_common::flow::{self, Tuple};
use fw_common::wire::Family;
use fw_common::{CtInfo, Dir, Reason};

use crate::counters::End;
use crate::pipeline;
use crate::sys::entry::Table;
use crate::sys::maps::{Job, Scratch};
use crate::sys::subprogram::Frame;

/// Judges an ICMP or ICMPv6 error. It never refreshes, changes or counts in the flow.
#[inline(always)]
pub(crate) fn judge<P: Frame>(packet: &P, scratch: &mut Scratch, config: &Config) -> End {
    match relate(packet, scratch) {
        Ok(info) => pipeline::judge(info, Reason::Accepted, config),
        Err(reason) => pipeline::judge_error(reason, config),
    }
}

#[inline(always)]
fn relate<P: Frame>(packet: &P, scratch: &mut Scratch) -> Result<CtInfo, Reason> {
    packet.quoted(&scratch.meta, &mut scratch.inner)?;
    // The error goes back to whoever sent the quoted packet, and to nobody else (CVE-2019-5598).
    if scratch.meta.dst != scratch.inner.src {
        return Err(Reason::UnrelatedIcmpError);
    }
    let quoted = Tuple::of(&scratch.inner).map_err(|_| Reason::UnrelatedIcmpError)?;
    let dir = match scratch.inner.family {
        Family::V4 => direction::<Key4>(&quoted, &scratch.job),
        Family::V6 => direction::<Key6>(&quoted, &scratch.job),
    };
    // The error travels against the packet that it quotes.
    match dir.ok_or(Reason::UnrelatedIcmpError)?.flip() {
        Dir::Original => Ok(CtInfo::Related),
        Dir::Reply => Ok(CtInfo::RelatedReply),
    }
}

/// Direction of a quoted packet in its flow; `None` if there is no such flow.
#[inline(always)]
fn direction<K: Table>(quoted: &Tuple, job: &Job) -> Option<Dir> {
    let (key, from_hi) = K::canonical(quoted, job.zone);
    let seen = key.find()?.glimpse(key.tag())?;
    if seen.deadline <= job.now {
        return None;
    }
    Some(flow::direction_from(seen.origin, from_hi))
}
