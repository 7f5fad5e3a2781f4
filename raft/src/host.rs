//! All groups of a node: opens them, finds them, balances their leaders, stops them.

mod barriers;
mod dropped;
mod members;
mod moves;
mod open;
mod placement;
mod plan;
mod proof;
mod rebuild;
mod supervise;

use crate::balance;
use crate::blocking;
use crate::config::Tuning;
use crate::error::{AdminError, PeerError, StartError};
use crate::group::{Condition, Group, GroupStatus, compaction, rewrite};
use crate::network::pool::Pool;
use crate::network::rpc::Peer;
use crate::network::transport::Connect;
use crate::node_state::NodeState;
use crate::remote::{READS_AT_ONCE, ReadAccounts};
use crate::running::RunningQueries;
use crate::state_machine::meta::CatalogCell;
use crate::type_config::PeerAddr;
use arc_swap::{ArcSwap, ArcSwapOption};
use futures::future::{join_all, try_join_all};
use model::catalog::Catalog;
use model::{Clock, GroupId, NodeId};
pub use moves::Pending;
use open::{OpenError, Opener};
use parking_lot::Mutex;
pub(crate) use placement::Places;
pub use plan::Move;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use storage::Shared;
use storage::log::{LogDb, LogDisk, LogError, LogStats};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// How long a stop waits for openraft's tasks to let go of the stores.
const RELEASE_MAX: Duration = Duration::from_secs(5);

/// Which node this is, and where its groups live.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// This node's id.
    pub node: NodeId,
    /// The cluster's uuid.
    pub cluster: String,
    /// Directory of all groups' states; one file system with nothing else in it.
    pub dir: PathBuf,
    /// Which nodes have which data group until the catalog says so; a group that is not in it is on every node.
    pub founding: BTreeMap<GroupId, Vec<NodeId>>,
    /// Times and sizes.
    pub tuning: Tuning,
    /// How the other nodes are reached.
    pub connect: Arc<dyn Connect>,
}

