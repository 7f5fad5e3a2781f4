//! One Raft group on this node: submit commands, wait for what others submitted, say how it is.
//!
//! `node` and `api` see nothing of Raft but this. A submission may come to any node: it follows the leadership and is
//! tried again until its deadline, because every command is idempotent. What a command does is the state machine's
//! affair.

pub(crate) mod admin;
mod barrier;
pub(crate) mod compaction;
mod condition;
mod core;
mod freshness;
pub(crate) mod members;
mod relay;
pub(crate) mod rewrite;
pub(crate) mod standing;
mod status;
mod submit;

pub(crate) use self::core::Core;
pub use admin::ReplicaChecksum;
pub use condition::Condition;
pub use freshness::Staleness;
pub use status::{GroupStatus, PeerStatus, Role};
pub(crate) use submit::Attempt;

use crate::config::Tuning;
use crate::host::Places;
use crate::metrics::{Counters, GroupCounters};
use crate::network::pool::Pool;
use crate::state_machine::StateMachine;
use crate::state_machine::checksums::ChecksumAt;
use crate::type_config::{TypeConfig, Vote};
use arc_swap::ArcSwapOption;
use model::{GroupId, NodeId};
use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use storage::ShardStore;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;

/// The Raft instance of a group.
pub(crate) type RaftInstance = openraft::Raft<TypeConfig, StateMachine>;

/// Barriers that may wait for the next round.
const BARRIER_QUEUE: usize = 4_096;

/// A group as seen from this node, and its replica if it has one here. It outlives its [`Core`]: a replica that failed or
/// was damaged is opened anew, or rebuilt, or moved here or away, under the same handle.
pub struct Group {
    id: GroupId,
    pool: Arc<Pool>,
    places: Arc<Places>,
    /// What runs now; nothing while the replica is closed.
    core: ArcSwapOption<Core>,
    condition: Mutex<Condition>,
    /// Whether this node's replica was a full member when it was last looked, not one that is being filled.
    settled: AtomicBool,
    /// The members as they were last known, for the time without a core.
    members: Mutex<BTreeMap<NodeId, String>>,
    /// Who did what was asked of the leader, for a node that has no replica and hears of nobody.
    told_leader: Mutex<Option<NodeId>>,
    /// Up to here every member has the log, as far as this node was told.
    held_by_all: AtomicU64,
    in_flight: Semaphore,
    barriers: mpsc::Sender<barrier::Waiter>,
    stop: watch::Sender<bool>,
    receiving: Arc<Semaphore>,
    /// When a leader was last heard.
    heard: Mutex<Option<Instant>>,
    /// The leader that did not answer this node, and when it was last tried.
    unreached: Mutex<Option<(NodeId, Instant)>>,
    /// When the replica was known to be current.
    current: Mutex<freshness::Current>,
    /// When this handle was made: nothing is known of the time before.
    born: Instant,
    /// When the first of the latest read index rounds began, if they failed.
    unconfirmed: Mutex<Option<Instant>>,
    /// When all replicas were last seen to be equal, by this node as the leader.
    proven: Mutex<Option<Instant>>,
    counters: Counters,
}

impl Group {
    /// A group that does not run yet; see [`Self::run`].
    pub(crate) fn closed(pool: Arc<Pool>, id: GroupId, places: Arc<Places>) -> Arc<Self> {
        let (barriers, waiting) = mpsc::channel(BARRIER_QUEUE);
        let in_flight = Semaphore::new(submit::units(pool.tuning.in_flight_bytes));
        let group = Arc::new(Self {
            id,
            pool,
            places,
            core: ArcSwapOption::empty(),
            condition: Mutex::new(Condition::Opening),
            settled: AtomicBool::new(true),
            members: Mutex::new(BTreeMap::new()),
            told_leader: Mutex::new(None),
            held_by_all: AtomicU64::new(0),
            in_flight,
            barriers,
            stop: watch::Sender::new(false),
            receiving: Arc::new(Semaphore::new(1)),
            heard: Mutex::new(None),
            unreached: Mutex::new(None),
            current: Mutex::default(),
            born: Instant::now(),
            unconfirmed: Mutex::new(None),
            proven: Mutex::new(None),
            counters: Counters::default(),
        });
        tokio::spawn(barrier::serve(Arc::downgrade(&group), waiting));
        group
    }

    /// From now on this core is the group's replica.
    pub(crate) fn run(&self, core: Core) {
        self.core.store(Some(Arc::new(core)));
        self.set_condition(Condition::Running);
    }

    /// What runs now.
    pub(crate) fn core(&self) -> Option<Arc<Core>> {
        self.core.load_full()
    }

    /// Takes the core out of service and ends its Raft; the replica's files may be opened again when this returned,
    /// unless somebody still reads them. Nothing is flushed.
    pub(crate) async fn close(&self) {
        self.remember_members();
        let Some(core) = self.core.swap(None) else { return };
        core.end(self.id).await;
    }

    /// How the replica is, beside what Raft says.
    pub fn condition(&self) -> Condition {
        self.condition.lock().clone()
    }

    pub(crate) fn set_condition(&self, condition: Condition) {
        *self.condition.lock() = condition;
    }

    /// Whether this node has a replica of its own that takes part: of the groups that are not here, and of those that are
    /// still being filled, another node has to be asked. One that failed or is damaged is here.
    pub fn is_here(&self) -> bool {
        if self.condition() == Condition::Elsewhere {
            return false;
        }
        if let Some(server) = self.server()
            && !self.id.is_meta()
            && server.membership_config.voter_ids().next().is_some()
        {
            let votes = server.membership_config.voter_ids().any(|id| id == self.node().0);
            self.settled.store(votes, Ordering::Relaxed);
        }
        self.settled.load(Ordering::Relaxed)
    }

