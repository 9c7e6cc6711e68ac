//! The running daemon as its tasks share it: settings, what is attached, what the sweep found.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fw_common::abi::{ABI_VERSION, Clock, Config};
use fw_common::adaptive::Adaptive;
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::warn;

use super::events::{self, Hub};
use super::gc::Sweep;
use super::rules::{Rules, wanted};
use crate::attach::{Attachment, Manager, Missing};
use crate::clock::TickClock;
use crate::control::{self, FastPath, Pressure, Reloaded, Status, survey};
use crate::error::Error;
use crate::life::{Candidate, Programs, Store};
use crate::maps::{Maps, MapsError};
use crate::object::Capacity;
use crate::paths::Paths;
use crate::routing::Bypass;
use crate::settings::{Port, Settings, Sources, Tunables};

/// A change of interfaces, for the task that owns them, and where to say how it went.
pub(super) type PortChange = (Vec<Port>, oneshot::Sender<Result<(), String>>);

/// What all tasks share.
#[derive(Debug)]
pub(super) struct Running {
    /// Where everything is.
    pub(super) paths: Paths,
    sources: Sources,
    maps: Maps,
    rules: Rules,
    store: Store,
    clock: TickClock,
    raw_clock: (u32, Clock),
    capacity: Capacity,
    started: Instant,
    port_changes: mpsc::Sender<PortChange>,
    events: Arc<Hub>,
    /// Wakes the task that follows the interfaces.
    interfaces_changed: Notify,
    state: Mutex<State>,
}

/// What changes.
#[derive(Debug)]
struct State {
    settings: Settings,
    attached: Vec<Attachment>,
    missing: Vec<Missing>,
    sweep: Option<Sweep>,
    bypassed: Vec<Bypass>,
    /// Why first packets of flows go by way of the kernel, if they do.
    first_packets: Option<String>,
    /// What translates addresses.
    translators: Vec<String>,
}

/// What the daemon has at its start.
pub(super) struct Start {
    pub(super) paths: Paths,
    pub(super) sources: Sources,
    pub(super) settings: Settings,
    pub(super) maps: Maps,
    pub(super) wanted: Option<Candidate>,
    pub(super) hz: u32,
    pub(super) clock: Clock,
    pub(super) capacity: Capacity,
    pub(super) port_changes: mpsc::Sender<PortChange>,
}

impl Running {
    /// Writes settings and rules for the programs: from here on a packet finds them.
    ///
    /// # Errors
    /// A map cannot be written, the rules cannot be loaded or kept.
    pub(super) fn new(start: Start) -> Result<(Self, events::Feeds), Error> {
        let Start {
            paths,
            sources,
            mut settings,
            maps,
            wanted,
            hz,
            clock,
            capacity,
            port_changes,
        } = start;
        limit_flows(&mut settings.tunables, capacity);
        let config = write(&maps, &settings.tunables, hz, clock)?;
        let tick_clock = TickClock::new(&config).map_err(MapsError::from)?;
        let (hub, feeds) = Hub::new(&maps, tick_clock)?;
        let programs = Programs::open(&maps, settings.failsafe.clone(), tick_clock)?;
        let store = Store::new(&paths.state_dir);
        let running = Self {
            rules: Rules::begin(programs, store.clone(), wanted.as_ref())?,
            store,
            clock: tick_clock,
            events: Arc::new(hub),
            raw_clock: (hz, clock),
            started: Instant::now(),
            interfaces_changed: Notify::new(),
            state: Mutex::new(State {
                settings,
                attached: Vec::new(),
                missing: Vec::new(),
                sweep: None,
                bypassed: Vec::new(),
                first_packets: Some("nobody has looked yet".into()),
                translators: Vec::new(),
            }),
            paths,
            sources,
            maps,
            capacity,
            port_changes,
        };
        Ok((running, feeds))
    }

    /// The lock must go within a statement of its own: as part of a longer expression it is held to
    /// that expression's end, and whatever else locks there waits for ever.
    fn state(&self) -> MutexGuard<'_, State> {
        // No invariant spans a panic: every change is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rulesets.
    pub(super) const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What the entries' ticks mean.
    pub(super) const fn clock(&self) -> TickClock {
        self.clock
    }

