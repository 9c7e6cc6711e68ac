//! The filter options that several commands share, with conntrack(8)'s letters and long names.

use std::net::IpAddr;

use clap::Args;
use fw_common::status;
use fw_common::wire::Family;
use ipnet::IpNet;

use super::filter::{Filter, Masked, Prefix};
use super::interfaces::Interfaces;
use super::names::{family_name, parse_family, parse_proto, parse_u8, parse_u16, state_names};

/// Options that select flows.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    #[command(flatten)]
    common: CommonFilterArgs,
    /// Status, all of: ASSURED, SEEN_REPLY, UNREPLIED, OFFLOAD, HW_OFFLOAD, …
    #[arg(short = 'u', long, value_name = "STATUS[,…]", value_parser = status_list)]
    status: Option<Masked>,
    /// Connection mark, of which only the bits in MASK count
    #[arg(short, long, value_name = "VALUE[/MASK]", value_parser = mark)]
    mark: Option<Masked>,
}

impl FilterArgs {
    /// The filter that the options ask for.
    ///
    /// # Errors
    /// See [`SelectError`].
    pub fn filter(&self) -> Result<Filter, SelectError> {
        Ok(Filter {
            status: self.status.unwrap_or_default(),
            mark: self.mark.unwrap_or_default(),
            ..self.common.filter()?
        })
    }
}

/// Those of the options whose letters mean the same where flows are changed: `-u` and `-m` say there what
/// the flows become.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Filters")]
pub struct CommonFilterArgs {
    /// Only this address family: ipv4 or ipv6
    #[arg(short, long, value_parser = parse_family)]
    family: Option<Family>,
    /// Only this protocol: tcp, udp, icmp, icmpv6, gre, sctp, udplite, another name or a number
    #[arg(short, long, visible_alias = "protonum", value_parser = parse_proto)]
    proto: Option<u8>,
    /// Source address or network of the original direction
    #[arg(short, long, visible_alias = "orig-src", value_name = "ADDR[/LEN]", value_parser = network)]
    src: Option<IpNet>,
    /// Destination address or network of the original direction
    #[arg(short, long, visible_alias = "orig-dst", value_name = "ADDR[/LEN]", value_parser = network)]
    dst: Option<IpNet>,
    /// Source address or network of the reply direction
    #[arg(short, long, value_name = "ADDR[/LEN]", value_parser = network)]
    reply_src: Option<IpNet>,
    /// Destination address or network of the reply direction
    #[arg(short = 'q', long, value_name = "ADDR[/LEN]", value_parser = network)]
    reply_dst: Option<IpNet>,
    /// Source port of the original direction
    #[arg(long, visible_alias = "orig-port-src", value_name = "PORT", value_parser = parse_u16)]
    sport: Option<u16>,
    /// Destination port of the original direction
    #[arg(long, visible_alias = "orig-port-dst", value_name = "PORT", value_parser = parse_u16)]
    dport: Option<u16>,
    /// Source port of the reply direction
    #[arg(long, value_name = "PORT", value_parser = parse_u16)]
    reply_port_src: Option<u16>,
    /// Destination port of the reply direction
    #[arg(long, value_name = "PORT", value_parser = parse_u16)]
    reply_port_dst: Option<u16>,
    /// ICMP or ICMPv6 type, as a number
    #[arg(long, visible_alias = "icmpv6-type", value_name = "TYPE", value_parser = parse_u8)]
    icmp_type: Option<u8>,
    /// ICMP or ICMPv6 code, as a number
    #[arg(long, visible_alias = "icmpv6-code", value_name = "CODE", value_parser = parse_u8)]
    icmp_code: Option<u8>,
    /// ICMP or ICMPv6 identifier
    #[arg(long, visible_alias = "icmpv6-id", value_name = "ID", value_parser = parse_u16)]
    icmp_id: Option<u16>,
    /// State of the connection, such as ESTABLISHED or SYN_SENT
    #[arg(long, value_parser = state)]
    state: Option<&'static str>,
    /// Interface that packets of either direction came in by, also by its number, as listings show one that
    /// has gone
    #[arg(long, value_name = "IFACE")]
    interface: Option<String>,
    /// Conntrack zone
    #[arg(short = 'w', long, value_parser = parse_u16)]
    zone: Option<u16>,
}

