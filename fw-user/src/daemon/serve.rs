//! HTTP over any kind of listener, with limits on what a connection may cost.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{debug, warn};

/// Connections at a time; more wait in the kernel's queue.
const CONNECTIONS: usize = 256;
/// A peer that has not sent its headers by then is let go.
const HEADER_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest a whole exchange may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a failed accept: out of descriptors, most likely.
const PAUSE: Duration = Duration::from_millis(100);

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
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match tokio::time::timeout(TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(e)) => debug!("connection: {e}"),
        Err(_) => debug!("connection: took too long"),
    }
}