    /// Pause between two sweeps.
    pub(super) fn gc_interval(&self) -> Duration {
        self.state().settings.gc_interval
    }

    /// Between which fill levels timeouts shrink.
    pub(super) fn adaptive(&self) -> Option<Adaptive> {
        self.state().settings.adaptive
    }

    /// Where events go.
    pub(super) const fn events(&self) -> &Arc<Hub> {
        &self.events
    }

    /// The pinned maps.
    pub(super) const fn maps(&self) -> &Maps {
        &self.maps
    }

    /// Timeouts and knobs as they are.
    pub(super) fn tunables(&self) -> Tunables {
        self.state().settings.tunables
    }

    /// Notes what a sweep found.
    pub(super) fn note_sweep(&self, sweep: Sweep) {
        self.state().sweep = Some(sweep);
    }

    /// What the last sweep found; `None` before the first.
    pub(super) fn sweep(&self) -> Option<Sweep> {
        self.state().sweep
    }

    /// Says that something about the interfaces may be different now.
    pub(super) fn say_interfaces_changed(&self) {
        self.interfaces_changed.notify_one();
    }

    /// Waits until somebody says so.
    pub(super) async fn interfaces_changed(&self) {
        self.interfaces_changed.notified().await;
    }

    /// Notes what fast-tracked packets bypass.
    pub(super) fn note_bypassed(&self, bypassed: Vec<Bypass>) {
        self.state().bypassed = bypassed;
    }

    /// Notes why first packets of flows go by way of the kernel, if they do; whether that is new.
    pub(super) fn note_first_packets(&self, why: Option<String>) -> bool {
        let mut state = self.state();
        let new = state.first_packets != why;
        state.first_packets = why;
        new
    }

    /// Notes what translates addresses.
    pub(super) fn note_translators(&self, translators: Vec<String>) {
        self.state().translators = translators;
    }

    /// Notes what is attached, and what is not.
    pub(super) fn note_attached(&self, manager: &Manager) {
        let mut state = self.state();
        state.attached = manager.attached();
        state.missing = manager.missing();
    }

    /// What is attached.
    pub(super) fn attached(&self) -> Vec<Attachment> {
        self.state().attached.clone()
    }

    fn missing(&self) -> Vec<Missing> {
        self.state().missing.clone()
    }

    /// Changes timeouts and knobs: `change` works on a copy, which is put into force if it succeeds.
    ///
    /// # Errors
    /// What `change` says; a table that would have to be larger; a map that cannot be written.
    pub(super) fn change<E: Into<Error>>(
        &self,
        change: impl FnOnce(&mut Tunables) -> Result<(), E>,
    ) -> Result<(), Error> {
        // Held over the write: two changes at once must not undo each other.
        let mut state = self.state();
        let mut tunables = state.settings.tunables;
        change(&mut tunables).map_err(Into::into)?;
        if tunables.max_flows > self.capacity.flows {
            return Err(Error::TableSize {
                wanted: tunables.max_flows,
                has: self.capacity.flows,
            });
        }
        let (hz, clock) = self.raw_clock;
        write(&self.maps, &tunables, hz, clock)?;
        state.settings.tunables = tunables;
        Ok(())
    }

