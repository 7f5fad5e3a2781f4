//! What a node keeps on disk, and what is durable when a call returns.
//!
//! [`log`] is the Raft log of all groups of a node: an append is durable when its callback is called. This crate is
//! the only one that names RocksDB; it knows nothing of Raft's rules, of queries and of the network.

pub mod log;
