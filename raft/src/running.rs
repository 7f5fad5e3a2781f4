//! The statements that run on a node, as the others are told of them. Only the transport is here: `node` knows what a
//! statement is and how to end one ([`RunningQueries`]).

use crate::error::PeerError;
use crate::host::RaftHost;
use model::NodeId;
use proto::peer as wire;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// A statement that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningQuery {
    /// Unique in the cluster.
    pub id: u64,
    /// The statement; a long one is cut.
    pub text: String,
    /// `db` of the request; may be empty.
    pub database: String,
    /// Since it began.
    pub running: Duration,
    /// It was told to end and has not yet.
    pub killed: bool,
}

/// What the peer service asks its node about statements. Called on the runtime of Raft; must not block.
pub trait RunningQueries: Send + Sync + Debug + 'static {
    /// All that run, in order of their ids.
    fn list(&self) -> Vec<RunningQuery>;

    /// Tells one to end; false if there is none of this id.
    fn kill(&self, id: u64) -> bool;
}

impl RunningQuery {
    pub(crate) fn into_wire(self) -> wire::RunningQuery {
        wire::RunningQuery {
            id: self.id,
            text: self.text,
            database: self.database,
            micros_since_start: u64::try_from(self.running.as_micros()).unwrap_or(u64::MAX),
            killed: self.killed,
        }
    }

    fn from_wire(query: wire::RunningQuery) -> Self {
        Self {
            id: query.id,
            text: query.text,
            database: query.database,
            running: Duration::from_micros(query.micros_since_start),
            killed: query.killed,
        }
    }
}

impl RaftHost {
    /// From now on other nodes are told of these statements.
    pub fn set_running_queries(&self, queries: Arc<dyn RunningQueries>) {
        // Set once, by the one start.
        let _already = self.running_queries.set(queries);
    }

    /// The statements that run on another node of the catalog.
    ///
    /// # Errors
    ///
    /// [`PeerError`] when the node is unknown or did not answer.
    pub async fn peer_queries(
        &self,
        node: NodeId,
        timeout: Duration,
    ) -> Result<Vec<RunningQuery>, PeerError> {
        let address = self.peer_address(node)?;
        let reply = self.peer(node, &address).queries(timeout).await?;
        Ok(reply.queries.into_iter().map(RunningQuery::from_wire).collect())
    }

    /// Ends a statement on another node of the catalog; false if there is none of this id.
    ///
    /// # Errors
    ///
    /// [`PeerError`] when the node is unknown or did not answer; the statement may have been told to end.
    pub async fn peer_kill(&self, node: NodeId, id: u64, timeout: Duration) -> Result<bool, PeerError> {
        let address = self.peer_address(node)?;
        Ok(self.peer(node, &address).kill_query(id, timeout).await?.found)
    }
}
