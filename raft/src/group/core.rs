//! One run of a group's Raft over its replica. [`super::Group`] holds it and replaces it when the replica is opened
//! anew; nobody else keeps it for longer than a call.

use super::RaftInstance;
use crate::error::StartError;
use crate::log_store::LogStore;
use crate::network::client::Factory;
use crate::network::pool::Pool;
use crate::state_machine::{Replica, StateMachine};
use model::GroupId;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use storage::ShardStore;
use tokio::time::{Instant, sleep};

/// How long an end waits for openraft's tasks to let go of the replica.
const RELEASE_MAX: Duration = Duration::from_secs(5);

/// Raft, and the replica it drives.
pub(crate) struct Core {
    pub(crate) raft: RaftInstance,
    pub(crate) replica: Arc<Replica>,
    pub(crate) data: Option<Arc<ShardStore>>,
    pub(crate) log: LogStore,
}

impl Core {
    /// Starts Raft on the current runtime: applies again what a crash took from the state, then joins in.
    pub(crate) async fn start(
        pool: &Arc<Pool>,
        config: Arc<openraft::Config>,
        log: LogStore,
        replica: Arc<Replica>,
        data: Option<Arc<ShardStore>>,
    ) -> Result<Self, StartError> {
        let id = replica.group;
        let state_machine = StateMachine::start(Arc::clone(&replica))
            .map_err(|source| StartError::Io { group: id, source })?;
        let factory = Factory { pool: Arc::clone(pool), group: id };
        let raft = RaftInstance::new(pool.node.0, config, factory, log.clone(), state_machine)
            .await
            .map_err(|fatal| StartError::Raft { group: id, reason: fatal.to_string() })?;
        Ok(Self { raft, replica, data, log })
    }

    /// Ends Raft. Nothing is flushed.
    pub(crate) async fn shutdown(&self, group: GroupId) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::error!(%group, %error, "raft task panicked");
        }
    }

    /// Ends Raft, and returns when nothing of it uses the replica any more.
    pub(crate) async fn end(self: Arc<Self>, group: GroupId) {
        self.shutdown(group).await;
        let replica = Arc::downgrade(&self.replica);
        drop(self);
        let until = Instant::now() + RELEASE_MAX;
        while replica.strong_count() > 0 && Instant::now() < until {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("group", &self.replica.group).finish_non_exhaustive()
    }
}
