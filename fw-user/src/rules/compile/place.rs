//! Where a field stands among a packet's facts.

use fw_common::ruleset::field::{self, have};
use fw_common::ruleset::options;

use super::super::ir::{
    Base, CtField, Direction, ExtField, ExtHeader, FibKey, FibResult, Field, Header, Meta,
    Protocol, TcpOption, TcpOptionField,
};

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The first word.
    pub(super) word: u8,
    /// Its form there.
    pub(super) form: Form,
    /// The bit of [`field::VALID`] that it needs.
    pub(super) need: u8,
    /// Whether it may differ between packets of one flow, direction and state.
    pub(super) volatile: bool,
}

/// The form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Bits of one word: that many, above that many others.
    Bits {
        /// How many.
        bits: u8,
        /// How many stand below them.
        shift: u8,
    },
    /// A number of up to 64 bits in two words.
    Two,
    /// 128 bits in four words.
    Four,
}

impl Form {
    /// One whole word.
    pub(super) const WORD: Self = Self::Bits { bits: 32, shift: 0 };

    /// How many words it takes.
    pub(super) const fn words(self) -> usize {
        match self {
            Self::Bits { .. } => 1,
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// The bits of the first word that belong to it, where it is of one word.
    pub(super) const fn mask(self) -> u32 {
        match self {
            Self::Bits { bits: 32, .. } | Self::Two | Self::Four => u32::MAX,
            Self::Bits { bits, shift } => ((1 << bits) - 1) << shift,
        }
    }
}

/// The words of a value of so many words.
pub(super) const fn words(value: u128, count: usize) -> [u32; 4] {
    match count {
        1 => [value as u32, 0, 0, 0],
        2 => [(value >> 32) as u32, value as u32, 0, 0],
        _ => [
            (value >> 96) as u32,
            (value >> 64) as u32,
            (value >> 32) as u32,
            value as u32,
        ],
    }
}

/// Where `field` stands; `None` if the programs don't know it.
pub(super) fn place(field: Field) -> Option<Place> {
    match field {
        Field::Header(header) => header_place(header),
        Field::Meta(meta) => meta_place(meta),
        Field::Ct(field, direction) => ct_place(field, direction),
        Field::Fib { key, result } => Some(fib_place(key, result)),
        Field::TcpOption(option, field) => Some(option_place(option, field)),
        Field::TcpOptionExists(option) => {
            let bit = bits(1, option_index(option));
            Some(needs(have::OPTIONS, at(bit, varying(field::OPTIONS))))
        }
        Field::ExtHeader(header, field) => Some(extension_place(header, field)),
        Field::ExtHeaderExists(header) => {
            let bit = bits(1, header_index(header));
            Some(needs(have::EXTENSIONS, at(bit, varying(field::EXTENSIONS))))
        }
    }
}

/// What has to hold for a field to be there: a word, and the least that it has to be.
pub(super) fn condition(field: Field) -> Option<(Place, u128)> {
    match field {
        Field::TcpOption(option, part) => {
            let length = varying(field::OPTION_LEN + option_index(option));
            let least = u128::from(part.offset()) + u128::from(part.datatype().bits() / 8);
            Some((needs(have::OPTIONS, length), least))
        }
        Field::ExtHeader(header, _) => Some((place(Field::ExtHeaderExists(header))?, 1)),
        _ => None,
    }
}

/// Number of an option among those that the programs know.
fn option_index(option: TcpOption) -> u8 {
    let found = options::KINDS
        .iter()
        .position(|kind| *kind == option.kind());
    found.map_or(0, |index| index as u8)
}

fn option_place(option: TcpOption, part: TcpOptionField) -> Place {
    let word = match part {
        TcpOptionField::Length => field::OPTION_LEN + option_index(option),
        TcpOptionField::Size => field::OPTION_MSS,
        TcpOptionField::Count => field::OPTION_WINDOW,
        TcpOptionField::Tsval => field::OPTION_TIMES,
        TcpOptionField::Tsecr => field::OPTION_TIMES + 1,
        TcpOptionField::Left(block) => field::OPTION_SACK + 2 * block,
        TcpOptionField::Right(block) => field::OPTION_SACK + 2 * block + 1,
    };
    needs(have::OPTIONS, varying(word))
}

/// Number of an extension header among those that the programs know.
fn header_index(header: ExtHeader) -> u8 {
    let number = ExtHeader::NAMES.iter().find(|(_, one, _)| *one == header);
    let number = number.map(|(_, _, number)| *number);
    let found = options::HEADERS.iter().position(|one| Some(*one) == number);
    found.map_or(0, |index| index as u8)
}

fn extension_place(header: ExtHeader, part: ExtField) -> Place {
    let first = varying(field::EXTENSION + header_index(header));
    let place = match part {
        ExtField::Nexthdr => at(bits(8, 24), first),
        ExtField::Hdrlength => at(bits(8, 16), first),
        ExtField::RtType | ExtField::MhType => at(bits(8, 8), first),
        ExtField::RtSegLeft => at(bits(8, 0), first),
        ExtField::FragOff => at(bits(13, 3), first),
        ExtField::FragMore => at(bits(1, 0), first),
        ExtField::FragId => varying(field::FRAGMENT_ID),
    };
    needs(have::EXTENSIONS, place)
}

/// The routes are those of one generation, for which a verdict is kept: an answer is as constant as the
/// address.
fn fib_place(key: FibKey, result: FibResult) -> Place {
    let (base, end) = if key.saddr {
        (field::FIB_SADDR, 0)
    } else {
        (field::FIB_DADDR, 1)
    };
    let of = |any, of_iif| constant(base + if key.iif { of_iif } else { any });
    match result {
        FibResult::Type if key.oif => needs(
            have::SADDR_TYPE_OUT + end,
            constant(base + field::fib::TYPE_OUT),
        ),
        FibResult::Type => needs(
            have::SADDR_TYPE + end,
            of(field::fib::TYPE, field::fib::TYPE_IIF),
        ),
        FibResult::OifExists => needs(
            have::SADDR_OIF + end,
            of(field::fib::EXISTS, field::fib::EXISTS_IIF),
        ),
        FibResult::Oif => needs(
            have::SADDR_OIF + end,
            of(field::fib::OIF, field::fib::OIF_IIF),
        ),
        FibResult::Oifname => needs(
            have::SADDR_NAME + end,
            four(of(field::fib::NAME, field::fib::NAME_IIF)),
        ),
    }
}

const fn bits(bits: u8, shift: u8) -> Form {
    Form::Bits { bits, shift }
}

const fn at(form: Form, place: Place) -> Place {
    Place { form, ..place }
}

const fn constant(word: u8) -> Place {
    Place {
        word,
        form: Form::WORD,
        need: have::ALWAYS,
        volatile: false,
    }
}

const fn varying(word: u8) -> Place {
    Place {
        volatile: true,
        ..constant(word)
    }
}

const fn four(place: Place) -> Place {
    Place {
        form: Form::Four,
        ..place
    }
}

const fn two(place: Place) -> Place {
    Place {
        form: Form::Two,
        ..place
    }
}

const fn needs(need: u8, place: Place) -> Place {
    Place { need, ..place }
}

fn header_place(header: Header) -> Option<Place> {
    let location = header.location();
    let volatile = !is_constant(header);
    match header {
        Header::EtherDaddr => return Some(needs(have::LL, two(varying(field::LL_DST)))),
        Header::EtherSaddr => return Some(needs(have::LL, two(varying(field::LL_SRC)))),
        Header::EtherType => return Some(needs(have::LL, varying(field::LL_TYPE))),
        Header::VlanType => return Some(needs(have::VLAN, varying(field::VLAN_TYPE))),
        _ => {}
    }
    let (first, need) = match location.base {
        // The tag: priority, drop eligible, id.
        Base::Link if header.protocol() == Protocol::Vlan && location.offset < 128 => {
            let shift = 128 - location.offset - location.bits;
            return Some(Place {
                word: field::VLAN,
                form: Form::Bits {
                    bits: u8::try_from(location.bits).ok()?,
                    shift: u8::try_from(shift).ok()?,
                },
                need: have::VLAN,
                volatile,
            });
        }
        Base::Link => return None,
        Base::Network => (field::NH, have::ALWAYS),
        Base::Transport => {
            let last = (location.offset + location.bits).div_ceil(32);
            (field::TH, have::TH4 + u8::try_from(last).ok()? - 1)
        }
    };
    let word = first + u8::try_from(location.offset / 32).ok()?;
    let within = location.offset % 32;
    let form = match location.bits {
        128 => Form::Four,
        bits if within + bits <= 32 => Form::Bits {
            bits: u8::try_from(bits).ok()?,
            shift: u8::try_from(32 - within - bits).ok()?,
        },
        _ => return None,
    };
    Some(Place {
        word,
        form,
        need,
        volatile,
    })
}

/// Whether a field is a port if the packet's protocol has ports.
pub(super) const fn is_port(field: Field) -> bool {
    matches!(field, Field::Header(Header::ThSport | Header::ThDport))
}

/// Whether a header field is the same in every packet of a flow and direction. Ports are: the match on
/// the protocol that nftables puts before them sees to it that they are ports. [`Header::ThDport`] may
/// be another protocol's field, see [`super::matches`].
const fn is_constant(header: Header) -> bool {
    matches!(
        header,
        Header::IpVersion
            | Header::IpProtocol
            | Header::IpSaddr
            | Header::IpDaddr
            | Header::Ip6Version
            | Header::Ip6Saddr
            | Header::Ip6Daddr
            | Header::TcpSport
            | Header::TcpDport
            | Header::UdpSport
            | Header::UdpDport
            | Header::UdpLiteSport
            | Header::UdpLiteDport
            | Header::SctpSport
            | Header::SctpDport
    )
}

fn meta_place(meta: Meta) -> Option<Place> {
    Some(match meta {
        Meta::Iif => constant(field::IIF),
        Meta::Iifname => four(constant(field::IIFNAME)),
        Meta::Iiftype => needs(have::IIF, constant(field::IIFTYPE)),
        Meta::Iifgroup => needs(have::IIF, constant(field::IIFGROUP)),
        Meta::Oif => constant(field::OIF),
        Meta::Oifname => four(constant(field::OIFNAME)),
        Meta::Oiftype => needs(have::OIF, constant(field::OIFTYPE)),
        Meta::Oifgroup => needs(have::OIF, constant(field::OIFGROUP)),
        Meta::Length => varying(field::LENGTH),
        Meta::Protocol => constant(field::PROTOCOL),
        Meta::Nfproto => constant(field::NFPROTO),
        Meta::L4proto => constant(field::L4PROTO),
        Meta::Mark => constant(field::MARK),
        Meta::Pkttype => varying(field::PKTTYPE),
        Meta::Time => needs(have::TIME, two(varying(field::TIME))),
        Meta::Day => needs(have::TIME, varying(field::DAY)),
        Meta::Hour => needs(have::TIME, varying(field::HOUR)),
        Meta::Cpu => needs(have::CPU, varying(field::CPU)),
    })
}

fn ct_place(which: CtField, direction: Option<Direction>) -> Option<Place> {
    use Direction::{Original, Reply};
    let place = match (which, direction) {
        (CtField::State, _) => return Some(needs(have::CT_STATE, constant(field::CT_STATE))),
        (CtField::Direction, _) => constant(field::CT_DIRECTION),
        (CtField::Status, _) => varying(field::CT_STATUS),
        (CtField::Mark, _) => constant(field::CT_MARK),
        (CtField::Expiration, _) => varying(field::CT_EXPIRATION),
        (CtField::L3proto, _) => constant(field::NFPROTO),
        (CtField::Protocol, _) => constant(field::CT_PROTO),
        (CtField::Zone, _) => constant(field::CT_ZONE),
        (CtField::Id, _) => constant(field::CT_ID),
        (CtField::Bytes, None) => two(varying(field::CT_BYTES)),
        (CtField::Bytes, Some(Original)) => two(varying(field::CT_BYTES_ORIGINAL)),
        (CtField::Bytes, Some(Reply)) => two(varying(field::CT_BYTES_REPLY)),
        (CtField::Packets, None) => two(varying(field::CT_PACKETS)),
        (CtField::Packets, Some(Original)) => two(varying(field::CT_PACKETS_ORIGINAL)),
        (CtField::Packets, Some(Reply)) => two(varying(field::CT_PACKETS_REPLY)),
        (CtField::Avgpkt, _) => return None,
        (_, None) => return None,
        (CtField::IpSaddr, Some(Original)) | (CtField::IpDaddr, Some(Reply)) => {
            constant(field::CT_SRC)
        }
        (CtField::IpDaddr, Some(Original)) | (CtField::IpSaddr, Some(Reply)) => {
            constant(field::CT_DST)
        }
        (CtField::Ip6Saddr, Some(Original)) | (CtField::Ip6Daddr, Some(Reply)) => {
            four(constant(field::CT_SRC))
        }
        (CtField::Ip6Daddr, Some(Original)) | (CtField::Ip6Saddr, Some(Reply)) => {
            four(constant(field::CT_DST))
        }
        (CtField::ProtoSrc, Some(Original)) | (CtField::ProtoDst, Some(Reply)) => {
            constant(field::CT_SPORT)
        }
        (CtField::ProtoDst, Some(Original)) | (CtField::ProtoSrc, Some(Reply)) => {
            constant(field::CT_DPORT)
        }
    };
    Some(needs(have::CT, place))
}
