//! ICMP errors: they belong to the flow of the packet that they quote.

use fw_common::abi::{Active, Config, Key4, Key6};
use fw_common::flow::{self, Tuple};
use fw_common::ruleset::{Track, field};
use fw_common::wire::Family;
use fw_common::{CtInfo, Dir, Reason};

use crate::counters::End;
use crate::pipeline::{self, Next};
use crate::sys::entry::{Lock, Table};
use crate::sys::scratch::Scratch;
use crate::sys::subprogram::Frame;

/// Judges an ICMP or ICMPv6 error. It never refreshes, changes or counts in the flow.
#[inline(always)]
pub(crate) fn judge<P: Frame>(packet: &P, scratch: &mut Scratch, config: &Config) -> Next {
    match relate(packet, scratch, config) {
        Ok(info) => pipeline::judge(info, Reason::Accepted),
        Err(Reason::Contended) => Next::End(End::drop(Reason::Contended)),
        Err(reason) => pipeline::judge_error(reason),
    }
}

#[inline(always)]
fn relate<P: Frame>(packet: &P, scratch: &mut Scratch, config: &Config) -> Result<CtInfo, Reason> {
    packet.quoted(&scratch.meta, &mut scratch.inner)?;
    // The error goes back to whoever sent the quoted packet, and to nobody else (CVE-2019-5598).
    if scratch.meta.dst != scratch.inner.src {
        return Err(Reason::UnrelatedIcmpError);
    }
    let quoted = Tuple::of(&scratch.inner).map_err(|_| Reason::UnrelatedIcmpError)?;
    let dir = match scratch.inner.family {
        Family::V4 => direction::<Key4>(&quoted, scratch, config),
        Family::V6 => direction::<Key6>(&quoted, scratch, config),
    };
    // The error travels against the packet that it quotes.
    match dir?.flip() {
        Dir::Original => Ok(CtInfo::Related),
        Dir::Reply => Ok(CtInfo::RelatedReply),
    }
}

/// Direction of a quoted packet in its flow, which is noted for the rules.
///
/// # Errors
/// [`Reason::UnrelatedIcmpError`] if there is no such flow; [`Reason::Contended`] if another CPU has it or just moves
/// it: what rules ask of flows would not be known.
#[inline(always)]
fn direction<K: Table>(
    quoted: &Tuple,
    scratch: &mut Scratch,
    config: &Config,
) -> Result<Dir, Reason> {
    let Scratch {
        job,
        machine,
        inner,
        ..
    } = scratch;
    let (key, from_hi) = K::canonical(quoted, job.zone);
    let mut entry = key.find().ok_or(Reason::UnrelatedIcmpError)?;
    let seen = entry.glimpse(key.tag());
    let seen = seen.ok_or(Reason::UnrelatedIcmpError)?;
    if seen.deadline <= job.now {
        return Err(Reason::UnrelatedIcmpError);
    }
    let dir = flow::direction_from(seen.origin, from_hi);
    if Active(job.rules).epoch() != 0 {
        if entry.lock(key.tag()) != Lock::Taken {
            return Err(Reason::Contended);
        }
        let track = Track {
            flow: entry.flow(),
            dir,
            zone: job.zone,
            now: job.now,
            hz: config.hz,
        };
        machine.facts.track(inner, &track);
        machine.facts.set(field::CT_DIRECTION, dir.flip() as u32);
        entry.unlock();
    }
    Ok(dir)
}
