//! A router between two hosts, in network namespaces.
//!
//! ```text
//!      client                        router                        server
//!   ┌──────────┐            ┌──────────────────────┐            ┌──────────┐
//!   │     eth0 ├────────────┤ eth0            eth1 ├────────────┤ eth0     │
//!   └──────────┘            └──────────────────────┘            └──────────┘
//!   192.168.1.2/24     192.168.1.1/24     10.0.0.1/24         10.0.0.2/24
//!   2001:db8:1::2/64   2001:db8:1::1/64   2001:db8:2::1/64    2001:db8:2::2/64
//! ```
//!
//! The namespaces have names, `fw-<lab>-client` and so on, so that `ip -n` and `ip netns` know them.
//! They are gone when the [`Lab`] is dropped or its process ends, however it ends: see [`Lab::up`].

mod guard;
mod host;
mod network;
mod record;
mod wait;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail};

pub use guard::{tear_down, tear_down_all};
pub use host::Host;
pub use record::{Owner, Record, list};
pub use wait::{eventually, within};

/// IPv4 address of the client.
pub const CLIENT_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 2));
/// IPv4 address of the router's eth0.
pub const ROUTER_ETH0_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 1));
/// IPv4 address of the router's eth1.
pub const ROUTER_ETH1_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
/// IPv4 address of the server.
pub const SERVER_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
/// IPv4 address on the server's network that takes every packet and never answers.
pub const SILENT_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 99));
/// IPv6 address of the client.
pub const CLIENT_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2));
/// IPv6 address of the router's eth0.
pub const ROUTER_ETH0_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1));
/// IPv6 address of the router's eth1.
pub const ROUTER_ETH1_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 1));
/// IPv6 address of the server.
pub const SERVER_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 2));
/// IPv6 address on the server's network that takes every packet and never answers.
pub const SILENT_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0x99));

/// A running lab.
#[derive(Debug)]
pub struct Lab {
    name: String,
    hosts: [Host; 3],
    /// Tears the lab down when dropped; none once [`Lab::persist`] was called.
    guard: Option<guard::Guard>,
}

impl Lab {
    /// Builds a lab called `label-<pid>`, or `label-<pid>-<n>` if this process already has that.
    ///
    /// A guard process holds the other end of a pipe: when this process drops the lab, panics,
    /// takes a signal or is killed, the pipe closes and the guard kills what runs in the
    /// namespaces and deletes them.
    ///
    /// # Errors
    /// Without root, or when a program of the lab (`ip`, `ethtool`) is missing or fails.
    pub fn up(label: &str) -> Result<Self> {
        static USED: AtomicU32 = AtomicU32::new(0);
        let pid = process::id();
        match USED.fetch_add(1, Ordering::Relaxed) {
            0 => Self::up_as(&format!("{label}-{pid}")),
            n => Self::up_as(&format!("{label}-{pid}-{n}")),
        }
    }

    /// As [`Lab::up`], with exactly the name `name`. A lab of that name whose process is dead is
    /// removed first.
    ///
    /// # Errors
    /// As [`Lab::up`]; also if a lab of that name is up, or the name is not made of ASCII letters,
    /// digits, `-` and `_`.
    pub fn up_as(name: &str) -> Result<Self> {
        check_name(name)?;
        if !rustix::process::geteuid().is_root() {
            bail!("the lab needs root: network namespaces and veth pairs");
        }
        if list()
            .iter()
            .any(|record| record.name == name && record.owner == Owner::Dead)
        {
            tear_down(name)?;
        }
        record::create(name)?;
        // From here on a failure tears down what there is: the guard is dropped.
        let guard = guard::Guard::start(name)?;
        let hosts = network::build(name).with_context(|| format!("can't build lab {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            hosts,
            guard: Some(guard),
        })
    }

    /// Leaves the lab up when this process ends, until [`tear_down`].
    ///
    /// # Errors
    /// When the lab's record can't be written; the lab is torn down then.
    pub fn persist(mut self) -> Result<()> {
        record::write(&self.name, Owner::Nobody)?;
        self.guard.take().map_or(Ok(()), guard::Guard::dismiss)
    }

    /// The name it was built with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The host behind the router's eth0.
    #[must_use]
    pub fn client(&self) -> &Host {
        &self.hosts[0]
    }

    /// The router.
    #[must_use]
    pub fn router(&self) -> &Host {
        &self.hosts[1]
    }

    /// The host behind the router's eth1.
    #[must_use]
    pub fn server(&self) -> &Host {
        &self.hosts[2]
    }

    /// A directory for sockets, logs and state, removed with the lab.
    #[must_use]
    pub fn run_dir(&self) -> PathBuf {
        record::directory(&self.name)
    }

    /// A directory for pins, removed with the lab. It is on the BPF file system that is mounted on
    /// `/sys/fs/bpf`.
    #[must_use]
    pub fn bpffs(&self) -> PathBuf {
        bpffs(&self.name)
    }
}

/// The host `role` (`client`, `router`, `server`) of the lab called `name`, which may belong to
/// another process.
///
/// # Errors
/// When there is no such lab or no such host.
pub fn host(name: &str, role: &str) -> Result<Host> {
    check_name(name)?;
    let Some(role) = network::ROLES.into_iter().find(|known| *known == role) else {
        bail!("no host {role}: it is client, router or server");
    };
    let host = Host::new(name, role);
    if !host.path().exists() {
        bail!("no lab {name}; `cargo xtask lab status` lists what there is");
    }
    Ok(host)
}

/// For tests: whether the calling test can build a lab, that is, whether we are root and are not
/// asked to leave such tests out (`FW_SKIP_ROOT=1`). If not it says so in a line that begins with
/// `SKIP`, which `cargo xtask test` counts.
///
/// # Panics
/// If it can't and `FW_REQUIRE_ROOT=1`: there, a skipped test is a failed one.
#[must_use]
pub fn root_or_skip() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| value == "1");
    let why = match (rustix::process::geteuid().is_root(), set("FW_SKIP_ROOT")) {
        (true, false) => return true,
        (_, true) => "FW_SKIP_ROOT is set",
        (false, _) => "needs root",
    };
    assert!(
        !set("FW_REQUIRE_ROOT"),
        "FW_REQUIRE_ROOT is set, but this test {why}"
    );
    let thread = std::thread::current();
    println!("SKIP {}: {why}", thread.name().unwrap_or("test"));
    false
}

fn bpffs(name: &str) -> PathBuf {
    Path::new("/sys/fs/bpf").join(format!("fwctl-lab-{name}"))
}

/// The name becomes part of paths and of namespace names.
fn check_name(name: &str) -> Result<()> {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(fine) {
        bail!("a lab's name is 1 to 64 ASCII letters, digits, - and _, not {name:?}");
    }
    Ok(())
}
