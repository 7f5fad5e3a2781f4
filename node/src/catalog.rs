//! Changes of the catalog: proposed to the meta group, then told to the data groups where points must go too.

use crate::coordinator::NodeCoordinator;
use crate::everywhere::concerns_all;
use api::coordinator::ExecuteError;
use model::GroupId;
use model::catalog::{Catalog, CatalogCommand};
use raft::SubmitError;
use raft::command::Outcome;
use std::sync::Arc;
use tokio::time::Instant;

/// Why the catalog did not change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// The catalog refused it; 1.x's text.
    #[error("{0}")]
    Refused(String),
    /// The meta group did not answer.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// This node has no replica of a group it should have.
    #[error("no replica of group {0} on this node")]
    NoGroup(GroupId),
}

impl From<ChangeError> for ExecuteError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Refused(text) => Self::Statement(text),
            ChangeError::Submit(SubmitError::Timeout { .. } | SubmitError::Overloaded { .. }) => {
                Self::Unavailable(error.to_string())
            }
            ChangeError::Submit(_) | ChangeError::NoGroup(_) => Self::Internal(error.to_string()),
        }
    }
}

impl NodeCoordinator {
    /// The catalog with everything that was acknowledged before now.
    pub(crate) async fn current_catalog(&self, deadline: Instant) -> Result<Arc<Catalog>, ExecuteError> {
        let unavailable =
            |text: String| ExecuteError::Unavailable(format!("group {}: {text}", GroupId::META));
        let meta =
            self.host.group(GroupId::META).ok_or_else(|| unavailable("not on this node".to_owned()))?;
        let deadline = deadline.min(Instant::now() + self.limits.barrier_timeout);
        meta.read_barrier(deadline).await.map_err(|error| unavailable(error.to_string()))?;
        Ok(self.host.catalog())
    }

    /// Applies one command to the catalog and waits until this node has it too.
    pub(crate) async fn change_catalog(
        &self,
        command: &CatalogCommand,
        deadline: Instant,
    ) -> Result<(), ChangeError> {
        let meta = self.host.group(GroupId::META).ok_or(ChangeError::NoGroup(GroupId::META))?;
        let reply = meta.submit(raft::command::catalog(command), deadline).await?;
        // The leader has applied it; a follower that asked may not have yet, and its next step reads its own copy.
        if let Err(error) = meta.read_barrier(deadline).await {
            tracing::debug!(%error, "catalog change is not visible here yet");
        }
        match reply.outcome() {
            Outcome::Done => Ok(()),
            Outcome::Refused(text) => Err(ChangeError::Refused(text)),
        }
    }

    /// Runs a DDL statement's command. When it is done, the data groups have removed what was dropped, and refuse whatever
    /// is written to it by an older catalog: also before a name is given a second time.
    pub(crate) async fn run_ddl(
        &self,
        command: CatalogCommand,
        deadline: Instant,
    ) -> Result<(), ExecuteError> {
        let before = if drops(&command) { Some(self.current_catalog(deadline).await?) } else { None };
        if may_be_repeated(&command) {
            let catalog = self.current_catalog(deadline).await?;
            let refused = catalog.refuse_repeated(&command);
            refused.map_err(|error| ExecuteError::Statement(error.to_string()))?;
        }
        self.change_catalog(&command, deadline).await?;
        if concerns_all(&command) {
            self.wait_everywhere().await;
        }
        if before.is_some() || gives_ids(&command) {
            // The next step goes by the local copy.
            self.current_catalog(deadline).await?;
            self.host.refuse_dropped(before.as_deref(), deadline).await.map_err(ChangeError::from)?;
        }
        Ok(())
    }
}

/// Whether the command takes ids out of use.
fn drops(command: &CatalogCommand) -> bool {
    matches!(command, CatalogCommand::DropDatabase { .. } | CatalogCommand::DropRetentionPolicy { .. })
}

/// Whether the command gives new ids to a name that may have had others.
fn gives_ids(command: &CatalogCommand) -> bool {
    matches!(command, CatalogCommand::CreateDatabase { .. } | CatalogCommand::CreateRetentionPolicy { .. })
}

/// Whether the command is applied without an error where 1.x refuses the statement: it may be proposed twice, when its
/// first answer is lost, and must not tell of its own first application.
fn may_be_repeated(command: &CatalogCommand) -> bool {
    matches!(
        command,
        CatalogCommand::DropUser { .. }
            | CatalogCommand::CreateSubscription { .. }
            | CatalogCommand::DropSubscription { .. }
    )
}
