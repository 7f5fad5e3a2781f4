//! TLS of the three ports. Certificates, keys and authorities are files, read at the start and again when they change, as
//! when Kubernetes swaps a secret's directory or a certificate is renewed: connections from then on use the new ones.
//!
//! ```text
//! files ─▶ material (chain, key, authorities, when they end) ─▶ configurations of the port ─▶ watch ─▶ api, raft
//! ```
//!
//! Files that cannot be used keep a node from starting. Later the old ones stay in use, the error is logged and counted.

mod client;
mod material;
mod ports;
mod validity;

pub(crate) use client::{Trust, client_config};
pub(crate) use material::TlsError;
pub(crate) use ports::Certificates;
