//! Where each fact stands in [`Facts`](super::Facts): indexes of 32-bit words.
//!
//! Numbers are in host order, one to a word. What is longer than a word (addresses, names) stands in
//! consecutive words, most significant first, so that words compare as the bytes on the wire do.
//! Headers stand as they are on the wire, four bytes to a word: every field of theirs is a mask away.

/// Bits of [`have`]: what of the rest means anything.
pub const VALID: u8 = 0;

/// `AF_INET` 2, `AF_INET6` 10.
pub const NFPROTO: u8 = 1;
/// Transport protocol.
pub const L4PROTO: u8 = 2;
/// EtherType.
pub const PROTOCOL: u8 = 3;
/// Length of the IP packet.
pub const LENGTH: u8 = 4;
/// `meta mark`.
pub const MARK: u8 = 5;
/// `PACKET_HOST` 0, `PACKET_BROADCAST` 1, `PACKET_MULTICAST` 2, `PACKET_OTHERHOST` 3.
pub const PKTTYPE: u8 = 6;
/// Index of the interface that the packet came in by; 0 if it did not.
pub const IIF: u8 = 7;
/// Name of the former: sixteen bytes, zeroes behind it.
pub const IIFNAME: u8 = 9;
/// `ARPHRD_*` of the former.
pub const IIFTYPE: u8 = 13;
/// Group of the former.
pub const IIFGROUP: u8 = 14;
/// Index of the interface that it leaves by; 0 where that is not known.
pub const OIF: u8 = 88;
/// `ARPHRD_*` of that interface.
pub const OIFTYPE: u8 = 89;
/// Group of that interface.
pub const OIFGROUP: u8 = 90;
/// Name of that interface.
pub const OIFNAME: u8 = 92;
/// The same eight words, from the routing table: chains before routing don't know them.
pub const ROUTED: u8 = 96;
/// Index of the NIC of the hook, below VLANs and bridges.
pub const PORT: u8 = 8;
/// Nanoseconds since 1970: two words.
pub const TIME: u8 = 21;
/// Day of the week, Sunday 0.
pub const DAY: u8 = 23;
/// Second of the day.
pub const HOUR: u8 = 24;
/// VLAN tag (priority, drop eligible, id), 16 bits.
pub const VLAN: u8 = 25;
/// Number of the `log` statement that a record is of.
pub const LOG: u8 = 26;
/// The bank of the ruleset in force.
pub const BANK: u8 = 27;

/// Destination of the Ethernet header: two words.
pub const LL_DST: u8 = 28;
/// Its source: two words.
pub const LL_SRC: u8 = 30;
/// Its EtherType.
pub const LL_TYPE: u8 = 15;
/// Network header: 20 bytes of IPv4, 40 of IPv6.
pub const NH: u8 = 32;
/// First 20 bytes of the transport header.
pub const TH: u8 = 42;

/// One bit: `invalid` 1, `established` 2, `related` 4, `new` 8, `untracked` 64.
pub const CT_STATE: u8 = 48;
/// Bits of [`crate::status`].
pub const CT_STATUS: u8 = 49;
/// 0 original, 1 reply.
pub const CT_DIRECTION: u8 = 50;
/// `ct mark`.
pub const CT_MARK: u8 = 51;
/// Conntrack zone.
pub const CT_ZONE: u8 = 52;
/// The id that `conntrack -o id` shows.
pub const CT_ID: u8 = 53;
/// Milliseconds until the flow expires.
pub const CT_EXPIRATION: u8 = 54;
/// Transport protocol of the flow.
pub const CT_PROTO: u8 = 55;
/// Bytes in original direction: two words.
pub const CT_BYTES_ORIGINAL: u8 = 56;
/// Packets in original direction: two words.
pub const CT_PACKETS_ORIGINAL: u8 = 58;
/// Bytes in reply direction: two words.
pub const CT_BYTES_REPLY: u8 = 60;
/// Packets in reply direction: two words.
pub const CT_PACKETS_REPLY: u8 = 62;
/// Bytes in both: two words.
pub const CT_BYTES: u8 = 64;
/// Packets in both: two words.
pub const CT_PACKETS: u8 = 66;
/// Source address of the original direction: four words, IPv4 in the first. (The destination of the
/// reply direction, as long as nothing is translated.)
pub const CT_SRC: u8 = 68;
/// Its destination address.
pub const CT_DST: u8 = 72;
/// Its source port, or what stands in for it.
pub const CT_SPORT: u8 = 76;
/// Its destination port.
pub const CT_DPORT: u8 = 77;

/// [`crate::route::Kind`] of the packet's way as a number.
pub const ROUTE_KIND: u8 = 82;
/// Number of the CPU.
pub const CPU: u8 = 83;
/// EtherType behind the VLAN tag.
pub const VLAN_TYPE: u8 = 84;

/// What the routing tables say of the source address: words of [`fib`].
pub const FIB_SADDR: u8 = 104;
/// What they say of the destination address.
pub const FIB_DADDR: u8 = 120;

