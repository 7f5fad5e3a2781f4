//! What the HTTP surface asks of this node. Delegates, decides nothing: `write.rs` stores, `query.rs` reads,
//! `catalog.rs` changes the catalog, `admin.rs` tells about the cluster.

use crate::clock::ClusterClock;
use crate::metrics::NodeMetrics;
use crate::operator::Events;
use crate::passwords::Passwords;
use crate::replicas::{ServedReads, Silent};
use crate::running::Running;
use crate::subscribers::{SubscriberLimits, Subscribers};
use crate::tls::Certificates;
use crate::turns::QueryTurns;
use crate::write::KEPT_BODIES_BYTES;
use api::HttpMetrics;
use api::coordinator::{
    AdminError, Currency, ExecuteError, ExecuteRequest, Readiness, StatementResponse, VerifyError,
    WriteError, WriteRequest,
};
use api::operator::{Order, OrderError};
use api::statistics::Statistic;
use futures::future::BoxFuture;
use model::catalog::{Catalog, User};
use model::{Clock, GroupId};
use query::MemoryPool;
use raft::{RaftHost, RunningQueries, SubmitError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use storage::ShardStore;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Soft limits of requests, from the configuration.
#[derive(Debug, Clone, Copy)]
pub struct RequestLimits {
    /// How long a write is parked at most.
    pub write_timeout: Duration,
    /// How long a statement may run.
    pub query_timeout: Duration,
    /// How long a statement waits for a group without a leader before it reads what is there.
    pub barrier_timeout: Duration,
    /// Whether a group without quorum may answer with what it has.
    pub stale_reads: bool,
    /// Per database: series, values of a tag.
    pub series: crate::write::SeriesLimits,
    /// Per query: memory, buckets, series.
    pub query: query::QueryLimits,
    /// Bytes that all queries together may hold.
    pub query_memory_bytes: u64,
    /// Statements that run at once; more of them wait.
    pub query_slots: usize,
    /// Statements that may wait.
    pub queries_queued_max: usize,
    /// What is on its way to subscribers.
    pub subscribers: SubscriberLimits,
}

/// What statistics tell beside what the coordinator counts.
#[derive(Debug, Clone)]
pub struct About {
    /// What the HTTP surface counts.
    pub http: Arc<HttpMetrics>,
    /// Where it listens.
    pub bind: String,
    /// When the node began to serve, ns since the epoch.
    pub started_ns: i64,
    /// What its ports show.
    pub(crate) certificates: Arc<Certificates>,
}

/// This node's implementation of [`api::Coordinator`].
#[derive(Debug)]
pub struct NodeCoordinator {
    pub(crate) host: Arc<RaftHost>,
    pub(crate) clock: Arc<ClusterClock>,
    pub(crate) limits: RequestLimits,
    pub(crate) metrics: NodeMetrics,
    pub(crate) turns: QueryTurns,
    /// Statements that run now, as the other nodes see them.
    pub(crate) running: Arc<Running>,
    /// What all statements together may hold.
    pub(crate) query_memory: Arc<MemoryPool>,
    pub(crate) passwords: Passwords,
    pub(crate) subscribers: Subscribers,
    /// Room for bodies that are kept until they are stored, in bytes.
    pub(crate) kept_bodies: Semaphore,
    /// Nodes that reads ask last.
    pub(crate) silent: Silent,
    pub(crate) about: About,
    pub(crate) stopping: AtomicBool,
    /// Whether the node has been ready since it started.
    pub(crate) settled: AtomicBool,
    pub(crate) events: Events,
}

impl NodeCoordinator {
    /// A coordinator over running groups.
    pub fn new(host: Arc<RaftHost>, clock: Arc<dyn Clock>, limits: RequestLimits, about: About) -> Self {
        let running = Arc::new(Running::new(host.node()));
        host.set_clock(Arc::clone(&clock));
        host.set_running_queries(Arc::clone(&running) as Arc<dyn RunningQueries>);
        let query_memory = Arc::new(MemoryPool::new(limits.query_memory_bytes));
        let served = ServedReads { limits: limits.query, pool: Arc::clone(&query_memory) };
        host.set_read_accounts(Arc::new(served));
        Self {
            host,
            clock: Arc::new(ClusterClock::new(clock)),
            limits,
            running,
            metrics: NodeMetrics::default(),
            turns: QueryTurns::new(limits.query_slots, limits.queries_queued_max),
            query_memory,
            passwords: Passwords::new(),
            subscribers: Subscribers::new(limits.subscribers, about.certificates.of_subscribers().clone()),
            kept_bodies: Semaphore::new(KEPT_BODIES_BYTES),
            silent: Silent::default(),
            about,
            stopping: AtomicBool::new(false),
            settled: AtomicBool::new(false),
            events: Events::default(),
        }
    }

    /// The local replicas of the data groups.
    pub(crate) fn stores(&self) -> BTreeMap<GroupId, Arc<ShardStore>> {
        let groups = self.host.groups().into_iter();
        groups.filter_map(|group| Some((group.id(), group.data_store()?))).collect()
    }
}

/// What a failed submission means to a client.
pub(crate) fn submit_error(error: SubmitError) -> WriteError {
    match error {
        SubmitError::Timeout { .. } => WriteError::Timeout,
        SubmitError::Overloaded { .. } => WriteError::Overloaded(error.to_string()),
        SubmitError::Refused { reason, .. } => WriteError::Full(reason),
        SubmitError::Stopped { .. } | SubmitError::Storage { .. } | SubmitError::Invalid(_) => {
            WriteError::Internal(error.to_string())
        }
    }
}

impl api::Coordinator for NodeCoordinator {
    fn database_exists<'a>(&'a self, database: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let deadline = Instant::now() + self.limits.barrier_timeout;
            self.catalog_with(database, deadline).await.database(database).is_some()
        })
    }

    fn catalog(&self, currency: Currency) -> BoxFuture<'_, Result<Arc<Catalog>, ExecuteError>> {
        Box::pin(async move {
            match currency {
                Currency::Local => Ok(self.host.catalog()),
                Currency::Current => self.current_catalog(Instant::now() + self.limits.barrier_timeout).await,
            }
        })
    }

    fn verify_password<'a>(
        &'a self,
        user: &'a User,
        password: &'a str,
    ) -> BoxFuture<'a, Result<bool, VerifyError>> {
        Box::pin(self.passwords.verify(&user.hash, password))
    }

    fn write(&self, request: WriteRequest) -> BoxFuture<'_, Result<(), WriteError>> {
        Box::pin(self.write_lines(request))
    }

    fn execute(&self, request: ExecuteRequest) -> BoxFuture<'_, Result<StatementResponse, ExecuteError>> {
        Box::pin(self.execute_statement(request))
    }

    fn readiness(&self) -> Readiness {
        self.tell_readiness()
    }

    fn cluster(&self) -> BoxFuture<'_, Result<serde_json::Value, AdminError>> {
        Box::pin(async move { Ok(self.tell_cluster().await) })
    }

    fn operate(&self, order: Order) -> BoxFuture<'_, Result<serde_json::Value, OrderError>> {
        Box::pin(self.carry_out(order))
    }

    fn checksum(&self) -> BoxFuture<'_, Result<serde_json::Value, AdminError>> {
        Box::pin(self.compare_checksums())
    }

    fn metrics(&self) -> String {
        self.render_metrics()
    }

    fn statistics(&self) -> Vec<Statistic> {
        NodeCoordinator::statistics(self)
    }

    fn times_ns(&self) -> (i64, i64) {
        (self.about.started_ns, self.clock.now_ns())
    }
}
