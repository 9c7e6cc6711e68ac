//! HTTP over any kind of listener, with limits on what a connection may cost.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{debug, warn};

/// Connections at a time; more wait in the kernel's queue.
const CONNECTIONS: usize = 256;
/// A peer that has not sent its headers by then is let go. A busy machine may keep an honest one from it for
/// seconds.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest a whole exchange may take, unless it has no end by nature.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a failed accept: out of descriptors, most likely.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether an exchange has no end: set by what answers with a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Endless(Arc<AtomicBool>);

impl Endless {
    /// It has none.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where connections come from.
pub(super) trait Accept {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection; `None` for one that was turned away.
    async fn accept(&mut self) -> io::Result<Option<Self::Stream>>;
}

impl Accept for tokio::net::TcpListener {
    type Stream = tokio::net::TcpStream;

    async fn accept(&mut self) -> io::Result<Option<Self::Stream>> {
        Self::accept(self).await.map(|(stream, _)| Some(stream))
    }
}

/// Answers with `router` until it is dropped; connections end with it.
pub(super) async fn serve(mut listener: impl Accept, router: Router) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok(Some(stream)) => stream,
            Ok(None) => continue,
            Err(e) => {
                warn!("accepting a connection: {e}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let router = router.clone();
        connections.spawn(async move {
            exchange(stream, router).await;
            drop(permit);
        });
        // Results of connections that have ended are of no interest.
        while connections.try_join_next().is_some() {}
    }
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, router: Router) {
    let endless = Endless::default();
    let router = router.layer(Extension(endless.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let result = match tokio::time::timeout(TIMEOUT, connection.as_mut()).await {
        Ok(result) => result,
        Err(_) if endless.is_set() => connection.await,
        Err(_) => return debug!("connection: took too long"),
    };
    if let Err(e) = result {
        debug!("connection: {e}");
    }
}
