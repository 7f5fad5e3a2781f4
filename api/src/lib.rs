//! The HTTP surface: InfluxDB 1.x on one port, the admin API on another. It asks a [`Coordinator`] for everything and
//! knows nothing of clusters, disks and Raft.

pub mod coordinator;

pub use coordinator::Coordinator;
