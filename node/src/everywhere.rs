//! Changes of the catalog that every node should know before they are answered: who may do what, and where points go.
//!
//! Requests are checked against the local catalog, because a round to the other nodes for each of them would be paid by
//! every collector. So it is the rare statement that waits: until every node that can be reached has applied it. A node that
//! cannot keeps the users and default policies that it knows until it is back. What was dropped, it cannot write to: the
//! data groups refuse that.

use crate::coordinator::NodeCoordinator;
use futures::future::join_all;
use model::catalog::CatalogCommand;
use model::{GroupId, NodeId};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the other nodes may take to apply a change, and to say so.
const EVERYWHERE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one of them may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between two questions; a follower hears of a commit with the next message.
const PAUSE: Duration = Duration::from_millis(5);

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
        let deadline = Instant::now() + EVERYWHERE_TIMEOUT;
        while Instant::now() < deadline {
            match self.host.peer_status(node, ANSWER_TIMEOUT).await {
                Ok(groups) => {
                    let meta = groups.iter().find(|status| status.group == GroupId::META);
                    if meta.is_some_and(|status| status.applied >= Some(index)) {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%node, %error, "a change of the catalog is not known there until it is back");
                    return;
                }
            }
            sleep(PAUSE).await;
        }
        tracing::warn!(%node, "a change of the catalog is not known there yet");
    }
}