/// Where [`FIB_SADDR`] and [`FIB_DADDR`] have what. Of each there are two: as it is, and as it is for the
/// interface that the packet came in by (`. iif`); of the type a third.
pub mod fib {
    /// `RTN_*` type of the address.
    pub const TYPE: u8 = 0;
    /// Its type on that interface.
    pub const TYPE_IIF: u8 = 1;
    /// Index of the interface by which it is reached; 0 if by none.
    pub const OIF: u8 = 2;
    /// Index of the packet's interface if it is reached by that; else 0.
    pub const OIF_IIF: u8 = 3;
    /// Name of [`OIF`].
    pub const NAME: u8 = 4;
    /// Name of [`OIF_IIF`].
    pub const NAME_IIF: u8 = 8;
    /// 1 if there is [`OIF`], else 0.
    pub const EXISTS: u8 = 12;
    /// 1 if there is [`OIF_IIF`], else 0.
    pub const EXISTS_IIF: u8 = 13;
    /// The address's type on the interface that the packet leaves by (`. oif`).
    pub const TYPE_OUT: u8 = 14;
}

/// A bit for each option of the TCP header, by its number in [`super::options`].
pub const OPTIONS: u8 = 136;
/// The length of each option, or 0: ten words.
pub const OPTION_LEN: u8 = 137;
/// Largest segment.
pub const OPTION_MSS: u8 = 147;
/// The window's shift.
pub const OPTION_WINDOW: u8 = 148;
/// Timestamp and its echo: two words.
pub const OPTION_TIMES: u8 = 149;
/// Left and right edges of four blocks: eight words.
pub const OPTION_SACK: u8 = 151;
/// A bit for each extension header of IPv6, by its number in [`super::options`].
pub const EXTENSIONS: u8 = 160;
/// First four bytes of each: five words.
pub const EXTENSION: u8 = 161;
/// The datagram's number in the fragment header.
pub const FRAGMENT_ID: u8 = 166;
/// Where each TCP option stands in the header: eleven words, the last one of all others.
pub const OPTION_AT: u8 = 168;

/// Numbers of the vectors of the packet's classes: four words. What is written to one of them may clear
/// the three behind it.
pub const CLASSES: u8 = 208;

/// Working registers of the instructions: sixteen words, as long as nftables' longest key.
pub const REGS: u8 = 220;
/// The word before them: the length of a key of a longest-prefix map, always 128.
pub const PREFIX: u8 = REGS - 1;

/// Intermediate values: sixteen words.
pub const TEMP: u8 = REGS + 16;

/// Words of a packet's facts, registers and what a read of four words may touch behind them.
pub const WORDS: usize = 260;

/// Words of a record of `log`: all facts that stand before the registers.
pub const RECORD: usize = 104;

/// Bits of [`VALID`]: an instruction that needs what is not there does not match, negated or not, as an
/// nftables expression that breaks off its rule.
pub mod have {
    /// Always there.
    pub const ALWAYS: u8 = 0;
    /// The Ethernet header.
    pub const LL: u8 = 1;
    /// A VLAN tag.
    pub const VLAN: u8 = 2;
    /// The first four bytes of the transport header; the next bits are for four more each, to 20.
    pub const TH4: u8 = 3;
    /// 20 bytes of transport header.
    pub const TH20: u8 = 7;
    /// The packet has a flow, or belongs to one.
    pub const CT: u8 = 8;
    /// Interface that the packet came in by.
    pub const IIF: u8 = 9;
    /// Interface that it leaves by.
    pub const OIF: u8 = 10;
    /// `ct state`: conntrack has seen the packet or will not.
    pub const CT_STATE: u8 = 11;
    /// The time was read.
    pub const TIME: u8 = 12;
    /// Where the packet goes is known.
    pub const ROUTE: u8 = 14;
    /// TCP options were read.
    pub const OPTIONS: u8 = 15;
    /// Extension headers were read.
    pub const EXTENSIONS: u8 = 16;
    /// Number of the CPU.
    pub const CPU: u8 = 17;
    /// All that the ruleset needs beyond the headers was asked for.
    pub const ASKED: u8 = 18;
    /// From here on: what the routing tables say. An instruction that needs it and has no answer does not
    /// go on with another rule, for nobody knows whether it matches: the packet is dropped.
    pub const ANSWERS: u8 = SADDR_TYPE;
    /// Type of the source address.
    pub const SADDR_TYPE: u8 = 20;
    /// Type of the destination address.
    pub const DADDR_TYPE: u8 = 21;
    /// By which interface the source is reached.
    pub const SADDR_OIF: u8 = 22;
    /// By which interface the destination is reached.
    pub const DADDR_OIF: u8 = 23;
    /// Name of the interface by which the source is reached.
    pub const SADDR_NAME: u8 = 24;
    /// Name of the interface by which the destination is reached.
    pub const DADDR_NAME: u8 = 25;
    /// Type of the source address on the interface that the packet leaves by.
    pub const SADDR_TYPE_OUT: u8 = 26;
    /// Type of the destination address on it.
    pub const DADDR_TYPE_OUT: u8 = 27;
}