/// The groups of the cluster, as seen from this node.
#[derive(Debug)]
pub struct RaftHost {
    pub(crate) pool: Arc<Pool>,
    places: Arc<Places>,
    groups: BTreeMap<GroupId, Arc<Group>>,
    catalog: Arc<CatalogCell>,
    barriers: mpsc::Sender<barriers::Waiter>,
    opener: Arc<Opener>,
    stopping: watch::Sender<bool>,
    /// Whether the disk is so full that what can wait has to.
    saving_space: AtomicBool,
    /// How often the log was opened again after a failed write.
    log_reopened: AtomicU64,
    /// What is damaged in the log, since it could not be opened again.
    log_damage: watch::Sender<Option<LogError>>,
    state: ArcSwap<NodeState>,
    /// Whether fsyncs of the log take too long for this node to lead.
    pub(crate) disk_is_slow: AtomicBool,
    /// What the log took on disk when it was last looked.
    log_disk: Mutex<LogDisk>,
    /// What other nodes are told of the statements that run here.
    pub(crate) running_queries: OnceLock<Arc<dyn RunningQueries>>,
    /// What other nodes are told of the time.
    clock: OnceLock<Arc<dyn Clock>>,
    /// Turns of what other nodes read here.
    pub(crate) read_turns: Semaphore,
    /// What that may take.
    pub(crate) read_accounts: OnceLock<Arc<dyn ReadAccounts>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl RaftHost {
    /// Opens those of `groups`, which are all of the cluster, that have a replica here: the meta group, then the others
    /// at the same time. One that is damaged is rebuilt from the other nodes later. Re-applies what a crash took from
    /// their states, and starts them. Raft's tasks run on the runtime this is called on, which should do little else.
    ///
    /// # Errors
    ///
    /// [`StartError`] of the first group that failed.
    pub async fn start(
        config: HostConfig,
        log: Arc<LogDb>,
        shared: Shared,
        groups: Vec<GroupId>,
    ) -> Result<Arc<Self>, StartError> {
        let raft_config = Arc::new(config.tuning.openraft(&config.cluster)?);
        let HostConfig { node, cluster, dir, founding, tuning, connect } = config;
        let (interval, hold) = (tuning.balance_interval, tuning.balance_hold);
        let (proof_interval, slow_disk) = (tuning.proof_interval, tuning.slow_disk);
        let pool = Arc::new(Pool::new(cluster, node, tuning, Handle::current(), connect));
        let catalog = Arc::new(CatalogCell::new(Catalog::default()));
        let places = Arc::new(Places { node, catalog: Arc::clone(&catalog), founding });
        let opener = Arc::new(Opener {
            pool: Arc::clone(&pool),
            config: raft_config,
            shared,
            dir,
            catalog: Arc::clone(&catalog),
            log: ArcSwapOption::new(Some(log)),
        });
        opener.remove_rest().await;
        let begun = Instant::now();
        let handles = groups.into_iter().map(|id| Group::closed(Arc::clone(&pool), id, Arc::clone(&places)));
        let (meta, data): (Vec<_>, Vec<_>) = handles.partition(|group| group.id().is_meta());
        // It says which of the others are here.
        try_join_all(meta.iter().map(|group| open_at_start(&opener, &places, group))).await?;
        try_join_all(data.iter().map(|group| open_at_start(&opener, &places, group))).await?;
        let groups: BTreeMap<GroupId, Arc<Group>> =
            meta.into_iter().chain(data).map(|group| (group.id(), group)).collect();
        tracing::info!(
            groups = groups.values().filter(|group| group.condition() != Condition::Elsewhere).count(),
            took_ms = begun.elapsed().as_millis() as u64,
            "groups are open"
        );
        let (barriers, waiting) = mpsc::channel(barriers::QUEUE);
        let host = Arc::new(Self {
            pool,
            places,
            barriers,
            groups,
            catalog,
            opener,
            stopping: watch::Sender::new(false),
            saving_space: AtomicBool::new(false),
            log_reopened: AtomicU64::new(0),
            log_damage: watch::Sender::new(None),
            state: ArcSwap::default(),
            disk_is_slow: AtomicBool::new(false),
            log_disk: Mutex::new(LogDisk::default()),
            running_queries: OnceLock::new(),
            clock: OnceLock::new(),
            read_turns: Semaphore::new(READS_AT_ONCE),
            read_accounts: OnceLock::new(),
            tasks: Mutex::new(Vec::new()),
        });
        let mut tasks = vec![
            tokio::spawn(balance::run(Arc::downgrade(&host), (interval, hold), slow_disk)),
            tokio::spawn(barriers::serve(Arc::downgrade(&host), waiting)),
            tokio::spawn(compaction::run(Arc::downgrade(&host))),
            tokio::spawn(dropped::run(Arc::downgrade(&host))),
            tokio::spawn(supervise::run(Arc::downgrade(&host))),
            tokio::spawn(proof::run(Arc::downgrade(&host), proof_interval)),
            tokio::spawn(members::run(Arc::downgrade(&host))),
            tokio::spawn(moves::run(Arc::downgrade(&host))),
        ];
        let rewrite_turn = Arc::new(Semaphore::new(1));
        for group in host.groups.values().filter(|group| !group.id().is_meta()) {
            tasks.push(tokio::spawn(rewrite::run(Arc::downgrade(group), Arc::clone(&rewrite_turn))));
        }
        *host.tasks.lock() = tasks;
        Ok(host)
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.pool.node
    }

    /// The cluster's uuid.
    pub fn cluster(&self) -> &str {
        &self.pool.cluster
    }

    /// A group of the cluster, whether or not it has a replica here.
    pub fn group(&self, id: GroupId) -> Option<Arc<Group>> {
        self.groups.get(&id).cloned()
    }

    /// All groups of the cluster, in order of their ids; [`Group::is_here`] tells whether one has a replica here.
    pub fn groups(&self) -> Vec<Arc<Group>> {
        self.groups.values().cloned().collect()
    }

    /// The catalog as this node has it. Never waits; see [`Group::read_barrier`] of the meta group.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load()
    }

    /// Tells of each new version of the catalog.
    pub fn watch_catalog(&self) -> watch::Receiver<u64> {
        self.catalog.watch()
    }

    /// Gives a group its first members; see [`Group::initialize`].
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn initialize(
        &self,
        group: GroupId,
        members: &BTreeMap<NodeId, PeerAddr>,
    ) -> Result<(), AdminError> {
        match self.groups.get(&group) {
            Some(group) => group.initialize(members).await,
            None => Err(AdminError::Stopped { group }),
        }
    }

    /// The state of all groups that have a replica there, as another node of the catalog sees them.
    ///
    /// # Errors
    ///
    /// [`PeerError`] when the node is unknown or did not answer.
    pub async fn peer_status(&self, node: NodeId, timeout: Duration) -> Result<Vec<GroupStatus>, PeerError> {
        if node == self.node() {
            return Ok(self.replica_statuses());
        }
        let reply = self.ask_status(node, timeout).await?;
        Ok(reply.groups.into_iter().map(GroupStatus::from_wire).collect())
    }