    /// Reads the configuration file and the rules again, under the same flags. What was set at run time
    /// is gone then: the files say how it shall be.
    ///
    /// # Errors
    /// The first thing that is wrong; then everything stays as it was.
    pub(super) async fn reload(self: &Arc<Self>) -> Result<Reloaded, Error> {
        let mut fresh = self.sources.read()?;
        limit_flows(&mut fresh.tunables, self.capacity);
        // Only named rules are read again; what was applied by hand stays where there are none.
        let wanted = match fresh.rules {
            Some(_) => wanted(&fresh, &self.store)?,
            None => None,
        };
        if let Some(wanted) = &wanted {
            self.rules.check(wanted)?;
        }
        let old = self.state().settings.clone();
        if fresh.ports != old.ports {
            self.change_ports(fresh.ports.clone()).await?;
        }
        self.change(|tunables| {
            *tunables = fresh.tunables;
            Ok::<_, Error>(())
        })?;
        let (running, failsafe) = (Arc::clone(self), fresh.failsafe.clone());
        let rules = move || running.rules.reload(wanted, failsafe);
        let loaded = tokio::task::spawn_blocking(rules).await;
        loaded.map_err(|_| Error::Stopping)??;
        let needs_restart = fixed_at_start(&old, &fresh);
        let mut state = self.state();
        state.settings.gc_interval = fresh.gc_interval;
        state.settings.adaptive = fresh.adaptive;
        state.settings.on_exit = fresh.on_exit;
        state.settings.ports = fresh.ports;
        state.settings.failsafe = fresh.failsafe;
        state.settings.rules = fresh.rules;
        Ok(Reloaded { needs_restart })
    }

    async fn change_ports(&self, ports: Vec<Port>) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        let sent = self.port_changes.send((ports, reply)).await;
        sent.map_err(|_| Error::Stopping)?;
        let answer = answer.await.map_err(|_| Error::Stopping)?;
        answer.map_err(Error::Ports)
    }

    /// What a clean stop leaves behind.
    pub(super) fn on_exit(&self) -> crate::settings::OnExit {
        self.state().settings.on_exit
    }

    /// Everything that `fwctl status` shows.
    ///
    /// # Errors
    /// A map cannot be read.
    pub(super) fn status(&self) -> Result<Status, Error> {
        let interfaces = self.attached().into_iter().map(Into::into);
        let wanted = self.tunables().fasttrack;
        let state = self.state();
        let fast_path = FastPath {
            wanted,
            bypassed: state.bypassed.clone(),
            first_packets: state.first_packets.clone(),
        };
        let nat = state.translators.clone();
        drop(state);
        Ok(Status {
            fast_path,
            nat,
            version: env!("CARGO_PKG_VERSION").into(),
            abi: ABI_VERSION,
            pid: Some(std::process::id()),
            silent: None,
            uptime: Some(self.started.elapsed().as_secs()),
            last_sweep: self.sweep().map(|sweep| sweep.took.as_secs_f64()),
            interfaces: interfaces.collect(),
            missing: self.missing(),
            flows: survey::flows(&self.paths)?,
            pressure: Pressure {
                timeouts: self.sweep().map(|sweep| sweep.share.fraction()),
                ..survey::pressure(&self.maps)?
            },
            listeners: self.events.listeners(),
            rules: self.rules_status()?,
        })
    }

    fn rules_status(&self) -> Result<control::Rules, Error> {
        let drop_invalid = self.tunables().drop_invalid;
        Ok(control::Rules::of(&self.rules.outline()?, drop_invalid))
    }
}

/// Writes what the programs read; keeps the generations that are there.
fn write(maps: &Maps, tunables: &Tunables, hz: u32, clock: Clock) -> Result<Config, Error> {
    let old = maps.config()?;
    let config = tunables.store(&old, hz, clock);
    maps.set_config(&config)?;
    Ok(config)
}

/// An existing flow table keeps its size.
fn limit_flows(tunables: &mut Tunables, capacity: Capacity) {
    if tunables.max_flows > capacity.flows {
        warn!(
            "the flow table was made for {} flows and stays so: for {} stop fwctl cleanly and start \
             it again, or use `fwctl run --fresh`",
            capacity.flows, tunables.max_flows
        );
        tunables.max_flows = capacity.flows;
    }
}

/// The names of changed settings that a reload cannot take up.
fn fixed_at_start(old: &Settings, fresh: &Settings) -> Vec<String> {
    let changed = [
        ("hook", old.hook != fresh.hook),
        ("xdp-mode", old.xdp_mode != fresh.xdp_mode),
        ("metrics", old.metrics != fresh.metrics),
        ("socket", old.paths.socket != fresh.paths.socket),
        ("bpffs", old.paths.bpffs != fresh.paths.bpffs),
        ("state-dir", old.paths.state_dir != fresh.paths.state_dir),
    ];
    let changed = changed.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(name, _)| name.into()).collect()
}
