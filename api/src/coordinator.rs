//! All that HTTP asks of a cluster. `node` implements it; tests implement it with a stub.

use crate::operator::{Order, OrderError};
use crate::statistics::Statistic;
use bytes::Bytes;
use futures::future::BoxFuture;
use model::catalog::{Catalog, User};
use query::influxql::ast::Statement;
use query::result::StatementResult;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What the HTTP surface needs to answer.
pub trait Coordinator: Send + Sync + Debug + 'static {
    /// Whether a database of this name exists. `/write` asks before it reads the body, as 1.x does. Waits for the
    /// catalog to be current only when this node does not know the database.
    fn database_exists<'a>(&'a self, database: &'a str) -> BoxFuture<'a, bool>;

    /// Databases and users, to decide who may do what.
    ///
    /// # Errors
    ///
    /// [`ExecuteError::Unavailable`] when it must be [`Currency::Current`] and the cluster does not answer.
    fn catalog(&self, currency: Currency) -> BoxFuture<'_, Result<Arc<Catalog>, ExecuteError>>;

    /// Whether this is the user's password. Costly the first time, cheap for a password that was right before.
    fn verify_password<'a>(
        &'a self,
        user: &'a User,
        password: &'a str,
    ) -> BoxFuture<'a, Result<bool, VerifyError>>;

    /// Stores every good line of a body. Returns when a majority of each group concerned has its points on disk and
    /// its leader has applied them. Parks through elections, up to the write timeout.
    fn write(&self, request: WriteRequest) -> BoxFuture<'_, Result<(), WriteError>>;

    /// Runs one statement.
    fn execute(&self, request: ExecuteRequest) -> BoxFuture<'_, Result<StatementResponse, ExecuteError>>;

    /// Whether this node can serve, and if not, why.
    fn readiness(&self) -> Readiness;

    /// Nodes, groups, leaders, terms, indexes, lag: `GET /admin/v1/cluster`.
    fn cluster(&self) -> BoxFuture<'_, Result<serde_json::Value, AdminError>>;

    /// Carries out an operator's order, or answers a question of one, as JSON.
    fn operate(&self, order: Order) -> BoxFuture<'_, Result<serde_json::Value, OrderError>>;

    /// The checksum of every group on every node, each computed at one log index: `POST /admin/v1/checksum`.
    fn checksum(&self) -> BoxFuture<'_, Result<serde_json::Value, AdminError>>;

    /// Prometheus text of this node's metrics.
    fn metrics(&self) -> String;

    /// What this node counts, by the names of InfluxDB 1.x: `/debug/vars`.
    fn statistics(&self) -> Vec<Statistic> {
        Vec::new()
    }

    /// When this node began to serve, and what time it is: ns since the epoch.
    fn times_ns(&self) -> (i64, i64) {
        (0, 0)
    }
}

/// How new a catalog must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Currency {
    /// As this node has it.
    Local,
    /// With every change that was acknowledged before.
    Current,
}

/// Too many passwords wait to be verified. HTTP 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords wait to be verified")]
pub struct VerifyError;

/// `/write`, after the body was received and inflated.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// `db`.
    pub database: String,
    /// `rp`; empty is the default policy.
    pub policy: String,
    /// `precision`: ns per unit of a line's timestamp (1, 1_000, …, 3_600_000_000_000).
    pub precision_ns: i64,
    /// `consistency`, in lower case; empty or one of `any one quorum all`, else the write is refused *after* parsing.
    pub consistency: String,
    /// Line protocol. It counts as in flight until its last clone is dropped.
    pub body: Bytes,
}

