//! Changes of the catalog: proposed to the meta group, then carried to the data groups where points must go too.

use crate::coordinator::{NodeCoordinator, submit_error};
use crate::everywhere::concerns_all;
use api::coordinator::{ExecuteError, WriteError};
use futures::future::try_join_all;
use model::catalog::{Catalog, CatalogCommand};
use model::{DatabaseId, GroupId, RetentionPolicyId};
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

impl ChangeError {
    /// As the answer to a write. A refusal can only mean that the database is gone.
    pub(crate) fn into_write_error(self, database: &str) -> WriteError {
        match self {
            Self::Refused(_) => WriteError::DatabaseNotFound(database.to_owned()),
            Self::Submit(error) => submit_error(error),
            Self::NoGroup(_) => WriteError::Internal(self.to_string()),
        }
    }
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

    /// Runs a DDL statement's command, and removes the points of what it dropped.
    pub(crate) async fn run_ddl(
        &self,
        command: CatalogCommand,
        deadline: Instant,
    ) -> Result<(), ExecuteError> {
        let dropped = match &command {
            CatalogCommand::DropDatabase { name } => {
                let catalog = self.catalog_with(name, deadline).await;
                catalog.database(name).map(|d| {
                    let policies = d.policies.iter().map(|p| p.id).collect();
                    Dropped::Database(d.id, policies)
                })
            }
            CatalogCommand::DropRetentionPolicy { database, policy } => {
                let catalog = self.catalog_with(database, deadline).await;
                let found = catalog.database(database).and_then(|d| Some(d.policy(policy)?.id));
                found.map(Dropped::Policy)
            }
            CatalogCommand::Bootstrap { .. }
            | CatalogCommand::PutNode { .. }
            | CatalogCommand::Replace { .. }
            | CatalogCommand::RemoveNode { .. }
            | CatalogCommand::Membership(_)
            | CatalogCommand::CreateDatabase { .. }
            | CatalogCommand::CreateRetentionPolicy { .. }
            | CatalogCommand::AlterRetentionPolicy { .. }
            | CatalogCommand::RegisterFields { .. }
            | CatalogCommand::CreateContinuousQuery { .. }
            | CatalogCommand::DropContinuousQuery { .. }
            | CatalogCommand::RecordContinuousRun { .. }
            | CatalogCommand::CreateUser { .. }
            | CatalogCommand::DropUser { .. }
            | CatalogCommand::SetPassword { .. }
            | CatalogCommand::SetAdmin { .. }
            | CatalogCommand::Grant { .. }
            | CatalogCommand::Revoke { .. }
            | CatalogCommand::CreateSubscription { .. }
            | CatalogCommand::DropSubscription { .. } => None,
        };
        if may_be_repeated(&command) {
            let catalog = self.current_catalog(deadline).await?;
            let refused = catalog.refuse_repeated(&command);
            refused.map_err(|error| ExecuteError::Statement(error.to_string()))?;
        }
        self.change_catalog(&command, deadline).await?;
        if concerns_all(&command) {
            self.wait_everywhere().await;
        }
        match dropped {
            Some(dropped) => Ok(self.drop_points(&dropped, deadline).await?),
            None => Ok(()),
        }
    }

    async fn drop_points(&self, dropped: &Dropped, deadline: Instant) -> Result<(), ChangeError> {
        let groups = self.host.groups().into_iter().filter(|g| !g.id().is_meta());
        let submissions = groups.map(|group| async move {
            let command = match dropped {
                Dropped::Database(id, policies) => raft::command::drop_database(*id, policies.clone()),
                Dropped::Policy(id) => raft::command::drop_policy(*id),
            };
            group.submit(command, deadline).await
        });
        try_join_all(submissions).await?;
        Ok(())
    }
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

enum Dropped {
    Database(DatabaseId, Vec<RetentionPolicyId>),
    Policy(RetentionPolicyId),
}
