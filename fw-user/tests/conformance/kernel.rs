//! The oracle: nf_conntrack in a router between two hosts.
//!
//! A rule for each packet state writes its number into the packet's DSCP field, if it is forwarded or comes
//! from a socket of the router's; the far end reads it back. What is for the router itself is logged with its
//! state. So what is seen is what the rules of a real firewall would have seen, packet by packet, at the cost
//! of a send and a receive.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fw_common::wire::Family;
use rustix::net::{
    AddressFamily, Protocol, SendFlags, SocketFlags, SocketType, sendto, socket_with,
};
use xtask::lab::{Host, Lab};
use xtask::sys::packet::PacketSocket;

use super::arrivals::{Arrivals, CLASSES};
use super::ctnetlink::Ctnetlink;
use super::entry::Entry;
use super::frame::{ETHERNET, case_of};
use super::nflog::Nflog;
use super::settings::Settings;

/// Bytes of the kernel's memory for frames that wait to be read: more than one step of all scripts.
const ROOM: usize = 32 << 20;

/// How long the router may take to answer a question, on a machine that stands still for seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// After how long it is asked again: the wire may have overflowed while its CPU stood still.
const AGAIN: Duration = Duration::from_secs(1);

/// The router's kernel.
pub(crate) struct Kernel {
    lab: Lab,
    ctnetlink: Ctnetlink,
    /// Outside the router's two interfaces.
    sockets: [PacketSocket; 2],
    /// The router's own, for packets as they are, by family.
    own: [OwnedFd; 2],
    /// What the router is to have itself.
    delivered: Nflog,
}

impl Kernel {
    /// Builds the lab.
    pub(crate) fn up() -> Result<Self> {
        let lab = Lab::up("conformance")?;
        let router = lab.router();
        sh(router, NETWORK)?;
        nft(router, &oracle())?;
        let open = |host: &Host| -> Result<PacketSocket> {
            let socket = host.enter(|| PacketSocket::open_receiving("eth0", ROOM))?;
            Ok(socket?)
        };
        let sockets = [open(lab.client())?, open(lab.server())?];
        let ctnetlink = router.enter(Ctnetlink::open)??;
        let delivered = router.enter(|| Nflog::open(GROUP))??;
        let raw = |family| {
            let (flags, protocol) = (SocketFlags::CLOEXEC, Protocol::from_raw(IPPROTO_RAW));
            router.enter(|| socket_with(family, SocketType::RAW, flags, Some(protocol)))
        };
        let own = [raw(AddressFamily::INET)??, raw(AddressFamily::INET6)??];
        Ok(Self {
            lab,
            ctnetlink,
            sockets,
            own,
            delivered,
        })
    }

    /// Sets the sysctls, and forgets every flow.
    pub(crate) fn reset(&self, settings: &Settings) -> Result<()> {
        self.lab.router().enter(|| {
            settings
                .sysctls()
                .into_iter()
                .try_for_each(|(name, value)| {
                    let path = format!("/proc/sys/net/netfilter/{name}");
                    fs::write(&path, value.to_string()).with_context(|| path)
                })
        })??;
        self.ctnetlink.flush()?;
        Ok(())
    }

    /// Replaces the rules that packets meet before the oracle's, and begins to count anew.
    pub(crate) fn load(&self, text: &str) -> Result<()> {
        let whole = format!("flush ruleset\n{text}\n{QUIET}\n{}", oracle());
        nft(self.router(), &whole)
    }

    /// Takes all rules away but the oracle's.
    pub(crate) fn unload(&self) -> Result<()> {
        nft(self.router(), &format!("flush ruleset\n{}", oracle()))
    }

    /// The rules with their counters, as `nft -j list ruleset` shows them.
    pub(crate) fn ruleset(&self) -> Result<serde_json::Value> {
        let mut list = self.router().command("nft");
        let listed = list.args(["-j", "list", "ruleset"]).output()?;
        ensure!(listed.status.success(), "nft -j list ruleset");
        Ok(serde_json::from_slice(&listed.stdout)?)
    }

