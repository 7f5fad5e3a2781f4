//! DELETE, DROP SERIES and DROP MEASUREMENT: told to every data group.

mod lists;

use crate::catalog::ChangeError;
use crate::coordinator::NodeCoordinator;
use crate::query::execute_error;
use crate::replicas::is_read_here;
use api::coordinator::{Consistency, ExecuteError, ExecuteRequest, Reading};
use futures::future::try_join_all;
use lists::ListError;
use model::delete::Measurements;
use model::{Delete, GroupId};
use query::ShowContext;
use raft::{Group, blocking};
use std::sync::Arc;
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
        if deletes.iter().any(|delete| lists::has_expression(&delete.predicate)) {
            // So that the local replicas know the values that were acknowledged.
            let current = Reading { consistency: Some(Consistency::Strong), ..Reading::default() };
            self.freshen(current, deadline).await?;
        }
        let deletes = Arc::new(deletes);
        let groups = self.host.groups().into_iter().filter(|group| !group.id().is_meta());
        let submissions = groups.map(|group| {
            let deletes = Arc::clone(&deletes);
            async move {
                for delete in prepared(&group, deletes, deadline).await? {
                    group
                        .submit(raft::command::delete(&delete), deadline)
                        .await
                        .map_err(ChangeError::from)?;
                }
                Ok::<_, ExecuteError>(())
            }
        });
        try_join_all(submissions).await?;
        Ok(())
    }
}

/// What a group is told: deletions whose expressions take no time. Without a replica here they are told as they are.
async fn prepared(
    group: &Group,
    deletes: Arc<Vec<Delete>>,
    deadline: Instant,
) -> Result<Vec<Delete>, ExecuteError> {
    let has_expression = deletes.iter().any(|delete| lists::has_expression(&delete.predicate));
    // One that is still being filled does not know all values.
    let store = group.data_store().filter(|_| has_expression && is_read_here(group));
    let Some(store) = store else { return Ok(deletes.to_vec()) };
    let work = move || {
        let stopped = || Instant::now() >= deadline;
        let reader = store.reader_until(Arc::new(move || Instant::now() >= deadline));
        let mut prepared = Vec::with_capacity(deletes.len());
        for delete in &*deletes {
            match &delete.measurements {
                Measurements::Named(name) => {
                    prepared.extend(lists::prepared_for(delete, name, &*reader, &stopped)?);
                }
                Measurements::All | Measurements::Match(_) => prepared.push(delete.clone()),
            }
        }
        Ok(prepared)
    };
    let listed = blocking::run(work).await;
    let listed = listed.map_err(|panic| ExecuteError::Internal(format!("statement failed: {panic}")))?;
    listed.map_err(|error: ListError| ExecuteError::Statement(error.to_string()))
}
