//! Raft groups: propose, replicate, apply, snapshot, and the transport between peers.
//!
//! The only crate that names openraft.

pub mod type_config;

pub use type_config::{Command, PeerAddr, Reply, TypeConfig};