    /// Reads the packets that get through into `arrivals`, whose index is the number of the script. Some are
    /// dropped, nobody knows how many: so until the router has answered a question about its hardware address,
    /// which it gets behind them. What has left by the one side before the answer came by the other may still
    /// be on its way then, but is there before a second answer.
    pub(crate) fn collect(&self, arrivals: &mut Arrivals) -> Result<()> {
        for _ in 0..2 {
            self.ask(arrivals)?;
        }
        self.delivered
            .each(|class, packet| arrivals.delivered(class, packet))
    }

    /// Asks on both sides, and reads until both answers are there.
    fn ask(&self, arrivals: &mut Arrivals) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        let mut answered = [false; 2];
        let mut buffer = [0; 2048];
        let mut came = false;
        loop {
            if !came {
                ensure!(Instant::now() < end, "the router does not say who it is");
                for (socket, question) in self.sockets.iter().zip(QUESTIONS) {
                    socket.send(&question)?;
                }
            }
            for (socket, answered) in self.sockets.iter().zip(&mut answered) {
                while let Some(len) = socket.receive(&mut buffer)? {
                    let frame = &buffer[..len];
                    // An ARP reply.
                    *answered |= frame[12..14] == [8, 6] && frame[21] == 2;
                    arrivals.take(frame)?;
                }
            }
            if answered == [true; 2] {
                return Ok(());
            }
            came = PacketSocket::wait(&self.sockets, AGAIN)?;
        }
    }

    /// The router.
    pub(crate) fn router(&self) -> &Host {
        self.lab.router()
    }

    /// The numbers of the router's interfaces.
    pub(crate) fn ports(&self) -> Result<[u32; 2]> {
        let router = self.router();
        Ok([router.interface("eth0")?, router.interface("eth1")?])
    }

    /// Sends a frame from outside to the router's interface on `side`.
    pub(crate) fn send(&self, side: usize, frame: &[u8]) -> Result<()> {
        Ok(self.sockets[side].send(frame)?)
    }

    /// Sends a frame as the router's own: by its stack, which makes a header for the link of its own.
    pub(crate) fn send_own(&self, family: Family, frame: &[u8]) -> Result<()> {
        let ip = &frame[ETHERNET..];
        let (socket, to): (_, SocketAddr) = match family {
            Family::V4 => {
                let address: [u8; 4] = ip[16..20].try_into()?;
                (&self.own[0], (Ipv4Addr::from(address), 0).into())
            }
            Family::V6 => {
                let address: [u8; 16] = ip[24..40].try_into()?;
                (&self.own[1], (Ipv6Addr::from(address), 0).into())
            }
        };
        match sendto(socket, ip, SendFlags::empty(), &to) {
            // The rules have dropped it.
            Ok(_) | Err(rustix::io::Errno::PERM) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The table, of flows between the scripts' hosts, with the number of the script.
    pub(crate) fn entries(&self) -> Result<Vec<(u16, Entry)>> {
        let numbered = |entry: Entry| {
            let Entry {
                family, original, ..
            } = &entry;
            case_of(*family, &original.src)
                .or_else(|| case_of(*family, &original.dst))
                .map(|case| (case, entry))
        };
        Ok(self
            .ctnetlink
            .dump()?
            .into_iter()
            .filter_map(numbered)
            .collect())
    }
}

/// Routes to the hosts of all scripts, and no merging of segments on the way.
const NETWORK: &str = "set -e
side() {
    ip route add $1 via $5 dev $4
    ip route add $2 via $5 dev $4
    ip route add $6 via 2001:db8:$3::2 dev $4
    ip route add $7 via 2001:db8:$3::2 dev $4
    ip neigh replace $5 lladdr 02:00:00:00:0$3:02 dev $4 nud permanent
    ip neigh replace 2001:db8:$3::2 lladdr 02:00:00:00:0$3:02 dev $4 nud permanent
    ethtool -K $4 gro off
}
side 10.101.0.0/16 10.103.0.0/16 1 eth0 192.168.1.2 2001:db8:100::/40 2001:db8:300::/40
ip route add prohibit 10.105.0.0/16
side 10.102.0.0/16 10.104.0.0/16 2 eth1 10.0.0.2 2001:db8:200::/40 2001:db8:400::/40
sysctl -qw net.netfilter.nf_conntrack_acct=1
# The stack answers with the mark of what it answers, and as often as it is asked.
sysctl -qw net.ipv4.fwmark_reflect=1 net.ipv6.fwmark_reflect=1
sysctl -qw net.ipv4.icmp_ratemask=0 net.ipv6.icmp.ratemask=
# Nor does it remember for the scripts to come that one of this script's errors told it of a narrow path.
sysctl -qw net.ipv4.ip_no_pmtu_disc=2";

/// Protocol of a socket that brings its own IP header (ip(7), raw(7)).
const IPPROTO_RAW: std::num::NonZeroU32 = std::num::NonZeroU32::new(255).expect("not 0");

/// The group to which the oracle logs what the router is to have itself.
const GROUP: u16 = 7;

/// With rules under test: what the hosts and the router say of themselves is kept away from them, and the
/// router's stack answers nothing, so that the scripts alone change what is tracked and counted. The stack's
/// answers carry the mark that the oracle has given to what it got (`fwmark_reflect`); a rule's do not.
const QUIET: &str = "table inet quiet {
    chain prerouting {
        type filter hook prerouting priority -1000; policy accept;
        ip saddr != { 10.101.0.0-10.104.255.255 } drop
        ip6 saddr != { 2001:db8:100::-2001:db8:4ff:ffff:ffff:ffff:ffff:ffff } drop
    }
    chain output {
        type filter hook output priority -1000; policy drop;
        meta skuid 0-4294967294 accept
        meta mark 0x51137 drop
        ip daddr { 10.101.0.0-10.104.255.255 } accept
        ip6 daddr { 2001:db8:100::-2001:db8:4ff:ffff:ffff:ffff:ffff:ffff } accept
    }
}";

