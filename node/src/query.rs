//! One statement: read barrier on every group, then plan, scatter, finish on blocking threads. When a replica on another
//! node failed while it was read, the statement begins again with other replicas.

use crate::coordinator::NodeCoordinator;
use crate::replicas::{Lost, Replica, Replicas, Spoiled};
use crate::running::RunningStatement;
use crate::scatter::LocalScatter;
use api::coordinator::{ExecuteError, ExecuteRequest, Registration, Staleness, StatementResponse};
use model::catalog::Catalog;
use model::scan::GroupReader;
use query::influxql::ast::{Explain, SelectStatement, Statement};
use query::result::{Series, StatementResult};
use query::{Budget, PlanContext, QueryError, ShowContext, Timing};
use raft::blocking;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

impl NodeCoordinator {
    /// Runs one statement; see [`api::Coordinator::execute`].
    pub(crate) async fn execute_statement(
        &self,
        request: ExecuteRequest,
    ) -> Result<StatementResponse, ExecuteError> {
        let started = Instant::now();
        let deadline = request.begun + self.limits.query_timeout;
        let pool = Arc::clone(&self.query_memory);
        let budget = Arc::new(Budget::with_pool(&self.limits.query, deadline.into_std(), pool));
        let text = request.statement.to_string();
        let running = Arc::new(self.running.start(text, &request.database, Arc::clone(&budget)));
        let work = Work { budget, running: Arc::clone(&running), deadline };
        let answered = tokio::select! {
            answered = self.run_statement(&request, work) => answered,
            () = running.killed() => Err(interrupted()),
        };
        self.metrics.statement_done(started.elapsed());
        answered
    }

    async fn run_statement(
        &self,
        request: &ExecuteRequest,
        work: Work,
    ) -> Result<StatementResponse, ExecuteError> {
        let write_deadline = Instant::now() + self.limits.write_timeout;
        match &request.statement {
            Statement::Select(select) if select.target.is_some() => {
                return self.select_into(request, select, work).await;
            }
            Statement::CreateContinuousQuery(create) => {
                self.create_continuous_query(request, create, write_deadline).await?;
                return Ok(StatementResponse::default());
            }
            _ => {}
        }
        if let Some(answered) = self.run_about_nodes(&request.statement, write_deadline).await {
            return answered;
        }
        if let Some(command) = query::ddl::catalog_command(&request.statement) {
            self.run_ddl(command, write_deadline).await?;
            return Ok(StatementResponse::default());
        }
        match self.run_change(request, write_deadline).await {
            Some(changed) => changed.map(|()| StatementResponse::default()),
            None => self.read(request, work).await,
        }
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

    pub(crate) async fn read(
        &self,
        request: &ExecuteRequest,
        work: Work,
    ) -> Result<StatementResponse, ExecuteError> {
        let deadline = work.deadline;
        let turn = Arc::new(self.turns.take(deadline).await?);
        let (mut spoiled, mut damaged) = (Spoiled::new(), 0);
        loop {
            let (stale, elsewhere) = tokio::try_join!(
                self.freshen(request.reading, deadline),
                self.find_elsewhere(request.reading, &spoiled, deadline),
            )?;
            let stale = stale.into_iter().chain(elsewhere.stale).reduce(Staleness::or);
            // A replica that was closed meanwhile would be missing from the answer.
            let replicas = match self.open_replicas(&elsewhere, &work.budget, deadline) {
                Ok(replicas) => replicas,
                // One was closed since it was looked for; another may stand in for it.
                Err(_) if damaged < DAMAGED_MAX && Instant::now() < deadline => {
                    damaged += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let result = match self.run_blocking(request, replicas, &work, Arc::clone(&turn)).await? {
                Ok(result) => result,
                Err(Lost::Statement(error)) => return Err(execute_error(error)),
                Err(Lost::Here(error)) if damaged == DAMAGED_MAX || Instant::now() >= deadline => {
                    return Err(execute_error(error));
                }
                Err(Lost::Here(error)) => {
                    damaged += 1;
                    tracing::warn!(%error, "statement begins again with another node's replica");
                    work.budget.begin_again();
                    continue;
                }
                Err(Lost::Replicas(more, reasons)) => {
                    let known = spoiled.len();
                    spoiled.extend(more);
                    // Each time one less is left, so this ends.
                    if spoiled.len() == known || Instant::now() >= deadline {
                        return Err(ExecuteError::Unavailable(reasons));
                    }
                    tracing::warn!(reasons, "statement begins again with other replicas");
                    work.budget.begin_again();
                    continue;
                }
            };
            return Ok(StatementResponse {
                result,
                stale,
                missing_groups: elsewhere.missing.iter().map(|group| group.0).collect(),
                registration: Some(work.running as Arc<dyn Registration>),
            });
        }
    }

    /// Runs the statement over these replicas.
    async fn run_blocking(
        &self,
        request: &ExecuteRequest,
        replicas: Replicas,
        work: &Work,
        turn: Arc<OwnedSemaphorePermit>,
    ) -> Result<Result<StatementResult, Lost>, ExecuteError> {
        let mut cancel = CancelOnDrop(Some(Arc::clone(&work.budget)));
        let statement = self.statement_work(request, replicas, Arc::clone(&work.budget));
        let registration = Arc::clone(&work.running);
        let blocking = move || {
            // A client that left frees its turn, and its place among the statements that run, when its threads have
            // stopped, not before.
            let _held = (turn, registration);
            statement()
        };
        let running = blocking::run(blocking);
        let result = match tokio::time::timeout_at(work.deadline + STOP_GRACE, running).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => return Err(ExecuteError::Internal(format!("statement failed: {panic}"))),
            Err(_) => return Err(ExecuteError::Statement("query-timeout limit exceeded".to_owned())),
        };
        // The answer is still to be encoded; the query may be killed until then, but is not cancelled by itself.
        cancel.0 = None;
        Ok(result)
    }

    /// The blocking part, with all it needs moved in.
    fn statement_work(
        &self,
        request: &ExecuteRequest,
        replicas: Replicas,
        budget: Arc<Budget>,
    ) -> impl FnOnce() -> Result<StatementResult, Lost> + Send + 'static {
        let catalog = self.host.catalog();
        let (request, limits, now_ns) = (request.clone(), self.limits.query, self.clock.now_ns());
        move || {
            let result = run(&request, &catalog, &replicas.all, &budget, (limits, now_ns));
            match replicas.lost() {
                // Whatever came out, it was made of less than there is.
                Some(lost) => Err(lost),
                None => result.map_err(|error| replicas.lost_by(error)),
            }
        }
    }
}

/// What a statement works with.
#[derive(Clone)]
pub(crate) struct Work {
    budget: Arc<Budget>,
    running: Arc<RunningStatement>,
    pub(crate) deadline: Instant,
}

impl Work {
    /// Forgets what was used: the statement goes on with something else.
    pub(crate) fn begin_again(&self) {
        self.budget.begin_again();
    }

