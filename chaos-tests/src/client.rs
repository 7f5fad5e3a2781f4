//! A small HTTP/1.1 client on plain sockets, or over TLS.
//!
//! It is our own because tests need what a good client forbids: bodies sent byte by byte, requests cut in the middle,
//! garbage. It also tells apart what a collector must tell apart: answered, not answered, not even connected.

mod connection;
mod encode;

pub use connection::Connection;
pub use encode::percent_encode;

use flate2::read::GzDecoder;
use rustls::ClientConfig;
use serde_json::Value;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

/// Why there is no answer.
#[derive(Debug)]
pub enum ClientError {
    /// Nobody listens: nothing was sent.
    Connect(std::io::Error),
    /// The connection died before the answer was complete: the request may have been carried out.
    Broken(std::io::Error),
    /// No complete answer within the client's timeout: the request may still be carried out.
    TimedOut,
    /// The bytes received are no HTTP answer.
    Malformed(&'static str),
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Broken(error) => write!(f, "connection died: {error}"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Malformed(what) => write!(f, "malformed answer: {what}"),
        }
    }
}

impl std::error::Error for ClientError {}

/// One request. `target` is the path with its query string, already encoded.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Method, upper case.
    pub method: &'a str,
    /// Path and query string.
    pub target: &'a str,
    /// Headers beside `Host` and `Content-Length`.
    pub headers: &'a [(&'a str, &'a str)],
    /// Body; `None` sends no `Content-Length`.
    pub body: Option<&'a [u8]>,
}

/// One complete answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers in their order, names as sent.
    pub headers: Vec<(String, String)>,
    /// Body with the transfer coding removed; content coding as sent.
    pub body: Vec<u8>,
}

impl Response {
    /// Value of the first header with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Body as text, unzipped if need be.
    pub fn text(&self) -> String {
        if self.header("Content-Encoding") == Some("gzip") {
            let mut text = Vec::new();
            let read = GzDecoder::new(self.body.as_slice()).read_to_end(&mut text);
            assert!(read.is_ok(), "the answer is no gzip stream");
            return String::from_utf8_lossy(&text).into_owned();
        }
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Body as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap_or(Value::Null)
    }
}

/// A client of one server, with one kept-alive connection.
#[derive(Debug)]
pub struct Client {
    address: String,
    timeout: Duration,
    tls: Option<Arc<ClientConfig>>,
    connection: Option<Connection>,
}

impl Client {
    /// A client of `address` (`host:port`) that waits 30 s for an answer.
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), timeout: Duration::from_secs(30), tls: None, connection: None }
    }

    /// The same with another timeout for a whole request.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same with TLS, if there is a configuration for it.
    pub fn with_tls(mut self, tls: Option<Arc<ClientConfig>>) -> Self {
        self.tls = tls;
        self
    }

    /// The server's `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends one request and reads its answer. A connection that failed is not used again; a new request never is sent
    /// twice.
    pub fn send(&mut self, request: &Request<'_>) -> Result<Response, ClientError> {
        let mut connection = match self.connection.take() {
            Some(connection) if connection.is_usable() => connection,
            _ => Connection::open_with(&self.address, self.timeout, self.tls.as_ref())?,
        };
        connection.send(request, &self.address)?;
        let (response, keep) = connection.receive(request.method == "HEAD")?;
        if keep {
            self.connection = Some(connection);
        }
        Ok(response)
    }

    /// `GET target`.
    pub fn get(&mut self, target: &str) -> Result<Response, ClientError> {
        self.send(&Request { method: "GET", target, headers: &[], body: None })
    }

    /// `POST target` with a body.
    pub fn post(&mut self, target: &str, body: &[u8]) -> Result<Response, ClientError> {
        self.send(&Request { method: "POST", target, headers: &[], body: Some(body) })
    }

    /// Line protocol into the default policy of `database`.
    pub fn write(&mut self, database: &str, lines: &[u8]) -> Result<Response, ClientError> {
        self.post(&format!("/write?db={}", percent_encode(database)), lines)
    }

    /// A query by POST, times in nanoseconds.
    pub fn query(&mut self, database: &str, q: &str) -> Result<Response, ClientError> {
        let target = format!("/query?db={}&epoch=ns&q={}", percent_encode(database), percent_encode(q));
        self.post(&target, b"")
    }
}
