//! The transport between the nodes of a cluster: gRPC, one channel per peer and lane.
//!
//! [`client`] is what openraft sends through, [`rpc`] what groups ask each other besides, [`server`] answers both.
//! Every request names cluster, group, sender and addressee; a stranger is refused. Nothing here decides anything.

pub(crate) mod append;
pub(crate) mod client;
pub(crate) mod convert;
pub(crate) mod pool;
pub(crate) mod rpc;
pub(crate) mod server;
mod snapshots;
pub(crate) mod tls;
pub(crate) mod transport;

/// Largest message sent or accepted, bytes. An append holds 2 MiB of entries and at most one more of 4 MiB.
pub(crate) const MESSAGE_BYTES_MAX: usize = 16 << 20;
