//! Statements about users: passwords are hashed here, before anything is proposed, and a change is known to all nodes
//! before it is answered. A node that cannot be reached then keeps the users that it knows until it is back.

use crate::catalog::ChangeError;
use crate::coordinator::NodeCoordinator;
use crate::passwords::HashError;
use api::coordinator::ExecuteError;
use model::catalog::{CatalogCommand, CatalogError, User};
use query::influxql::ast::{CreateUser, SetPassword, Statement};
use tokio::time::Instant;

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
}

fn hash_error(error: HashError) -> ExecuteError {
    match error {
        HashError::Busy(error) => ExecuteError::Unavailable(error.to_string()),
        HashError::Failed(_) => ExecuteError::Internal(error.to_string()),
    }
}
