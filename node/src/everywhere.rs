//! Changes of the catalog that every node has to know before they are answered: who may do what, and where points go.
//!
//! Requests are checked against the local catalog, because a round to the other nodes for each of them would be paid by
//! every collector. So it is the rare statement that waits: until every node that can be reached has applied it, and until
//! those that cannot would ask before they take a write.

use crate::coordinator::NodeCoordinator;
use futures::future::join_all;
use model::catalog::CatalogCommand;
use model::{GroupId, NodeId};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the other nodes may take to apply a change and to say so, beyond the time that one trusts its catalog without
/// a word of a leader.
const EVERYWHERE_MARGIN: Duration = Duration::from_secs(1);
/// How long one of them may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between two questions; a follower hears of a commit with the next message.
const PAUSE: Duration = Duration::from_millis(5);
/// Pause before a node that did not answer is asked again.
const UNREACHED_PAUSE: Duration = Duration::from_millis(100);

/// Whether a node that does not know of the command would answer wrongly: by users that were changed, or by storing points
/// where they are not looked for.
pub(crate) fn concerns_all(command: &CatalogCommand) -> bool {
    match command {
        CatalogCommand::DropUser { .. }
        | CatalogCommand::SetAdmin { .. }
        | CatalogCommand::Grant { .. }
        | CatalogCommand::Revoke { .. }
        | CatalogCommand::DropDatabase { .. }
        | CatalogCommand::DropRetentionPolicy { .. } => true,
        CatalogCommand::CreateRetentionPolicy { make_default, .. } => *make_default,
        CatalogCommand::AlterRetentionPolicy { .. } => true,
        _ => false,
    }
}

impl NodeCoordinator {
    /// Waits until every node that can be reached has applied what this one has.
    pub(crate) async fn wait_everywhere(&self) {
        let Some(meta) = self.host.group(GroupId::META) else { return };
        let Some(index) = meta.status().applied else { return };
        let catalog = self.host.catalog();
        let others = catalog.nodes.keys().filter(|node| **node != self.host.node());
        join_all(others.map(|node| self.wait_at(*node, index))).await;
    }

    async fn wait_at(&self, node: NodeId, index: u64) {
        let deadline = Instant::now() + self.host.catalog_distrust_after() + EVERYWHERE_MARGIN;
        while Instant::now() < deadline {
            match self.host.tell_of_change(node, index, ANSWER_TIMEOUT).await {
                Ok(applied) if applied >= Some(index) => return,
                Ok(_) => sleep(PAUSE).await,
                Err(error) => {
                    if self.host.distrusts_its_catalog(node, ANSWER_TIMEOUT).await {
                        tracing::warn!(%node, %error, "a change of the catalog is not known there until it is back");
                        return;
                    }
                    sleep(UNREACHED_PAUSE).await;
                }
            }
        }
        tracing::warn!(%node, "a change of the catalog is not known there yet");
    }
}
