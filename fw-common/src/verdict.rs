//! How every packet ends: one verdict, one reason.

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Verdict {
    /// Goes on: to the kernel's stack, or straight out of the next NIC.
    Pass = 0,
    /// Ends here.
    Drop = 1,
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal, $verdict:ident;)*) => {
        /// Why a packet got its verdict. The number is the counter's index and the events' field,
        /// [`Reason::name`] the word that `fwctl stats` shows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[doc = $doc])* $name,)*
        }

        impl Reason {
            /// Every reason, in index order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word shown to users.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// What happens to the packet, unless the policy says otherwise: a reason that makes
            /// a packet INVALID passes or drops it by `drop_invalid`.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$verdict),* }
            }
        }
    };
}

/// Group of a [`Reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The packet passes.
    Pass,
    /// The host's own stack would throw the packet away, or it is dangerous: always dropped.
    Drop,
    /// Conntrack calls the packet INVALID; the policy decides.
    Invalid,
}

reasons! {
    /// The policy or the rules accepted the packet.
    Accepted = "accepted", Pass;
    /// Not IP (ARP, LLDP, …): none of our business.
    NotIp = "not-ip", Pass;
    /// Neighbour discovery and MLD, exempt from tracking.
    Untracked = "untracked", Pass;
    /// A fragment other than the first: it has no ports, and shares its first fragment's verdict.
    Fragment = "fragment", Pass;
    /// Forwarded straight from XDP.
    FastTracked = "fasttracked", Pass;
    /// Its TTL or hop limit ends here: the kernel answers that, and keeps no flow.
    TtlExpired = "ttl-expired", Pass;
    /// A route of type blackhole, unreachable or prohibit: the kernel throws it away, and answers.
    Unroutable = "unroutable", Pass;
    /// The rules would drop the packet, but are only to be observed.
    Observed = "observed", Pass;
    /// The rules dropped the packet.
    Policy = "policy", Drop;
    /// The rules rejected the packet: it is dropped, and answered as far as answers are not too many.
    Rejected = "rejected", Drop;
    /// The ruleset in force is damaged, or takes more steps than a packet may.
    BrokenRuleset = "broken-ruleset", Drop;
    /// A rule asks the routing tables what they do not tell (`fib`): a way into a tunnel, or no forwarding.
    RouteUnknown = "route-unknown", Drop;
    /// The frame ends within its Ethernet or VLAN header.
    TruncatedEthernet = "truncated-ethernet", Drop;
    /// More than two VLAN tags.
    TooManyVlanTags = "too-many-vlan-tags", Drop;
    /// The frame is addressed to another host's hardware address.
    OtherHost = "other-host", Drop;
    /// The frame ends within its IP header.
    TruncatedIp = "truncated-ip", Drop;
    /// Wrong IP version number.
    BadVersion = "bad-version", Drop;
    /// IPv4 header length below 20 bytes or beyond the packet.
    BadIhl = "bad-ihl", Drop;
    /// Total length beyond the frame or below the header, an IPv6 jumbogram, or a fragment that ends
    /// beyond the largest datagram.
    BadTotalLength = "bad-total-length", Drop;
    /// IPv4 header checksum wrong.
    BadIpChecksum = "bad-ip-checksum", Drop;
    /// TTL or hop limit is 0.
    TtlZero = "ttl-zero", Drop;
    /// A source address no packet may have: multicast, broadcast, loopback, class E, unspecified
    /// with a unicast destination, IPv4-mapped.
    MartianSource = "martian-source", Drop;
    /// A destination address no packet may have on the wire: loopback, unspecified, class E,
    /// IPv4-mapped, a multicast group confined to one interface.
    MartianDestination = "martian-destination", Drop;
    /// Source and destination are the same address (LAND).
    SourceIsDestination = "source-is-destination", Drop;
    /// More or longer IPv6 extension headers than are followed, in a forbidden order, or cut short.
    BadExtensionHeaders = "bad-extension-headers", Drop;
    /// Routing header type 0 (RFC 5095).
    RoutingHeader0 = "routing-header-0", Drop;
    /// A first fragment too short for its transport header, or a fragment that would overwrite it
    /// (RFC 1858, RFC 3128, RFC 7112).
    TinyFragment = "tiny-fragment", Drop;
    /// A fragment that overlaps another of its datagram or is empty, and all that follow (RFC 5722).
    OverlappingFragment = "overlapping-fragment", Drop;
    /// A later fragment of a datagram whose first one was dropped.
    FragmentOfDropped = "fragment-of-dropped", Drop;
    /// A later fragment of a datagram whose first one was not seen: nobody knows whether it may pass.
    FragmentWithoutFirst = "fragment-without-first", Drop;
    /// The entry stayed locked by another CPU.
    Contended = "contended", Drop;
    /// No entry could be made for a new flow: the table refused it.
    TableFull = "table-full", Drop;
    /// A new flow beyond `--max-inserts-per-second`.
    InsertLimit = "insert-limit", Drop;
    /// A new flow of a source that has `--max-flows-per-source` already.
    SourceFlows = "source-flows", Drop;
    /// A new flow of a source that has `--max-half-open-per-source` half-open ones already.
    SourceHalfOpen = "source-half-open", Drop;
    /// The programs' configuration is missing.
    NoConfig = "no-config", Drop;
    /// The packet came in by an interface that is not configured.
    UnknownInterface = "unknown-interface", Drop;
    /// The packet ends within its transport header.
    TruncatedTransport = "truncated-transport", Invalid;
    /// Transport checksum wrong.
    BadTransportChecksum = "bad-transport-checksum", Invalid;
    /// TCP data offset below 20 bytes or beyond the segment.
    BadDataOffset = "bad-data-offset", Invalid;
    /// A combination of TCP flags that no segment may have.
    BadTcpFlags = "bad-tcp-flags", Invalid;
    /// A segment that does not fit the connection's state.
    BadTcpState = "bad-tcp-state", Invalid;
    /// First segment of an unknown connection is no SYN, and `tcp_loose` is 0 or it may not open.
    NotSyn = "not-syn", Invalid;
    /// Sequence number above what the receiver allows.
    SeqOverWindow = "seq-over-window", Invalid;
    /// Acknowledges data that was never sent.
    AckOverWindow = "ack-over-window", Invalid;
    /// RST whose sequence number is below what the receiver has acknowledged.
    BadRst = "bad-rst", Invalid;
    /// UDP or UDP-Lite length field wrong.
    BadUdpLength = "bad-udp-length", Invalid;
    /// ICMP type that is neither a query nor an error, or a reply to nothing.
    BadIcmpType = "bad-icmp-type", Invalid;
    /// ICMP error about a packet of no known flow.
    UnrelatedIcmpError = "unrelated-icmp-error", Invalid;
    /// GRE, SCTP or another header that makes no sense.
    BadTransportHeader = "bad-transport-header", Invalid;
    /// An SCTP chunk that does not fit the association's state, or that may not begin one.
    BadSctpState = "bad-sctp-state", Invalid;
    /// An SCTP packet with another verification tag than its association's.
    BadSctpTag = "bad-sctp-tag", Invalid;
    /// IPv6 packet without a payload (next header 59), or ICMP of the other family.
    NoTransport = "no-transport", Invalid;
}

impl Reason {
    /// The reason with number `n`, if there is one.
    #[must_use]
    pub fn from_u8(n: u8) -> Option<Self> {
        Self::ALL.get(usize::from(n)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique() {
        for (i, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, i);
            assert_eq!(Reason::from_u8(*reason as u8), Some(*reason));
            assert_eq!(
                Reason::ALL
                    .iter()
                    .filter(|r| r.name() == reason.name())
                    .count(),
                1
            );
        }
        assert_eq!(Reason::from_u8(255), None);
    }
}