/// Who has the router's address, from its neighbour on each side.
const QUESTIONS: [[u8; 42]; 2] = [
    question([2, 0, 0, 0, 1, 2], [192, 168, 1, 2], [192, 168, 1, 1]),
    question([2, 0, 0, 0, 2, 2], [10, 0, 0, 2], [10, 0, 0, 1]),
];

/// An ARP request (RFC 826).
const fn question(host: [u8; 6], from: [u8; 4], about: [u8; 4]) -> [u8; 42] {
    let mut frame = [0; 42];
    let head = [8, 6, 0, 1, 8, 0, 6, 4, 0, 1];
    let mut i = 0;
    while i < 10 {
        frame[12 + i] = head[i];
        if i < 6 {
            frame[i] = 0xff;
            frame[6 + i] = host[i];
            frame[22 + i] = host[i];
        }
        if i < 4 {
            frame[28 + i] = from[i];
            frame[38 + i] = about[i];
        }
        i += 1;
    }
    frame
}

/// What tells each packet's state, behind all other rules. One table for each family, since the field that it
/// is written into is another. Of what leaves the router itself only what its sockets send.
fn oracle() -> String {
    let states = || CLASSES.into_iter().zip(1..);
    let log = |(class, _)| {
        format!("ct state {class} log prefix \"{class}\" group {GROUP} queue-threshold 1;")
    };
    let logs: String = states().map(log).collect();
    let table = |family: &str| {
        let rules = |whose: &str| -> String {
            let rule =
                |(class, number)| format!("{whose} ct state {class} {family} dscp set {number};");
            states().map(rule).collect()
        };
        let chain = |hook: &str, rules: &str| {
            format!("chain {hook} {{ type filter hook {hook} priority 500; {rules} }}; ")
        };
        [
            format!("table {family} oracle {{ "),
            chain("forward", &rules("")),
            chain("output", &rules("meta skuid 0-4294967294")),
            chain("input", &format!("{logs} meta mark set 0x51137;")),
            "}; ".to_owned(),
        ]
        .concat()
    };
    table("ip") + &table("ip6")
}

/// Loads rules.
fn nft(host: &Host, rules: &str) -> Result<()> {
    let mut command = host.command("nft");
    feed(command.args(["-f", "-"]), rules)
}

/// Runs a shell script in the namespace of `host`.
fn sh(host: &Host, script: &str) -> Result<()> {
    feed(&mut host.command("sh"), script)
}

fn feed(command: &mut Command, input: &str) -> Result<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .context("a pipe")?
        .write_all(input.as_bytes())?;
    let done = child.wait_with_output()?;
    ensure!(
        done.status.success(),
        "{input}\n{}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}
