//! One statement: read barrier on every group, then plan, scatter, finish on blocking threads.

use crate::coordinator::NodeCoordinator;
use crate::scatter::LocalScatter;
use api::coordinator::{ExecuteError, ExecuteRequest, StatementResponse};
use model::catalog::Catalog;
use model::scan::GroupReader;
use query::influxql::ast::Statement;
use query::result::{Series, StatementResult};
use query::{Budget, PlanContext, QueryError, ShowContext};
use raft::{BarrierError, Group};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

impl NodeCoordinator {
    /// Runs one statement; see [`api::Coordinator::execute`].
    pub(crate) async fn execute_statement(
        &self,
        request: ExecuteRequest,
    ) -> Result<StatementResponse, ExecuteError> {
        let started = Instant::now();
        let deadline = started + self.limits.query_timeout;
        if let Statement::Select(select) = &request.statement
            && select.target.is_some()
        {
            let response = self.select_into(&request, select, deadline).await?;
            self.metrics.statement_done(started.elapsed());
            return Ok(response);
        }
        if let Statement::CreateContinuousQuery(create) = &request.statement {
            let deadline = started + self.limits.write_timeout;
            self.create_continuous_query(&request, create, deadline).await?;
            self.metrics.statement_done(started.elapsed());
            return Ok(StatementResponse::default());
        }
        let response = match query::ddl::catalog_command(&request.statement) {
            Some(command) => {
                let deadline = started + self.limits.write_timeout;
                self.run_ddl(command, deadline).await.map(|()| StatementResponse::default())?
            }
            None => match self.run_change(&request, started + self.limits.write_timeout).await {
                Some(changed) => changed.map(|()| StatementResponse::default())?,
                None => self.read(&request, deadline).await?,
            },
        };
        self.metrics.statement_done(started.elapsed());
        Ok(response)
    }

    /// Runs a statement that changes something and is no command of the catalog; `None` if it is none.
    async fn run_change(
        &self,
        request: &ExecuteRequest,
        deadline: Instant,
    ) -> Option<Result<(), ExecuteError>> {
        match self.run_password_statement(&request.statement, deadline).await {
            Some(done) => Some(done),
            None => self.run_delete(request, deadline).await,
        }
    }

    async fn read(
        &self,
        request: &ExecuteRequest,
        deadline: Instant,
    ) -> Result<StatementResponse, ExecuteError> {
        Ok(self.read_held(request, deadline).await?.0)
    }

    /// Reads, and hands over the account of what the answer holds: until it is dropped, its memory counts.
    pub(crate) async fn read_held(
        &self,
        request: &ExecuteRequest,
        deadline: Instant,
    ) -> Result<(StatementResponse, Held), ExecuteError> {
        let turn = self.turns.take(deadline).await?;
        self.refuse_unfit()?;
        let stale = self.read_barriers(deadline).await?;
        // A replica that was closed meanwhile would be missing from the answer.
        let replicas = self.replicas()?;
        let pool = Arc::clone(&self.query_memory);
        let budget = Arc::new(Budget::with_pool(&self.limits.query, deadline.into_std(), pool));
        let held = Held(Arc::clone(&budget));
        let statement = self.statement_work(request, replicas, budget);
        let work = move || {
            // A client that left frees its turn when its threads have stopped, not before.
            let _turn = turn;
            statement()
        };
        let result = match tokio::task::spawn_blocking(work).await {
            Ok(result) => result.map_err(execute_error)?,
            Err(panic) => return Err(ExecuteError::Internal(format!("statement failed: {panic}"))),
        };
        Ok((StatementResponse { result, stale, missing_groups: Vec::new() }, held))
    }

