//! The control socket: who may connect, and what is answered.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Extension, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use rustix::fs::Mode;
use rustix::process::umask;
use tokio::net::{UnixListener, UnixStream};
use tracing::warn;

use super::running::Running;
use super::serve::{Accept, Endless};
use crate::control::rules::{self, Applied, Apply, Listing, Names, Style, Text};
use crate::control::sets;
use crate::control::stream::EVENTS;
use crate::control::{self, Changes, Refusal, Reloaded, Status, Sysctls, Timeouts, survey};
use crate::error::Error;
use crate::settings::{sysctl, timeouts};

/// Largest request: all settings at once are some kilobytes.
const MAX_BODY: usize = 64 << 10;
/// Largest ruleset, as JSON.
const MAX_RULES: usize = 160 << 20;

/// Makes the socket at `path`. One that a killed daemon left is replaced; the caller holds the lock
/// that keeps living daemons apart.
///
/// # Errors
/// The socket cannot be made, or somebody answers on it.
pub(super) fn listen(path: &Path) -> Result<UnixListener, Error> {
    let failed = |cause| Error::Socket {
        path: path.into(),
        cause,
    };
    if StdUnixStream::connect(path).is_ok() {
        return Err(failed(io::ErrorKind::AddrInUse.into()));
    }
    match std::fs::symlink_metadata(path) {
        Ok(meta) if !std::os::unix::fs::FileTypeExt::is_socket(&meta.file_type()) => {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        Ok(_) => std::fs::remove_file(path).map_err(failed)?,
        Err(_) => {}
    }
    // The mode must be right from the first moment, not from a chmod on. No other thread makes
    // files at this time.
    let old = umask(Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    umask(old);
    let listener = listener.map_err(failed)?;
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, private).map_err(failed)?;
    Ok(listener)
}

/// Connections of root only. The socket's mode says so already; this holds even if somebody opens
/// the mode up.
pub(super) struct RootOnly(pub(super) UnixListener);

impl Accept for RootOnly {
    type Stream = UnixStream;

    async fn accept(&mut self) -> io::Result<Option<UnixStream>> {
        let (stream, _) = self.0.accept().await?;
        let peer = stream.peer_cred()?;
        if peer.uid() != 0 {
            warn!(
                "control socket: refused a connection of user {}",
                peer.uid()
            );
            return Ok(None);
        }
        Ok(Some(stream))
    }
}

/// What is answered.
pub(super) fn router(running: Arc<Running>) -> Router {
    Router::new()
        .route(control::STATUS, get(status))
        .route(control::TIMEOUTS, get(show_timeouts).put(set_timeouts))
        .route(control::SYSCTL, get(show_sysctls).put(set_sysctls))
        .route(control::RELOAD, post(reload))
        .route(EVENTS, get(follow))
        .route(rules::CONFIRM, post(confirm_rules))
        .route(rules::ROLLBACK, post(roll_back_rules))
        .route(rules::TEXT, get(rules_text))
        .route(rules::NAMES, get(rule_names))
        .route(
            sets::SETS,
            put(change_set).layer(DefaultBodyLimit::max(MAX_RULES)),
        )
        .route(
            rules::RULES,
            get(list_rules)
                .put(apply_rules)
                .delete(flush_rules)
                .layer(DefaultBodyLimit::max(MAX_RULES)),
        )
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(running)
}

type Shared = State<Arc<Running>>;
type Wanted = Result<Json<Changes>, JsonRejection>;

async fn status(State(running): Shared) -> Result<Json<Status>, Refused> {
    counting(move || running.status()).await
}

async fn show_timeouts(State(running): Shared) -> Json<Timeouts> {
    Json(control::timeouts(&running.tunables()))
}

async fn set_timeouts(State(running): Shared, body: Wanted) -> Result<Json<Timeouts>, Refused> {
    let Json(changes) = body?;
    running.change(|tunables| {
        let mut all = changes.iter();
        all.try_for_each(|(name, value)| timeouts::set(tunables, name, value))
    })?;
    Ok(Json(control::timeouts(&running.tunables())))
}

async fn show_sysctls(State(running): Shared) -> Result<Json<Sysctls>, Refused> {
    counting(move || {
        let facts = survey::facts(&running.paths)?;
        Ok(control::sysctls(&running.tunables(), &facts))
    })
    .await
}

async fn set_sysctls(State(running): Shared, body: Wanted) -> Result<Json<Sysctls>, Refused> {
    let Json(changes) = body?;
    running.change(|tunables| {
        let mut all = changes.iter();
        all.try_for_each(|(name, value)| sysctl::set(tunables, name, value))
    })?;
    show_sysctls(State(running)).await
}

async fn reload(State(running): Shared) -> Result<Json<Reloaded>, Refused> {
    Ok(Json(running.reload().await?))
}

/// Everything that happens, until the listener has heard enough.
async fn follow(
    State(running): Shared,
    endless: Option<Extension<Endless>>,
) -> Result<Body, Refused> {
    let events = running.events().listen().map_err(Error::from)?;
    let busy = || Refused(StatusCode::SERVICE_UNAVAILABLE, "too many listeners".into());
    let events = events.ok_or_else(busy)?;
    if let Some(Extension(endless)) = endless {
        endless.set();
    }
    Ok(events)
}

async fn list_rules(State(running): Shared) -> Result<Json<Listing>, Refused> {
    counting(move || running.rules().listing()).await
}

async fn rules_text(
    State(running): Shared,
    Query(style): Query<Style>,
) -> Result<Json<Text>, Refused> {
    counting(move || running.rules().text(style)).await
}

async fn rule_names(State(running): Shared) -> Result<Json<Names>, Refused> {
    counting(move || running.rules().names()).await
}

async fn apply_rules(
    State(running): Shared,
    body: Result<Json<Apply>, JsonRejection>,
) -> Result<Json<Applied>, Refused> {
    let Json(apply) = body?;
    counting(move || running.rules().apply(apply)).await
}

async fn change_set(
    State(running): Shared,
    body: Result<Json<sets::Change>, JsonRejection>,
) -> Result<Json<sets::Answer>, Refused> {
    let Json(change) = body?;
    counting(move || running.rules().change_set(&change)).await
}

async fn flush_rules(State(running): Shared) -> Result<Json<Applied>, Refused> {
    counting(move || running.rules().flush()).await
}

async fn confirm_rules(State(running): Shared) -> Result<Json<Applied>, Refused> {
    counting(move || running.rules().confirm()).await
}

async fn roll_back_rules(State(running): Shared) -> Result<Json<Applied>, Refused> {
    counting(move || running.rules().roll_back()).await
}

/// Counting flows and loading rules takes a while: not on a thread that others wait for.
async fn counting<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<Json<T>, Refused> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(Json(done.map_err(|_| Error::Stopping)??))
}

async fn unknown() -> Refused {
    Refused(StatusCode::NOT_FOUND, "no such path: see /v1/status".into())
}

/// An error as it is answered.
struct Refused(StatusCode, String);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let status = if error.is_bad_argument() {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        };
        Self(status, error.to_string())
    }
}

impl From<JsonRejection> for Refused {
    fn from(rejection: JsonRejection) -> Self {
        Self(rejection.status(), rejection.body_text())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, error) = self;
        (status, Json(Refusal { error })).into_response()
    }
}
