//! SHOW QUERIES and KILL QUERY: asked on any node, answered for all.

use crate::coordinator::NodeCoordinator;
use crate::running::node_of;
use api::coordinator::ExecuteError;
use futures::future::join_all;
use query::influxql::ast::KillQuery;
use query::result::{Cell, Message, Series, StatementResult};
use raft::{PeerError, RunningQueries, RunningQuery};
use std::sync::Arc;
use std::time::Duration;

/// How long another node may take: a statement about statements must not wait for a node that is gone.
const PEER_TIMEOUT: Duration = Duration::from_millis(800);

impl NodeCoordinator {
    /// SHOW QUERIES: the statements of all nodes. A node that does not answer is told of in a message.
    pub(super) async fn show_queries(&self) -> StatementResult {
        let catalog = self.host.catalog();
        let others = catalog.nodes.keys().filter(|node| **node != self.host.node());
        let asked = others.map(|node| async {
            let queries = self.host.peer_queries(*node, PEER_TIMEOUT).await;
            queries.map_err(|error| format!("queries of {error}"))
        });
        let mut queries = self.running.list();
        let mut messages = Vec::new();
        for answer in join_all(asked).await {
            match answer {
                Ok(more) => queries.extend(more),
                Err(text) => messages.push(Message { level: "warning", text }),
            }
        }
        queries.sort_by_key(|query| query.id);
        StatementResult { series: vec![table(queries)], messages }
    }

    /// KILL QUERY. An id is unique in the cluster and names its node, so `ON host` is read and not needed, as in 1.x.
    pub(super) async fn kill_query(&self, kill: &KillQuery) -> Result<(), ExecuteError> {
        let (id, node) = (kill.id, node_of(kill.id));
        let unknown = || ExecuteError::Statement(format!("no such query id: {id}"));
        let found = if node == self.host.node() {
            self.running.kill(id)
        } else if self.host.catalog().nodes.contains_key(&node) {
            match self.host.peer_kill(node, id, PEER_TIMEOUT).await {
                Ok(found) => found,
                Err(error @ (PeerError::Unreachable { .. } | PeerError::Refused { .. })) => {
                    return Err(ExecuteError::Statement(format!("query {id} not killed: {error}")));
                }
            }
        } else {
            false
        };
        if found { Ok(()) } else { Err(unknown()) }
    }
}

fn table(queries: Vec<RunningQuery>) -> Series {
    let columns = ["qid", "query", "database", "duration", "status"];
    let row = |query: RunningQuery| {
        [
            Cell::Integer(query.id as i64),
            Cell::String(query.text.into()),
            Cell::String(query.database.into()),
            Cell::String(duration_text(query.running).into()),
            Cell::String(Arc::from(if query.killed { "killed" } else { "running" })),
        ]
    };
    Series {
        columns: columns.iter().map(|name| Arc::from(*name)).collect(),
        cells: queries.into_iter().flat_map(row).collect(),
        ..Series::default()
    }
}

/// As Go prints a duration that was cut to whole seconds, milliseconds or microseconds.
fn duration_text(duration: Duration) -> String {
    let (seconds, micros) = (duration.as_secs(), duration.subsec_micros());
    match seconds {
        0 if micros >= 1_000 => format!("{}ms", micros / 1_000),
        0 if micros > 0 => format!("{micros}µs"),
        0 => "0s".to_owned(),
        1..=59 => format!("{seconds}s"),
        60..=3_599 => format!("{}m{}s", seconds / 60, seconds % 60),
        _ => format!("{}h{}m{}s", seconds / 3_600, seconds % 3_600 / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_1_x() {
        for (micros, text) in [
            (0, "0s"),
            (7, "7µs"),
            (1_999, "1ms"),
            (999_999, "999ms"),
            (1_500_000, "1s"),
            (61_000_000, "1m1s"),
            (3_600_000_000, "1h0m0s"),
        ] {
            assert_eq!(duration_text(Duration::from_micros(micros)), text);
        }
    }
}
