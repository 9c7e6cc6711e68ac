//! From settings to a firewall that filters, or to one sentence that says why not.

use std::sync::Arc;

use fw_common::abi::{self, Config};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::lock::{Claims, Locks};
use super::packets::{Packets, ToTracing};
use super::routes::Routes;
use super::running::{PortChange, Running, Start};
use super::{Options, control, events, preflight, rules};
use crate::attach::{self, Manager, remove_everything};
use crate::error::Error;
use crate::life::{Candidate, Store};
use crate::maps::{Maps, MapsError, Surroundings};
use crate::object::Firewall;
use crate::paths::Paths;
use crate::routing::Generation;
use crate::settings::{Settings, Sources};
use crate::sys::netlink::Netlink;

/// Everything that the tasks need.
pub(super) struct Started {
    pub(super) running: Arc<Running>,
    pub(super) manager: Manager,
    pub(super) routes: Routes,
    pub(super) claims: Claims,
    pub(super) port_changes: mpsc::Receiver<PortChange>,
    pub(super) socket: UnixListener,
    pub(super) metrics: Option<TcpListener>,
    pub(super) locks: Locks,
    /// What the programs log, if they were built to.
    pub(super) packets: Option<Packets>,
    pub(super) events: events::Feeds,
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
    let wanted = rules::wanted(&settings, &Store::new(&paths.state_dir))?;
    let claims = claim(&settings)?;
    let netlink = Netlink::connect().map_err(|cause| Error::Io {
        what: "connecting to rtnetlink",
        cause,
    })?;
    attach::check(&netlink, &settings.ports).await?;
    let (locks, mut tidy) = reserve(&paths, fresh)?;
    let metrics = listen_metrics(&settings).await?;
    let socket = control::listen(&paths.socket)?;
    tidy.socket = true;
    let mut firewall = Firewall::load(&paths, settings.tunables.max_flows)?;
    // Before the rules that may ask for it.
    let surroundings = survey(&paths)?;
    let (running, port_changes, events) =
        configure(&mut firewall, (sources, &settings, wanted), &mut tidy)?;
    let packets = firewall.log(ToTracing).unwrap_or_else(|e| {
        warn!("the programs' log cannot be read: {e}");
        None
    });
    let generation = Generation::open(&paths).map_err(|source| MapsError::Map {
        name: abi::maps::ROUTING,
        source,
    })?;
    let mut manager = Manager::new(
        firewall,
        netlink,
        paths,
        (settings.hook, settings.xdp_mode),
        generation.clone(),
    )?;
    manager.attach_all(&settings.ports).await?;
    running.note_attached(&manager);
    let routes = Routes::begin(Arc::clone(&running), generation, surroundings).await;
    tidy.keep();
    Ok(Started {
        running,
        manager,
        routes,
        claims,
        port_changes,
        socket,
        metrics,
        locks,
        packets,
        events,
    })
}

/// Writes this host's addresses and the time for the programs.
fn survey(paths: &Paths) -> Result<Surroundings, MapsError> {
    let mut surroundings = Surroundings::open(&Maps::find(paths)?)?;
    surroundings.look()?;
    surroundings.set_clock()?;
    Ok(surroundings)
}

/// Checks the machine, and makes sure that nobody else filters these interfaces.
fn claim(settings: &Settings) -> Result<Claims, Error> {
    preflight::check_machine()?;
    let mut claims = Claims::default();
    for port in &settings.ports {
        claims.add(&port.name)?;
    }
    Ok(claims)
}

/// Makes the directories, and sure that nobody else uses them.
fn reserve(paths: &Paths, fresh: bool) -> Result<(Locks, Tidy), Error> {
    let was_there = paths.pins().exists();
    preflight::make_directories(paths)?;
    let locks = Locks::take(paths)?;
    if fresh {
        remove_everything(paths)?;
        preflight::make_directories(paths)?;
    }
    let tidy = Tidy {
        paths: paths.clone(),
        pins: fresh || !was_there,
        socket: false,
        config: None,
    };
    Ok((locks, tidy))
}

/// Writes the settings for the programs, which no packet meets yet, unless those of an earlier run
/// are at work: they go on by the new settings.
fn configure(
    firewall: &mut Firewall,
    (sources, settings, wanted): (Sources, &Settings, Option<Candidate>),
    tidy: &mut Tidy,
) -> Result<(Arc<Running>, mpsc::Receiver<PortChange>, events::Feeds), Error> {
    let paths = tidy.paths.clone();
    let maps = Maps::find(&paths)?;
    if firewall.reused() {
        info!("taking over the flow table of an earlier run");
        tidy.config = Some((maps.clone(), maps.config()?));
    }
    let (sender, port_changes) = mpsc::channel(1);
    let (running, events) = Running::new(Start {
        maps,
        wanted,
        hz: Firewall::hz(),
        clock: firewall.clock()?,
        capacity: firewall.capacity(),
        port_changes: sender,
        sources,
        settings: settings.clone(),
        paths: paths.clone(),
    })?;
    firewall.pin_programs(&paths)?;
    Ok((Arc::new(running), port_changes, events))
}

async fn listen_metrics(settings: &Settings) -> Result<Option<TcpListener>, Error> {
    let Some(address) = settings.metrics else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|cause| Error::Metrics { address, cause })?;
    Ok(Some(listener))
}

/// Puts back what a failed start has changed.
struct Tidy {
    paths: Paths,
    /// There were no pins before.
    pins: bool,
    /// The socket is ours.
    socket: bool,
    /// What the programs of an earlier run worked by.
    config: Option<(Maps, Config)>,
}

impl Tidy {
    /// The start succeeded: everything stays.
    fn keep(mut self) {
        self.pins = false;
        self.socket = false;
        self.config = None;
    }
}

impl Drop for Tidy {
    fn drop(&mut self) {
        // The error that brought us here is what the user hears of.
        if self.socket {
            drop(std::fs::remove_file(&self.paths.socket));
        }
        if let Some((maps, config)) = self.config.take() {
            drop(maps.set_config(&config));
        }
        if self.pins {
            drop(remove_everything(&self.paths));
        }
    }
}
