//! The statements that run on this node: SHOW QUERIES lists them, KILL QUERY ends them, on whatever node it is asked.
//!
//! An id names its node: `node × 1,000,000,000 + number`, so it is unique in the cluster and says where to go.

use api::coordinator::Registration;
use model::NodeId;
use parking_lot::Mutex;
use query::Budget;
use raft::{RunningQueries, RunningQuery};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::sync::Notify;

/// Statements of one node before its numbers begin again.
const IDS_PER_NODE: u64 = 1_000_000_000;
/// Bytes of a statement that are kept to be shown: 1.x shows all, but a query may have 10 MB.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// The node whose statement has this id.
pub(crate) fn node_of(id: u64) -> NodeId {
    NodeId(id / IDS_PER_NODE)
}

/// The statements of this node.
#[derive(Debug)]
pub(crate) struct Running {
    node: NodeId,
    next: AtomicU64,
    statements: Mutex<BTreeMap<u64, Entry>>,
}

#[derive(Debug)]
struct Entry {
    text: String,
    database: String,
    started: Instant,
    budget: Arc<Budget>,
    killed: Arc<Notify>,
}

impl Running {
    pub(crate) fn new(node: NodeId) -> Self {
        Self { node, next: AtomicU64::new(0), statements: Mutex::default() }
    }

    /// Registers a statement until the answer is dropped.
    pub(crate) fn start(
        self: &Arc<Self>,
        text: String,
        database: &str,
        budget: Arc<Budget>,
    ) -> RunningStatement {
        let killed = Arc::new(Notify::new());
        let entry = Entry {
            text: shortened(text),
            database: database.to_owned(),
            started: Instant::now(),
            budget,
            killed: Arc::clone(&killed),
        };
        let mut statements = self.statements.lock();
        let id = loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed) % (IDS_PER_NODE - 1) + 1;
            let id = self.node.0 * IDS_PER_NODE + number;
            if !statements.contains_key(&id) {
                break id;
            }
        };
        let budget = Arc::clone(&entry.budget);
        statements.insert(id, entry);
        RunningStatement { registry: Arc::clone(self), id, budget, killed }
    }

    /// Statements that run now.
    pub(crate) fn count(&self) -> usize {
        self.statements.lock().len()
    }
}

impl RunningQueries for Running {
    fn list(&self) -> Vec<RunningQuery> {
        let statements = self.statements.lock();
        let query = |(id, entry): (&u64, &Entry)| RunningQuery {
            id: *id,
            text: entry.text.clone(),
            database: entry.database.clone(),
            running: entry.started.elapsed(),
            killed: entry.budget.is_cancelled(),
        };
        statements.iter().map(query).collect()
    }

    fn kill(&self, id: u64) -> bool {
        let statements = self.statements.lock();
        let Some(entry) = statements.get(&id) else { return false };
        entry.budget.cancel();
        entry.killed.notify_one();
        true
    }
}

/// A registered statement. It is listed until this is dropped, which its threads keep from happening as long as they
/// work for it.
#[derive(Debug)]
pub(crate) struct RunningStatement {
    registry: Arc<Running>,
    id: u64,
    /// Its memory counts until the statement is over.
    budget: Arc<Budget>,
    killed: Arc<Notify>,
}

impl RunningStatement {
    /// Completes when somebody kills the statement.
    pub(crate) async fn killed(&self) {
        self.killed.notified().await;
    }
}

impl Registration for RunningStatement {
    fn is_killed(&self) -> bool {
        self.budget.is_cancelled()
    }
}

impl Drop for RunningStatement {
    fn drop(&mut self) {
        self.registry.statements.lock().remove(&self.id);
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        let mut end = TEXT_BYTES_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use query::{QueryError, QueryLimits};
    use std::time::Duration;

    fn budget() -> Arc<Budget> {
        Arc::new(Budget::new(&QueryLimits::default(), Instant::now() + Duration::from_secs(60)))
    }

    #[tokio::test]
    async fn a_statement_is_listed_until_it_ends_and_can_be_killed() {
        let running = Arc::new(Running::new(NodeId(3)));
        let (first, second) = (budget(), budget());
        let one = running.start("SELECT v FROM a".to_owned(), "d", Arc::clone(&first));
        let other = running.start("SELECT v FROM b".to_owned(), "d", Arc::clone(&second));
        let ids: Vec<u64> = running.list().iter().map(|query| query.id).collect();
        assert_eq!(ids, [3_000_000_001, 3_000_000_002]);
        assert!(ids.iter().all(|id| node_of(*id) == NodeId(3)));
        assert!(running.kill(ids[0]));
        assert!(!running.kill(7));
        one.killed().await;
        assert!(matches!(first.check(), Err(QueryError::Cancelled)));
        second.check().unwrap();
        assert_eq!(running.list().iter().map(|query| query.killed).collect::<Vec<_>>(), [true, false]);
        drop(one);
        assert_eq!(running.count(), 1);
        drop(other);
        assert!(running.list().is_empty());
    }

    #[test]
    fn a_long_statement_is_cut_between_characters() {
        let text = shortened("ä".repeat(TEXT_BYTES_MAX));
        assert!(text.len() <= TEXT_BYTES_MAX + '…'.len_utf8() && text.ends_with("ä…"));
    }
}
