//! What a node keeps on disk, and what is durable when a call returns.
//!
//! [`log`] is the Raft log of all groups of a node: an append is durable when its callback is called. This crate is
//! the only one that names RocksDB; it knows nothing of Raft's rules, of queries and of the network.

//!
//! [`ShardStore`] is the state of a data group and [`StateDb`] the state of any group on disk, the meta group's as it
//! is: what they hold is durable when a flush returns, and a crash goes back to the last flush. Each group has a
//! directory of its own; [`Shared`] is what they share.

pub mod bugs;
mod bytes;
mod chunk;
mod config;
mod crash;
mod error;
mod key;
pub mod log;
mod marker;
#[doc(hidden)]
pub mod measure;
mod rocks;
mod shard;
mod state_db;

pub use config::StorageConfig;
pub use crash::{CRASH_VARIABLE, crash_point};
pub use error::StorageError;
pub use marker::ApplyMarker;
pub use rocks::{EngineError, Shared};
pub use shard::{Checksum, ChecksumJob, CompactionStep, KeyHash, ShardMemory, ShardStats, ShardStore, Stop};
pub use state_db::{StateDb, set_aside, verify_checkpoint};
