//! How the options must fit each other, and the values that follow from others. Bounds of single options are in the
//! table.

use super::{Config, ConfigError, NodeConfig};
use model::placement::REPLICATION_FACTORS;
use std::net::SocketAddr;

/// Most founding nodes; more may join later.
const PEERS_MAX: usize = 9;

/// Completes the addresses and refuses what can't work together.
pub(super) fn check(mut config: Config) -> Result<Config, ConfigError> {
    complete_addresses(&mut config.node)?;
    check_peers(&config.node)?;
    check_fit(&config)?;
    check_tls(&config)?;
    if !REPLICATION_FACTORS.contains(&config.cluster.replication_factor) {
        let factor = config.cluster.replication_factor;
        return Err(mismatch(format!("cluster.replication_factor = {factor}: must be 1, 3 or 5")));
    }
    crate::telemetry::parse_filter(&config.log.level)
        .map_err(|text| mismatch(format!("log.level = {:?} is no filter: {text}", config.log.level)))?;
    Ok(config)
}

fn mismatch(text: String) -> ConfigError {
    ConfigError::Mismatch(text)
}

fn complete_addresses(node: &mut NodeConfig) -> Result<(), ConfigError> {
    for (name, advertised, listening) in [
        ("http", &mut node.advertise_http, node.http_addr),
        ("admin", &mut node.advertise_admin, node.admin_addr),
        ("peer", &mut node.advertise_peer, node.peer_addr),
    ] {
        if advertised.is_empty() {
            *advertised = own_address(name, listening)?;
        }
        check_host_port(&format!("node.advertise_{name}"), advertised)?;
    }
    if node.peers.is_empty() {
        node.peers = vec![node.advertise_peer.clone()];
    }
    Ok(())
}

fn own_address(name: &str, listening: SocketAddr) -> Result<String, ConfigError> {
    if listening.ip().is_unspecified() {
        return Err(mismatch(format!(
            "node.{name}_addr = {listening} listens on every address, so others can't guess this node's: \
             set node.advertise_{name} to name:port"
        )));
    }
    Ok(listening.to_string())
}

fn check_host_port(name: &str, text: &str) -> Result<(), ConfigError> {
    let port =
        text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(port)) if port > 0 => Ok(()),
        _ => Err(mismatch(format!(
            "{name} = {text:?}: expected name:port, such as \"steadfast-0.steadfast:8088\""
        ))),
    }
}

fn check_peers(node: &NodeConfig) -> Result<(), ConfigError> {
    for (i, peer) in node.peers.iter().enumerate() {
        check_host_port("node.peers", peer)?;
        if node.peers.iter().take(i).any(|other| other == peer) {
            return Err(mismatch(format!("node.peers lists {peer} twice")));
        }
    }
    if node.peers.len() > PEERS_MAX {
        return Err(mismatch(format!("node.peers lists {} nodes; at most {PEERS_MAX}", node.peers.len())));
    }
    Ok(())
}

/// A certificate needs its key, and what else is about TLS needs a certificate.
fn check_tls(config: &Config) -> Result<(), ConfigError> {
    let Config { http, admin, peer, .. } = config;
    for (section, cert, key, others) in [
        ("http", &http.tls_cert, &http.tls_key, !http.tls_client_ca.is_empty()),
        ("admin", &admin.tls_cert, &admin.tls_key, !admin.tls_client_ca.is_empty()),
        ("peer", &peer.tls_cert, &peer.tls_key, !peer.tls_ca.is_empty() || peer.tls_optional),
    ] {
        if cert.is_empty() != key.is_empty() {
            return Err(mismatch(format!("{section}.tls_cert and {section}.tls_key need each other")));
        }
        if others && cert.is_empty() {
            return Err(mismatch(format!("[{section}] has settings of TLS, but no {section}.tls_cert")));
        }
    }
    if !peer.tls_cert.is_empty() && peer.tls_ca.is_empty() {
        return Err(mismatch("peer.tls_cert needs peer.tls_ca: by it the nodes know each other".to_owned()));
    }
    Ok(())
}

fn check_fit(config: &Config) -> Result<(), ConfigError> {
    let Config { node, raft, write, query, disk, .. } = config;
    let listening = [node.http_addr, node.admin_addr, node.peer_addr];
    let rules = [
        (
            raft.election_min >= raft.heartbeat * 4,
            "raft.election_min must be at least four times raft.heartbeat: one lost heartbeat must not cost an election",
        ),
        (raft.election_max > raft.election_min, "raft.election_max must be larger than raft.election_min"),
        (
            write.body_bytes <= write.inflight_bytes,
            "write.body_bytes must not be larger than write.inflight_bytes, or the largest body never fits",
        ),
        (
            write.body_bytes <= write.inflated_bytes,
            "write.body_bytes must not be larger than write.inflated_bytes, or a plain body is refused after it was read",
        ),
        (
            query.memory_per_query <= query.memory_total,
            "query.memory_per_query must not be larger than query.memory_total",
        ),
        (
            disk.refuse_percent <= disk.save_percent && disk.save_percent <= disk.warn_percent,
            "disk.refuse_percent must not be larger than disk.save_percent, nor that than disk.warn_percent",
        ),
        (
            disk.refuse_bytes <= disk.save_bytes && disk.save_bytes <= disk.warn_bytes,
            "disk.refuse_bytes must not be larger than disk.save_bytes, nor that than disk.warn_bytes",
        ),
        (
            (0..3).all(|i| (0..i).all(|j| listening[i] != listening[j])),
            "node.http_addr, node.admin_addr and node.peer_addr must differ",
        ),
    ];
    match rules.iter().find(|(holds, _)| !holds) {
        Some((_, text)) => Err(mismatch((*text).to_owned())),
        None => Ok(()),
    }
}
