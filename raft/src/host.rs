//! All groups of a node: opens them, finds them, balances their leaders, stops them.

mod barriers;

use crate::balance;
use crate::config::Tuning;
use crate::error::{AdminError, PeerError, StartError};
use crate::group::{Group, GroupStatus, compaction, rewrite};
use crate::log_store::LogStore;
use crate::network::pool::Pool;
use crate::network::rpc::Peer;
use crate::snapshot::Snapshots;
use crate::state_machine::checksums::Checksums;
use crate::state_machine::data::DataState;
use crate::state_machine::meta::{CatalogCell, MetaState};
use crate::state_machine::{GroupState, Replica, StateError};
use crate::type_config::PeerAddr;
use futures::future::{join_all, try_join_all};
use model::catalog::Catalog;
use model::{GroupId, NodeId};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use storage::log::LogDb;
use storage::{ShardStore, Shared};
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
    /// Times and sizes.
    pub tuning: Tuning,
}

/// The groups of this node.
#[derive(Debug)]
pub struct RaftHost {
    pool: Arc<Pool>,
    groups: BTreeMap<GroupId, Arc<Group>>,
    catalog: Arc<CatalogCell>,
    barriers: mpsc::Sender<barriers::Waiter>,
    stopping: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What opening a group's state gives.
struct Opened {
    replica: Arc<Replica>,
    data: Option<Arc<ShardStore>>,
    catalog: Option<Arc<CatalogCell>>,
}

impl RaftHost {
    /// Opens all `groups` at the same time, re-applies what a crash took from their states, and starts them. Raft's
    /// tasks run on the runtime this is called on, which should do little else.
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
        let HostConfig { node, cluster, dir, tuning } = config;
        let (interval, hold) = (tuning.balance_interval, tuning.balance_hold);
        let pool = Arc::new(Pool::new(cluster, node, tuning, Handle::current()));
        let opening = groups.into_iter().map(|id| {
            let (pool, raft_config) = (Arc::clone(&pool), Arc::clone(&raft_config));
            let (log, shared) = (LogStore::new(Arc::clone(&log), id), shared.clone());
            let dir = dir.join(format!("g{id}"));
            async move {
                let opened = tokio::task::spawn_blocking(move || open(id, &dir, &shared)).await;
                let opened =
                    opened.map_err(|panic| StartError::Raft { group: id, reason: panic.to_string() })??;
                let group = Group::start(pool, raft_config, log, opened.replica, opened.data).await?;
                Ok::<_, StartError>((group, opened.catalog))
            }
        });
        let mut catalog = None;
        let mut started = BTreeMap::new();
        for (group, cell) in try_join_all(opening).await? {
            catalog = catalog.or(cell);
            started.insert(group.id(), group);
        }
        let (barriers, waiting) = mpsc::channel(barriers::QUEUE);
        let host = Arc::new(Self {
            pool,
            barriers,
            groups: started,
            catalog: catalog.unwrap_or_else(|| Arc::new(CatalogCell::new(Catalog::default()))),
            stopping: watch::Sender::new(false),
            tasks: Mutex::new(Vec::new()),
        });
        let mut tasks = vec![
            tokio::spawn(balance::run(Arc::downgrade(&host), interval, hold)),
            tokio::spawn(barriers::serve(Arc::downgrade(&host), waiting)),
        ];
        let (turn, rewrite_turn) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1)));
        for group in host.groups.values() {
            tasks.push(tokio::spawn(compaction::run(Arc::downgrade(group), Arc::clone(&turn))));
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

    /// A group that has a replica here.
    pub fn group(&self, id: GroupId) -> Option<Arc<Group>> {
        self.groups.get(&id).cloned()
    }

    /// All groups that have a replica here, in order of their ids.
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

    /// The state of all groups as another node of the catalog sees them.
    ///
    /// # Errors
    ///
    /// [`PeerError`] when the node is unknown or did not answer.
    pub async fn peer_status(&self, node: NodeId, timeout: Duration) -> Result<Vec<GroupStatus>, PeerError> {
        if node == self.node() {
            return Ok(self.groups.values().map(|group| group.status()).collect());
        }
        let catalog = self.catalog();
        let info = catalog
            .nodes
            .get(&node)
            .ok_or_else(|| PeerError::Refused { node, reason: "the catalog does not know it".to_owned() })?;
        let peer = Peer { pool: &self.pool, group: GroupId::META, node, address: &info.peer_addr };
        let reply = peer.status(timeout).await?;
        Ok(reply.groups.into_iter().map(GroupStatus::from_wire).collect())
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
        let flushes = self.groups.values().map(|group| {
            let replica = Arc::clone(group.replica());
            tokio::task::spawn_blocking(move || {
                if let Err(error) = replica.state.flush() {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(group = %replica.group, error, "state not flushed");
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
        while self.groups.values().any(|group| Arc::strong_count(group.replica()) > 1)
            && Instant::now() < until
        {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Opens or creates a group's state.
fn open(group: GroupId, dir: &Path, shared: &Shared) -> Result<Opened, StartError> {
    let io = |source| StartError::Io { group, source };
    let failed = |error| match error {
        StateError::Storage(source) => StartError::Storage { group, source },
        StateError::Command { .. } | StateError::Marker(_) | StateError::Catalog(_) => {
            StartError::Damaged { group, reason: error.to_string() }
        }
    };
    std::fs::create_dir_all(dir).map_err(io)?;
    let snapshots = Snapshots::open(dir.join("snapshots")).map_err(io)?;
    let checksums = Arc::new(Checksums::default());
    let path = dir.join("state");
    let (state, data, catalog): (Arc<dyn GroupState>, _, _) = if group.is_meta() {
        let state = MetaState::open(&path, shared, Arc::clone(&checksums)).map_err(failed)?;
        let catalog = state.catalog();
        (Arc::new(state), None, Some(catalog))
    } else {
        let state = DataState::open(&path, shared, Arc::clone(&checksums)).map_err(failed)?;
        let store = state.store();
        (Arc::new(state), Some(store), None)
    };
    let replica = Replica::new(group, state, snapshots, checksums)
        .map_err(|error| StartError::Damaged { group, reason: error.to_string() })?;
    Ok(Opened { replica: Arc::new(replica), data, catalog })
}

/// Hands a led group to the other voter that has most of the log, if one answers.
async fn give_away(group: &Group, limit: Duration) {
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
