//! Namespaces, links, addresses and routes.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::Host;

pub(super) const ROLES: [&str; 3] = ["client", "router", "server"];

/// Makes the three hosts of lab `name` and wires them up.
pub(super) fn build(name: &str) -> Result<[Host; 3]> {
    let hosts = ROLES.map(|role| Host::new(name, role));
    let [client, router, server] = &hosts;
    for host in &hosts {
        run(Command::new("ip").args(["netns", "add", host.netns()]))?;
        // Before there is an interface: it starts with the defaults.
        write_sysctls(host, EVERYWHERE)?;
    }
    write_sysctls(router, ROUTER)?;
    // Made where they belong, the interfaces never show up in the machine's own namespace.
    ip(client, &veth("01:02", "01:01", "eth0", router))?;
    ip(server, &veth("02:02", "02:01", "eth1", router))?;
    for host in &hosts {
        ip(host, "link set lo up")?;
    }
    ip(router, ROUTER_SCRIPT)?;
    ip(client, CLIENT_SCRIPT)?;
    ip(server, SERVER_SCRIPT)?;
    [
        (client, "eth0"),
        (server, "eth0"),
        (router, "eth0"),
        (router, "eth1"),
    ]
    .into_iter()
    .try_for_each(|(host, interface)| set_offloads(host, interface))?;
    Ok(hosts)
}

/// A veth pair from this host's eth0 to the `router`'s `port`. The hardware addresses are fixed, so
/// that one knows who is who in a packet dump.
fn veth(mac: &str, peer_mac: &str, port: &str, router: &Host) -> String {
    let (mac, peer_mac) = (
        format!("02:00:00:00:{mac}"),
        format!("02:00:00:00:{peer_mac}"),
    );
    let netns = router.netns();
    format!(
        "link add eth0 address {mac} type veth peer name {port} address {peer_mac} netns {netns}"
    )
}

const ROUTER_SCRIPT: &str = "\
addr add 192.168.1.1/24 dev eth0
addr add 10.0.0.1/24 dev eth1
addr add 2001:db8:1::1/64 dev eth0 nodad
addr add 2001:db8:2::1/64 dev eth1 nodad
link set eth0 up
link set eth1 up
neigh replace 10.0.0.99 lladdr 02:00:00:00:02:99 dev eth1 nud permanent
neigh replace 2001:db8:2::99 lladdr 02:00:00:00:02:99 dev eth1 nud permanent";

const CLIENT_SCRIPT: &str = "\
addr add 192.168.1.2/24 dev eth0
addr add 2001:db8:1::2/64 dev eth0 nodad
link set eth0 up
route add default via 192.168.1.1
route add default via 2001:db8:1::1";

const SERVER_SCRIPT: &str = "\
addr add 10.0.0.2/24 dev eth0
addr add 2001:db8:2::2/64 dev eth0 nodad
link set eth0 up
route add default via 10.0.0.1
route add default via 2001:db8:2::1";

/// Addresses are usable at once, link-local ones too, and nobody solicits routers.
const EVERYWHERE: &[(&str, &str)] = &[
    ("ipv6/conf/all/accept_dad", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/all/accept_ra", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/router_solicitations", "0"),
];

const ROUTER: &[(&str, &str)] = &[
    ("ipv4/ip_forward", "1"),
    ("ipv6/conf/all/forwarding", "1"),
    ("ipv6/conf/default/forwarding", "1"),
    // Distributions differ in this default; the tests set it where they are about it.
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
];

/// What a veth pair does otherwise than a wire does:
///
/// * With transmit checksumming "offloaded" a packet crosses the pair with its checksum left open
///   (`CHECKSUM_PARTIAL`). XDP sees the open one, and a redirected frame loses the note that it is
///   to be filled in: the other end drops it, and connections time out.
/// * With segmentation offloaded, packets of up to 64 kB cross the pair. Native XDP gets them only
///   cut up by the driver, generic XDP not at all.
/// * With VLAN insertion offloaded the tag travels beside the packet, where XDP does not see it.
/// * A frame that XDP redirects into a veth arrives only if the far end polls (NAPI), and it does
///   that only with GRO on or with an XDP program of its own.
fn set_offloads(host: &Host, interface: &str) -> Result<()> {
    let mut command = host.command("ethtool");
    command.args(["-K", interface, "tx", "off", "tso", "off", "gso", "off"]);
    command.args(["txvlan", "off", "rxvlan", "off", "gro", "on"]);
    run(command.args([
        "tx-vlan-stag-hw-insert",
        "off",
        "rx-vlan-stag-hw-parse",
        "off",
    ]))
}

/// `/proc/sys/net` shows the namespace of the thread that looks.
fn write_sysctls(host: &Host, settings: &[(&str, &str)]) -> Result<()> {
    host.enter(|| {
        settings.iter().try_for_each(|(name, value)| {
            let path = format!("/proc/sys/net/{name}");
            fs::write(&path, value).with_context(|| format!("can't write {value} to {path}"))
        })
    })?
}

/// Runs a batch of `ip` commands in the host's namespace.
fn ip(host: &Host, script: &str) -> Result<()> {
    let mut child = Command::new("ip")
        .args(["-n", host.netns(), "-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("can't run ip")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(script.as_bytes())?;
        stdin.write_all(b"\n")?;
    }
    let done = child.wait_with_output()?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        bail!("ip failed on {}: {}", host.role(), said.trim());
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let done = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("can't run {program}"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        bail!(
            "{:?} failed: {}",
            command.get_args().collect::<Vec<_>>(),
            said.trim()
        );
    }
    Ok(())
}
