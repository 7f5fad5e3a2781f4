//! The ports that speak TLS: their configurations now, and the loop that brings them up to date with the files.

#[cfg(test)]
mod tests;

use super::client::{Trust, client_config};
use super::material::{ClientCertificates, Ends, Material, PemFile, TlsBytes, TlsError, TlsFiles};
use crate::config::{Config, SubscriptionsConfig};
use crate::metrics::Page;
use api::ServerTls;
use jiff::Timestamp;
use parking_lot::Mutex;
use raft::PeerTls;
use rustls::{ClientConfig, ServerConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Pause between two looks at the files. They are small, and read whole: a time of modification may stand still while a
/// directory of them is swapped.
const LOOK: Duration = Duration::from_secs(1);
/// HTTP/1.1 is what the HTTP ports speak; HTTP/2 is what peers do.
const HTTP_1: &[u8] = b"http/1.1";

/// The ports of a node that speak TLS.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    http: Option<Arc<Port>>,
    admin: Option<Arc<Port>>,
    peer: Option<Arc<Port>>,
    peer_is_optional: bool,
    subscribers: Trust,
}

impl Certificates {
    /// Reads the files that the configuration names. Blocks.
    ///
    /// # Errors
    ///
    /// [`TlsError`] names the file that is wrong.
    pub(crate) fn open(config: &Config) -> Result<Self, TlsError> {
        let (http, admin, peer) = (&config.http, &config.admin, &config.peer);
        let http = [&http.tls_cert, &http.tls_key, &http.tls_client_ca];
        let peer_files = [&peer.tls_cert, &peer.tls_key, &peer.tls_ca];
        let admin = [&admin.tls_cert, &admin.tls_key, &admin.tls_client_ca];
        Ok(Self {
            http: Port::open(Kind::Http, http)?,
            admin: Port::open(Kind::Admin, admin)?,
            peer: Port::open(Kind::Peer, peer_files)?,
            peer_is_optional: peer.tls_optional,
            subscribers: subscriber_trust(&config.subscriptions)?,
        })
    }

    /// Whose certificates are accepted of subscribers.
    pub(crate) fn of_subscribers(&self) -> &Trust {
        &self.subscribers
    }

    /// For the InfluxDB API; `None`: without TLS.
    pub(crate) fn http(&self) -> Option<ServerTls> {
        self.http.as_deref().map(Port::server)
    }

    /// For the admin API.
    pub(crate) fn admin(&self) -> Option<ServerTls> {
        self.admin.as_deref().map(Port::server)
    }

    /// For the other nodes.
    pub(crate) fn peer(&self) -> Option<PeerTls> {
        let port = self.peer.as_deref()?;
        let ServerTls { config: server, failed } = port.server();
        Some(PeerTls { server, client: port.client.subscribe(), optional: self.peer_is_optional, failed })
    }

    /// Follows the files until it is dropped.
    pub(crate) async fn follow(self: Arc<Self>) {
        if self.ports().next().is_none() {
            return;
        }
        loop {
            sleep(LOOK).await;
            let all = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || all.ports().for_each(Port::look)).await;
            if let Err(error) = looked {
                tracing::error!(%error, "looking for new certificates panicked");
            }
        }
    }

    fn ports(&self) -> impl Iterator<Item = &Port> {
        [&self.http, &self.admin, &self.peer].into_iter().filter_map(|port| port.as_deref())
    }

    /// When certificates end and how their renewal went, as metrics of each port that speaks TLS.
    pub(crate) fn render(&self, page: &mut Page) {
        let name = "steadfast_certificate_expiry_timestamp_seconds";
        page.head(name, "gauge", "When the certificate in use, and the last of its authorities, ends.");
        for port in self.ports() {
            let Ends { certificate, authority } = port.seen.lock().ends;
            for (kind, ends) in [("certificate", certificate), ("authority", authority)] {
                if let Some(ends) = ends {
                    page.sample(name, &[("port", &port.kind.name()), ("kind", &kind)], ends);
                }
            }
        }
        let name = "steadfast_certificate_files_broken";
        page.head(name, "gauge", "1 while the files cannot be used, and older certificates are.");
        for port in self.ports() {
            let broken = u8::from(port.broken.load(Ordering::Relaxed));
            page.sample(name, &[("port", &port.kind.name())], broken);
        }
        let name = "steadfast_certificate_reloads_total";
        page.head(name, "counter", "Changes of the files that were taken up.");
        for port in self.ports() {
            let reloads = port.reloads.load(Ordering::Relaxed);
            page.sample(name, &[("port", &port.kind.name())], reloads);
        }
        let name = "steadfast_tls_sessions_failed_total";
        page.head(name, "counter", "Connections that came to no TLS session.");
        for port in self.ports() {
            let failed = port.failed.load(Ordering::Relaxed);
            page.sample(name, &[("port", &port.kind.name())], failed);
        }
    }
}

