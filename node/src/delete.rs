//! DELETE, DROP SERIES and DROP MEASUREMENT: told to every data group.

use crate::catalog::ChangeError;
use crate::coordinator::NodeCoordinator;
use crate::query::execute_error;
use api::coordinator::{ExecuteError, ExecuteRequest};
use futures::future::try_join_all;
use model::GroupId;
use query::ShowContext;
use tokio::time::Instant;

impl NodeCoordinator {
    /// Runs a statement that deletes points; `None` if it is none. On an error some groups may have deleted theirs;
    /// the statement may be run again.
    pub(crate) async fn run_delete(
        &self,
        request: &ExecuteRequest,
        deadline: Instant,
    ) -> Option<Result<(), ExecuteError>> {
        if !query::delete::is_delete(&request.statement) {
            return None;
        }
        Some(self.delete_points(request, deadline).await)
    }

    async fn delete_points(&self, request: &ExecuteRequest, deadline: Instant) -> Result<(), ExecuteError> {
        // What another node has acknowledged may be of a measurement that this one has not heard of.
        let meta = self.host.group(GroupId::META).ok_or(ChangeError::NoGroup(GroupId::META))?;
        let barrier = meta.read_barrier(deadline).await;
        barrier.map_err(|error| ExecuteError::Unavailable(format!("group {}: {error}", GroupId::META)))?;
        let catalog = self.host.catalog();
        let context = ShowContext {
            catalog: &catalog,
            database: &request.database,
            policy: "",
            now_ns: self.clock.now_ns(),
        };
        let deletes = query::delete::deletes(&request.statement, &context).map_err(execute_error)?;
        let groups = self.host.groups().into_iter().filter(|group| !group.id().is_meta());
        let submissions = groups.map(|group| {
            let deletes = &deletes;
            async move {
                for delete in deletes {
                    group.submit(raft::command::delete(delete), deadline).await?;
                }
                Ok::<_, ChangeError>(())
            }
        });
        try_join_all(submissions).await?;
        Ok(())
    }
}
