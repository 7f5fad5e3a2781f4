//! The TLS side of a listener: one handshake a connection, with a time limit, by the certificate that is current then.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

/// First byte of every TLS connection: a record of type "handshake".
const HANDSHAKE: u8 = 0x16;
/// What a client is told that speaks no TLS where TLS is spoken, in the words of Go's `net/http`.
const NO_TLS: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n\
Client sent an HTTP request to an HTTPS server.\n";

/// What a listener needs to speak TLS. Clones share everything.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// Certificate, key and whom to trust; a new value is used for connections from then on.
    pub config: watch::Receiver<Arc<ServerConfig>>,
    /// Connections that came to no session.
    pub failed: Arc<AtomicU64>,
}

/// Why a connection has no session.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error("the client speaks no TLS")]
    Plain,
    #[error("the client was silent")]
    Timeout,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl ServerTls {
    /// Makes a session of a fresh connection.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        limit: Duration,
    ) -> Result<TlsStream<TcpStream>, HandshakeError> {
        let config = Arc::clone(&self.config.borrow());
        let done = match tokio::time::timeout(limit, accept(stream, config)).await {
            Ok(done) => done,
            Err(_elapsed) => Err(HandshakeError::Timeout),
        };
        if done.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        done
    }
}

async fn accept(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
) -> Result<TlsStream<TcpStream>, HandshakeError> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    if first[0] != HANDSHAKE {
        stream.write_all(NO_TLS).await?;
        stream.shutdown().await?;
        // What it has sent is read, or the close would take the answer with it.
        drop(tokio::io::copy(&mut stream, &mut tokio::io::sink()).await);
        return Err(HandshakeError::Plain);
    }
    Ok(TlsAcceptor::from(config).accept(stream).await?)
}
