//! SELECT … INTO: runs the SELECT, then writes its rows body by body, the way of `/write`. Points as they are, copied for
//! example to another retention policy, may be more than fit into the memory of a query: then range of time after range.
//!
//! A body that was written is not taken back when a later one fails, as in InfluxDB 1.x. The statement may be sent again:
//! the points have the same series and times.

use crate::coordinator::NodeCoordinator;
use crate::query::{Work, execute_error};
use api::coordinator::{
    Consistency, ExecuteError, ExecuteRequest, Reading, StatementResponse, WriteError, WriteRequest,
};
use model::TimeRange;
use query::influxql::ast::{MeasurementName, SelectStatement, Statement};
use query::into::{IntoPoints, can_be_cut, edge, halves, range_of, within, written};
use query::names::{NameContext, fill_in_names};
use query::result::{Message, Series, StatementResult};
use raft::blocking;
use tokio::time::Instant;

impl NodeCoordinator {
    /// Runs a SELECT that has a target.
    pub(crate) async fn select_into(
        &self,
        request: &ExecuteRequest,
        select: &SelectStatement,
        work: Work,
    ) -> Result<StatementResponse, ExecuteError> {
        let select = self.with_full_names(request, select, work.deadline).await?;
        let Some(target) = select.target.clone() else {
            return Err(ExecuteError::Internal("SELECT without a target".to_owned()));
        };
        let messages = request.read_only.then(|| deprecated(&select)).into_iter().collect();
        let mut count = 0;
        // What is still to be copied, the next one last; first of all the statement as it is.
        let mut waiting = vec![None];
        while let Some(range) = waiting.pop() {
            let part = range.map_or_else(|| select.clone(), |range| within(&select, range));
            match self.read_strongly(request, part, &work).await {
                Ok(series) => count += self.write_points(series, &target, &work).await?,
                Err(ExecuteError::LimitExceeded(text)) if can_be_cut(&select) => {
                    work.begin_again();
                    let range = match range {
                        Some(range) => Some(range),
                        None => self.range_of_points(request, &select, &work).await?,
                    };
                    let halves = range.and_then(halves).ok_or(ExecuteError::LimitExceeded(text))?;
                    waiting.extend([Some(halves.1), Some(halves.0)]);
                }
                Err(error) => return Err(error),
            }
            work.begin_again();
        }
        let result = StatementResult { series: vec![written(count)], messages };
        Ok(StatementResponse { result, ..StatementResponse::default() })
    }

    /// Runs a SELECT. What is missing from its rows would be missing from the target for ever.
    async fn read_strongly(
        &self,
        request: &ExecuteRequest,
        select: SelectStatement,
        work: &Work,
    ) -> Result<Vec<Series>, ExecuteError> {
        let reading = Reading { consistency: Some(Consistency::Strong), max_staleness: None };
        let statement = Statement::Select(Box::new(select));
        let request = ExecuteRequest { statement, reading, ..request.clone() };
        Ok(self.read(&request, work.clone()).await?.result.series)
    }

    /// From the first to the last of the points that are copied; `None` if there are none.
    async fn range_of_points(
        &self,
        request: &ExecuteRequest,
        select: &SelectStatement,
        work: &Work,
    ) -> Result<Option<TimeRange>, ExecuteError> {
        let first = self.read_strongly(request, edge(select, true), work).await?;
        let last = self.read_strongly(request, edge(select, false), work).await?;
        Ok(range_of(first.iter().chain(&last)))
    }

    /// Writes the rows; how many points they were.
    async fn write_points(
        &self,
        series: Vec<Series>,
        target: &MeasurementName,
        work: &Work,
    ) -> Result<usize, ExecuteError> {
        let mut points = IntoPoints::new(series, &target.name);
        let mut count = 0;
        loop {
            work.check().map_err(execute_error)?;
            let making = move || {
                let body = points.next_body();
                (points, body)
            };
            let made = blocking::run(making).await;
            let (rest, body) = made.map_err(|e| ExecuteError::Internal(format!("statement failed: {e}")))?;
            points = rest;
            let Some(body) = body.map_err(execute_error)? else { return Ok(count) };
            let write = WriteRequest {
                database: target.database.clone(),
                policy: target.policy.clone(),
                precision_ns: 1,
                consistency: String::new(),
                body: body.lines.into(),
            };
            self.write_lines(write).await.map_err(write_error)?;
            count += body.points;
        }
    }

    /// The statement with databases and policies filled in from a current catalog.
    async fn with_full_names(
        &self,
        request: &ExecuteRequest,
        select: &SelectStatement,
        deadline: Instant,
    ) -> Result<SelectStatement, ExecuteError> {
        let catalog = self.current_catalog(deadline).await?;
        let names = NameContext { catalog: &catalog, database: &request.database, policy: &request.policy };
        let mut select = select.clone();
        fill_in_names(&mut select, &names).map_err(execute_error)?;
        Ok(select)
    }
}

/// 1.x's warning prints the statement as it runs.
fn deprecated(select: &SelectStatement) -> Message {
    let text =
        format!("deprecated use of '{select}' in a read only context, please use a POST request instead");
    Message { level: "warning", text }
}

/// What a failed write means to the statement.
fn write_error(error: WriteError) -> ExecuteError {
    match error {
        // `/write` quotes the name, a statement does not.
        WriteError::DatabaseNotFound(name) => ExecuteError::Statement(format!("database not found: {name}")),
        WriteError::PolicyNotFound(_) | WriteError::Rejected(_) | WriteError::Partial(_) => {
            ExecuteError::Statement(error.to_string())
        }
        WriteError::Timeout => ExecuteError::Unavailable(
            "timeout: it is not known which points were written; the same statement may be sent again"
                .to_owned(),
        ),
        WriteError::Overloaded(text) | WriteError::Full(text) => ExecuteError::Unavailable(text),
        WriteError::Internal(text) => ExecuteError::Internal(text),
    }
}
