//! Raft groups: propose, replicate, apply, snapshot, and the transport between peers.
//!
//! A group promises: what [`Group::submit`] acknowledged is on the disks of a majority and applied by the leader; what
//! was acknowledged before [`Group::read_barrier`] is in the local replica after it; replicas at the same log index
//! are equal. [`RaftHost`] runs all groups of a node, [`PeerServer`] answers the other nodes.
//!
//! The only crate that names openraft. It knows neither HTTP nor queries, nor which series belongs to which group.
//!
//! ```text
//! submit ─▶ [forward] ─▶ openraft ─▶ log_store (fsync) ─▶ network ─▶ quorum ─▶ state_machine ─▶ storage
//! ```

mod applied;
mod balance;
pub mod blocking;
mod codec;
pub mod command;
mod config;
mod error;
mod group;
mod host;
mod log_store;
mod metrics;
mod network;
mod node_state;
pub mod peer;
mod remote;
mod running;
pub mod simulation;
mod snapshot;
mod state_machine;
mod type_config;

pub use config::Tuning;
pub use error::{AdminError, BarrierError, PeerError, StartError, SubmitError};
pub use group::{Condition, Group, GroupStatus, PeerStatus, ReplicaChecksum, Role, Staleness};
pub use host::{HostConfig, Move, Pending, RaftHost};
pub use metrics::GroupCounters;
pub use network::server::PeerServer;
pub use network::tls::PeerTls;
pub use network::transport::{Connect, Tcp, Transport};
pub use node_state::NodeState;
pub use remote::{Freshened, NoMemory, ReadAccount, ReadAccounts, ReadFailure, RemoteReader};
pub use running::{RunningQueries, RunningQuery};
pub use state_machine::checksums::ChecksumAt;
pub use type_config::{Command, PeerAddr, Reply, TypeConfig};
