//! SHOW and KILL statements that are about nodes, not about what is stored: answered without a turn and without a read
//! barrier, so that they work when nothing else does.

mod queries;
mod shards;
mod stats;

use crate::coordinator::NodeCoordinator;
use api::coordinator::{ExecuteError, StatementResponse};
use query::influxql::ast::Statement;
use query::result::{Series, StatementResult};
use tokio::time::Instant;

impl NodeCoordinator {
    /// Runs a statement about nodes; `None` if it is none.
    pub(crate) async fn run_about_nodes(
        &self,
        statement: &Statement,
        deadline: Instant,
    ) -> Option<Result<StatementResponse, ExecuteError>> {
        let result = match statement {
            Statement::ShowQueries => Ok(self.show_queries().await),
            Statement::ShowShards => self.show_shards(deadline).await.map(series),
            Statement::ShowShardGroups => self.show_shard_groups(deadline).await.map(series),
            Statement::ShowStats(show) => Ok(series(self.show_stats(&show.module))),
            Statement::ShowDiagnostics(show) => Ok(series(self.show_diagnostics(&show.module))),
            Statement::DropShard(drop) => {
                self.drop_shard(drop.id, deadline).await.map(|()| StatementResult::default())
            }
            Statement::KillQuery(kill) => self.kill_query(kill).await.map(|()| StatementResult::default()),
            _ => return None,
        };
        Some(result.map(|result| StatementResponse { result, ..StatementResponse::default() }))
    }
}

fn series(series: Vec<Series>) -> StatementResult {
    StatementResult { series, messages: Vec::new() }
}
