//! `fwctl trace`: follows real packets through the rules.

use std::io::Write;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use fw_common::abi::{ANY, Counter, TraceOrder, TraceRecord, halves};
use fw_common::wire::Family;
use fw_user::clock::TickClock;
use fw_user::daemon::{TraceLock, stop_signal};
use fw_user::explain::trace::Traced;
use fw_user::flows::{Interfaces, parse_family, parse_proto, parse_u16};
use fw_user::life::offline::Found;
use fw_user::maps::{CounterTable, Tracing};
use ipnet::IpNet;
use tokio::time::{MissedTickBehavior, interval};

use crate::args::{Globals, Usage};
use crate::cmd::Format;
use crate::term;

/// Options of `fwctl trace`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl trace -s 192.168.1.7 -p tcp --dport 443
  fwctl trace -i eth0 --count 10
  fwctl trace -d 10.0.0.0/8 -o json | jq -r '.steps[-1].verdict'

Lines are those of `nft monitor trace`, one row of them for each hook that a packet gets to; the id is the
same for all hooks. Filters are of the packet itself: for the answers, exchange source and destination.
What conntrack refuses before the rules is in `fwctl stats`. What comes too quickly to be told is counted
on standard error. Ctrl-C ends it, and nothing is left behind.")]
pub(crate) struct Args {
    /// ipv4 or ipv6
    #[arg(short, long, value_name = "FAMILY", value_parser = parse_family)]
    family: Option<Family>,
    /// Transport protocol: name or number
    #[arg(short, long, value_name = "PROTO", value_parser = parse_proto)]
    proto: Option<u8>,
    /// Source address or network
    #[arg(short, long, value_name = "ADDR[/LEN]", value_parser = network)]
    src: Option<IpNet>,
    /// Destination address or network
    #[arg(short, long, value_name = "ADDR[/LEN]", value_parser = network)]
    dst: Option<IpNet>,
    /// Source port
    #[arg(long, value_name = "PORT", value_parser = parse_u16)]
    sport: Option<u16>,
    /// Destination port
    #[arg(long, value_name = "PORT", value_parser = parse_u16)]
    dport: Option<u16>,
    /// NIC by which the packet comes in, or, if the router itself sends it, leaves
    #[arg(short, long, value_name = "IFACE")]
    interface: Option<String>,
    /// End after this many packets
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Most packets a second
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: u64,
    /// json: one object a line
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

/// How often it is looked for what the programs tell.
const LOOK: Duration = Duration::from_millis(50);
/// After how many looks the programs' order is renewed: once a second.
const RENEWAL: u64 = 20;
/// For how long they follow packets without that, seconds.
const LEASE: u64 = 10;

impl Args {
    /// Prints what matching packets meet, until it is told to stop.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        let order = self.order()?;
        let maps = globals.maps()?;
        let clock = TickClock::new(&maps.config()?)?;
        let _lock = TraceLock::take(&globals.paths())?;
        let mut tracing = maps.tracing()?;
        // What was told to one that was killed, and would be told yet.
        tracing.set(TraceOrder::all())?;
        tracing.by_ref().for_each(drop);
        let counters = maps.counters()?;
        let lost = counters.total(Counter::TRACES_LOST)?;
        let mut session = Session {
            globals,
            order: Order {
                tracing,
                order,
                clock,
                rate: self.rate,
            },
            found: None,
            json: self.output.is_some(),
            left: self.count,
            last: None,
            lost,
            counters,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot wait for packets")?;
        runtime.block_on(session.follow())?;
        Ok(ExitCode::SUCCESS)
    }

