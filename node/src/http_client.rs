//! A small HTTP/1.1 client: one kept-alive connection to one address, with TLS where it is asked for. Used by `dev` to ask
//! for readiness, by `ctl`, by subscriptions and by `load` to write; it keeps the order and the case of headers, because a replay must look like its recording.

use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_ENCODING, HOST, HeaderValue};
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Bytes of an answer, also after it was inflated.
const RESPONSE_BYTES_MAX: usize = 64 << 20;
/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// An answer that arrived whole.
#[derive(Debug, Clone)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Response {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as text, inflated if it came as gzip; what is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        let gzip = self.headers.get(CONTENT_ENCODING).is_some_and(|v| v.as_bytes() == b"gzip");
        if !gzip {
            return String::from_utf8_lossy(&self.body).into_owned();
        }
        let mut inflated = Vec::new();
        let limit = u64::try_from(RESPONSE_BYTES_MAX).unwrap_or(u64::MAX);
        match GzDecoder::new(self.body.as_ref()).take(limit).read_to_end(&mut inflated) {
            Ok(_) => String::from_utf8_lossy(&inflated).into_owned(),
            Err(error) => format!("(damaged gzip: {error})"),
        }
    }
}

/// Why there is no answer. The outcome of the request is unknown unless [`ClientError::Connect`].
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing was sent.
    #[error("cannot connect to {address}")]
    Connect {
        /// Whom it was meant for.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The connection died before the answer was complete.
    #[error("the connection to {address} died")]
    Died {
        /// Whom it was meant for.
        address: String,
        /// What HTTP said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer in time; the connection was dropped.
    #[error("no answer from {address} within {waited_ms} ms")]
    Timeout {
        /// Whom it was meant for.
        address: String,
        /// The time allowed.
        waited_ms: u128,
    },
}

/// A connection that is opened when needed, kept, and forgotten when it fails.
#[derive(Debug)]
pub struct Connection {
    address: String,
    tls: Option<Arc<ClientConfig>>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// A connection to `host:port`, not yet open.
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), tls: None, sender: None }
    }

    /// The same with TLS; the certificate must be for the host of the address.
    pub fn secure(address: &str, tls: Arc<ClientConfig>) -> Self {
        Self { tls: Some(tls), ..Self::new(address) }
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends a request and waits for the whole answer. `Host` is set to the address; a value that is there keeps its
    /// place among the headers.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the next request opens a new connection.
    pub async fn send(
        &mut self,
        mut request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<Response, ClientError> {
        if let Ok(host) = HeaderValue::from_str(&self.address) {
            request.headers_mut().insert(HOST, host);
        }
        let answered = match timeout(limit, self.exchange(request)).await {
            Ok(answered) => answered,
            Err(_elapsed) => {
                Err(ClientError::Timeout { address: self.address.clone(), waited_ms: limit.as_millis() })
            }
        };
        if answered.is_err() {
            self.sender = None;
        }
        answered
    }

    /// `GET target` without a body.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`].
    pub async fn get(&mut self, target: &str, limit: Duration) -> Result<Response, ClientError> {
        let request = Request::builder().method(Method::GET).uri(target).body(Full::default());
        let request = request.map_err(|e| self.died(e))?;
        self.send(request, limit).await
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Response, ClientError> {
        let address = self.address.clone();
        let died = |source: Box<dyn std::error::Error + Send + Sync>| ClientError::Died { address, source };
        let sender = self.open().await?;
        let answer = match sender.send_request(request).await {
            Ok(answer) => answer,
            Err(error) => return Err(died(error.into())),
        };
        let (parts, body) = answer.into_parts();
        match Limited::new(body, RESPONSE_BYTES_MAX).collect().await {
            Ok(body) => {
                Ok(Response { status: parts.status.as_u16(), headers: parts.headers, body: body.to_bytes() })
            }
            Err(error) => Err(died(error)),
        }
    }

    /// The open connection; a kept one that the server has closed meanwhile is replaced.
    async fn open(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, ClientError> {
        let kept = match self.sender.take() {
            Some(mut sender) => sender.ready().await.is_ok().then_some(sender),
            None => None,
        };
        let sender = match kept {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        Ok(self.sender.insert(sender))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        let refused = |source| ClientError::Connect { address: self.address.clone(), source };
        let stream = match timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.address)).await {
            Ok(connected) => connected.map_err(refused)?,
            Err(_elapsed) => return Err(refused(io::ErrorKind::TimedOut.into())),
        };
        stream.set_nodelay(true).map_err(refused)?;
        let Some(tls) = &self.tls else { return self.handshake(stream).await };
        let name = server_name(&self.address).map_err(refused)?;
        let securing = TlsConnector::from(Arc::clone(tls)).connect(name, stream);
        match timeout(CONNECT_TIMEOUT, securing).await {
            Ok(secured) => self.handshake(secured.map_err(refused)?).await,
            Err(_elapsed) => Err(refused(io::ErrorKind::TimedOut.into())),
        }
    }

    async fn handshake<S>(&self, stream: S) -> Result<SendRequest<Full<Bytes>>, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, driver) = http1::Builder::new()
            .title_case_headers(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| self.died(e))?;
        // Ends with the connection, whose failure the next request reports.
        tokio::spawn(async move { drop(driver.await) });
        Ok(sender)
    }

    fn died(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
        ClientError::Died { address: self.address.clone(), source: error.into() }
    }
}

/// The name that a certificate must be for, from `host:port`.
fn server_name(address: &str) -> io::Result<ServerName<'static>> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}