/// A file that is named must be fine from the start; the machine's are looked for when they are needed.
fn subscriber_trust(config: &SubscriptionsConfig) -> Result<Trust, TlsError> {
    let (option, path) = ("subscriptions.ca_certs".to_owned(), config.ca_certs.clone());
    let trust = match (config.insecure_skip_verify, path.is_empty()) {
        (true, _) => Trust::Anybody,
        (false, true) => return Ok(Trust::System(option)),
        (false, false) => Trust::File(option, path),
    };
    client_config(&trust, None)?;
    Ok(trust)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Http,
    Admin,
    Peer,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Admin => "admin",
            Self::Peer => "peer",
        }
    }

    /// The options that name certificate, key and authorities.
    fn options(self) -> [&'static str; 3] {
        match self {
            Self::Http => ["http.tls_cert", "http.tls_key", "http.tls_client_ca"],
            Self::Admin => ["admin.tls_cert", "admin.tls_key", "admin.tls_client_ca"],
            Self::Peer => ["peer.tls_cert", "peer.tls_key", "peer.tls_ca"],
        }
    }
}

/// What a port works with, made from one reading of its files.
struct Configurations {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    ends: Ends,
}

/// One port.
#[derive(Debug)]
struct Port {
    kind: Kind,
    files: TlsFiles,
    server: watch::Sender<Arc<ServerConfig>>,
    client: watch::Sender<Arc<ClientConfig>>,
    seen: Mutex<Seen>,
    broken: AtomicBool,
    reloads: AtomicU64,
    failed: Arc<AtomicU64>,
}

/// What the files held at the last look.
struct Seen {
    ends: Ends,
    used: TlsBytes,
    /// Others than those in use, and whether they were judged. They are once they have stood still for one look: files are
    /// written one after the other.
    other: Option<(Option<TlsBytes>, bool)>,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen").field("ends", &self.ends).finish_non_exhaustive()
    }
}

impl Port {
    /// `None` if no certificate is named.
    fn open(kind: Kind, paths: [&String; 3]) -> Result<Option<Arc<Self>>, TlsError> {
        let [cert, key, authorities] = std::array::from_fn(|i| PemFile::named(kind.options()[i], paths[i]));
        let (Some(cert), Some(key)) = (cert, key) else { return Ok(None) };
        let files = TlsFiles { cert, key, authorities };
        let used = files.read()?;
        let Configurations { server, client, ends } = configurations(kind, &files.material(&used)?)?;
        announce(kind, ends, "certificate");
        Ok(Some(Arc::new(Self {
            kind,
            files,
            server: watch::Sender::new(server),
            client: watch::Sender::new(client),
            seen: Mutex::new(Seen { ends, used, other: None }),
            broken: AtomicBool::new(false),
            reloads: AtomicU64::new(0),
            failed: Arc::default(),
        })))
    }

    fn server(&self) -> ServerTls {
        ServerTls { config: self.server.subscribe(), failed: Arc::clone(&self.failed) }
    }

    /// Reads the files, and takes them up if they are others than those in use. Blocks.
    fn look(&self) {
        let read = self.files.read();
        let mut seen = self.seen.lock();
        if read.as_ref().is_ok_and(|bytes| *bytes == seen.used) {
            seen.other = None;
            self.broken.store(false, Ordering::Relaxed);
            return;
        }
        let found = read.as_ref().ok();
        match &mut seen.other {
            Some((other, judged)) if other.as_ref() == found => {
                if std::mem::replace(judged, true) {
                    return;
                }
            }
            _ => {
                seen.other = Some((found.cloned(), false));
                return;
            }
        }
        let made =
            read.and_then(|bytes| Ok((configurations(self.kind, &self.files.material(&bytes)?)?, bytes)));
        match made {
            Ok((Configurations { server, client, ends }, bytes)) => {
                self.server.send_replace(server);
                self.client.send_replace(client);
                *seen = Seen { ends, used: bytes, other: None };
                self.broken.store(false, Ordering::Relaxed);
                self.reloads.fetch_add(1, Ordering::Relaxed);
                announce(self.kind, ends, "new certificate");
            }
            Err(error) => {
                self.broken.store(true, Ordering::Relaxed);
                let error = format!("{:#}", anyhow::Error::from(error));
                tracing::error!(port = self.kind.name(), error, "new certificate refused; the old one stays");
            }
        }
    }
}

fn configurations(kind: Kind, material: &Material) -> Result<Configurations, TlsError> {
    // Probes and metrics come to the admin port without a certificate; its routes ask for one where they must.
    let asked = if kind == Kind::Admin { ClientCertificates::Welcome } else { ClientCertificates::Required };
    let mut server = material.server(asked)?;
    if kind != Kind::Peer {
        server.alpn_protocols = vec![HTTP_1.to_vec()];
    }
    Ok(Configurations { server: Arc::new(server), client: Arc::new(material.client()?), ends: material.ends })
}

fn announce(kind: Kind, ends: Ends, what: &str) {
    let text = |seconds: i64| Timestamp::from_second(seconds).map(|t| t.to_string()).unwrap_or_default();
    let port = kind.name();
    match ends.certificate {
        Some(end) if end < now_seconds() => {
            tracing::error!(port, ended = text(end), "{what} is no longer valid");
        }
        Some(end) => tracing::info!(port, ends = text(end), "{what}"),
        None => tracing::info!(port, "{what}"),
    }
}

fn now_seconds() -> i64 {
    use model::Clock;
    crate::clock::SystemClock.now_ns() / 1_000_000_000
}
