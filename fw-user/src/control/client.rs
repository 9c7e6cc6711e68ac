//! The command line's side of the control socket.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

use super::Refusal;

/// Longest an answer may take. A reload that attaches to new interfaces is the slowest.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error(
        "no daemon is running: nobody listens on {}; start one with `fwctl run`", .0.display()
    )]
    NoDaemon(PathBuf),
    /// Only root may ask.
    #[error("{} may only be used by root: try again with sudo", .0.display())]
    Permission(PathBuf),
    /// The daemon says no.
    #[error("{0}")]
    Refused(String),
    /// The daemon says that the request makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// The daemon has ended what has no end.
    #[error("the daemon on {} has stopped; `fwctl status` shows what is left", .0.display())]
    Ended(PathBuf),
    /// The conversation failed.
    #[error("talking to the daemon on {}: {cause}", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What happened.
        cause: io::Error,
    },
}

/// A connection to the daemon behind a socket.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    runtime: Runtime,
    stream: UnixStream,
}

impl Client {
    /// Connects to the daemon that listens on `path`.
    ///
    /// # Errors
    /// [`ClientError::NoDaemon`] if there is none.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let failed = |cause: io::Error| match cause.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NoDaemon(path.into())
            }
            io::ErrorKind::PermissionDenied => ClientError::Permission(path.into()),
            _ => broken(path, cause),
        };
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| broken(path, e))?;
        let stream = runtime
            .block_on(UnixStream::connect(path))
            .map_err(failed)?;
        Ok(Self {
            path: path.into(),
            runtime,
            stream,
        })
    }

    /// `GET`s what is at `at`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn get<T: DeserializeOwned>(self, at: &str) -> Result<T, ClientError> {
        self.request(Method::GET, at, Bytes::new())
    }

    /// `PUT`s `body` to `at`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn put<T: DeserializeOwned>(
        self,
        at: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|e| broken(&self.path, io::Error::other(e)))?;
        self.request(Method::PUT, at, body.into())
    }

    /// `GET`s what is at `at`, an answer without end, and hands it on piece by piece until `piece` breaks
    /// or `stop` completes.
    ///
    /// # Errors
    /// See [`ClientError`], [`ClientError::Ended`] if the daemon ends it; whatever `piece` returns.
    pub fn follow<E: From<ClientError>>(
        self,
        at: &str,
        stop: impl FnOnce() -> io::Result<BoxFuture<'static, ()>>,
        mut piece: impl FnMut(&[u8]) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let Self {
            path,
            runtime,
            stream,
        } = self;
        let failed = |e: hyper::Error| E::from(broken(&path, io::Error::other(e)));
        runtime.block_on(async {
            let mut stop = stop().map_err(|e| broken(&path, e))?;
            let request = request(&path, Method::GET, at, Bytes::new())?;
            let response = tokio::time::timeout(TIMEOUT, send(stream, request)).await;
            let response = response
                .map_err(|_| broken(&path, io::ErrorKind::TimedOut.into()))?
                .map_err(failed)?;
            let status = response.status();
            let mut body = response.into_body();
            if !status.is_success() {
                let body = body.collect().await.map_err(failed)?.to_bytes();
                return Err(refusal(status, &body)
                    .unwrap_or_else(|e| broken(&path, e.into()))
                    .into());
            }
            loop {
                let frame = tokio::select! {
                    () = &mut stop => return Ok(()),
                    frame = body.frame() => frame,
                };
                let Some(Ok(frame)) = frame else {
                    return Err(ClientError::Ended(path.clone()).into());
                };
                if let Some(data) = frame.data_ref()
                    && piece(data)?.is_break()
                {
                    return Ok(());
                }
            }
        })
    }

    /// `POST`s to `at`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn post<T: DeserializeOwned>(self, at: &str) -> Result<T, ClientError> {
        self.request(Method::POST, at, Bytes::new())
    }

    /// `DELETE`s what is at `at`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn delete<T: DeserializeOwned>(self, at: &str) -> Result<T, ClientError> {
        self.request(Method::DELETE, at, Bytes::new())
    }

    fn request<T: DeserializeOwned>(
        self,
        method: Method,
        at: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let Self {
            path,
            runtime,
            stream,
        } = self;
        let request = request(&path, method, at, body)?;
        let exchange = async { tokio::time::timeout(TIMEOUT, exchange(stream, request)).await };
        let (status, body) = runtime
            .block_on(exchange)
            .map_err(|_| broken(&path, io::ErrorKind::TimedOut.into()))?
            .map_err(|e| broken(&path, io::Error::other(e)))?;
        read(status, &body).unwrap_or_else(|e| Err(broken(&path, e.into())))
    }
}

fn broken(path: &Path, cause: io::Error) -> ClientError {
    ClientError::Broken {
        path: path.into(),
        cause,
    }
}

fn request(
    path: &Path,
    method: Method,
    at: &str,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, ClientError> {
    Request::builder()
        .method(method)
        .uri(at)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|e| broken(path, io::Error::other(e)))
}

async fn send(
    stream: UnixStream,
    request: Request<Full<Bytes>>,
) -> hyper::Result<Response<Incoming>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its errors come back with the response.
    tokio::spawn(connection);
    sender.send_request(request).await
}

async fn exchange(
    stream: UnixStream,
    request: Request<Full<Bytes>>,
) -> hyper::Result<(StatusCode, Bytes)> {
    let response = send(stream, request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, body))
}

/// The answer, or the daemon's reason for none.
fn read<T: DeserializeOwned>(
    status: StatusCode,
    body: &[u8],
) -> serde_json::Result<Result<T, ClientError>> {
    if status.is_success() {
        return serde_json::from_slice(body).map(Ok);
    }
    refusal(status, body).map(Err)
}

/// The daemon's reason for no answer.
fn refusal(status: StatusCode, body: &[u8]) -> serde_json::Result<ClientError> {
    let Refusal { error } = serde_json::from_slice(body)?;
    Ok(if status.is_client_error() {
        ClientError::BadRequest(error)
    } else {
        ClientError::Refused(error)
    })
}
