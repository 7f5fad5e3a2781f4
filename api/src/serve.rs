//! Serves a router on a listener. Slow and idle clients cannot hold the server: connections are counted, and each has
//! a time limit for its next request, for the head of a request and for taking an answer.

mod request_line;
mod secure;
mod timed;

pub use secure::ServerTls;

use axum::Router;
use axum::body::Body;
use futures::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use timed::{Activity, TimedStream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::ServiceExt;

/// Pause after a failed `accept`: the usual reason is that the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where a request comes from: an extension of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// Whether its connection came with a certificate that the listener trusts: an extension of each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientCertificate(pub(crate) bool);

/// What one listener allows.
#[derive(Debug, Clone, Copy)]
pub struct ServeLimits {
    /// Connections at a time; further ones wait in the kernel's queue. Default 4,096.
    pub connections_max: usize,
    /// Time for the head of a request, from its first byte on. Default 30 s.
    pub header_timeout: Duration,
    /// Time without a request. Long by default (15 min): a collector whose kept connection is closed while it sends
    /// its next batch loses that batch.
    pub idle_timeout: Duration,
    /// Time in which a client must take some bytes of its answer. Default 60 s.
    pub stall_timeout: Duration,
    /// Time that running requests get when the server stops. Default 15 s.
    pub shutdown_timeout: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections_max: 4_096,
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(15 * 60),
            stall_timeout: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(15),
        }
    }
}

/// Serves, with TLS if there is `tls`, until `shutdown` is ready; then accepts nothing more, lets running requests end within
/// [`ServeLimits::shutdown_timeout`], and returns.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ServeLimits,
    tls: Option<ServerTls>,
    shutdown: BoxFuture<'static, ()>,
) {
    let permits_max = limits.connections_max.clamp(1, Semaphore::MAX_PERMITS);
    let connections = Arc::new(Semaphore::new(permits_max));
    let (stop, stopping) = watch::channel(false);
    let mut shutdown = shutdown;
    loop {
        let next = next_connection(&listener, &connections);
        let (stream, permit) = tokio::select! {
            () = &mut shutdown => break,
            next = next => match next {
                Some(connection) => connection,
                None => continue,
            },
        };
        let server = Server { router: router.clone(), limits, tls: tls.clone(), stopping: stopping.clone() };
        tokio::spawn(async move {
            server.connection(stream).await;
            drop(permit);
        });
    }
    drop(listener);
    stop.send_replace(true);
    let all = u32::try_from(permits_max).unwrap_or(u32::MAX);
    let ended = tokio::time::timeout(limits.shutdown_timeout, connections.acquire_many(all)).await;
    if ended.is_err() {
        tracing::warn!("connections still open at the end of the shutdown timeout");
    }
}

/// Waits for a place and then for a client; `None` if accepting failed.
async fn next_connection(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            tracing::warn!(%error, "accepting a connection failed");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// What a connection needs.
struct Server {
    router: Router,
    limits: ServeLimits,
    tls: Option<ServerTls>,
    stopping: watch::Receiver<bool>,
}

impl Server {
    async fn connection(self, stream: TcpStream) {
        // Answers are written in one piece; waiting for more of it would only delay them.
        stream.set_nodelay(true).unwrap_or_default();
        let client = stream.peer_addr().ok().map(|address| ClientAddress(address.ip()));
        let Some(tls) = &self.tls else {
            return self.serve(stream, client, ClientCertificate(false)).await;
        };
        let secured = tokio::select! {
            secured = tls.handshake(stream, self.limits.header_timeout) => secured,
            () = stopped(self.stopping.clone()) => return,
        };
        match secured {
            Ok(stream) => {
                let certificate = ClientCertificate(stream.get_ref().1.peer_certificates().is_some());
                self.serve(stream, client, certificate).await;
            }
            Err(error) => tracing::debug!(?client, %error, "no TLS session"),
        }
    }

    async fn serve<S>(self, stream: S, client: Option<ClientAddress>, certificate: ClientCertificate)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { router, limits, stopping, .. } = self;
        let activity = Activity::default();
        let io = TokioIo::new(TimedStream::new(stream, limits, activity.clone()));
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let running = activity.start();
            let router = router.clone();
            async move {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(certificate);
                if let Some(client) = client {
                    request.extensions_mut().insert(client);
                }
                let response = router.oneshot(request).await;
                drop(running);
                response.map_err(|never: Infallible| never)
            }
        });
        let serving = http1::Builder::new()
            // Names are the same in any case, but 1.x writes them so and not every reader folds case.
            .title_case_headers(true)
            .timer(TokioTimer::new())
            // The time limits are those of `TimedStream`, which knows an idle connection from a slow one.
            .header_read_timeout(None)
            .keep_alive(true)
            .serve_connection(io, service);
        let mut serving = pin!(serving);
        let ended = tokio::select! {
            ended = serving.as_mut() => ended,
            () = stopped(stopping) => {
                serving.as_mut().graceful_shutdown();
                match tokio::time::timeout(limits.shutdown_timeout, serving).await {
                    Ok(ended) => ended,
                    Err(_) => Ok(()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended");
        }
    }
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    drop(stopping.wait_for(|&stopping| stopping).await);
}
