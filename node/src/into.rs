//! SELECT … INTO: runs the SELECT, then writes its rows body by body, the way of `/write`.
//!
//! A body that was written is not taken back when a later one fails, as in InfluxDB 1.x. The statement may be sent again:
//! the points have the same series and times.

use crate::coordinator::NodeCoordinator;
use crate::query::{Work, execute_error};
use api::coordinator::{
    Consistency, ExecuteError, ExecuteRequest, Reading, StatementResponse, WriteError, WriteRequest,
};
use query::influxql::ast::{SelectStatement, Statement};
use query::into::{IntoPoints, written};
use query::names::{NameContext, fill_in_names};
use query::result::{Message, StatementResult};
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
        // What is missing from the rows would be missing from the target for ever.
        let reading = Reading { consistency: Some(Consistency::Strong), max_staleness: None };
        let statement = Statement::Select(Box::new(select));
        let request = ExecuteRequest { statement, reading, ..request.clone() };
        let response = self.read(&request, work.clone()).await?;
        let mut points = IntoPoints::new(response.result.series, &target.name);
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
            let Some(body) = body.map_err(execute_error)? else { break };
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
        let result = StatementResult { series: vec![written(count)], messages };
        Ok(StatementResponse { result, ..StatementResponse::default() })
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
