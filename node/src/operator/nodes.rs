//! Nodes that come, drain and go.

use super::text_of;
use crate::coordinator::NodeCoordinator;
use api::operator::OrderError;
use model::catalog::{CatalogCommand, Duty, MembershipCommand};
use model::{GroupId, NodeId};
use raft::Pending;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long the group of the catalog may take to let a node go.
const LEAVE_MAX: Duration = Duration::from_secs(15);

impl NodeCoordinator {
    pub(super) async fn announce(&self, address: String, may_join: bool) -> Result<Value, OrderError> {
        let catalog = self.host.catalog();
        if may_join && let Some((id, _)) = catalog.nodes.iter().find(|(_, n)| n.peer_addr == address) {
            return Ok(json!({"address": address, "node": id.0}));
        }
        self.change(MembershipCommand::Invite { address: address.clone(), may_join }).await?;
        Ok(json!({"address": address, "announced": may_join}))
    }

    pub(super) async fn drain(&self, id: NodeId) -> Result<Value, OrderError> {
        self.known(id)?;
        let catalog = self.host.catalog();
        let others = catalog.nodes.keys().filter(|other| **other != id);
        if !others.into_iter().any(|other| catalog.duty(*other) == Duty::Full) {
            let text =
                format!("nobody would be left to lead without node {id}; undrain or add another one first");
            return Err(OrderError::Refused(text));
        }
        let missing = self.host.would_lose(id).await;
        if !missing.is_empty() && self.host.pending_moves().await.alive.contains(&id) {
            let text = format!("not while others are missing: {}; bring them back first", missing.join("; "));
            return Err(OrderError::Refused(text));
        }
        self.change(MembershipCommand::SetDuty { id, duty: Duty::Draining }).await?;
        self.tell_node(id.0).await
    }

    pub(super) async fn undrain(&self, id: NodeId) -> Result<Value, OrderError> {
        self.known(id)?;
        self.change(MembershipCommand::SetDuty { id, duty: Duty::Full }).await?;
        self.tell_node(id.0).await
    }

    pub(super) async fn remove(&self, id: NodeId, force: bool) -> Result<Value, OrderError> {
        let catalog = self.host.catalog();
        if !catalog.nodes.contains_key(&id) {
            return self.is_gone(id).await;
        }
        if !self.host.is_meta_settled().await {
            let text = "the group of the catalog is still changing its voters; try again in a few seconds";
            return Err(OrderError::Refused(text.to_owned()));
        }
        let pending = self.host.pending_moves().await;
        let placed = catalog.placed();
        let held: Vec<GroupId> =
            placed.iter().filter(|(_, replicas)| replicas.contains(&id)).map(|(group, _)| *group).collect();
        if let Some(reason) = why_not(id, &held, &pending, force) {
            return Err(OrderError::Refused(reason));
        }
        let voters = catalog.voters(GroupId::META);
        if let Some(reason) = quorum_without(id, &voters, &pending.alive) {
            return Err(OrderError::Refused(reason));
        }
        for group in held {
            self.give_up(id, group, &pending.alive).await?;
        }
        self.change(CatalogCommand::RemoveNode { id }).await?;
        self.is_gone(id).await
    }

    /// Answers when the node's vote on the catalog is not needed any more: then its volume may be wiped.
    async fn is_gone(&self, id: NodeId) -> Result<Value, OrderError> {
        if self.host.has_left_meta(id, LEAVE_MAX).await {
            return Ok(json!({"node": id.0, "removed": true}));
        }
        let text = format!(
            "node {id} is removed, but still votes on the catalog; repeat this before wiping its volume"
        );
        Err(OrderError::Refused(text))
    }

    /// Leaves a group without the replica of a node that does not answer.
    async fn give_up(&self, id: NodeId, group: GroupId, alive: &BTreeSet<NodeId>) -> Result<(), OrderError> {
        let from = self.host.catalog().replicas(group);
        let to: Vec<NodeId> = from.iter().copied().filter(|other| *other != id).collect();
        let able = to.iter().filter(|other| alive.contains(other)).count();
        if able * 2 <= from.len() {
            let text = format!(
                "group {group} is on nodes {} and would lose its majority: bring one of them back; nothing can be given \
                 up here without losing points",
                text_of(&from)
            );
            return Err(OrderError::Refused(text));
        }
        self.change(MembershipCommand::SetReplicas { group, from, to }).await
    }
}

/// Why a node may not be forgotten now.
fn why_not(id: NodeId, held: &[GroupId], pending: &Pending, force: bool) -> Option<String> {
    let is_alive = pending.alive.contains(&id);
    let groups: Vec<String> = held.iter().map(ToString::to_string).collect();
    let groups = groups.join(", ");
    if held.is_empty() {
        return (!pending.unsettled.is_empty())
            .then(|| "replicas are on their way; wait until none is and ask again".to_owned());
    }
    match (is_alive, force) {
        (true, _) => Some(format!(
            "node {id} has replicas of groups {groups}: run `steadfast ctl drain {id}` and wait until they have moved; \
             if there is nobody to take them, add a node or lower the replication factor"
        )),
        (false, false) => Some(format!(
            "node {id} does not answer and has replicas of groups {groups}: run `steadfast ctl drain {id}`, so that others \
             take them; if there is nobody to take them, add a node, or give them up with --force"
        )),
        (false, true) => None,
    }
}

/// Why the catalog would have no majority without a node.
fn quorum_without(id: NodeId, voters: &BTreeSet<NodeId>, alive: &BTreeSet<NodeId>) -> Option<String> {
    let able = voters.iter().filter(|other| **other != id && alive.contains(other)).count();
    (voters.contains(&id) && able * 2 <= voters.len() && voters.len() > 2).then(|| {
        format!("the catalog would have no majority without node {id}: bring the other nodes back first")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(alive: &[u64], unsettled: &[u32]) -> Pending {
        Pending {
            moves: Vec::new(),
            unsettled: unsettled.iter().copied().map(GroupId).collect(),
            alive: alive.iter().copied().map(NodeId).collect(),
        }
    }

    #[test]
    fn a_node_goes_when_it_has_nothing_or_is_dead_and_given_up() {
        let (held, four) = ([GroupId(1)], NodeId(4));
        assert_eq!(why_not(four, &[], &pending(&[1, 2, 3, 4], &[]), false), None);
        assert!(why_not(four, &[], &pending(&[1, 2, 3, 4], &[2]), false).is_some());
        let alive = why_not(four, &held, &pending(&[1, 2, 3, 4], &[]), true).unwrap();
        assert!(alive.contains("ctl drain 4"), "{alive}");
        let dead = why_not(four, &held, &pending(&[1, 2, 3], &[]), false).unwrap();
        assert!(dead.contains("--force"), "{dead}");
        assert_eq!(why_not(four, &held, &pending(&[1, 2, 3], &[]), true), None);
    }

    #[test]
    fn the_catalog_keeps_its_majority() {
        let set = |ids: &[u64]| ids.iter().copied().map(NodeId).collect::<BTreeSet<_>>();
        assert_eq!(quorum_without(NodeId(3), &set(&[1, 2, 3]), &set(&[1, 2])), None);
        assert!(quorum_without(NodeId(3), &set(&[1, 2, 3]), &set(&[1, 3])).is_some());
        assert_eq!(quorum_without(NodeId(4), &set(&[1, 2, 3]), &set(&[1, 4])), None);
    }
}