    /// Whether the statement may go on.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        self.budget.check()
    }
}

/// How many replicas of this node may turn out to be damaged while one statement reads them.
const DAMAGED_MAX: usize = 3;
/// How long the threads of a statement that timed out have to notice it: then its client is answered all the same.
const STOP_GRACE: Duration = Duration::from_millis(500);

fn interrupted() -> ExecuteError {
    execute_error(QueryError::Cancelled)
}

/// Ends the query's threads when the client went away and this future was dropped.
struct CancelOnDrop(Option<Arc<Budget>>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(budget) = &self.0 {
            budget.cancel();
        }
    }
}

fn run(
    request: &ExecuteRequest,
    catalog: &Catalog,
    replicas: &[Replica],
    budget: &Arc<Budget>,
    (limits, now_ns): (query::QueryLimits, i64),
) -> Result<StatementResult, QueryError> {
    let plan_context =
        PlanContext { catalog, database: &request.database, policy: &request.policy, now_ns, limits };
    if let Statement::Explain(explain) = &request.statement {
        return run_explain(explain, &plan_context, replicas, budget);
    }
    if let Statement::Select(select) = &request.statement {
        let context = plan_context;
        let plan = query::plan_select(select, &context)?;
        let scatter = LocalScatter::new(replicas.to_vec(), Arc::clone(budget));
        let series: Vec<Series> = query::execute_select(&plan, &scatter, budget)?;
        return Ok(StatementResult { series, messages: Vec::new() });
    }
    let context = ShowContext { catalog, database: &request.database, policy: &request.policy, now_ns };
    let readers: Vec<&dyn GroupReader> = replicas.iter().map(|(_, reader)| &**reader).collect();
    query::execute_show(&request.statement, &context, &readers, budget)
}

/// EXPLAIN; with ANALYZE the statement is run first, and its answer thrown away.
fn run_explain(
    explain: &Explain,
    context: &PlanContext<'_>,
    replicas: &[Replica],
    budget: &Arc<Budget>,
) -> Result<StatementResult, QueryError> {
    let mut timing = None;
    if explain.analyze {
        let begun = Instant::now();
        let select = SelectStatement { target: None, ..(*explain.statement).clone() };
        let plan = query::plan_select(&select, context)?;
        let planned = Instant::now();
        let scatter = LocalScatter::new(replicas.to_vec(), Arc::clone(budget));
        let answer = query::execute_select(&plan, &scatter, budget)?;
        timing = Some(Timing { planning: planned - begun, execution: planned.elapsed() });
        drop(answer);
    }
    let readers: Vec<&dyn GroupReader> = replicas.iter().map(|(_, reader)| &**reader).collect();
    let series = query::explain(&explain.statement, context, &readers, budget, timing)?;
    Ok(StatementResult { series, messages: Vec::new() })
}

pub(crate) fn execute_error(error: QueryError) -> ExecuteError {
    match error {
        QueryError::Statement(text) => ExecuteError::Statement(text),
        // Limits that 1.x has are told in its way: in the result.
        QueryError::LimitExceeded(text) => ExecuteError::Statement(text),
        QueryError::MemoryExceeded(text) => ExecuteError::LimitExceeded(text),
        QueryError::Overloaded(text) => ExecuteError::Unavailable(text),
        QueryError::Cancelled => ExecuteError::Statement("query interrupted".to_owned()),
        // The replica is rebuilt, or opened again; until then another node has the answer.
        QueryError::Scan(error) => ExecuteError::Unavailable(format!("{error}; ask another node")),
    }
}
