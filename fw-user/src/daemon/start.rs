//! From settings to a firewall that filters, or to one sentence that says why not.

use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::lock::{Claims, Locks};
use super::packets::{Packets, ToTracing};
use super::running::{PortChange, Running, Start};
use super::{Options, control, preflight};
use crate::attach::{self, Manager, remove_everything};
use crate::error::Error;
use crate::maps::Maps;
use crate::object::Firewall;
use crate::paths::Paths;
use crate::settings::Settings;
use crate::sys::netlink::Netlink;

/// Everything that the tasks need.
pub(super) struct Started {
    pub(super) running: Arc<Running>,
    pub(super) manager: Manager,
    pub(super) claims: Claims,
    pub(super) port_changes: mpsc::Receiver<PortChange>,
    pub(super) socket: UnixListener,
    pub(super) metrics: Option<TcpListener>,
    pub(super) locks: Locks,
    /// What the programs log, if they were built to.
    pub(super) packets: Option<Packets>,
}

/// Starts the firewall. What can fail without touching anything comes first.
pub(super) async fn start(options: Options) -> Result<Started, Error> {
    let Options {
        sources,
        paths,
        fresh,
    } = options;
    let settings = sources.read()?;
    let paths = settings.resolve_paths(&paths);
    preflight::check_machine()?;
    let mut claims = Claims::default();
    for port in &settings.ports {
        claims.add(&port.name)?;
    }
    let was_there = paths.pins().exists();
    preflight::make_directories(&paths)?;
    let locks = Locks::take(&paths)?;
    if fresh {
        remove_everything(&paths)?;
        preflight::make_directories(&paths)?;
    }
    let netlink = Netlink::connect().map_err(|cause| Error::Io {
        what: "connecting to rtnetlink",
        cause,
    })?;
    let mut tidy = Tidy {
        paths: &paths,
        pins: fresh || !was_there,
        socket: false,
    };
    attach::check(&netlink, &settings.ports).await?;
    let metrics = listen_metrics(&settings).await?;
    let socket = control::listen(&paths.socket)?;
    tidy.socket = true;
    let mut firewall = Firewall::load(&paths, settings.tunables.max_flows)?;
    if firewall.reused() {
        info!("taking over the flow table of an earlier run");
    }
    let (sender, port_changes) = mpsc::channel(1);
    let start = Start {
        maps: Maps::find(&paths)?,
        hz: Firewall::hz(),
        clock: firewall.clock()?,
        capacity: firewall.capacity(),
        port_changes: sender,
        sources,
        settings: settings.clone(),
        paths: paths.clone(),
    };
    let running = Arc::new(Running::new(start)?);
    firewall.pin_programs(&paths)?;
    let packets = firewall.log(ToTracing).unwrap_or_else(|e| {
        warn!("the programs' log cannot be read: {e}");
        None
    });
    let mut manager = Manager::new(firewall, netlink, paths.clone(), settings.xdp_mode)?;
    manager.attach_all(&settings.ports).await?;
    running.note_attached(&manager);
    tidy.keep();
    Ok(Started {
        running,
        manager,
        claims,
        port_changes,
        socket,
        metrics,
        locks,
        packets,
    })
}

async fn listen_metrics(settings: &Settings) -> Result<Option<TcpListener>, Error> {
    let Some(address) = settings.metrics else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|cause| Error::Metrics { address, cause })?;
    Ok(Some(listener))
}

/// Removes what a failed start has made.
struct Tidy<'a> {
    paths: &'a Paths,
    /// There were no pins before.
    pins: bool,
    /// The socket is ours.
    socket: bool,
}

impl Tidy<'_> {
    /// The start succeeded: everything stays.
    fn keep(mut self) {
        self.pins = false;
        self.socket = false;
    }
}

impl Drop for Tidy<'_> {
    fn drop(&mut self) {
        // The error that brought us here is what the user hears of.
        if self.socket {
            drop(std::fs::remove_file(&self.paths.socket));
        }
        if self.pins {
            drop(remove_everything(self.paths));
        }
    }
}
