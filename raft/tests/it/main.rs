//! Behaviour of groups over three nodes in one process, with real logs, stores and sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

mod barriers;
mod cluster;
mod dropped;
mod failover;
mod groups;
mod placement;
mod proof;
mod rebuild;
mod remote;
mod snapshots;
mod strangers;
mod tls;
