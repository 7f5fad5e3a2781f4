//! A node within another process: all of it but the ports, the configuration and the clock, which its owner brings.
//!
//! Made for simulations, which run many nodes on one thread in virtual time. The steps are those of [`crate::start`]:
//! identity, log, groups, coordinator, the loops beside the requests.

use crate::bootstrap::{self, Membership};
use crate::clock;
use crate::coordinator::{About, NodeCoordinator, RequestLimits};
use crate::identity::{Identity, Volume};
use crate::maintenance;
use crate::subscribers::SubscriberLimits;
use crate::write::SeriesLimits;
use anyhow::Context;
use api::Coordinator;
use api::coordinator::{ExecuteError, ExecuteRequest, Reading, WriteError, WriteRequest};
use bytes::Bytes;
use model::catalog::NodeInfo;
use model::feature_level::FEATURE_LEVEL;
use model::{Clock, GroupId};
use parking_lot::Mutex;
use query::influxql::parse_statement;
use query::result::StatementResult;
use raft::HostConfig;
use raft::peer::PeerControl;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Weak;
use std::time::Duration;
use storage::log::{LogDb, LogOptions};
use storage::{Shared, StorageConfig};
use tokio::time::Instant;

pub use api::operator::{Order, OrderError};
pub use query::result::Cell;
pub use raft::simulation::{AppliedEntry, Simulation, simulate};
pub use raft::{Connect, Group, GroupStatus, PeerServer, RaftHost, Role, Transport, Tuning};
pub use storage::bugs;
pub use storage::log::SyncFaults;

/// Longer than anything takes.
const QUERY_TIMEOUT: Duration = Duration::from_secs(86_400);

/// What the owner brings.
#[derive(Debug, Clone)]
pub struct EmbeddedConfig {
    /// Where the node keeps everything.
    pub data_dir: PathBuf,
    /// Under which peer address the others reach it.
    pub address: String,
    /// Peer addresses of the founding members.
    pub peers: Vec<String>,
    /// Data groups of a cluster that is founded now.
    pub groups: u32,
    /// How many replicas they have then.
    pub replication_factor: u32,
    /// Times and sizes of the groups.
    pub tuning: Tuning,
    /// How the others are reached.
    pub connect: Arc<dyn Connect>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// How long a write is parked at most.
    pub write_timeout: Duration,
    /// Faults of the log's disk.
    pub log_faults: SyncFaults,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// Acknowledged.
    Stored,
    /// Not stored, for sure.
    Refused(String),
    /// Stored or not, now or later.
    Unknown(String),
}

/// The answer to a statement.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Series and messages.
    pub result: StatementResult,
    /// Set if some group had no quorum and answered from what it had.
    pub stale: bool,
}

/// A node that starts, runs or failed.
#[derive(Debug)]
pub struct Embedded {
    config: EmbeddedConfig,
    membership: Arc<Membership>,
    peers: Arc<PeerServer>,
    log: Mutex<Weak<LogDb>>,
    running: Mutex<Option<Arc<NodeCoordinator>>>,
    failure: Mutex<Option<String>>,
}

impl Embedded {
    /// Starts on the current runtime, in the background. The log has no thread: [`Self::write_log_round`] is its writer.
    ///
    /// # Errors
    ///
    /// The data directory cannot be used.
    pub fn start(config: EmbeddedConfig) -> anyhow::Result<Arc<Self>> {
        let has_others = config.peers.iter().any(|peer| *peer != config.address);
        let volume = Volume::open(&config.data_dir, has_others)?;
        let info = NodeInfo { peer_addr: config.address.clone(), ..NodeInfo::default() };
        let membership =
            Arc::new(Membership::open(volume, info, FEATURE_LEVEL, Arc::clone(&config.connect))?);
        let peers = PeerServer::new(Arc::clone(&membership) as Arc<dyn PeerControl>);
        let (log, running, failure) = (Mutex::default(), Mutex::default(), Mutex::default());
        let node = Arc::new(Self { config, membership, peers, log, running, failure });
        let starting = Arc::clone(&node);
        tokio::spawn(async move {
            if let Err(error) = starting.run().await {
                *starting.failure.lock() = Some(format!("{error:#}"));
            }
        });
        Ok(node)
    }

    async fn run(self: &Arc<Self>) -> anyhow::Result<()> {
        let config = &self.config;
        let quiet = |_: String| {};
        let identity =
            self.membership.find(&config.peers, (config.groups, config.replication_factor), &quiet).await?;
        let host = self.start_groups(&identity).await?;
        self.peers.attach(&host);
        tokio::spawn(bootstrap::spread(identity.clone(), Arc::clone(&config.connect)));
        let about = About {
            http: Arc::default(),
            bind: config.address.clone(),
            started_ns: config.clock.now_ns(),
            certificates: Arc::default(),
        };
        let clock = Arc::clone(&config.clock);
        let node = Arc::new(NodeCoordinator::new(Arc::clone(&host), clock, self.limits(), about));
        tokio::spawn(maintenance::found_groups(Arc::clone(&node), identity.clone()));
        let info = self.membership.info().clone();
        tokio::spawn(maintenance::publish(Arc::clone(&node), identity, info));
        tokio::spawn(clock::agree(Arc::clone(&node)));
        *self.running.lock() = Some(node);
        let damage = host.log_damaged().await;
        Err(damage).context("raft log")
    }

