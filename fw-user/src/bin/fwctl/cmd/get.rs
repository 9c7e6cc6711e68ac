//! `fwctl get`: one flow, by its tuple.

use std::net::IpAddr;
use std::process::ExitCode;

use fw_common::flow::Tuple;
use fw_common::icmp;
use fw_common::wire::{Family, proto};
use fw_user::flows::{
    Key, family_name, has_ports, parse_family, parse_proto, parse_u8, parse_u16, proto_name,
};

use super::{Output, TableName};
use crate::args::{Globals, Usage};
use crate::term;

/// Options of `fwctl get`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl get -p tcp -s 192.168.1.2 -d 10.0.0.2 --sport 41102 --dport 22
  fwctl get -p icmp -s 192.168.1.2 -d 10.0.0.2 --icmp-id 42 -o json

The tuple may be that of either direction.")]
pub(crate) struct Args {
    #[arg(hide = true)]
    table: Option<TableName>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    tuple: TupleArgs,
}

/// Addresses and ports of a packet of the flow, in the way it travels.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Tuple")]
struct TupleArgs {
    /// Address family; the addresses say it anyway
    #[arg(short, long, value_parser = parse_family)]
    family: Option<Family>,
    /// Protocol: tcp, udp, icmp, icmpv6, gre, sctp, udplite, another name or a number
    #[arg(short, long, visible_alias = "protonum", value_parser = parse_proto)]
    proto: u8,
    /// Source address
    #[arg(short, long, visible_alias = "orig-src", value_name = "ADDR")]
    src: IpAddr,
    /// Destination address
    #[arg(short, long, visible_alias = "orig-dst", value_name = "ADDR")]
    dst: IpAddr,
    /// Source port
    #[arg(long, visible_alias = "orig-port-src", value_name = "PORT", value_parser = parse_u16)]
    sport: Option<u16>,
    /// Destination port
    #[arg(long, visible_alias = "orig-port-dst", value_name = "PORT", value_parser = parse_u16)]
    dport: Option<u16>,
    /// ICMP or ICMPv6 type [default: that of an echo request]
    #[arg(long, visible_alias = "icmpv6-type", value_name = "TYPE", value_parser = parse_u8)]
    icmp_type: Option<u8>,
    /// ICMP or ICMPv6 code
    #[arg(
        long,
        visible_alias = "icmpv6-code",
        value_name = "CODE",
        default_value_t = 0,
        value_parser = parse_u8
    )]
    icmp_code: u8,
    /// ICMP or ICMPv6 identifier
    #[arg(long, visible_alias = "icmpv6-id", value_name = "ID", value_parser = parse_u16)]
    icmp_id: Option<u16>,
    /// Conntrack zone
    #[arg(short = 'w', long, default_value_t = 0, value_parser = parse_u16)]
    zone: u16,
}

impl Args {
    /// Prints the flow, or fails if there is none.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        let key = self.tuple.key()?;
        let table = globals.maps()?.flows()?;
        let Some(entry) = table.get(&key)? else {
            anyhow::bail!("there is no such flow; `fwctl list` shows those that there are");
        };
        let mut printer = self.output.printer(&table, globals);
        printer.flow(&entry)?;
        let count = printer.finish()?;
        term::note(format_args!("{count} flow entries have been shown."));
        Ok(ExitCode::SUCCESS)
    }
}

impl TupleArgs {
    fn key(&self) -> Result<Key, Usage> {
        let family = self.family()?;
        let mut tuple = Tuple {
            src: wide(self.src),
            dst: wide(self.dst),
            proto: self.proto,
            ..Tuple::default()
        };
        if has_ports(self.proto) {
            (tuple.sport, tuple.dport) = self.ports()?;
        } else if icmp::is_icmp(family, self.proto) {
            (tuple.sport, tuple.dport, tuple.request) = self.query(family)?;
        }
        Ok(Key::of(family, &tuple, self.zone))
    }

    fn family(&self) -> Result<Family, Usage> {
        let of = |address: IpAddr| match address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        };
        let family = self.family.unwrap_or_else(|| of(self.src));
        for address in [self.src, self.dst] {
            if of(address) != family {
                let name = family_name(family);
                return Err(Usage(format!("{address} is not of family {name}")));
            }
        }
        Ok(family)
    }

    fn ports(&self) -> Result<(u16, u16), Usage> {
        self.sport.zip(self.dport).ok_or_else(|| {
            let name = proto_name(self.proto);
            Usage(format!(
                "a flow of {name} is named by --sport and --dport too"
            ))
        })
    }

    /// The fields that stand in for ports; see [`Tuple`].
    fn query(&self, family: Family) -> Result<(u16, u16, bool), Usage> {
        let echo = if self.proto == proto::ICMPV6 { 128 } else { 8 };
        let kind = self.icmp_type.unwrap_or(echo);
        let query = icmp::query(family, kind)
            .ok_or_else(|| Usage(format!("ICMP type {kind} is no query: it has no flow")))?;
        let id = self.icmp_id.ok_or_else(|| {
            let name = proto_name(self.proto);
            Usage(format!("a flow of {name} is named by --icmp-id too"))
        })?;
        let service = u16::from_be_bytes([query.request, self.icmp_code]);
        Ok(if query.is_request {
            (id, service, true)
        } else {
            (service, id, false)
        })
    }
}

/// An address in the form of the maps.
fn wide(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(address) => {
            let mut wide = [0; 16];
            wide[..4].copy_from_slice(&address.octets());
            wide
        }
    }
}
