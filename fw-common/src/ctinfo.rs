//! What conntrack says of one packet: its relation to a flow, and its direction.

/// Direction of a packet relative to its flow: the first packet seen decides.
///
/// `#[repr(u8)]`: used as the index of a flow's two legs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Dir {
    /// The way the flow's first packet went (`IP_CT_DIR_ORIGINAL`).
    Original = 0,
    /// The way back (`IP_CT_DIR_REPLY`).
    Reply = 1,
}

impl Dir {
    /// The opposite direction.
    #[must_use]
    #[inline(always)]
    pub const fn flip(self) -> Self {
        match self {
            Self::Original => Self::Reply,
            Self::Reply => Self::Original,
        }
    }

    /// Index into [`crate::abi::Flow::legs`].
    #[must_use]
    #[inline(always)]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// State of a packet, with the kernel's meaning (`enum ip_conntrack_info`).
///
/// "Established" is a property of the *flow* (a reply was seen), not TCP's ESTABLISHED: a SYN/ACK is
/// already [`CtInfo::EstablishedReply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CtInfo {
    /// Original direction of a flow that has seen a reply.
    Established = 0,
    /// An ICMP error about a flow, travelling in its original direction.
    Related = 1,
    /// First packet of a flow, or original direction of one without a reply.
    New = 2,
    /// Reply direction.
    EstablishedReply = 3,
    /// An ICMP error about a flow, travelling in its reply direction.
    RelatedReply = 4,
    /// Belongs to no flow and may not create one.
    Invalid = 5,
    /// Exempt from tracking (`notrack`, IPv6 neighbour discovery, MLD). The kernel's own number.
    Untracked = 7,
}

impl CtInfo {
    /// Every value, in the order of the counters in [`crate::abi::Counter`].
    pub const ALL: [Self; 7] = [
        Self::Established,
        Self::Related,
        Self::New,
        Self::EstablishedReply,
        Self::RelatedReply,
        Self::Invalid,
        Self::Untracked,
    ];

    /// What a packet of direction `dir` is in a flow that has (`seen_reply`) or has not yet been
    /// answered (`resolve_normal_ct` in the kernel's `nf_conntrack_core.c`).
    #[must_use]
    #[inline(always)]
    pub const fn of_flow(dir: Dir, seen_reply: bool) -> Self {
        match (dir, seen_reply) {
            (Dir::Reply, _) => Self::EstablishedReply,
            (Dir::Original, true) => Self::Established,
            (Dir::Original, false) => Self::New,
        }
    }

    /// The word that `ct state` matches in a rule.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Established | Self::EstablishedReply => "established",
            Self::Related | Self::RelatedReply => "related",
            Self::New => "new",
            Self::Invalid => "invalid",
            Self::Untracked => "untracked",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_follows_direction_and_seen_reply() {
        assert_eq!(CtInfo::of_flow(Dir::Original, false), CtInfo::New);
        assert_eq!(CtInfo::of_flow(Dir::Original, true), CtInfo::Established);
        assert_eq!(CtInfo::of_flow(Dir::Reply, false), CtInfo::EstablishedReply);
        assert_eq!(Dir::Reply.flip(), Dir::Original);
    }
}