    /// A replica comes: it is not to be read until it is a full member.
    pub(crate) fn begin_filling(&self) {
        self.settled.store(false, Ordering::Relaxed);
        self.set_condition(Condition::Opening);
    }

    /// The replica is gone, and what was known of the others by it.
    pub(crate) fn forget_members(&self) {
        self.members.lock().clear();
    }

    /// Why this replica must not be read now: it is damaged, closed, or still behind what it was before a failure.
    pub fn unfit(&self) -> Option<String> {
        match self.condition() {
            Condition::Running => {
                let damage = self.core().and_then(|core| core.replica.state.damage());
                let filling = || (!self.is_here()).then(|| "still being filled from another node".to_owned());
                damage.map(|damage| format!("damaged ({damage})")).or_else(filling)
            }
            other => Some(other.to_string()),
        }
    }

    /// Tells that bytes of the replica were found damaged; it will be rebuilt from another node's.
    pub fn report_damage(&self, what: &str) {
        if let Some(core) = self.core() {
            core.replica.state.report_damage(what);
        }
    }

    /// What its replica here has applied.
    pub(crate) fn applied(&self) -> Option<u64> {
        *self.core()?.replica.applied.borrow()
    }

    /// Notes that all replicas are equal.
    pub(crate) fn proven(&self) {
        *self.proven.lock() = Some(Instant::now());
    }

    /// How long ago this node, as the leader, last saw that all replicas are equal; `None` if it never did.
    pub fn proof_age(&self) -> Option<Duration> {
        self.proven.lock().map(|at| at.elapsed())
    }

    /// Its id.
    pub fn id(&self) -> GroupId {
        self.id
    }

    /// The points of a data group's replica; `None` for the meta group, while the replica is closed, and where there is
    /// none.
    pub fn data_store(&self) -> Option<Arc<ShardStore>> {
        self.core.load().as_ref()?.data.clone()
    }

    /// Whether the group has members. Before that it does nothing.
    pub fn is_initialized(&self) -> bool {
        match self.server() {
            Some(server) => server.membership_config.voter_ids().next().is_some(),
            // A replica that cannot be opened is not one that never was.
            None => true,
        }
    }

    /// Whether this node leads the group, as far as it knows.
    pub fn is_leader(&self) -> bool {
        // A Raft that was stopped by an error keeps its last state.
        self.server().is_some_and(|server| server.state == ServerState::Leader) && self.failure().is_none()
    }

    /// Who leads the group, as far as this node knows.
    pub fn leader(&self) -> Option<NodeId> {
        self.server()?.current_leader.map(NodeId)
    }

    /// What happened here since the start, for metrics.
    pub fn counters(&self) -> GroupCounters {
        self.counters.read(self.core().as_deref())
    }

    pub(crate) fn counts(&self) -> &Counters {
        &self.counters
    }

    /// The Raft instance that runs now.
    pub(crate) fn raft(&self) -> Option<RaftInstance> {
        Some(self.core.load().as_ref()?.raft.clone())
    }

    pub(crate) fn checksum(&self, token: u64) -> Option<ChecksumAt> {
        self.core()?.replica.checksums.get(token)
    }

    pub(crate) fn vote(&self) -> Option<Vote> {
        Some(self.server()?.vote)
    }

    /// Leave to receive a snapshot; one at a time.
    pub(crate) fn begin_receiving(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.receiving).try_acquire_owned().ok()
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    fn node(&self) -> NodeId {
        self.pool.node
    }

    pub(crate) fn tuning(&self) -> &Tuning {
        &self.pool.tuning
    }

    /// What changes only with leadership and membership; `None` while nothing runs.
    fn server(&self) -> Option<RaftServerMetrics<TypeConfig>> {
        Some(self.core.load().as_ref()?.raft.server_metrics().borrow_watched().clone())
    }

    /// Why the group does not run here, unless it was stopped in order.
    pub(crate) fn failure(&self) -> Option<String> {
        let core = self.core.load();
        let Some(core) = core.as_ref() else { return Some(self.condition().to_string()) };
        let metrics = core.raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.running_state.as_ref().err().map(ToString::to_string)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// The members and their addresses; those last known while nothing runs, those of the catalog where there is no
    /// replica.
    pub(crate) fn members(&self) -> BTreeMap<NodeId, String> {
        self.remember_members();
        let members = self.members.lock().clone();
        if members.is_empty() { self.places.addresses(self.id) } else { members }
    }

    fn remember_members(&self) {
        let Some(server) = self.server() else { return };
        let nodes = server.membership_config.nodes();
        let members: BTreeMap<NodeId, String> =
            nodes.map(|(id, peer)| (NodeId(*id), peer.address.clone())).collect();
        if !members.is_empty() {
            *self.members.lock() = members;
        }
    }

    pub(crate) fn address(&self, node: NodeId) -> Option<String> {
        match self.server() {
            Some(server) if server.membership_config.get_node(&node.0).is_some() => {
                server.membership_config.get_node(&node.0).map(|peer| peer.address.clone())
            }
            _ => self.members().get(&node).cloned(),
        }
    }

    /// Ends the group's Raft here for good. Nothing is flushed.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        if let Some(core) = self.core() {
            core.shutdown(self.id).await;
        }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("id", &self.id).field("leader", &self.leader()).finish_non_exhaustive()
    }
}