/// Why not every line was stored. `Display` is the 1.x error text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// 404. Nothing was stored.
    #[error("database not found: {0:?}")]
    DatabaseNotFound(String),
    /// 500 as in 1.x. Nothing was stored.
    #[error("retention policy not found: {0}")]
    PolicyNotFound(String),
    /// 400: every line is bad (the joined texts), or the batch as a whole is. Nothing was stored.
    #[error("{0}")]
    Rejected(String),
    /// 400: the good lines were stored, the others dropped. Starts with `partial write: `.
    #[error("{0}")]
    Partial(String),
    /// 500 `timeout`: not all groups answered within the write timeout. The outcome is unknown; the same body may be
    /// sent again.
    #[error("timeout")]
    Timeout,
    /// 503: too many bytes in flight. Nothing was stored; send again later.
    #[error("{0}")]
    Overloaded(String),
    /// 503: there is no room on the disk. Nothing was stored; send again later.
    #[error("{0}")]
    Full(String),
    /// 500: this node cannot serve (its disk failed, it is stopping). The outcome is unknown.
    #[error("{0}")]
    Internal(String),
}

/// One statement with its surroundings.
#[derive(Debug, Clone)]
pub struct ExecuteRequest {
    /// What to run.
    pub statement: Statement,
    /// `db`; may be empty.
    pub database: String,
    /// `rp`; may be empty.
    pub policy: String,
    /// Whether the request came by GET: a statement that changes something is run all the same, with a warning.
    pub read_only: bool,
    /// Rows each chunk of a chunked answer holds; `None` when the answer is not chunked.
    pub chunk_rows: Option<usize>,
    /// How fresh the answer must be.
    pub reading: Reading,
    /// When the request began: its statements share one query timeout.
    pub begun: Instant,
}

/// How fresh an answer must be, as the request says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// `consistency`. `None`: strong, and stale where a group has no quorum and the operator allows that.
    pub consistency: Option<Consistency>,
    /// `max_staleness`: what is older is no answer. It bounds stale reads, whatever made them so.
    pub max_staleness: Option<Duration>,
}

/// What a read must see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// Everything that was acknowledged before; without a quorum there is no answer.
    Strong,
    /// As strong: a node that was restarted has forgotten the leases it gave, so none is trusted.
    Lease,
    /// What the replica has, without asking others.
    Stale,
}

/// How old an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Staleness {
    /// Everything acknowledged so long ago is in it.
    pub age: Duration,
    /// It may be older still: the replica was opened so long ago and has not been known to be current since.
    pub at_least: bool,
    /// Why it is not current.
    pub cause: StaleCause,
}

/// Why an answer is not current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleCause {
    /// The client asked for a stale one.
    AskedFor,
    /// A group had no quorum.
    NoQuorum,
}

impl Staleness {
    /// The worse of two.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let cause = if self.cause == StaleCause::AskedFor { other.cause } else { self.cause };
        Self { age: self.age.max(other.age), at_least: self.at_least || other.at_least, cause }
    }
}

/// A statement's answer and how fresh it is.
#[derive(Debug, Clone, Default)]
pub struct StatementResponse {
    /// Series and messages.
    pub result: StatementResult,
    /// Set when some group answered from what it had, without making sure that this is all.
    pub stale: Option<Staleness>,
    /// Groups that could not answer at all and are missing from the result.
    pub missing_groups: Vec<u32>,
    /// To be kept until the result is encoded.
    pub registration: Option<Arc<dyn Registration>>,
}

/// A statement's place among those that run: as long as it is held, the statement is listed, can be killed, and what its
/// result takes counts as memory of queries.
pub trait Registration: Send + Sync + Debug {
    /// Whether somebody killed the statement, so that its answer is not wanted.
    fn is_killed(&self) -> bool;
}

/// Why a statement has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// The statement is wrong or refused, as in 1.x: HTTP 200 with the text in the result.
    #[error("{0}")]
    Statement(String),
    /// HTTP 503: a group has no quorum, or no replica answered in time.
    #[error("{0}")]
    Unavailable(String),
    /// HTTP 422: a limit that 1.x does not have was exceeded. Those of 1.x are [`ExecuteError::Statement`].
    #[error("{0}")]
    LimitExceeded(String),
    /// HTTP 500: a replica is damaged or stopping.
    #[error("{0}")]
    Internal(String),
}

/// An admin call that failed; HTTP 503 with the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AdminError(pub String);

/// The answer of `/readyz` and `/startupz`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Recovery of all local groups is over.
    pub started: bool,
    /// Requests are welcome.
    pub ready: bool,
    /// What is missing, one line each.
    pub reasons: Vec<String>,
}