/// Filter options that cannot be meant together, or name what does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// There is no such interface here.
    #[error(
        "no interface is called `{0}`; `ip -brief link` lists those that exist, and one that has gone is named \
         by its number (`fwctl list -o json` shows it)"
    )]
    Interface(String),
    /// Addresses of two families, or not of the family asked for.
    #[error("--{option} {value} is not of family {}", family_name(*.family))]
    Family {
        /// The option at fault.
        option: &'static str,
        /// Its value.
        value: IpNet,
        /// The family that the other options ask for.
        family: Family,
    },
}

impl CommonFilterArgs {
    /// The filter that the options ask for.
    ///
    /// # Errors
    /// See [`SelectError`].
    pub fn filter(&self) -> Result<Filter, SelectError> {
        Ok(Filter {
            family: self.only_family()?,
            proto: self.proto,
            src: self.src.map(Prefix::from),
            dst: self.dst.map(Prefix::from),
            reply_src: self.reply_src.map(Prefix::from),
            reply_dst: self.reply_dst.map(Prefix::from),
            sport: self.sport,
            dport: self.dport,
            reply_sport: self.reply_port_src,
            reply_dport: self.reply_port_dst,
            icmp_type: self.icmp_type,
            icmp_code: self.icmp_code,
            icmp_id: self.icmp_id,
            state: self.state,
            ifindex: self.ifindex()?,
            zone: self.zone,
            ..Filter::default()
        })
    }

    /// The family that `-f` or the first address asks for: the maps of the other one need no visit.
    fn only_family(&self) -> Result<Option<Family>, SelectError> {
        let mut wanted = self.family;
        for (option, value) in [
            ("src", self.src),
            ("dst", self.dst),
            ("reply-src", self.reply_src),
            ("reply-dst", self.reply_dst),
        ] {
            let Some(value) = value else { continue };
            let found = Prefix::from(value).family;
            let family = *wanted.get_or_insert(found);
            if family != found {
                return Err(SelectError::Family {
                    option,
                    value,
                    family,
                });
            }
        }
        Ok(wanted)
    }

    fn ifindex(&self) -> Result<Option<u32>, SelectError> {
        let Some(name) = &self.interface else {
            return Ok(None);
        };
        let number = || name.parse().ok().filter(|number| *number != 0);
        match Interfaces::default().index(name).or_else(number) {
            Some(index) => Ok(Some(index)),
            None => Err(SelectError::Interface(name.clone())),
        }
    }
}

/// An address, or a network whose host bits are ignored.
fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let net: IpNet = text
        .parse()
        .map_err(|_| "expected an address such as 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32")?;
    Ok(net.trunc())
}

fn state(text: &str) -> Result<&'static str, String> {
    // conntrack(8) still documents the old name of the tenth state.
    let text = if text.eq_ignore_ascii_case("LISTEN") {
        "SYN_SENT2"
    } else {
        text
    };
    state_names()
        .find(|name| name.eq_ignore_ascii_case(text))
        .ok_or_else(|| {
            let known: Vec<_> = state_names().collect();
            format!("no such state; there are {}", known.join(", "))
        })
}

/// All of the named conditions, as `conntrack -u` means them.
fn status_list(list: &str) -> Result<Masked, String> {
    let mut all = Masked::default();
    for word in list.split(',') {
        let one = status_word(word)?;
        if all.mask & one.mask & (all.value ^ one.value) != 0 {
            return Err(format!("`{word}` contradicts what stands before it"));
        }
        all.mask |= one.mask;
        all.value |= one.value;
    }
    Ok(all)
}

fn status_word(word: &str) -> Result<Masked, String> {
    let upper = word.to_ascii_uppercase();
    let clear = |mask| Masked { value: 0, mask };
    match upper.as_str() {
        "UNREPLIED" => return Ok(clear(status::SEEN_REPLY)),
        "UNSET" | "NONE" => return Ok(clear(status::SEEN_REPLY | status::ASSURED)),
        _ => {}
    }
    match status::NAMES.iter().find(|(_, name)| *name == upper) {
        Some(&(bit, _)) => Ok(Masked {
            value: bit,
            mask: bit,
        }),
        None => {
            let known: Vec<_> = status::NAMES.iter().map(|(_, name)| *name).collect();
            let known = known.join(", ");
            Err(format!(
                "no such status; there are UNREPLIED, UNSET, {known}"
            ))
        }
    }
}

