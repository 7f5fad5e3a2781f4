//! One Raft group on this node: submit commands, wait for what others submitted, say how it is.
//!
//! `node` and `api` see nothing of Raft but this. A submission may come to any node: it follows the leadership and is
//! tried again until its deadline, because every command is idempotent. What a command does is the state machine's
//! affair.

pub(crate) mod admin;
mod barrier;
pub(crate) mod compaction;
pub(crate) mod rewrite;
pub(crate) mod standing;
mod status;
mod submit;

pub use admin::ReplicaChecksum;
pub use status::{GroupStatus, PeerStatus, Role};
pub(crate) use submit::Attempt;

use crate::config::Tuning;
use crate::error::StartError;
use crate::log_store::LogStore;
use crate::metrics::{Counters, GroupCounters};
use crate::network::client::Factory;
use crate::network::pool::Pool;
use crate::snapshot::Snapshots;
use crate::state_machine::checksums::ChecksumAt;
use crate::state_machine::{Replica, StateMachine};
use crate::type_config::{TypeConfig, Vote};
use model::{GroupId, NodeId};
use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use storage::ShardStore;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, watch};
use tokio::time::Instant;

/// The Raft instance of a group.
pub(crate) type RaftInstance = openraft::Raft<TypeConfig, StateMachine>;

/// Barriers that may wait for the next round.
const BARRIER_QUEUE: usize = 4_096;

/// A group's replica on this node.
pub struct Group {
    id: GroupId,
    pool: Arc<Pool>,
    raft: RaftInstance,
    replica: Arc<Replica>,
    data: Option<Arc<ShardStore>>,
    in_flight: Semaphore,
    barriers: mpsc::Sender<barrier::Waiter>,
    stop: watch::Sender<bool>,
    receiving: Semaphore,
    /// When a leader was last heard.
    heard: Mutex<Option<Instant>>,
    /// When the first of the latest read index rounds began, if they failed.
    unconfirmed: Mutex<Option<Instant>>,
    counters: Counters,
}

impl Group {
    /// Starts the group's Raft on the current runtime: applies again what a crash took from the state, then joins in.
    pub(crate) async fn start(
        pool: Arc<Pool>,
        config: Arc<openraft::Config>,
        log: LogStore,
        replica: Arc<Replica>,
        data: Option<Arc<ShardStore>>,
    ) -> Result<Arc<Self>, StartError> {
        let id = replica.group;
        let state_machine = StateMachine::start(Arc::clone(&replica))
            .map_err(|source| StartError::Io { group: id, source })?;
        let factory = Factory { pool: Arc::clone(&pool), group: id };
        let raft = RaftInstance::new(pool.node.0, config, factory, log, state_machine)
            .await
            .map_err(|fatal| StartError::Raft { group: id, reason: fatal.to_string() })?;
        let (barriers, waiting) = mpsc::channel(BARRIER_QUEUE);
        let in_flight = Semaphore::new(submit::units(pool.tuning.in_flight_bytes));
        let group = Arc::new(Self {
            id,
            pool,
            raft,
            replica,
            data,
            in_flight,
            barriers,
            stop: watch::Sender::new(false),
            receiving: Semaphore::new(1),
            heard: Mutex::new(None),
            unconfirmed: Mutex::new(None),
            counters: Counters::default(),
        });
        tokio::spawn(barrier::serve(Arc::downgrade(&group), waiting));
        Ok(group)
    }

    /// Its id.
    pub fn id(&self) -> GroupId {
        self.id
    }

    /// The points of a data group's replica; `None` for the meta group.
    pub fn data_store(&self) -> Option<Arc<ShardStore>> {
        self.data.clone()
    }

    /// Whether the group has members. Before that it does nothing.
    pub fn is_initialized(&self) -> bool {
        self.server().membership_config.voter_ids().next().is_some()
    }

    /// Whether this node leads the group, as far as it knows.
    pub fn is_leader(&self) -> bool {
        // A Raft that was stopped by an error keeps its last state.
        self.server().state == ServerState::Leader && self.failure().is_none()
    }

    /// Who leads the group, as far as this node knows.
    pub fn leader(&self) -> Option<NodeId> {
        self.server().current_leader.map(NodeId)
    }

    /// What happened here since the start, for metrics.
    pub fn counters(&self) -> GroupCounters {
        self.counters.read(&self.replica)
    }

    pub(crate) fn raft(&self) -> &RaftInstance {
        &self.raft
    }

    pub(crate) fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }

    pub(crate) fn snapshots(&self) -> &Snapshots {
        &self.replica.snapshots
    }

    pub(crate) fn checksum(&self, token: u64) -> Option<ChecksumAt> {
        self.replica.checksums.get(token)
    }

    pub(crate) fn vote(&self) -> Vote {
        self.server().vote
    }

    /// Notes that a leader's append or heartbeat was accepted.
    pub(crate) fn heard_from_leader(&self) {
        *self.heard.lock() = Some(Instant::now());
    }

    /// Leave to receive a snapshot; one at a time.
    pub(crate) fn begin_receiving(&self) -> Option<SemaphorePermit<'_>> {
        self.receiving.try_acquire().ok()
    }

    fn node(&self) -> NodeId {
        self.pool.node
    }

    fn tuning(&self) -> &Tuning {
        &self.pool.tuning
    }

    /// What changes only with leadership and membership.
    fn server(&self) -> RaftServerMetrics<TypeConfig> {
        self.raft.server_metrics().borrow_watched().clone()
    }

    /// Why the group stopped here by itself, if it did.
    fn failure(&self) -> Option<String> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.running_state.as_ref().err().map(ToString::to_string)
    }

    fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    pub(crate) fn address(&self, node: NodeId) -> Option<String> {
        let server = self.server();
        server.membership_config.get_node(&node.0).map(|peer| peer.address.clone())
    }

    /// Ends the group's Raft here. Nothing is flushed.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        if let Err(error) = self.raft.shutdown().await {
            tracing::error!(group = %self.id, %error, "raft task panicked");
        }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("id", &self.id).field("leader", &self.leader()).finish_non_exhaustive()
    }
}
