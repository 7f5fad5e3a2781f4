//! Statements about users: passwords are hashed here, before anything is proposed, and a change is known to all nodes
//! before it is answered.
//!
//! Requests are checked against the local catalog, because a round to the other nodes for each of them would be paid by
//! every collector. So it is the rare statement that waits: until every node that can be reached has applied it. A node
//! that cannot be reached then keeps the users that it knows until it is back.

use crate::catalog::ChangeError;
use crate::coordinator::NodeCoordinator;
use crate::passwords::HashError;
use api::coordinator::ExecuteError;
use futures::future::join_all;
use model::catalog::{CatalogCommand, CatalogError, User};
use model::{GroupId, NodeId};
use query::influxql::ast::{CreateUser, SetPassword, Statement};
use std::time::Duration;
use tokio::time::Instant;

/// How long the other nodes may take to apply a change, and to say so.
const EVERYWHERE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one of them may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between two questions; a follower hears of a commit with the next message.
const PAUSE: Duration = Duration::from_millis(5);

impl NodeCoordinator {
    /// Runs a statement with a password; `None` if it has none.
    pub(crate) async fn run_password_statement(
        &self,
        statement: &Statement,
        deadline: Instant,
    ) -> Option<Result<(), ExecuteError>> {
        match statement {
            Statement::CreateUser(create) => Some(self.create_user(create, deadline).await),
            Statement::SetPassword(set) => Some(self.set_password(set, deadline).await),
            _ => None,
        }
    }

    /// As 1.x: the same user with the same password again is fine.
    async fn create_user(&self, create: &CreateUser, deadline: Instant) -> Result<(), ExecuteError> {
        let catalog = self.current_catalog(deadline).await?;
        if let Some(user) = catalog.user(&create.name) {
            return self.is_same_user(user, create).await;
        }
        if create.name.is_empty() {
            return Err(ExecuteError::Statement(CatalogError::UsernameRequired.to_string()));
        }
        let hash = self.passwords.hash(&create.password).await.map_err(hash_error)?;
        let command = CatalogCommand::CreateUser { name: create.name.clone(), hash, admin: create.admin };
        match self.change_catalog(&command, deadline).await {
            Ok(()) => self.wait_everywhere().await,
            Err(refused @ ChangeError::Refused(_)) => {
                // Another node may have created the same user meanwhile.
                let catalog = self.host.catalog();
                let user = catalog.user(&create.name).ok_or(refused)?;
                self.is_same_user(user, create).await?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn is_same_user(&self, user: &User, create: &CreateUser) -> Result<(), ExecuteError> {
        let verified = self.passwords.verify(&user.hash, &create.password).await;
        let right = verified.map_err(|error| ExecuteError::Unavailable(error.to_string()))?;
        if right && user.admin == create.admin {
            return Ok(());
        }
        Err(ExecuteError::Statement(CatalogError::UserExists.to_string()))
    }

    async fn set_password(&self, set: &SetPassword, deadline: Instant) -> Result<(), ExecuteError> {
        let catalog = self.current_catalog(deadline).await?;
        if catalog.user(&set.name).is_none() {
            return Err(ExecuteError::Statement(CatalogError::UserNotFound.to_string()));
        }
        let hash = self.passwords.hash(&set.password).await.map_err(hash_error)?;
        self.change_catalog(&CatalogCommand::SetPassword { name: set.name.clone(), hash }, deadline).await?;
        self.wait_everywhere().await;
        Ok(())
    }

    /// Waits until every node that can be reached has applied what this one has.
    pub(crate) async fn wait_everywhere(&self) {
        let Some(meta) = self.host.group(GroupId::META) else { return };
        let Some(index) = meta.status().applied else { return };
        let catalog = self.host.catalog();
        let others = catalog.nodes.keys().filter(|node| **node != self.host.node());
        join_all(others.map(|node| self.wait_at(*node, index))).await;
    }

    async fn wait_at(&self, node: NodeId, index: u64) {
        let deadline = Instant::now() + EVERYWHERE_TIMEOUT;
        while Instant::now() < deadline {
            match self.host.peer_status(node, ANSWER_TIMEOUT).await {
                Ok(groups) => {
                    let meta = groups.iter().find(|status| status.group == GroupId::META);
                    if meta.is_some_and(|status| status.applied >= Some(index)) {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%node, %error, "a change of users is not known there until it is back");
                    return;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        tracing::warn!(%node, "a change of users is not known there yet");
    }
}

fn hash_error(error: HashError) -> ExecuteError {
    match error {
        HashError::Busy(error) => ExecuteError::Unavailable(error.to_string()),
        HashError::Failed(_) => ExecuteError::Internal(error.to_string()),
    }
}