    fn order(&self) -> Result<TraceOrder, Usage> {
        let mut order = TraceOrder::all();
        let mut family = self.family;
        for (flag, net, to) in [
            ("--src", self.src, &mut order.src),
            ("--dst", self.dst, &mut order.dst),
        ] {
            let Some(net) = net else { continue };
            let found = match net {
                IpNet::V4(_) => Family::V4,
                IpNet::V6(_) => Family::V6,
            };
            if *family.get_or_insert(found) != found {
                return Err(Usage(format!("{flag} {net}: it is of the other family")));
            }
            *to = [bits(net.network()), bits(net.netmask())];
        }
        order.family = family.map_or(ANY, |family| family as u32);
        order.proto = self.proto.map_or(ANY, u32::from);
        order.sport = self.sport.map_or(ANY, u32::from);
        order.dport = self.dport.map_or(ANY, u32::from);
        if let Some(name) = &self.interface {
            let index = Interfaces::default().index(name);
            order.port = index.ok_or_else(|| {
                Usage(format!(
                    "--interface {name}: there is no such interface; see `ip link`"
                ))
            })?;
        }
        Ok(order)
    }
}

/// An address, or a network whose host bits are ignored.
fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let net = text.parse::<IpNet>();
    let net =
        net.map_err(|_| "expected an address such as 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32")?;
    Ok(net.trunc())
}

/// An address as the programs have it.
fn bits(address: IpAddr) -> [u64; 2] {
    let mut bytes = [0; 16];
    match address {
        IpAddr::V4(v4) => bytes[..4].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => bytes = v6.octets(),
    }
    halves(&bytes)
}

/// The order to the programs, which ends with it.
struct Order {
    tracing: Tracing,
    order: TraceOrder,
    clock: TickClock,
    rate: u64,
}

impl Order {
    fn renew(&mut self) -> anyhow::Result<()> {
        let until = self.clock.now() + LEASE * u64::from(self.clock.hz());
        Ok(self.tracing.set(TraceOrder {
            until,
            left: self.rate,
            ..self.order
        })?)
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        // If that fails, it ends by itself.
        drop(self.tracing.set(TraceOrder::all()));
    }
}

/// What is shown.
struct Session<'a> {
    globals: &'a Globals,
    order: Order,
    /// The rules that were in force when the last packet came.
    found: Option<Found>,
    json: bool,
    /// How many packets more, and the last one's id: a packet may get to several hooks.
    left: Option<u64>,
    last: Option<u32>,
    /// Where the programs count what the ring had no room for, and how much of that is known.
    counters: CounterTable,
    lost: u64,
}

impl Session<'_> {
    async fn follow(&mut self) -> anyhow::Result<()> {
        let mut stop = std::pin::pin!(stop_signal()?);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 0_u64.. {
            tokio::select! {
                _ = &mut stop => break,
                _ = look.tick() => {}
            }
            if number % RENEWAL == 0 {
                self.order.renew()?;
            }
            if number == 0 {
                let rate = self.order.rate;
                term::note(format_args!("following packets, at most {rate} a second"));
            }
            let enough = self.show()?;
            self.tell_lost()?;
            if enough {
                return Ok(());
            }
        }
        self.tell_lost()
    }

    /// Says how much the programs had no room for since the last time.
    fn tell_lost(&mut self) -> anyhow::Result<()> {
        let total = self.counters.total(Counter::TRACES_LOST)?;
        let before = std::mem::replace(&mut self.lost, total);
        let count = total.saturating_sub(before);
        if count != 0 {
            term::note(format_args!(
                "{count} records were lost: too many packets at a time; narrow the filter, or lower --rate"
            ));
        }
        Ok(())
    }

    /// Shows what there is; whether that was enough.
    fn show(&mut self) -> anyhow::Result<bool> {
        let mut out = term::output();
        while let Some(record) = self.order.tracing.next() {
            if self.last != Some(record.id) {
                if self.left == Some(0) {
                    return Ok(true);
                }
                self.last = Some(record.id);
                self.left = self.left.map(|left| left - 1);
            }
            if let Some(traced) = self.read(&record)? {
                if self.json {
                    writeln!(out, "{}", traced.json())?;
                } else {
                    write!(out, "{}", traced.lines())?;
                }
            }
        }
        out.flush()?;
        Ok(self.left == Some(0))
    }

    /// What the record says, by the rules that it is of; nothing if there are other ones by now.
    fn read(&mut self, record: &TraceRecord) -> anyhow::Result<Option<Traced>> {
        let is_of = |found: &Found| found.saved.generation == record.generation;
        if !self.found.as_ref().is_some_and(is_of) {
            self.found = Found::open(&self.globals.paths())?;
        }
        let found = self.found.as_ref().filter(|found| is_of(found));
        Ok(found.map(|found| Traced::read(record, found)))
    }
}
