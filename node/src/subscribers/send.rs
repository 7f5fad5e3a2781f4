//! How copies reach a destination: a `POST /write` as InfluxDB's, over TLS for `https`, or UDP packets of whole lines.

use crate::http_client::{ClientError, Connection};
use crate::tls::{TlsError, Trust, client_config};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Method, Request};
use model::catalog::Destination;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Bytes of a packet, as 1.x sends them; a longer line goes alone.
const PACKET_BYTES: usize = 512;

/// Why a destination has not taken points.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// No answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// An answer that says no.
    #[error("status {0}")]
    Status(u16),
    /// The packets could not be sent.
    #[error("udp: {0}")]
    Udp(#[from] std::io::Error),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// There is nobody by whom its certificate could be judged.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Not to be reached this way.
    #[error("cannot be sent to")]
    Unsupported,
}

/// Sends to one of some destinations.
#[derive(Debug)]
pub(super) struct Sender {
    targets: Vec<Target>,
    /// Whose turn it is.
    next: usize,
    timeout: Duration,
    names: String,
}

/// One destination.
#[derive(Debug)]
enum Target {
    Http { reached: Reached, target: String, authorization: Option<HeaderValue> },
    Udp { address: String },
    Unsupported,
}

/// How an HTTP server is reached.
#[derive(Debug)]
enum Reached {
    By(Box<Connection>),
    /// With TLS, for which files are read when the first points are sent.
    Securely {
        address: String,
        trust: Trust,
    },
}

impl Reached {
    async fn connection(&mut self) -> Result<&mut Connection, SendError> {
        if let Self::Securely { address, trust } = self {
            let trust = trust.clone();
            let read = tokio::task::spawn_blocking(move || client_config(&trust, None)).await;
            let tls = read.map_err(std::io::Error::other)??;
            *self = Self::By(Box::new(Connection::secure(address, tls)));
        }
        match self {
            Self::By(connection) => Ok(connection),
            Self::Securely { .. } => Err(SendError::Unsupported),
        }
    }
}

impl Sender {
    pub(super) fn new(
        (database, policy): (&str, &str),
        destinations: &[Arc<str>],
        timeout: Duration,
        trust: &Trust,
    ) -> Self {
        let parsed: Vec<_> = destinations.iter().filter_map(|url| Destination::parse(url)).collect();
        // Not the whole URL: it may hold a password.
        let names: Vec<String> = parsed
            .iter()
            .map(|destination| format!("{}://{}", destination.scheme, destination.address))
            .collect();
        let targets =
            parsed.into_iter().map(|destination| Target::new(destination, (database, policy), trust));
        Self { targets: targets.collect(), next: 0, timeout, names: names.join(", ") }
    }

    /// Schemes and addresses, for people.
    pub(super) fn names(&self) -> &str {
        &self.names
    }

    /// Sends to the destination whose turn it is, or to the next one that takes it.
    pub(super) async fn send(&mut self, lines: Bytes) -> Result<(), SendError> {
        let mut failed = SendError::Unsupported;
        for _ in 0..self.targets.len() {
            let turn = self.next;
            self.next = (turn + 1) % self.targets.len();
            match self.targets[turn].send(lines.clone(), self.timeout).await {
                Ok(()) => return Ok(()),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

impl Target {
    fn new(destination: Destination<'_>, (database, policy): (&str, &str), trust: &Trust) -> Self {
        let address = destination.address;
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        match destination.scheme {
            scheme @ ("http" | "https") => Self::Http {
                reached: match scheme {
                    "https" => Reached::Securely { address: address.to_owned(), trust: trust.clone() },
                    _ => Reached::By(Box::new(Connection::new(address))),
                },
                target: format!(
                    "{}/write?consistency=&db={}&precision=ns&rp={}",
                    destination.path,
                    encode(database),
                    encode(policy)
                ),
                authorization: authorization(destination.credentials),
            },
            "udp" => Self::Udp { address: address.to_owned() },
            _ => Self::Unsupported,
        }
    }

    async fn send(&mut self, lines: Bytes, limit: Duration) -> Result<(), SendError> {
        match self {
            Self::Http { reached, target, authorization } => {
                let mut request = Request::new(Full::new(lines));
                *request.method_mut() = Method::POST;
                *request.uri_mut() = target.parse().map_err(|_| SendError::Unsupported)?;
                head(request.headers_mut(), authorization.as_ref());
                let answer = reached.connection().await?.send(request, limit).await?;
                if answer.is_success() { Ok(()) } else { Err(SendError::Status(answer.status)) }
            }
            Self::Udp { address } => {
                let sending = send_packets(address, &lines);
                timeout(limit, sending).await.map_err(|_| SendError::Timeout)?
            }
            Self::Unsupported => Err(SendError::Unsupported),
        }
    }
}

fn head(headers: &mut HeaderMap, authorization: Option<&HeaderValue>) {
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("Steadfast/", env!("CARGO_PKG_VERSION"))));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if let Some(value) = authorization {
        headers.insert(AUTHORIZATION, value.clone());
    }
}

/// Basic authentication from `name:password` of a URL.
fn authorization(credentials: &str) -> Option<HeaderValue> {
    if credentials.is_empty() {
        return None;
    }
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (name, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let pair = format!("{}:{}", decode(name), decode(password));
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

async fn send_packets(address: &str, lines: &[u8]) -> Result<(), SendError> {
    let to = tokio::net::lookup_host(address).await?.next().ok_or(SendError::Unsupported)?;
    let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(from).await?;
    for packet in packets(lines) {
        socket.send_to(packet, to).await?;
    }
    Ok(())
}

/// Cuts lines into packets.
fn packets(mut lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if lines.is_empty() {
            return None;
        }
        let room = &lines[..lines.len().min(PACKET_BYTES)];
        let end = memchr::memrchr(b'\n', room).or_else(|| memchr::memchr(b'\n', lines));
        let (packet, rest) = lines.split_at(end.map_or(lines.len(), |end| end + 1));
        lines = rest;
        Some(packet)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_hold_whole_lines() {
        let lines = [format!("{}\n", "a".repeat(300)), "b\n".to_owned(), format!("{}\n", "c".repeat(600))];
        let body = lines.concat().repeat(2);
        let cut: Vec<usize> = packets(body.as_bytes()).map(<[u8]>::len).collect();
        assert_eq!(cut, [303, 601, 303, 601]);
        assert_eq!(packets(body.as_bytes()).collect::<Vec<_>>().concat(), body.as_bytes());
    }

    #[tokio::test]
    async fn the_next_destination_is_tried_when_one_fails() {
        let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let good = format!("udp://{}", receiver.local_addr().unwrap());
        let destinations: Vec<Arc<str>> = vec![Arc::from("https://127.0.0.1:1"), Arc::from(good)];
        let trust = Trust::default();
        let mut sender = Sender::new(("d", "rp"), &destinations, Duration::from_secs(5), &trust);
        for _ in 0..3 {
            sender.send(Bytes::from_static(b"m f=1.0 1\n")).await.unwrap();
            let mut packet = [0; 64];
            let received = receiver.recv(&mut packet).await.unwrap();
            assert_eq!(&packet[..received], b"m f=1.0 1\n");
        }
    }

    #[test]
    fn credentials_of_a_url_become_basic_authentication() {
        assert_eq!(authorization(""), None);
        assert_eq!(authorization("u:p%40"), Some(HeaderValue::from_static("Basic dTpwQA==")));
    }
}
