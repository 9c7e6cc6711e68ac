//! The way of one packet, the same at both hooks: parse, find the flow, advance it, decide.

use fw_common::abi::{Config, IfaceConfig, IfaceFlags, MacKey};
use fw_common::flow::Tuple;
use fw_common::verdict::Kind;
use fw_common::wire::{Family, Fragment, inner};
use fw_common::{CtInfo, Reason, Verdict, icmp, policy, track};

use crate::clock;
use crate::conntrack;
use crate::counters::{self, End};
use crate::related;
use crate::sys::maps::{self, Hook, Scratch};
use crate::sys::subprogram::Frame;

/// What holds for one packet, whatever it contains.
pub(crate) struct Job {
    pub(crate) config: &'static Config,
    pub(crate) iface: IfaceConfig,
    /// The NIC by which it came in or leaves.
    pub(crate) ifindex: u32,
    /// Now, in ticks.
    pub(crate) now: u64,
    pub(crate) hook: Hook,
}

impl Job {
    /// The end of a packet in state `info`: counted, and judged by the policy.
    #[inline(always)]
    pub(crate) fn judge(&self, info: CtInfo, reason: Reason) -> End {
        counters::state(info);
        let (verdict, reason) = policy::decide(info, reason, self.config);
        End { verdict, reason }
    }

    /// Interface to note for the packet's direction: what the host sends came in by none.
    #[inline(always)]
    pub(crate) fn came_in_by(&self) -> u32 {
        match self.hook {
            Hook::Ingress => self.ifindex,
            Hook::Egress => 0,
        }
    }
}

/// Takes a packet from its first byte to its verdict.
#[inline(always)]
pub(crate) fn filter<P: Frame>(packet: &P, hook: Hook, ifindex: u32) -> End {
    let Some(config) = maps::config() else {
        return End::drop(Reason::NoConfig);
    };
    let Some(iface) = maps::iface(ifindex) else {
        return End::drop(Reason::UnknownInterface);
    };
    let Some(scratch) = maps::scratch(hook) else {
        return End::drop(Reason::NoConfig);
    };
    let job = Job {
        config,
        iface,
        ifindex,
        now: clock::now(),
        hook,
    };
    if let Err(reason) = packet.parse(&mut scratch.meta) {
        return refused(reason, &job);
    }
    if !is_for_us(packet, &job) {
        return End::drop(Reason::OtherHost);
    }
    track(packet, scratch, &job)
}

/// The end of a packet whose headers make no sense.
#[inline(always)]
fn refused(reason: Reason, job: &Job) -> End {
    match (reason.kind(), job.hook) {
        (Kind::Pass, _) => End {
            verdict: Verdict::Pass,
            reason,
        },
        (Kind::Drop, Hook::Ingress) => End::drop(reason),
        // The host's own: its stack made it, the policy decides.
        (Kind::Drop, Hook::Egress) | (Kind::Invalid, _) => job.judge(CtInfo::Invalid, reason),
    }
}

/// Whether the frame is addressed to the router, as `ip_rcv` demands (`PACKET_OTHERHOST`).
#[inline(always)]
fn is_for_us<P: Frame>(packet: &P, job: &Job) -> bool {
    if matches!(job.hook, Hook::Egress) || job.iface.flags & IfaceFlags::CHECK_MAC == 0 {
        return true;
    }
    let Some(mac) = packet.read::<6>(0) else {
        return false;
    };
    let group = mac[0] & 1 != 0;
    group || mac == job.iface.mac || is_further_mac(mac, job)
}

#[inline(always)]
fn is_further_mac(mac: [u8; 6], job: &Job) -> bool {
    job.iface.flags & IfaceFlags::MORE_MACS != 0
        && maps::is_own_mac(&MacKey {
            ifindex: job.ifindex,
            mac,
            pad: [0; 2],
        })
}

#[inline(always)]
fn track<P: Frame>(packet: &P, scratch: &mut Scratch, job: &Job) -> End {
    let meta = &scratch.meta;
    if meta.fragment == Fragment::Later {
        return End {
            verdict: Verdict::Pass,
            reason: Reason::Fragment,
        };
    }
    if let Err((info, reason)) = track::admit(meta) {
        return job.judge(info, reason);
    }
    if meta.fragment == Fragment::Later {
        return End {
            verdict: Verdict::Pass,
            reason: Reason::Fragment,
        };
    }
    if icmp::is_icmp(meta.family, meta.proto) && inner::quotes(meta) {
        return related::judge(packet, scratch, job);
    }
    match Tuple::of(meta) {
        Err(reason) => job.judge(CtInfo::Invalid, reason),
        Ok(tuple) => match meta.family {
            Family::V4 => conntrack::track::<fw_common::abi::Key4>(&tuple, scratch, job),
            Family::V6 => conntrack::track::<fw_common::abi::Key6>(&tuple, scratch, job),
        },
    }
}
