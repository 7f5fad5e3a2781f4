//! Continuous queries: the leader of the meta group runs what is due.
//!
//! How far a query has come is in the catalog. Whoever leads next goes on from there, so a window is computed once,
//! or twice when a leader dies between writing and recording (the points are the same), and never left out. A query that
//! fails is due again at the next tick; it holds one of a few places and no other query's turn.

use crate::coordinator::NodeCoordinator;
use api::coordinator::{ExecuteError, ExecuteRequest, Reading};
use model::GroupId;
use model::catalog::{Catalog, CatalogCommand, ContinuousQuery};
use query::continuous::{Due, Schedule, create_command};
use query::influxql::ast::{CreateContinuousQuery, Statement};
use query::names::NameContext;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Continuous queries that run at once.
const AT_ONCE: usize = 4;
/// How long the record of a run may take before the run counts as failed.
const RECORD_TIMEOUT: Duration = Duration::from_secs(10);

impl NodeCoordinator {
    /// Runs CREATE CONTINUOUS QUERY.
    pub(crate) async fn create_continuous_query(
        &self,
        request: &ExecuteRequest,
        create: &CreateContinuousQuery,
        deadline: Instant,
    ) -> Result<(), ExecuteError> {
        let catalog = self.current_catalog(deadline).await?;
        let names = NameContext { catalog: &catalog, database: &request.database, policy: &request.policy };
        let command =
            create_command(create, &names, self.clock.now_ns()).map_err(crate::query::execute_error)?;
        self.change_catalog(&command, deadline).await?;
        Ok(())
    }
}

/// Runs continuous queries while this node leads the meta group, looking every `interval`.
pub(crate) async fn run_continuous_queries(node: Arc<NodeCoordinator>, interval: Duration) {
    let mut runner = Runner { node, known: BTreeMap::new(), running: JoinSet::new(), last_started: 0 };
    loop {
        sleep(interval).await;
        runner.collect();
        runner.tick().await;
    }
}

/// What the loop remembers. Dropped, it ends the queries that run.
struct Runner {
    node: Arc<NodeCoordinator>,
    known: BTreeMap<u64, Known>,
    running: JoinSet<(u64, Result<(), String>)>,
    /// Where the last tick stopped starting, so that those behind get their turn.
    last_started: u64,
}

/// A continuous query as read from its text.
struct Known {
    schedule: Option<Arc<Schedule>>,
    is_running: bool,
    /// Told once, not at every tick.
    last_error: Option<String>,
}

impl Runner {
    /// Takes note of what has ended.
    fn collect(&mut self) {
        while let Some(ended) = self.running.try_join_next() {
            let (id, outcome) = match ended {
                Ok(ended) => ended,
                Err(error) => {
                    tracing::error!(%error, "continuous query panicked");
                    // Whose it was is not known. One that still runs may now run twice at once, and write the same points.
                    self.known.values_mut().for_each(|known| known.is_running = false);
                    continue;
                }
            };
            self.node.metrics.continuous_query_done(outcome.is_ok());
            let Some(known) = self.known.get_mut(&id) else { continue };
            known.is_running = false;
            known.last_error = match outcome {
                Ok(()) => None,
                Err(error) => {
                    if known.last_error.as_ref() != Some(&error) {
                        tracing::warn!(id, error, "continuous query failed; it is tried again at every tick");
                    }
                    Some(error)
                }
            };
        }
    }

    /// Starts what is due, if this node leads.
    async fn tick(&mut self) {
        let Some(meta) = self.node.host.group(GroupId::META).filter(|meta| meta.is_leader()) else { return };
        if self.node.host.catalog().continuous_queries.is_empty() {
            return;
        }
        // A leader that has just been elected may not have applied what the last one has recorded; one that has been
        // replaced learns of it here.
        let deadline = Instant::now() + self.node.limits.barrier_timeout;
        if let Err(error) = meta.read_barrier(deadline).await {
            tracing::debug!(%error, "continuous queries wait for the catalog");
            return;
        }
        // A window that was run by a clock far ahead would lack its points, and what comes after it would wait for ever.
        let Some(now_ns) = self.node.clock.agreed_ns() else { return };
        let catalog = self.node.host.catalog();
        self.learn(&catalog);
        let mut queries: Vec<&Arc<ContinuousQuery>> = catalog.continuous_queries.iter().collect();
        let begin = queries.partition_point(|query| query.id <= self.last_started);
        queries.rotate_left(begin);
        for query in queries {
            if self.running.len() >= AT_ONCE {
                return;
            }
            let Some(known) = self.known.get_mut(&query.id) else { continue };
            let Some(schedule) = known.schedule.as_ref().filter(|_| !known.is_running) else { continue };
            let Some(database) = catalog.database_by_id(query.database) else { continue };
            let Some(due) = schedule.due(query.created_ns, query.last_run_ns, now_ns) else { continue };
            known.is_running = true;
            self.last_started = query.id;
            let run = Run {
                id: query.id,
                name: Arc::clone(&query.name),
                database: Arc::clone(&database.name),
                schedule: Arc::clone(schedule),
                due,
            };
            let node = Arc::clone(&self.node);
            self.running.spawn(async move { (run.id, run.run(&node).await) });
        }
    }

    /// Reads the texts of new queries and forgets those that are gone.
    fn learn(&mut self, catalog: &Catalog) {
        let ids: BTreeSet<u64> = catalog.continuous_queries.iter().map(|query| query.id).collect();
        self.known.retain(|id, _| ids.contains(id));
        for query in &catalog.continuous_queries {
            self.known.entry(query.id).or_insert_with(|| {
                let schedule = Schedule::parse(&query.query);
                if let Err(error) = &schedule {
                    tracing::error!(name = %query.name, %error, "continuous query cannot run");
                }
                Known { schedule: schedule.ok().map(Arc::new), is_running: false, last_error: None }
            });
        }
    }
}

/// One run of one query.
struct Run {
    id: u64,
    name: Arc<str>,
    database: Arc<str>,
    schedule: Arc<Schedule>,
    due: Due,
}

impl Run {
    async fn run(&self, node: &NodeCoordinator) -> Result<(), String> {
        let request = ExecuteRequest {
            statement: Statement::Select(Box::new(self.schedule.select(&self.due))),
            database: self.database.to_string(),
            policy: String::new(),
            read_only: false,
            chunk_rows: None,
            reading: Reading::default(),
            begun: Instant::now(),
        };
        node.execute_statement(request).await.map_err(|error| format!("{}: {error}", self.name))?;
        let command = CatalogCommand::RecordContinuousRun { id: self.id, last_run_ns: self.due.ran_ns };
        let recorded = node.change_catalog(&command, Instant::now() + RECORD_TIMEOUT).await;
        recorded.map_err(|error| format!("{}: run not recorded: {error}", self.name))?;
        let Due { start_ns, end_ns, .. } = self.due;
        tracing::debug!(name = %self.name, database = %self.database, start_ns, end_ns, "continuous query ran");
        Ok(())
    }
}
