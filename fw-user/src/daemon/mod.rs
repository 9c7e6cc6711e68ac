//! The daemon: starts the firewall, keeps it in order, stops it.
//!
//! What filters is in the kernel, and stays there if this process dies. One task a file: `watch`
//! follows the interfaces, `routes` the kernel's routes, `gc` frees expired flows, `events` tells
//! listeners what happens to them, `control` and `metrics` answer.

mod control;
mod events;
mod gc;
mod lock;
mod log;
mod metrics;
mod packets;
mod preflight;
mod routes;
mod rules;
mod running;
mod serve;
mod signals;
mod start;
mod stop;
mod told;
mod watch;

use std::sync::Arc;

use sd_notify::NotifyState;
use tokio::sync::watch as channel;
use tracing::{info, warn};

pub use lock::{LockError, TraceLock, owner, uptime};
pub use log::init as init_log;
pub(crate) use preflight::mount_command;
pub use preflight::{PreflightError, problems};
pub use signals::stop as stop_signal;

use crate::attach::Manager;
use crate::error::Error;
use crate::paths::Paths;
use crate::settings::{OnExit, Sources};
use crate::sys::heap;
use running::Running;
use start::Started;
use stop::Stop;

/// What the daemon is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the settings come from.
    pub sources: Sources,
    /// The places from the global flags; the configuration file may name others.
    pub paths: Paths,
    /// Remove everything that an earlier run left, flows included, before starting.
    pub fresh: bool,
}

/// Runs the firewall until `shutdown` completes.
///
/// # Errors
/// Why it cannot start: then nothing is left behind that was not there before. Why it could not stop
/// cleanly.
pub async fn run(options: Options, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let reload_signal = signals::reload().map_err(|cause| Error::Io {
        what: "catching SIGHUP",
        cause,
    })?;
    heap::keep_little();
    let started = start::start(options).await?;
    let running = Arc::clone(&started.running);
    let (tasks, locks) = Tasks::spawn(started);
    say_ready(&running);
    tokio::select! {
        () = shutdown => {}
        () = reload_forever(&running, reload_signal) => {}
    }
    notify(&[NotifyState::Stopping]);
    let socket = running.paths.socket.clone();
    let manager = tasks.stop().await;
    let on_exit = running.on_exit();
    // The socket goes first: nobody shall ask while things are taken down.
    drop(std::fs::remove_file(socket));
    let result = match (on_exit, manager) {
        (OnExit::Keep, _) => {
            info!("stopped; filtering goes on (--on-exit keep)");
            Ok(())
        }
        (OnExit::Detach, Some(manager)) => manager.detach_all(),
        (OnExit::Detach, None) => crate::attach::remove_everything(&running.paths),
    };
    drop(locks);
    Ok(result?)
}

/// One line for people, one message for systemd.
fn say_ready(running: &Running) {
    let attached = running.attached();
    let list: Vec<String> = attached.iter().map(ToString::to_string).collect();
    info!("ready: {}", list.join(", "));
    let names: Vec<&str> = attached.iter().map(|a| a.name.as_str()).collect();
    let status = format!("filtering {}", names.join(", "));
    notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

async fn reload_forever(running: &Arc<Running>, mut signal: tokio::signal::unix::Signal) {
    while signal.recv().await.is_some() {
        let now = NotifyState::monotonic_usec_now();
        match now {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(_) => notify(&[NotifyState::Reloading]),
        }
        match running.reload().await {
            Ok(done) if done.needs_restart.is_empty() => info!("reloaded"),
            Ok(done) => {
                let names = done.needs_restart.join(", ");
                warn!("reloaded; only a restart takes up the new {names}");
            }
            Err(e) => warn!("reload: {e}; everything stays as it was"),
        }
        notify(&[NotifyState::Ready]);
    }
}

/// Tells systemd, if it is there.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(states) {
        warn!("cannot notify systemd: {e}");
    }
}

/// Everything that runs beside.
struct Tasks {
    stop: Stop,
    stop_watch: channel::Sender<bool>,
    watch: tokio::task::JoinHandle<Manager>,
    sweep: tokio::task::JoinHandle<()>,
    servers: tokio::task::JoinSet<()>,
}

impl Tasks {
    /// Starts every task. The locks are the caller's, to be held until all is taken down.
    fn spawn(started: Started) -> (Self, lock::Locks) {
        let Started {
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
        } = started;
        let mut servers = tokio::task::JoinSet::new();
        let router = control::router(Arc::clone(&running));
        servers.spawn(serve::serve(control::RootOnly(socket), router));
        if let Some(listener) = metrics {
            let router = metrics::router(Arc::clone(&running));
            servers.spawn(serve::serve(listener, router));
        }
        servers.spawn(routes.follow());
        if let Some(packets) = packets {
            servers.spawn(packets::follow(packets));
        }
        match running.maps().logs() {
            Ok(ring) => drop(servers.spawn(told::follow(ring))),
            Err(e) => warn!("what rules log can't be read: {e}"),
        }
        let hub = Arc::clone(running.events());
        servers.spawn(async move {
            if let Err(e) = events::run(hub, events).await {
                warn!("nobody is told of events any more: {e}");
            }
        });
        servers.spawn(rules::keep_time(Arc::clone(&running)));
        let stop = Stop::default();
        let (stop_watch, stopped) = channel::channel(false);
        let sweep = {
            let (running, stop) = (Arc::clone(&running), stop.clone());
            tokio::task::spawn_blocking(move || gc::run(&running, &stop))
        };
        let watch = watch::run(running, manager, claims, port_changes, stopped);
        let tasks = Self {
            stop,
            stop_watch,
            watch: tokio::spawn(watch),
            sweep,
            servers,
        };
        (tasks, locks)
    }

    /// Ends every task; the attachments come back, unless their task has died.
    async fn stop(self) -> Option<Manager> {
        let Self {
            stop,
            stop_watch,
            watch,
            sweep,
            mut servers,
        } = self;
        servers.shutdown().await;
        stop.raise();
        // The receiver may have gone with its task.
        let _ = stop_watch.send(true);
        if let Err(e) = sweep.await {
            warn!("the sweep ended badly: {e}");
        }
        watch
            .await
            .inspect_err(|e| warn!("following the interfaces ended badly: {e}"))
            .ok()
    }
}
