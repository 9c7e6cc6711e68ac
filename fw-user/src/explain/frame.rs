//! From words to bytes: the frame that the programs would see.

use std::net::IpAddr;

use etherparse::{
    IpFragOffset, IpHeaders, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, PacketBuilder,
    TcpHeader, VlanId,
};

use super::packet::{Sketch, Transport};

/// Hardware addresses that nobody has: rules on them are not explained.
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

impl Sketch {
    /// The Ethernet frame.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let length = self.length.unwrap_or_else(|| self.least_length());
        let payload = vec![0; usize::from(length - self.least_length())];
        let ethernet = PacketBuilder::ethernet2(MAC, MAC);
        let builder = match VlanId::try_new(self.vlan) {
            Ok(id) if self.vlan != 0 => ethernet.single_vlan(id).ip(self.ip_header()),
            _ => ethernet.ip(self.ip_header()),
        };
        let mut frame = Vec::new();
        let written = match self.transport {
            Transport::Tcp(sport, dport, flags) => builder
                .tcp_header(tcp_header(sport, dport, flags))
                .write(&mut frame, &payload),
            Transport::Udp(sport, dport) => builder.udp(sport, dport).write(&mut frame, &payload),
            Transport::Icmp(icmp) => {
                let [high, low] = icmp.id.to_be_bytes();
                let rest = [high, low, 0, 1];
                if self.src.is_ipv6() {
                    let message = builder.icmpv6_raw(icmp.kind, icmp.code, rest);
                    message.write(&mut frame, &payload)
                } else {
                    let message = builder.icmpv4_raw(icmp.kind, icmp.code, rest);
                    message.write(&mut frame, &payload)
                }
            }
            Transport::Sctp(sport, dport) => {
                let chunk = init(sport, dport, payload.len());
                builder.write(&mut frame, IpNumber::SCTP, &chunk)
            }
            Transport::Other(number) => {
                let content = vec![0; 8 + payload.len()];
                builder.write(&mut frame, IpNumber(number), &content)
            }
        };
        // Into memory, and no header is longer than its length fields can say.
        written.map_or_else(|_| Vec::new(), |()| frame)
    }

    fn ip_header(&self) -> IpHeaders {
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let header = Ipv4Header {
                    time_to_live: self.ttl,
                    dscp: self.dscp.try_into().unwrap_or_default(),
                    source: src.octets(),
                    destination: dst.octets(),
                    fragment_offset: IpFragOffset::ZERO,
                    ..Ipv4Header::default()
                };
                IpHeaders::Ipv4(header, Default::default())
            }
            (src, dst) => {
                let header = Ipv6Header {
                    traffic_class: self.dscp << 2,
                    flow_label: Ipv6FlowLabel::ZERO,
                    hop_limit: self.ttl,
                    source: v6(src),
                    destination: v6(dst),
                    ..Ipv6Header::default()
                };
                IpHeaders::Ipv6(header, Default::default())
            }
        }
    }
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn tcp_header(sport: u16, dport: u16, flags: u8) -> TcpHeader {
    let mut header = TcpHeader::new(sport, dport, 1, 65535);
    header.acknowledgment_number = u32::from(flags & 0x10 != 0);
    header.fin = flags & 0x01 != 0;
    header.syn = flags & 0x02 != 0;
    header.rst = flags & 0x04 != 0;
    header.psh = flags & 0x08 != 0;
    header.ack = flags & 0x10 != 0;
    header.urg = flags & 0x20 != 0;
    header.ece = flags & 0x40 != 0;
    header.cwr = flags & 0x80 != 0;
    header
}

/// An SCTP packet with an INIT chunk (RFC 9260 §3.3.2), which is what begins a flow. What it is longer
/// is a padding parameter (RFC 4820 §4) within the chunk: INIT goes alone.
fn init(sport: u16, dport: u16, payload: usize) -> Vec<u8> {
    let more = u16::try_from(payload).unwrap_or(u16::MAX - INIT);
    let mut packet = Vec::with_capacity(usize::from(more) + 32);
    packet.extend(sport.to_be_bytes());
    packet.extend(dport.to_be_bytes());
    packet.extend([0; 8]);
    packet.extend([1, 0]);
    packet.extend((INIT + if more >= 4 { more } else { 0 }).to_be_bytes());
    // Initiate tag, window, streams out and in, first TSN.
    packet.extend([0, 0, 0, 1, 0, 0, 0xff, 0xff, 0, 1, 0, 1, 0, 0, 0, 1]);
    if more >= 4 {
        packet.extend([0x80, 0x05]);
        packet.extend(more.to_be_bytes());
    }
    packet.resize(32 + usize::from(more), 0);
    packet
}

/// Length of an INIT chunk without parameters.
const INIT: u16 = 20;

#[cfg(test)]
mod tests {
    use fw_common::wire::{self, Family, Meta};

    use super::*;

    fn meta(text: &str) -> Meta {
        let sketch: Sketch = text.parse().unwrap();
        let mut meta = Meta::default();
        let parsed = wire::parse(sketch.frame().as_slice(), &mut meta);
        assert_eq!(parsed, Ok(()), "{text}");
        meta
    }

    #[test]
    fn the_programs_own_parser_reads_what_was_said() {
        let syn = meta("tcp 192.168.1.2:41080 > 10.0.0.2:22 syn,ecn length 100 ttl 9");
        assert_eq!((syn.family, syn.proto), (Family::V4, 6));
        assert_eq!((syn.sport, syn.dport, syn.tcp.flags), (41080, 22, 0x42));
        assert_eq!((syn.l3_len, syn.ttl), (100, 9));
        let dns = meta("udp [2001:db8::2]:4000 > [2001:db8::1]:53 vlan 7");
        assert_eq!((dns.family, dns.dport, dns.vlan[0]), (Family::V6, 53, 7));
        let ping = meta("icmp 10.0.0.1 > 10.0.0.2 id 77");
        assert_eq!((ping.icmp_type, ping.sport), (8, 77));
        let pong = meta("icmpv6 2001:db8::1 > 2001:db8::2 echo-reply");
        assert_eq!((pong.proto, pong.icmp_type), (58, 129));
        assert_eq!(meta("sctp 10.0.0.1:1 > 10.0.0.2:2").dport, 2);
        assert_eq!(meta("sctp 10.0.0.1:1 > 10.0.0.2:2 length 100").l3_len, 100);
        assert_eq!(meta("esp 10.0.0.1 > 10.0.0.2 length 60").l3_len, 60);
    }
}
