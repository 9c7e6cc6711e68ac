//! The oracle: nf_conntrack in a router between two hosts.
//!
//! A rule for each packet state writes its number into the forwarded packet's DSCP field; the far end
//! reads it back. So what is seen is what the rules of a real firewall would have seen, packet by
//! packet, at the cost of a send and a receive.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fw_common::wire::Family;
use xtask::lab::{Host, Lab};
use xtask::sys::packet::PacketSocket;

use super::ctnetlink::Ctnetlink;
use super::entry::Entry;
use super::frame::{ETHERNET, case_of};
use super::settings::Settings;

/// Packet states in the order of their DSCP numbers, from 1.
const CLASSES: [&str; 5] = ["invalid", "new", "established", "related", "untracked"];

/// Bytes of the kernel's memory for frames that wait to be read: more than one step of all scripts.
const ROOM: usize = 32 << 20;

/// How long nothing may happen until a frame counts as lost.
const PATIENCE: Duration = Duration::from_millis(150);

/// A packet that the router has forwarded.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// Its state.
    pub(crate) class: &'static str,
    /// As it arrived, but for the traces of the oracle.
    pub(crate) frame: Vec<u8>,
}

/// The router's kernel.
pub(crate) struct Kernel {
    lab: Lab,
    ctnetlink: Ctnetlink,
    /// Outside the router's two interfaces.
    sockets: [PacketSocket; 2],
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
        Ok(Self {
            lab,
            ctnetlink,
            sockets,
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

    /// [`Self::collect`] of packets of which some are dropped, nobody knows how many: until the router has
    /// answered a question about its hardware address, which it gets behind them.
    pub(crate) fn drain(&self, arrivals: &mut [Option<Arrival>]) -> Result<()> {
        for (socket, question) in self.sockets.iter().zip(QUESTIONS) {
            socket.send(&question)?;
        }
        let mut answers = 0;
        let mut buffer = [0; 2048];
        loop {
            let mut came = false;
            for socket in &self.sockets {
                while let Some(len) = socket.receive(&mut buffer)? {
                    came = true;
                    // An ARP reply.
                    answers += usize::from(buffer[12..14] == [8, 6] && buffer[21] == 2);
                    if let Some((case, arrival)) = read(&buffer[..len]) {
                        let slot = arrivals.get_mut(usize::from(case));
                        *slot.context("unknown script")? = Some(arrival);
                    }
                }
            }
            // What went out by the one side before the answer by the other is read by then.
            if answers >= 2 && !came {
                return Ok(());
            }
            if !came && !PacketSocket::wait(&self.sockets, PATIENCE)? {
                return Ok(());
            }
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

    /// Reads forwarded packets into `arrivals`, whose index is the number of the script,
    /// until `missing` of them are there or no more come.
    pub(crate) fn collect(
        &self,
        arrivals: &mut [Option<Arrival>],
        mut missing: usize,
    ) -> Result<usize> {
        let mut buffer = [0; 2048];
        while missing > 0 {
            for socket in &self.sockets {
                while let Some(len) = socket.receive(&mut buffer)? {
                    let Some((case, arrival)) = read(&buffer[..len]) else {
                        continue;
                    };
                    let slot = arrivals
                        .get_mut(usize::from(case))
                        .context("unknown script")?;
                    missing -= usize::from(slot.replace(arrival).is_none());
                }
            }
            if missing > 0 && !PacketSocket::wait(&self.sockets, PATIENCE)? {
                break;
            }
        }
        Ok(missing)
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
sysctl -qw net.netfilter.nf_conntrack_acct=1";

/// With rules under test: what the hosts and the router say of themselves is kept away from them, and
/// the router answers nothing, so that the scripts alone change what is tracked and counted.
const QUIET: &str = "table inet quiet {
    chain prerouting {
        type filter hook prerouting priority -1000; policy accept;
        ip saddr != { 10.101.0.0-10.104.255.255 } drop
        ip6 saddr != { 2001:db8:100::-2001:db8:4ff:ffff:ffff:ffff:ffff:ffff } drop
    }
    chain output {
        type filter hook output priority -1000; policy drop;
    }
    chain input {
        type filter hook input priority 500; policy accept;
        counter
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

/// What writes each packet's state into it, behind all other rules. One table for each family, since the
/// field is another.
fn oracle() -> String {
    let table = |family: &str| {
        let rule = |(class, number)| format!("ct state {class} {family} dscp set {number};");
        let rules: String = CLASSES.into_iter().zip(1..).map(rule).collect();
        format!(
            "table {family} oracle {{ chain forward {{ type filter hook forward priority 500; \
             {rules} }}; }}; "
        )
    };
    table("ip") + &table("ip6")
}

/// Number of the script of a forwarded frame, and what it tells.
fn read(frame: &[u8]) -> Option<(u16, Arrival)> {
    let wide = |at: usize, len: usize| {
        let mut wide = [0; 16];
        wide[..len].copy_from_slice(frame.get(at..at + len)?);
        Some(wide)
    };
    let (family, traffic_class, src, dst) = match frame.get(12..16)? {
        [8, 0, _, class] => (Family::V4, *class, wide(26, 4)?, wide(30, 4)?),
        [0x86, 0xdd, a, b] => (Family::V6, a << 4 | b >> 4, wide(22, 16)?, wide(38, 16)?),
        _ => return None,
    };
    // What the router sends on in fragments has its state in each: the first one's is read.
    let later = match family {
        Family::V4 => u16::from_be_bytes([frame[20], frame[21]]) & 0x1fff != 0,
        Family::V6 => {
            frame[20] == 44 && u16::from_be_bytes([*frame.get(56)?, *frame.get(57)?]) & 0xfff8 != 0
        }
    };
    if later {
        return None;
    }
    let class = CLASSES.get(usize::from(traffic_class >> 2).checked_sub(1)?)?;
    debug_assert_eq!(ETHERNET, 14, "the offsets above");
    let case = case_of(family, &src).or_else(|| case_of(family, &dst))?;
    let frame = without_dscp(family, frame);
    Some((case, Arrival { class, frame }))
}

/// A frame as it was before the oracle wrote into it: no script sets the DSCP field.
fn without_dscp(family: Family, frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    match family {
        Family::V4 => {
            let word = |frame: &[u8], at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
            let before = word(&frame, 14);
            frame[15] &= 0b11;
            // RFC 1624, equation 3.
            let sum =
                u32::from(!word(&frame, 24)) + u32::from(!before) + u32::from(word(&frame, 14));
            let sum = (sum & 0xffff) + (sum >> 16);
            let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        Family::V6 => {
            frame[14] &= 0xf0;
            frame[15] &= 0b0011_1111;
        }
    }
    frame
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
