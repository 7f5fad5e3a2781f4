//! Mutual TLS between the nodes: who has no certificate that the cluster's authority signed gets no answer.
//!
//! Both sides verify. The one that connects also verifies that the certificate is that of the name it dialed, so that no
//! member can be taken for another. Certificates come from `node`, which reads them again when their files change;
//! connections that are open stay, new ones take the newest.

use super::transport::{Connect, Transport, endpoint};
use futures::{Stream, StreamExt};
use http::Uri;
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use tonic::transport::server::{Connected, TcpConnectInfo};
use tower::service_fn;

/// First byte of every TLS connection: a record of type "handshake".
const HANDSHAKE: u8 = 0x16;
/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// Handshakes at a time; who is silent holds a place for [`HANDSHAKE_MAX`].
const HANDSHAKES_MAX: usize = 1_024;

/// Pause after a failed `accept`.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the connections of a node to its peers need. Clones share everything.
#[derive(Debug, Clone)]
pub struct PeerTls {
    /// For connections that others make.
    pub server: watch::Receiver<Arc<ServerConfig>>,
    /// For connections that this node makes.
    pub client: watch::Receiver<Arc<ClientConfig>>,
    /// Also takes connections without TLS, and makes one where the peer speaks none: while the nodes of a cluster are
    /// switched to TLS one by one.
    pub optional: bool,
    /// Connections that came to no session.
    pub failed: Arc<AtomicU64>,
}

impl Connect for PeerTls {
    fn transport(
        &self,
        address: &str,
        connect_timeout: Duration,
    ) -> Result<Transport, tonic::transport::Error> {
        let endpoint = endpoint(address, connect_timeout)?;
        let (tls, address) = (self.clone(), Arc::<str>::from(address));
        let connector = service_fn(move |_: Uri| {
            let (tls, address) = (tls.clone(), Arc::clone(&address));
            async move { tls.connect(&address).await.map(TokioIo::new) }
        });
        Ok(Transport::new(endpoint.connect_with_connector_lazy(connector)))
    }
}

impl PeerTls {
    async fn connect(&self, address: &str) -> io::Result<PeerStream> {
        let stream = dial(address).await?;
        let config = Arc::clone(&self.client.borrow());
        match TlsConnector::from(config).connect(name_of(address)?, stream).await {
            Ok(stream) => Ok(PeerStream::Secure(Box::new(TlsStream::from(stream)))),
            // An older peer takes the handshake for a broken request. One that shows a wrong certificate is no such peer.
            Err(error) if self.optional && !is_about_a_certificate(&error) => {
                tracing::debug!(address, %error, "a peer speaks no TLS");
                Ok(PeerStream::Plain(dial(address).await?))
            }
            Err(error) => {
                self.has_failed(address, "to", &error);
                Err(error)
            }
        }
    }

    /// The connections of a listener, each after its handshake.
    pub(super) fn incoming(
        self,
        accepted: impl Stream<Item = io::Result<TcpStream>>,
    ) -> impl Stream<Item = io::Result<PeerStream>> {
        // A listener that fails does so at once and again, until the process has file descriptors left.
        let accepted = accepted.filter_map(|stream| async {
            if let Err(error) = &stream {
                tracing::warn!(%error, "accepting a connection failed");
                sleep(ACCEPT_PAUSE).await;
            }
            stream.ok()
        });
        let secured = accepted.map(move |stream| {
            let tls = self.clone();
            async move {
                let from = stream.peer_addr().map(|address| address.to_string()).unwrap_or_default();
                let secured = match timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
                    Ok(secured) => secured,
                    Err(_elapsed) => Err(io::ErrorKind::TimedOut.into()),
                };
                secured.map_err(|error| tls.has_failed(&from, "from", &error)).ok()
            }
        });
        // An error would end the server; a stranger must not.
        secured.buffer_unordered(HANDSHAKES_MAX).filter_map(|secured| async { secured.map(Ok) })
    }

    /// Counts a connection without a session, and warns of the first, second, fourth and so on: whoever has a wrong
    /// certificate tries again all the time.
    fn has_failed(&self, peer: &str, direction: &str, error: &io::Error) {
        let failed = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
        if failed.is_power_of_two() {
            tracing::warn!(peer, direction, failed, %error, "no TLS session with a peer");
        } else {
            tracing::debug!(peer, direction, failed, %error, "no TLS session with a peer");
        }
    }

    async fn accept(&self, stream: TcpStream) -> io::Result<PeerStream> {
        let mut first = [0];
        if self.optional && stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE {
            return Ok(PeerStream::Plain(stream));
        }
        let config = Arc::clone(&self.server.borrow());
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        Ok(PeerStream::Secure(Box::new(TlsStream::from(stream))))
    }
}

async fn dial(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The name that a certificate must be for, from `host:port`.
fn name_of(address: &str) -> io::Result<ServerName<'static>> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

fn is_about_a_certificate(error: &io::Error) -> bool {
    use tokio_rustls::rustls::Error as Tls;
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Tls>());
    matches!(cause, Some(Tls::InvalidCertificate(_) | Tls::NoCertificatesPresented | Tls::AlertReceived(_)))
}

/// A connection between nodes.
#[derive(Debug)]
pub(super) enum PeerStream {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

impl Connected for PeerStream {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        match self {
            Self::Plain(stream) => stream.connect_info(),
            Self::Secure(stream) => stream.get_ref().0.connect_info(),
        }
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Secure(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Secure(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Secure(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Secure(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Secure(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
