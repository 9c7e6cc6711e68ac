//! What the demo sends, and what to see in the flow table then.

use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::firewall::Firewall;
use super::stage::{explain, heading, prompt, say};
use xtask::lab::{CLIENT_V4, CLIENT_V6, Lab, SERVER_V4, SERVER_V6, SILENT_V4};
use xtask::traffic::{Tcp, Udp, lone_syn, ping};

/// Plays all scenes.
pub(super) fn play(lab: &Lab, firewall: &Firewall) -> Result<()> {
    echo(lab, firewall).context("ping")?;
    query(lab, firewall).context("UDP")?;
    connection(lab, firewall).context("TCP")?;
    connection_v6(lab, firewall).context("TCP over IPv6")?;
    silence(lab, firewall).context("lone SYN")?;
    heading("The firewall itself");
    firewall.status()?;
    firewall.stats()
}

fn at(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, port)
}

fn echo(lab: &Lab, firewall: &Firewall) -> Result<()> {
    heading("Ping, IPv4 and IPv6");
    run(&mut ping(lab.client(), SERVER_V4, 3))?;
    firewall.list(&["-p", "icmp"])?;
    explain("echo request and reply: type 8 answered by type 0, told apart by their id");
    run(&mut ping(lab.client(), SERVER_V6, 3))?;
    firewall.list(&["-f", "ipv6", "-p", "icmpv6"])?;
    explain("the same over IPv6: types 128 and 129");
    Ok(())
}

fn query(lab: &Lab, firewall: &Firewall) -> Result<()> {
    heading("A UDP query, as DNS sends it");
    let udp = Udp::open(
        lab.client(),
        at(CLIENT_V4, 40053),
        lab.server(),
        at(SERVER_V4, 53),
    )?;
    say("client 192.168.1.2:40053 sends one datagram to server 10.0.0.2:53");
    udp.query(b"query")?;
    firewall.list(&["-p", "udp"])?;
    explain("[UNREPLIED]: seen in one direction only; forgotten after 30 seconds");
    say("the server answers");
    udp.answer(b"answer")?;
    firewall.list(&["-p", "udp"])?;
    explain("replied: the flow is established, and still short-lived");
    say("they go on talking for more than two seconds");
    for _ in 0..3 {
        sleep(Duration::from_secs(1));
        udp.query(b"more")?;
        udp.answer(b"more")?;
    }
    firewall.list(&["-p", "udp"])?;
    explain("[ASSURED]: a stream; now it may be silent for 120 seconds");
    Ok(())
}

fn connection(lab: &Lab, firewall: &Firewall) -> Result<()> {
    heading("A TCP connection");
    say("client 192.168.1.2:41080 connects to server 10.0.0.2:80");
    let mut tcp = Tcp::open(
        lab.client(),
        at(CLIENT_V4, 41080),
        lab.server(),
        at(SERVER_V4, 80),
    )?;
    firewall.list(&["-p", "tcp"])?;
    explain(
        "SYN, SYN/ACK, ACK have passed: ESTABLISHED, and [OFFLOAD]: assured, and forwarded in XDP",
    );
    say("one megabyte there, and the same back");
    tcp.echo(&vec![b'x'; 1 << 20])?;
    firewall.list(&["-p", "tcp"])?;
    say("both sides close");
    tcp.close()?;
    settle(lab)?;
    firewall.list(&["-p", "tcp"])?;
    explain("TIME_WAIT: both FINs acknowledged; the entry goes after two minutes");
    Ok(())
}

fn connection_v6(lab: &Lab, firewall: &Firewall) -> Result<()> {
    heading("A TCP connection over IPv6");
    say("client [2001:db8:1::2]:41080 connects to server [2001:db8:2::2]:80");
    let mut tcp = Tcp::open(
        lab.client(),
        at(CLIENT_V6, 41080),
        lab.server(),
        at(SERVER_V6, 80),
    )?;
    tcp.echo(b"hello")?;
    firewall.list(&["-f", "ipv6", "-p", "tcp"])?;
    explain("one table a family, one line a flow");
    tcp.close()
}

fn silence(lab: &Lab, firewall: &Firewall) -> Result<()> {
    heading("A SYN that nobody answers");
    say("client 192.168.1.2:41081 tries 10.0.0.99:81, which takes it and keeps silent");
    let socket = lone_syn(lab.client(), at(CLIENT_V4, 41081), at(SILENT_V4, 81))?;
    settle(lab)?;
    firewall.list(&["-p", "tcp", "-d", &SILENT_V4.to_string()])?;
    explain("SYN_SENT [UNREPLIED]: half open; under pressure these are the first to go");
    drop(socket);
    Ok(())
}

/// Returns when the router has seen all that was sent before: frames keep their order on the way, so
/// an echo request that arrives is behind them.
fn settle(lab: &Lab) -> Result<()> {
    let status = ping(lab.client(), SERVER_V4, 1)
        .stdout(Stdio::null())
        .status()?;
    anyhow::ensure!(status.success(), "the router does not forward any more");
    Ok(())
}

/// Shows and runs a command of the client.
fn run(command: &mut Command) -> Result<()> {
    let args: Vec<_> = command
        .get_args()
        .map(|arg| arg.to_string_lossy())
        .collect();
    // The first are nsenter's.
    let at = args
        .iter()
        .position(|arg| arg == "--")
        .map_or(0, |at| at + 1);
    prompt("client", &args[at..].join(" "));
    let status = command.status()?;
    anyhow::ensure!(status.success(), "{status}");
    Ok(())
}
