//! What requests to a peer travel over: TCP in a product, anything else in a simulation.

use super::pool::{CHANNEL_WINDOW, STREAM_WINDOW};
use std::fmt::Debug;
use std::time::Duration;
use tonic::body::Body;
use tonic::transport::Endpoint;
use tower::util::BoxCloneSyncService;

/// A peer that answers no ping for twice this long has its connection closed: it hangs, or packets vanish.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Takes gRPC requests to one peer. Connects when it is used, and again when the connection broke.
pub type Transport = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, tonic::transport::Error>;

/// Makes transports to peers.
pub trait Connect: Send + Sync + Debug + 'static {
    /// A transport to the peer at `address`, `host:port`; does not connect yet.
    ///
    /// # Errors
    ///
    /// The address is none.
    fn transport(
        &self,
        address: &str,
        connect_timeout: Duration,
    ) -> Result<Transport, tonic::transport::Error>;
}

/// HTTP/2 over TCP.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

impl Connect for Tcp {
    fn transport(
        &self,
        address: &str,
        connect_timeout: Duration,
    ) -> Result<Transport, tonic::transport::Error> {
        Ok(Transport::new(endpoint(address, connect_timeout)?.connect_lazy()))
    }
}

/// How connections to a peer are, whatever they go over.
pub(super) fn endpoint(
    address: &str,
    connect_timeout: Duration,
) -> Result<Endpoint, tonic::transport::Error> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CHANNEL_WINDOW))
}