    /// The blocking part, with all it needs moved in.
    fn statement_work(
        &self,
        request: &ExecuteRequest,
        replicas: Vec<Replica>,
        budget: Arc<Budget>,
    ) -> impl FnOnce() -> Result<StatementResult, QueryError> + Send + 'static {
        let catalog = self.host.catalog();
        let (request, limits, now_ns) = (request.clone(), self.limits.query, self.clock.now_ns());
        move || run(&request, &catalog, replicas, &budget, (limits, now_ns))
    }

    /// A replica that is damaged or closed must not be read, nor left out: another node has the answer.
    fn refuse_unfit(&self) -> Result<(), ExecuteError> {
        for group in self.host.groups() {
            if let Some(reason) = group.unfit() {
                return Err(unfit(&group, &reason));
            }
        }
        Ok(())
    }

    /// The local replicas of all data groups, to be read.
    fn replicas(&self) -> Result<Vec<Replica>, ExecuteError> {
        let data = self.host.groups().into_iter().filter(|group| !group.id().is_meta());
        let replica = |group: Arc<Group>| match group.data_store() {
            Some(store) => Ok((group, store.reader())),
            None => Err(unfit(&group, &group.unfit().unwrap_or_default())),
        };
        data.map(replica).collect()
    }

    /// Waits until the local replica of every group has all that was acknowledged before now. Answers how old a group's
    /// data may be that has no quorum and is read all the same.
    async fn read_barriers(&self, deadline: Instant) -> Result<Option<Duration>, ExecuteError> {
        let barrier_deadline = deadline.min(Instant::now() + self.limits.barrier_timeout);
        let mut stale: Option<Duration> = None;
        for (group, outcome) in self.host.read_barriers(barrier_deadline).await {
            match outcome {
                Ok(()) => {}
                Err(BarrierError::Stopped { .. }) => {
                    return Err(ExecuteError::Unavailable("this node is stopping".to_owned()));
                }
                Err(error) if !self.limits.stale_reads => {
                    return Err(ExecuteError::Unavailable(format!("group {}: {error}", group.id())));
                }
                Err(error) => {
                    tracing::warn!(group = %group.id(), %error, "reading without a quorum");
                    stale = stale.max(Some(group.status().quorum_age()));
                }
            }
        }
        Ok(stale)
    }
}

/// A group and what it has here.
type Replica = (Arc<Group>, Arc<dyn GroupReader>);

fn unfit(group: &Group, reason: &str) -> ExecuteError {
    let text = format!("group {} cannot be read on this node: {reason}; ask another node", group.id());
    ExecuteError::Unavailable(text)
}

/// The account of a statement at work. Dropped, it ends the threads that are still on it: the client went away.
pub(crate) struct Held(Arc<Budget>);

impl Held {
    /// Whether the statement may go on.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        self.0.check()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

fn run(
    request: &ExecuteRequest,
    catalog: &Catalog,
    replicas: Vec<Replica>,
    budget: &Arc<Budget>,
    (limits, now_ns): (query::QueryLimits, i64),
) -> Result<StatementResult, QueryError> {
    if let Statement::Select(select) = &request.statement {
        let context =
            PlanContext { catalog, database: &request.database, policy: &request.policy, now_ns, limits };
        let plan = query::plan_select(select, &context)?;
        let scatter = LocalScatter::new(replicas, Arc::clone(budget));
        let series: Vec<Series> = query::execute_select(&plan, &scatter, budget)?;
        return Ok(StatementResult { series, messages: Vec::new() });
    }
    let context = ShowContext { catalog, database: &request.database, now_ns };
    let readers: Vec<&dyn GroupReader> = replicas.iter().map(|(_, reader)| &**reader).collect();
    query::execute_show(&request.statement, &context, &readers)
}

pub(crate) fn execute_error(error: QueryError) -> ExecuteError {
    match error {
        QueryError::Statement(text) => ExecuteError::Statement(text),
        QueryError::LimitExceeded(text) => ExecuteError::LimitExceeded(text),
        QueryError::Overloaded(text) => ExecuteError::Unavailable(text),
        QueryError::Cancelled => ExecuteError::Statement("query interrupted".to_owned()),
        // The replica is rebuilt, or opened again; until then another node has the answer.
        QueryError::Scan(error) => ExecuteError::Unavailable(format!("{error}; ask another node")),
    }
}
