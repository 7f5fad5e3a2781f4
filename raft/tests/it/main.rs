//! Behaviour of groups over three nodes in one process, with real logs, stores and sockets.

mod cluster;
mod failover;
mod groups;
mod snapshots;
mod strangers;