    /// As [`Self::peer_status`], with what the node tells of itself.
    ///
    /// # Errors
    ///
    /// [`PeerError`] when the node is unknown or did not answer.
    pub async fn peer_report(
        &self,
        node: NodeId,
        timeout: Duration,
    ) -> Result<(Vec<GroupStatus>, NodeState), PeerError> {
        if node == self.node() {
            return Ok((self.replica_statuses(), self.node_state()));
        }
        let mut reply = self.ask_status(node, timeout).await?;
        let groups = std::mem::take(&mut reply.groups).into_iter().map(GroupStatus::from_wire).collect();
        Ok((groups, NodeState::from_wire(reply)))
    }

    /// The state of all groups that have a replica here.
    pub(crate) fn replica_statuses(&self) -> Vec<GroupStatus> {
        let replicas = self.groups.values().filter(|group| group.condition() != Condition::Elsewhere);
        replicas.map(|group| group.status()).collect()
    }

    async fn ask_status(
        &self,
        node: NodeId,
        timeout: Duration,
    ) -> Result<proto::peer::StatusReply, PeerError> {
        let address = self.peer_address(node)?;
        self.peer(node, &address).status(timeout).await
    }

    /// Where another node of the catalog is reached.
    pub(crate) fn peer_address(&self, node: NodeId) -> Result<String, PeerError> {
        let catalog = self.catalog();
        let info = catalog.nodes.get(&node);
        info.map(|info| info.peer_addr.clone())
            .ok_or_else(|| PeerError::Refused { node, reason: "the catalog does not know it".to_owned() })
    }

    /// Another node, to be asked something that is about no group.
    pub(crate) fn peer<'a>(&'a self, node: NodeId, address: &'a str) -> Peer<'a> {
        Peer { pool: &self.pool, group: GroupId::META, node, address }
    }

    /// Does what the log's writer would do next, for a log without a thread; see [`LogDb::write_round`].
    pub fn write_log_round(&self) -> Option<bool> {
        self.opener.log.load().as_ref()?.write_round()
    }

    /// What the cluster writes and this node cannot read, if another node has said so: its messages are refused.
    pub fn unreadable_level(&self) -> Option<u32> {
        Some(self.pool.unreadable_level.load(Ordering::Relaxed)).filter(|level| *level > 0)
    }

    /// Counters of the log; `None` while it is being opened again after a failure.
    pub fn log_stats(&self) -> Option<LogStats> {
        Some(self.opener.log.load().as_ref()?.stats())
    }

    /// What the log took on disk a few seconds ago.
    pub fn log_disk(&self) -> LogDisk {
        *self.log_disk.lock()
    }

    /// How often the log was opened again after a failed write.
    pub fn log_reopened(&self) -> u64 {
        self.log_reopened.load(Ordering::Relaxed)
    }