/// `VALUE[/MASK]`, each in decimal or hexadecimal.
///
/// # Errors
/// What would have been right.
pub fn mark(text: &str) -> Result<Masked, String> {
    let (value, mask) = text.split_once('/').unwrap_or((text, "0xffffffff"));
    Ok(Masked {
        value: word(value)?,
        mask: word(mask)?,
    })
}

fn word(text: &str) -> Result<u32, String> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    hex.map_or_else(|| text.parse(), |hex| u32::from_str_radix(hex, 16))
        .map_err(|_| format!("`{text}` is no number from 0 to 0xffffffff"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        filter: FilterArgs,
    }

    fn parse(line: &str) -> Filter {
        let args = std::iter::once("test").chain(line.split_whitespace());
        Cli::try_parse_from(args).unwrap().filter.filter().unwrap()
    }

    fn refused(line: &str) -> String {
        let args = std::iter::once("test").chain(line.split_whitespace());
        match Cli::try_parse_from(args) {
            Err(error) => error.to_string(),
            Ok(cli) => cli.filter.filter().unwrap_err().to_string(),
        }
    }

    #[test]
    fn short_and_long_names_mean_the_same() {
        let short = parse("-p tcp -s 10.0.0.1 -d 10.0.0.0/8 --sport 1 --dport 2 -f ipv4 -w 3");
        let long = parse(
            "--protonum 6 --orig-src 10.0.0.1/32 --orig-dst 10.9.9.9/8 --orig-port-src 1 \
             --orig-port-dst 2 --family ipv4 --zone 3",
        );
        assert_eq!(short, long);
        assert_eq!(short.proto, Some(6));
        let reply = parse("-r 10.0.0.1 -q 10.0.0.2 --reply-port-src 5");
        assert_eq!(
            reply,
            parse("--reply-src 10.0.0.1 --reply-dst 10.0.0.2 --reply-port-src 5")
        );
    }

    #[test]
    fn family_follows_from_an_address() {
        assert_eq!(parse("-s 2001:db8::1").family, Some(Family::V6));
        assert_eq!(parse("-p tcp").family, None);
        assert_eq!(
            refused("-f ipv6 -d 10.0.0.1"),
            "--dst 10.0.0.1/32 is not of family ipv6"
        );
        assert!(refused("-s ::1 -d 10.0.0.1").contains("--dst"));
    }

    #[test]
    fn status_words_in_any_case() {
        let bits = parse("-u ASSURED,seen_reply").status;
        assert_eq!(bits.value, status::ASSURED | status::SEEN_REPLY);
        assert_eq!(bits.mask, bits.value);
        let none = parse("-u unreplied").status;
        assert_eq!((none.value, none.mask), (0, status::SEEN_REPLY));
        assert!(refused("-u ASURED").contains("ASSURED"));
        assert!(refused("-u SEEN_REPLY,UNREPLIED").contains("contradicts"));
    }

    #[test]
    fn marks_in_hex_and_decimal() {
        let mark = parse("-m 0x10/0xff").mark;
        assert_eq!((mark.value, mark.mask), (0x10, 0xff));
        assert_eq!(parse("-m 16").mask_of_mark(), u32::MAX);
        assert!(refused("-m 0xg").contains("0xg"));
    }

    #[test]
    fn states_have_an_old_name() {
        assert_eq!(parse("--state established").state, Some("ESTABLISHED"));
        assert_eq!(parse("--state LISTEN").state, Some("SYN_SENT2"));
        assert!(refused("--state ESTAB").contains("ESTABLISHED"));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "-s 10.0.0.1/33",
            "-s 10.0.0",
            "--sport 65536",
            "-p foo",
            "-f ip",
            "-w 65536",
        ] {
            refused(line);
        }
        assert!(refused("--interface no-such-nic0").contains("no-such-nic0"));
    }

    impl Filter {
        fn mask_of_mark(&self) -> u32 {
            self.mark.mask
        }
    }
}
