//! The task that owns the attachments: follows the machine's interfaces, and the configuration's.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, pending};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::warn;

use super::lock::Claims;
use super::running::{PortChange, Running};
use crate::attach::Manager;
use crate::settings::Port;
use crate::sys::netlink::Netlink;

/// Events come in bursts: what happens within this time is looked at once.
const SETTLE: Duration = Duration::from_millis(50);
/// A look without an event: events get lost, and some changes make none.
const PATROL: Duration = Duration::from_secs(10);

/// Owns the attachments until `stop` changes; returns them.
pub(super) async fn run(
    running: Arc<Running>,
    mut manager: Manager,
    mut claims: Claims,
    mut changes: mpsc::Receiver<PortChange>,
    mut stop: watch::Receiver<bool>,
) -> Manager {
    let mut events: BoxStream<'static, ()> = match Netlink::link_events() {
        Ok(events) => events.boxed(),
        Err(e) => {
            warn!("cannot follow changes of interfaces, looking now and then: {e}");
            pending().boxed()
        }
    };
    let mut patrol = interval(PATROL);
    patrol.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stop.changed() => return manager,
            Some((ports, reply)) = changes.recv() => {
                let result = change(&mut manager, &mut claims, &ports).await;
                running.note_attached(&manager);
                // Whoever asked may have gone.
                drop(reply.send(result));
            }
            Some(()) = events.next() => {
                sleep(SETTLE).await;
                while let Some(Some(())) = events.next().now_or_never() {}
                follow(&mut manager, &running).await;
            }
            () = running.interfaces_changed() => follow(&mut manager, &running).await,
            _ = patrol.tick() => follow(&mut manager, &running).await,
        }
    }
}

async fn follow(manager: &mut Manager, running: &Running) {
    match manager.follow().await {
        Ok(()) => running.note_attached(manager),
        Err(e) => warn!("following the interfaces: {e}"),
    }
}

async fn change(manager: &mut Manager, claims: &mut Claims, ports: &[Port]) -> Result<(), String> {
    let mut claimed = ports.iter().map(|port| claims.add(&port.name));
    let result = match claimed.try_for_each(|claim| claim) {
        Ok(()) => manager.set_ports(ports).await.map_err(|e| e.to_string()),
        Err(e) => Err(e.to_string()),
    };
    // What is no longer, or after a failure not, to be filtered is free for others.
    claims.retain(&manager.names().collect::<Vec<_>>());
    result
}
