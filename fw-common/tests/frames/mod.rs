//! Well-formed frames of many shapes, built by the `etherparse` crate.

use etherparse::{
    IpAuthHeader, IpFragOffset, IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, Ipv6Extensions,
    Ipv6FlowLabel, Ipv6FragmentHeader, Ipv6Header, Ipv6RawExtHeader, Ipv6RoutingExtensions,
    PacketBuilder, TcpHeader,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// What a frame is made of.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Up to two tags: kind and tag control information.
    pub(crate) tags: Vec<(u16, u16)>,
    pub(crate) network: Network,
    pub(crate) transport: Transport,
    pub(crate) payload: Vec<u8>,
    /// Bytes behind the IP packet.
    pub(crate) padding: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Network {
    V4 {
        src: [u8; 4],
        dst: [u8; 4],
        ttl: u8,
        options: Vec<u8>,
        id: u16,
        /// Whether it is a first fragment.
        more: bool,
    },
    V6 {
        src: [u8; 16],
        dst: [u8; 16],
        hop_limit: u8,
        /// Hop-by-hop, destination options, routing, fragment, authentication, final destination
        /// options: how many units of eight bytes, if any.
        chain: [Option<u8>; 6],
        id: u32,
        more: bool,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Transport {
    Tcp {
        ports: (u16, u16),
        seq: u32,
        ack: u32,
        flags: u8,
        window: u16,
        options: Vec<u8>,
    },
    Udp {
        ports: (u16, u16),
    },
    /// An echo request: identifier, sequence number.
    Echo {
        id: u16,
        seq: u16,
    },
    /// A protocol without ports.
    Other(u8),
}

/// Frames that have nothing wrong.
pub(crate) fn shapes() -> impl Strategy<Value = Shape> {
    (
        vec(
            (prop_oneof![Just(0x8100u16), Just(0x88a8)], any::<u16>()),
            0..=2,
        ),
        prop_oneof![network4(), network6()],
        transports(),
        vec(any::<u8>(), 0..100),
        0..50usize,
    )
        .prop_map(|(tags, network, transport, payload, padding)| Shape {
            tags,
            network,
            transport,
            payload,
            padding,
        })
}

fn network4() -> impl Strategy<Value = Network> {
    let unicast = (1..=126u8, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| [a, b, c, d]);
    (
        (unicast.clone(), unicast).prop_filter("source is not destination", |(a, b)| a != b),
        1..=255u8,
        (0..=10usize).prop_flat_map(|words| vec(any::<u8>(), words * 4)),
        any::<u16>(),
        prop::bool::weighted(0.2),
    )
        .prop_map(|((src, dst), ttl, options, id, more)| Network::V4 {
            src,
            dst,
            ttl,
            options,
            id,
            more,
        })
}

fn network6() -> impl Strategy<Value = Network> {
    let unicast = any::<[u8; 15]>().prop_map(|tail| {
        let mut addr = [0x20; 16];
        addr[1..].copy_from_slice(&tail);
        addr
    });
    let header = prop::option::weighted(0.3, 0..4u8);
    (
        (unicast.clone(), unicast).prop_filter("source is not destination", |(a, b)| a != b),
        1..=255u8,
        prop::array::uniform6(header),
        any::<u32>(),
        any::<bool>(),
    )
        .prop_map(|((src, dst), hop_limit, chain, id, more)| Network::V6 {
            src,
            dst,
            hop_limit,
            chain,
            id,
            more,
        })
}

fn transports() -> impl Strategy<Value = Transport> {
    let tcp = (
        any::<(u16, u16)>(),
        any::<(u32, u32)>(),
        any::<u8>(),
        any::<u16>(),
        tcp_options(),
    );
    prop_oneof![
        4 => tcp.prop_map(|(ports, (seq, ack), flags, window, options)| Transport::Tcp {
            ports, seq, ack, flags, window, options,
        }),
        2 => any::<(u16, u16)>().prop_map(|ports| Transport::Udp { ports }),
        2 => any::<(u16, u16)>().prop_map(|(id, seq)| Transport::Echo { id, seq }),
        1 => prop_oneof![Just(50u8), Just(89), Just(112)].prop_map(Transport::Other),
    ]
}

/// Options as they are sent, as they might be, and noise; padded to whole words, at most 40 bytes.
pub(crate) fn tcp_options() -> impl Strategy<Value = Vec<u8>> {
    let option = prop_oneof![
        Just(vec![1]),
        Just(vec![2, 4, 5, 0xb4]),
        any::<u8>().prop_map(|scale| vec![3, 3, scale]),
        Just(vec![4, 2]),
        vec(any::<[u8; 8]>(), 1..=4).prop_map(|blocks| [
            vec![5, 2 + 8 * blocks.len() as u8],
            blocks.concat()
        ]
        .concat()),
        Just(vec![8, 10, 0, 0, 0, 1, 0, 0, 0, 2]),
        Just(vec![0]),
        vec(any::<u8>(), 1..6),
        (0..8u8, 0..14u8).prop_map(|(kind, size)| vec![kind, size]),
    ];
    vec(option, 0..10).prop_map(|options| {
        let mut options = options.concat();
        options.truncate(40);
        options.resize(options.len().next_multiple_of(4), 1);
        options
    })
}

impl Shape {
    /// The same without options, extension headers, flags of TCP that begin or end something, and tags but that of one VLAN.
    pub(crate) fn plain(mut self) -> Self {
        self.tags.truncate(1);
        for (kind, tci) in &mut self.tags {
            (*kind, *tci) = (0x8100, *tci | 1);
        }
        match &mut self.network {
            Network::V4 {
                ttl, options, more, ..
            } => {
                *ttl = (*ttl).max(2);
                options.clear();
                *more = false;
            }
            Network::V6 {
                hop_limit,
                chain,
                more,
                ..
            } => {
                *hop_limit = (*hop_limit).max(2);
                *chain = [None; 6];
                *more = false;
            }
        }
        if let Transport::Tcp { flags, options, .. } = &mut self.transport {
            *flags = *flags & !0x27 | 0x10;
            let timestamp = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
            *options = if options.is_empty() {
                Vec::new()
            } else {
                timestamp.to_vec()
            };
        }
        self
    }

    /// The frame.
    pub(crate) fn build(&self) -> Vec<u8> {
        let packet = self.packet();
        let ethertype: u16 = match self.network {
            Network::V4 { .. } => 0x0800,
            Network::V6 { .. } => 0x86dd,
        };
        let mut frame = vec![2; 12];
        for (kind, tci) in &self.tags {
            frame.extend(kind.to_be_bytes());
            frame.extend(tci.to_be_bytes());
        }
        frame.extend(ethertype.to_be_bytes());
        frame.extend(packet);
        frame.resize(frame.len() + self.padding, 0xff);
        frame
    }

    /// The IP packet, its checksums computed by `etherparse`.
    fn packet(&self) -> Vec<u8> {
        let step = PacketBuilder::ip(self.ip_headers());
        let mut packet = Vec::new();
        match &self.transport {
            Transport::Tcp { .. } => step
                .tcp_header(self.tcp_header())
                .write(&mut packet, &self.payload),
            Transport::Udp { ports } => {
                step.udp(ports.0, ports.1).write(&mut packet, &self.payload)
            }
            Transport::Echo { id, seq } => match self.network {
                Network::V4 { .. } => step
                    .icmpv4_echo_request(*id, *seq)
                    .write(&mut packet, &self.payload),
                Network::V6 { .. } => step
                    .icmpv6_echo_request(*id, *seq)
                    .write(&mut packet, &self.payload),
            },
            Transport::Other(number) => step.write(&mut packet, IpNumber(*number), &self.payload),
        }
        .expect("the shape is valid");
        packet
    }

    fn tcp_header(&self) -> TcpHeader {
        let Transport::Tcp {
            ports,
            seq,
            ack,
            flags,
            window,
            options,
        } = &self.transport
        else {
            unreachable!("only called for TCP");
        };
        let mut header = TcpHeader::new(ports.0, ports.1, *seq, *window);
        header.acknowledgment_number = *ack;
        let flag = |bit: u8| flags & bit != 0;
        (header.fin, header.syn, header.rst, header.psh) = (flag(1), flag(2), flag(4), flag(8));
        (header.ack, header.urg, header.ece, header.cwr) =
            (flag(16), flag(32), flag(64), flag(128));
        header.set_options_raw(options).expect("at most 40 bytes");
        header
    }

    fn ip_headers(&self) -> IpHeaders {
        match &self.network {
            Network::V4 {
                src,
                dst,
                ttl,
                options,
                id,
                more,
            } => {
                let mut header = Ipv4Header::new(0, *ttl, IpNumber(0), *src, *dst)
                    .expect("no payload is too long yet");
                header.identification = *id;
                header.dont_fragment = !more;
                header.more_fragments = *more;
                header.options = options
                    .as_slice()
                    .try_into()
                    .expect("whole words, at most 40 bytes");
                IpHeaders::Ipv4(header, Ipv4Extensions::default())
            }
            Network::V6 {
                src,
                dst,
                hop_limit,
                ..
            } => {
                let header = Ipv6Header {
                    traffic_class: 0,
                    flow_label: Ipv6FlowLabel::ZERO,
                    payload_length: 0,
                    next_header: IpNumber(0),
                    hop_limit: *hop_limit,
                    source: *src,
                    destination: *dst,
                };
                IpHeaders::Ipv6(header, self.extensions())
            }
        }
    }

    fn extensions(&self) -> Ipv6Extensions {
        let Network::V6 {
            chain, id, more, ..
        } = &self.network
        else {
            unreachable!("only called for IPv6");
        };
        let next = IpNumber(59);
        let raw = |units: u8, fill: u8| {
            Ipv6RawExtHeader::new_raw(next, &vec![fill; 6 + usize::from(units) * 8])
                .expect("a multiple of eight")
        };
        let [hop, dest, routing, fragment, auth, last] = chain;
        Ipv6Extensions {
            hop_by_hop_options: hop.map(|units| raw(units, 0)),
            destination_options: dest.map(|units| raw(units, 1)),
            // Type 2.
            routing: routing.map(|units| Ipv6RoutingExtensions {
                routing: raw(units, 2),
                final_destination_options: last.map(|units| raw(units, 1)),
            }),
            fragment: fragment
                .map(|_| Ipv6FragmentHeader::new(next, IpFragOffset::ZERO, *more, *id)),
            auth: auth.map(|units| {
                IpAuthHeader::new(next, 1, 2, &vec![0; 4 + usize::from(units) * 8])
                    .expect("a multiple of four")
            }),
        }
    }

    /// Whether it is the first of several fragments.
    pub(crate) fn is_first_fragment(&self) -> bool {
        match &self.network {
            Network::V4 { more, .. } => *more,
            Network::V6 { chain, more, .. } => chain[3].is_some() && *more,
        }
    }

    /// Type of the echo request in this family.
    pub(crate) fn echo_type(&self) -> u8 {
        match self.network {
            Network::V4 { .. } => 8,
            Network::V6 { .. } => 128,
        }
    }
}