    async fn start_groups(&self, identity: &Identity) -> anyhow::Result<Arc<RaftHost>> {
        let config = &self.config;
        let options =
            LogOptions { by_hand: true, faults: config.log_faults.clone(), ..LogOptions::default() };
        let log = LogDb::open_with(&config.data_dir.join("raftlog"), options).context("raft log")?;
        *self.log.lock() = Arc::downgrade(&log);
        let small = StorageConfig {
            block_cache_bytes: 8 << 20,
            write_buffer_bytes: 16 << 20,
            ..StorageConfig::default()
        };
        let shared = Shared::new(&small).context("storage")?;
        let host = HostConfig {
            node: identity.node_id(),
            cluster: identity.record.cluster.clone(),
            dir: config.data_dir.join("groups"),
            founding: identity.record.placement().groups,
            tuning: config.tuning.clone(),
            connect: Arc::clone(&config.connect),
        };
        let groups = (0..=identity.record.groups).map(GroupId).collect();
        RaftHost::start(host, log, shared, groups).await.context("groups")
    }

    fn limits(&self) -> RequestLimits {
        RequestLimits {
            write_timeout: self.config.write_timeout,
            // Its budget goes by the clock of the machine, which a simulation is not to feel.
            query_timeout: QUERY_TIMEOUT,
            barrier_timeout: self.config.write_timeout / 2,
            stale_reads: true,
            series: SeriesLimits { series_max: 1_000_000, values_max: 100_000 },
            query: query::QueryLimits::default(),
            query_memory_bytes: 256 << 20,
            query_slots: 16,
            queries_queued_max: 64,
            subscribers: SubscriberLimits { queue_bytes: 1 << 20, timeout: Duration::from_secs(1) },
        }
    }

    /// The peer service: what the other nodes' requests are given to.
    pub fn peers(&self) -> Arc<PeerServer> {
        Arc::clone(&self.peers)
    }

    /// The uuid of the cluster that its volume belongs to, if it does.
    pub fn cluster(&self) -> Option<String> {
        let told = PeerControl::identity(&*self.membership).cluster;
        (!told.is_empty()).then_some(told)
    }

    /// The groups, once they are open.
    pub fn host(&self) -> Option<Arc<RaftHost>> {
        Some(Arc::clone(&self.running.lock().as_ref()?.host))
    }

    /// Why the node could not start or can do nothing any more.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    /// Does what the log's writer would do next; answers whether anything was synced, or nothing if there was nothing to do.
    pub fn write_log_round(&self) -> Option<bool> {
        match self.host() {
            Some(host) => host.write_log_round(),
            None => self.log.lock().upgrade()?.write_round(),
        }
    }

    /// `POST /write` of line protocol with times in ns.
    pub async fn write(&self, database: &str, lines: Vec<u8>) -> Written {
        let Some(node) = self.running.lock().clone() else {
            return Written::Refused("starting".to_owned());
        };
        let request = WriteRequest {
            database: database.to_owned(),
            policy: String::new(),
            precision_ns: 1,
            consistency: String::new(),
            body: Bytes::from(lines),
        };
        match Coordinator::write(&*node, request).await {
            Ok(()) => Written::Stored,
            Err(error @ (WriteError::Timeout | WriteError::Internal(_))) => {
                Written::Unknown(error.to_string())
            }
            Err(error) => Written::Refused(error.to_string()),
        }
    }

    /// `POST /query` of one statement.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn query(&self, database: &str, statement: &str) -> Result<Answer, String> {
        let Some(node) = self.running.lock().clone() else { return Err("starting".to_owned()) };
        let statement = parse_statement(statement).map_err(|error| error.to_string())?;
        let request = ExecuteRequest {
            statement,
            database: database.to_owned(),
            policy: String::new(),
            read_only: false,
            chunk_rows: None,
            reading: Reading::default(),
            begun: Instant::now(),
        };
        let answered = Coordinator::execute(&*node, request).await;
        let response = answered.map_err(|error: ExecuteError| error.to_string())?;
        Ok(Answer { result: response.result, stale: response.stale.is_some() })
    }

    /// What an operator tells the cluster to do; see the admin API.
    ///
    /// # Errors
    ///
    /// Why it was not done, or may not have been.
    pub async fn order(&self, order: Order) -> Result<serde_json::Value, OrderError> {
        let Some(node) = self.running.lock().clone() else {
            return Err(OrderError::Unavailable("starting".to_owned()));
        };
        Coordinator::operate(&*node, order).await
    }

    /// Compares the checksums of all replicas at one index a group; answers what differs.
    ///
    /// # Errors
    ///
    /// Not all replicas could be asked.
    pub async fn compare_checksums(&self) -> Result<Option<String>, String> {
        let Some(node) = self.running.lock().clone() else { return Err("starting".to_owned()) };
        let compared = Coordinator::checksum(&*node).await.map_err(|error| error.to_string())?;
        let text = compared.to_string();
        if text.contains("\"error\"") {
            return Err(text);
        }
        Ok((compared["equal"] != serde_json::Value::Bool(true)).then_some(text))
    }
}