    /// Returns when the log turned out to be damaged while it was opened again after a failure. The node can do nothing
    /// any more under its id.
    pub async fn log_damaged(&self) -> LogError {
        let mut damage = self.log_damage.subscribe();
        loop {
            let found = damage.borrow_and_update().clone();
            if let Some(error) = found {
                return error;
            }
            if damage.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Stops what can wait - compactions, receiving snapshots - or lets it go on: the disk is nearly full.
    pub fn save_space(&self, save: bool) {
        if self.saving_space.swap(save, Ordering::Relaxed) == save {
            return;
        }
        self.pool.transfers.pause(save);
        for core in self.groups.values().filter_map(|group| group.core()) {
            core.replica.state.save_space(save);
        }
    }

    /// Refuses commands that add data, also those that other nodes send to the leaders here, or takes them again. What
    /// frees space goes on, and so does following other leaders.
    pub fn refuse_writes(&self, reason: Option<String>) {
        self.pool.refusal.store(reason.map(Arc::new));
    }

    /// Why commands that add data are refused here, if they are.
    pub fn refusal(&self) -> Option<String> {
        self.pool.refusal.load().as_deref().cloned()
    }

    /// What other nodes are told of this one.
    pub fn set_node_state(&self, state: NodeState) {
        self.state.store(Arc::new(state));
    }

    /// What other nodes are told of this one.
    pub fn node_state(&self) -> NodeState {
        let clock_ns = self.clock.get().map(|clock| clock.now_ns());
        let disk_is_slow = self.disk_is_slow.load(Ordering::Relaxed);
        NodeState {
            clock_ns,
            disk_is_slow,
            feature_level: self.tuning().feature_level,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..NodeState::clone(&self.state.load())
        }
    }

    /// From now on the others are told what time this clock shows. The first one given stays.
    pub fn set_clock(&self, clock: Arc<dyn Clock>) {
        // A second one would be the same.
        let _first = self.clock.set(clock);
    }

    /// Whether this node leads a group.
    pub fn leads_any(&self) -> bool {
        self.groups.values().any(|group| group.is_leader())
    }

    /// What another node of the catalog tells of itself.
    ///
    /// # Errors
    ///
    /// [`PeerError`] when the node is unknown or did not answer.
    pub async fn peer_node_state(&self, node: NodeId, timeout: Duration) -> Result<NodeState, PeerError> {
        if node == self.node() {
            return Ok(self.node_state());
        }
        Ok(NodeState::from_wire(self.ask_status(node, timeout).await?))
    }

    pub(crate) fn tuning(&self) -> &Tuning {
        &self.pool.tuning
    }

    /// Lets go of files of the log that hold next to nothing any more.
    pub(crate) async fn tidy_log(&self) {
        let Some(log) = self.opener.log.load_full() else { return };
        match blocking::run(move || log.tidy()).await {
            Ok(Ok(disk)) => *self.log_disk.lock() = disk,
            Ok(Err(error)) => tracing::debug!(%error, "log not tidied"),
            Err(panic) => tracing::error!(%panic, "tidying the log panicked"),
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Hands every group that this node leads to a voter that is fit to lead, all at the same time. Takes a few seconds
    /// at most; what finds no taker stays. Requests go on meanwhile.
    pub async fn hand_over(&self) {
        let limit = self.pool.tuning.transfer_timeout;
        join_all(self.groups.values().map(|group| give_away(group, limit))).await;
    }

    /// Hands the led groups to others, stops all groups and flushes their states. Takes a few seconds at most, and
    /// the flush.
    pub async fn shutdown(&self) {
        self.stop_tasks();
        self.hand_over().await;
        self.stop_groups().await;
        let flushes = self.groups.values().filter_map(|group| group.core()).map(|core| {
            blocking::run(move || {
                if let Err(error) = core.replica.state.flush() {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(group = %core.replica.group, error, "state not flushed");
                }
            })
        });
        for flushed in join_all(flushes).await {
            if let Err(error) = flushed {
                tracing::error!(%error, "flush panicked");
            }
        }
    }

    /// Stops all groups as a crash would: nothing is handed over, nothing is flushed.
    pub async fn kill(&self) {
        self.stop_tasks();
        self.stop_groups().await;
    }

    fn stop_tasks(&self) {
        self.stopping.send_replace(true);
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
    }

    /// Returns when openraft no longer uses the states, so that their directories can be opened again.
    async fn stop_groups(&self) {
        join_all(self.groups.values().map(|group| group.stop())).await;
        let until = Instant::now() + RELEASE_MAX;
        // The group itself holds one.
        let used = |group: &Arc<Group>| group.core().is_some_and(|core| Arc::strong_count(&core.replica) > 1);
        while self.groups.values().any(used) && Instant::now() < until {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Opens a replica that is here or shall be.
async fn open_at_start(opener: &Arc<Opener>, places: &Places, group: &Group) -> Result<(), StartError> {
    let id = group.id();
    let looking = Arc::clone(opener);
    let has = blocking::run(move || looking.has(id)).await;
    // A replica is here until its group has let go of it, whatever the catalog wishes.
    if !places.is_wished(id) && matches!(has, Ok(false)) {
        group.set_condition(Condition::Elsewhere);
        return Ok(());
    }
    match opener.open(id).await {
        Ok(core) => {
            // One that has nothing yet, in a cluster that has: what is asked of it is to be brought from others.
            if core.replica.applied.borrow().is_none() && !places.begins_here(id) {
                group.begin_filling();
            }
            group.run(core);
        }
        Err(OpenError::Failed(error)) => return Err(error),
        Err(OpenError::Damaged(reason)) => {
            tracing::error!(group = %id, reason, "replica is damaged and will be rebuilt");
            group.counts().damaged();
            group.set_condition(Condition::Rebuilding { reason, step: "waiting".to_owned() });
        }
    }
    Ok(())
}

/// Hands a led group to the other voter that has most of the log, if one answers.
pub(crate) async fn give_away(group: &Group, limit: Duration) {
    if !group.is_leader() {
        return;
    }
    let status = group.status();
    let fit = status.peers.iter().filter(|peer| {
        status.voters.contains(&peer.node)
            && peer.since_ack.is_some_and(|since| since < Duration::from_secs(2))
    });
    let Some(to) = fit.min_by_key(|peer| peer.lag.unwrap_or(u64::MAX)) else { return };
    if let Err(error) = group.transfer_leader(to.node, limit).await {
        tracing::warn!(group = %group.id(), to = %to.node, %error, "leadership not handed over");
    }
}
