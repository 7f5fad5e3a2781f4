//! Who belongs to a group: brought to what the catalog says, one step at a time, by the group's leader.
//!
//! A newcomer follows without a vote until it has nearly everything; then the voters become the catalog's nodes in one
//! change, and what is not among them leaves. Every step may be lost or done twice: the next look finds what is left.

use super::{Group, GroupStatus};
use crate::TypeConfig;
use crate::error::AdminError;
use crate::type_config::PeerAddr;
use model::NodeId;
use model::catalog::NodeInfo;
use openraft::ChangeMembers;
use openraft::errors::{ClientWriteError, RaftError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::timeout;

/// Entries that a newcomer may lack when it gets its vote.
const LAG_MAX: u64 = 1_000;
/// How long ago it may have answered.
const ACK_MAX: Duration = Duration::from_secs(2);

/// What brings a group nearer to the wished members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// This node follows from now on, without a vote.
    Follow(NodeId, String),
    /// Exactly these vote from now on; voters that are not among them leave.
    Vote(BTreeSet<NodeId>),
    /// These followers leave.
    Leave(BTreeSet<NodeId>),
}

/// The next step towards `wished`, as the group's leader sees it; `None` when there is nothing to do, or something to
/// wait for.
pub(crate) fn next_step(status: &GroupStatus, wished: &BTreeMap<NodeId, NodeInfo>) -> Option<Step> {
    let is_member = |id: &NodeId| status.voters.contains(id) || status.learners.contains(id);
    if let Some((id, info)) = wished.iter().find(|(id, _)| !is_member(id)) {
        return Some(Step::Follow(*id, info.peer_addr.clone()));
    }
    let newcomers: Vec<NodeId> =
        status.learners.iter().filter(|id| wished.contains_key(id)).copied().collect();
    if !newcomers.iter().all(|id| has_nearly_all(status, *id)) {
        return None;
    }
    if !newcomers.is_empty() || status.voters.iter().any(|id| !wished.contains_key(id)) {
        return Some(Step::Vote(wished.keys().copied().collect()));
    }
    let leaving: BTreeSet<NodeId> =
        status.learners.iter().filter(|id| !wished.contains_key(id)).copied().collect();
    (!leaving.is_empty()).then_some(Step::Leave(leaving))
}

fn has_nearly_all(status: &GroupStatus, id: NodeId) -> bool {
    status.peers.iter().any(|peer| {
        peer.node == id
            && peer.lag.is_some_and(|lag| lag <= LAG_MAX)
            && peer.since_ack.is_some_and(|since| since <= ACK_MAX)
    })
}

impl Group {
    /// Takes a step, on the leader.
    ///
    /// # Errors
    ///
    /// [`AdminError`]; after a timeout the change may still happen.
    pub(crate) async fn take_step(&self, step: Step, limit: Duration) -> Result<(), AdminError> {
        let ids = |nodes: BTreeSet<NodeId>| nodes.into_iter().map(|node| node.0).collect();
        let change = match step {
            Step::Follow(node, address) => ChangeMembers::AddNodes([(node.0, PeerAddr { address })].into()),
            Step::Vote(nodes) => ChangeMembers::ReplaceAllVoters(ids(nodes)),
            Step::Leave(nodes) => ChangeMembers::RemoveNodes(ids(nodes)),
        };
        let raft = self.running()?.raft.clone();
        match timeout(limit, raft.change_membership(change, false)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.refused(&error)),
            Err(_) => Err(self.too_late(limit)),
        }
    }

    fn refused(&self, error: &RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> AdminError {
        match error.forward_to_leader() {
            Some(forward) => AdminError::NotLeader { group: self.id, leader: forward.leader_id.map(NodeId) },
            None => AdminError::Refused { group: self.id, reason: error.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::PeerStatus;

    fn nodes(ids: &[u64]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    fn wished(ids: &[u64]) -> BTreeMap<NodeId, NodeInfo> {
        let info = |id: &u64| NodeInfo { peer_addr: format!("n{id}:8088"), ..NodeInfo::default() };
        ids.iter().map(|id| (NodeId(*id), info(id))).collect()
    }

    fn status(voters: &[u64], learners: &[u64], lags: &[(u64, u64)]) -> GroupStatus {
        let peer = |(node, lag): &(u64, u64)| PeerStatus {
            node: NodeId(*node),
            lag: Some(*lag),
            since_ack: Some(Duration::ZERO),
        };
        GroupStatus {
            voters: nodes(voters),
            learners: nodes(learners),
            peers: lags.iter().map(peer).collect(),
            ..GroupStatus::default()
        }
    }

    #[test]
    fn a_replaced_node_goes_when_its_successor_has_caught_up() {
        let wished = wished(&[1, 2, 4]);
        let step = |voters: &[u64], learners: &[u64], lags: &[(u64, u64)]| {
            next_step(&status(voters, learners, lags), &wished)
        };
        assert_eq!(step(&[1, 2, 3], &[], &[]), Some(Step::Follow(NodeId(4), "n4:8088".to_owned())));
        assert_eq!(step(&[1, 2, 3], &[4], &[]), None);
        assert_eq!(step(&[1, 2, 3], &[4], &[(4, 50_000)]), None);
        assert_eq!(step(&[1, 2, 3], &[4], &[(4, 7)]), Some(Step::Vote(wished.keys().copied().collect())));
        assert_eq!(step(&[1, 2, 4], &[], &[(4, 0)]), None);
    }

    #[test]
    fn a_newcomer_that_was_replaced_itself_leaves() {
        let wished = wished(&[1, 2, 5]);
        let step = |voters: &[u64], learners: &[u64], lags: &[(u64, u64)]| {
            next_step(&status(voters, learners, lags), &wished)
        };
        assert_eq!(step(&[1, 2, 3], &[4], &[]), Some(Step::Follow(NodeId(5), "n5:8088".to_owned())));
        // The one that is gone for good is not waited for.
        assert_eq!(step(&[1, 2, 3], &[4, 5], &[(5, 0)]), Some(Step::Vote(wished.keys().copied().collect())));
        assert_eq!(step(&[1, 2, 5], &[4], &[(5, 0)]), Some(Step::Leave([NodeId(4)].into())));
    }

    #[test]
    fn a_change_that_stopped_half_way_is_finished() {
        // Of a joint configuration the status shows the voters of both halves.
        let wished = wished(&[1, 2, 4]);
        let joint = status(&[1, 2, 3, 4], &[], &[(4, 0)]);
        assert_eq!(next_step(&joint, &wished), Some(Step::Vote(wished.keys().copied().collect())));
    }
}
