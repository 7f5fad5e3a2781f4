//! Who belongs to a group: brought to what the catalog says, one step at a time, by the group's leader.
//!
//! A newcomer follows without a vote until it has nearly everything; then the voters become the catalog's nodes in one
//! change, and what is not among them leaves. Every step may be lost or done twice: the next look finds what is left.

use super::{Group, GroupStatus};
use crate::TypeConfig;
use crate::error::AdminError;
use crate::type_config::PeerAddr;
use model::catalog::{Catalog, Duty};
use model::{GroupId, NodeId};
use openraft::ChangeMembers;
use openraft::errors::{ClientWriteError, RaftError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::timeout;

/// Entries that a newcomer may lack when it gets its vote.
const LAG_MAX: u64 = 1_000;
/// How long ago it may have answered.
const ACK_MAX: Duration = Duration::from_secs(2);

/// Who shall belong to a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Wished {
    /// Who shall vote.
    pub(crate) voters: BTreeSet<NodeId>,
    /// Who shall follow without a vote.
    pub(crate) learners: BTreeSet<NodeId>,
    /// Which of the voters may lead; all, if none of them may.
    pub(crate) leaders: BTreeSet<NodeId>,
    /// Where all of them are reached.
    pub(crate) addresses: BTreeMap<NodeId, String>,
}

impl Wished {
    /// What the catalog says about a group.
    pub(crate) fn of(catalog: &Catalog, group: GroupId) -> Self {
        let voters = catalog.voters(group);
        let all = catalog.replicas(group).into_iter();
        let address = |id| Some((id, catalog.nodes.get(&id)?.peer_addr.clone()));
        let addresses: BTreeMap<NodeId, String> = all.filter_map(address).collect();
        let may_lead = |id: &&NodeId| catalog.duty(**id) == Duty::Full;
        let mut leaders: BTreeSet<NodeId> = voters.iter().filter(may_lead).copied().collect();
        if leaders.is_empty() {
            leaders.clone_from(&voters);
        }
        let learners = addresses.keys().filter(|id| !voters.contains(id)).copied().collect();
        Self { voters, learners, leaders, addresses }
    }

    fn has(&self, id: NodeId) -> bool {
        self.addresses.contains_key(&id)
    }
}

/// What brings a group nearer to the wished members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// This node follows from now on, without a vote.
    Follow(NodeId, String),
    /// Exactly these vote from now on. Voters that are not among them leave, or follow without a vote if some of them
    /// shall.
    Vote {
        /// Who votes.
        voters: BTreeSet<NodeId>,
        /// Whether those who did follow.
        keep: bool,
    },
    /// This voter leads from now on: the one that does is to leave, or to lead nothing.
    HandOver(NodeId),
    /// These followers leave.
    Leave(BTreeSet<NodeId>),
}

/// The next step towards `wished`, as the group's leader, `me`, sees it; `None` when there is nothing to do, or something
/// to wait for.
pub(crate) fn next_step(me: NodeId, status: &GroupStatus, wished: &Wished) -> Option<Step> {
    let is_member = |id: &NodeId| status.voters.contains(id) || status.learners.contains(id);
    if let Some((id, address)) = wished.addresses.iter().find(|(id, _)| !is_member(id)) {
        return Some(Step::Follow(*id, address.clone()));
    }
    let voters: BTreeSet<NodeId> = status.voters.iter().copied().collect();
    let goal = next_voters(me, status, wished, &voters);
    if goal != voters || (!status.is_uniform && !goal.is_empty()) {
        let keep = voters.iter().any(|id| wished.learners.contains(id));
        return Some(Step::Vote { voters: goal, keep });
    }
    if !wished.leaders.contains(&me) {
        let fit = status.peers.iter().filter(|peer| wished.leaders.contains(&peer.node));
        let fit = fit.filter(|peer| voters.contains(&peer.node) && has_nearly_all(status, peer.node));
        if let Some(to) = fit.min_by_key(|peer| peer.lag) {
            return Some(Step::HandOver(to.node));
        }
    }
    let leaving: BTreeSet<NodeId> = status.learners.iter().filter(|id| !wished.has(**id)).copied().collect();
    (!leaving.is_empty()).then_some(Step::Leave(leaving))
}

/// Who should vote next: those who shall and have nearly everything; whoever leaves stays until all of them have, and the
/// leader until somebody else leads.
fn next_voters(
    me: NodeId,
    status: &GroupStatus,
    wished: &Wished,
    voters: &BTreeSet<NodeId>,
) -> BTreeSet<NodeId> {
    let (fit, unfit): (BTreeSet<NodeId>, BTreeSet<NodeId>) =
        wished.voters.iter().partition(|id| voters.contains(id) || has_nearly_all(status, **id));
    if !unfit.is_empty() || fit.is_empty() {
        return voters.union(&fit).copied().collect();
    }
    let mut next = fit;
    if voters.contains(&me) {
        next.insert(me);
    }
    next
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
        let mut keep = false;
        let change = match step {
            Step::Follow(node, address) => ChangeMembers::AddNodes([(node.0, PeerAddr { address })].into()),
            Step::Vote { voters, keep: kept } => {
                keep = kept;
                ChangeMembers::ReplaceAllVoters(ids(voters))
            }
            Step::HandOver(node) => return self.transfer_leader(node, limit).await,
            Step::Leave(nodes) => ChangeMembers::RemoveNodes(ids(nodes)),
        };
        let raft = self.running()?.raft.clone();
        match timeout(limit, raft.change_membership(change, keep)).await {
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

    const ME: NodeId = NodeId(1);

    fn nodes(ids: &[u64]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    fn wished(voters: &[u64], learners: &[u64]) -> Wished {
        let all = voters.iter().chain(learners);
        Wished {
            voters: voters.iter().copied().map(NodeId).collect(),
            learners: learners.iter().copied().map(NodeId).collect(),
            leaders: voters.iter().copied().map(NodeId).collect(),
            addresses: all.map(|id| (NodeId(*id), format!("n{id}:8088"))).collect(),
        }
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
            is_uniform: true,
            peers: lags.iter().map(peer).collect(),
            ..GroupStatus::default()
        }
    }

    fn vote(ids: &[u64]) -> Step {
        Step::Vote { voters: nodes(ids).into_iter().collect(), keep: false }
    }

    fn follow(id: u64) -> Step {
        Step::Follow(NodeId(id), format!("n{id}:8088"))
    }

    #[test]
    fn a_replaced_node_goes_when_its_successor_has_caught_up() {
        let wished = wished(&[1, 2, 4], &[]);
        let step = |voters: &[u64], learners: &[u64], lags: &[(u64, u64)]| {
            next_step(ME, &status(voters, learners, lags), &wished)
        };
        assert_eq!(step(&[1, 2, 3], &[], &[]), Some(follow(4)));
        assert_eq!(step(&[1, 2, 3], &[4], &[]), None);
        assert_eq!(step(&[1, 2, 3], &[4], &[(4, 50_000)]), None);
        assert_eq!(step(&[1, 2, 3], &[4], &[(4, 7)]), Some(vote(&[1, 2, 4])));
        assert_eq!(step(&[1, 2, 4], &[], &[(4, 0)]), None);
    }

    #[test]
    fn a_newcomer_that_was_replaced_itself_leaves() {
        let wished = wished(&[1, 2, 5], &[]);
        let step = |voters: &[u64], learners: &[u64], lags: &[(u64, u64)]| {
            next_step(ME, &status(voters, learners, lags), &wished)
        };
        assert_eq!(step(&[1, 2, 3], &[4], &[]), Some(follow(5)));
        // The one that is gone for good is not waited for.
        assert_eq!(step(&[1, 2, 3], &[4, 5], &[(5, 0)]), Some(vote(&[1, 2, 5])));
        assert_eq!(step(&[1, 2, 5], &[4], &[(5, 0)]), Some(Step::Leave([NodeId(4)].into())));
    }

    #[test]
    fn a_change_that_stopped_half_way_is_finished() {
        // Of a joint configuration the status shows the voters of both halves.
        let wished = wished(&[1, 2, 4], &[]);
        let joint = GroupStatus { is_uniform: false, ..status(&[1, 2, 3, 4], &[], &[(4, 0)]) };
        assert_eq!(next_step(ME, &joint, &wished), Some(vote(&[1, 2, 4])));
        let back = GroupStatus { is_uniform: false, ..status(&[1, 2, 4], &[], &[(4, 0)]) };
        assert_eq!(next_step(ME, &back, &wished), Some(vote(&[1, 2, 4])));
    }

    #[test]
    fn a_leader_that_leaves_hands_over_first() {
        let wished = wished(&[2, 3, 4], &[]);
        let step = |me: u64, voters: &[u64], learners: &[u64], lags: &[(u64, u64)]| {
            next_step(NodeId(me), &status(voters, learners, lags), &wished)
        };
        assert_eq!(step(1, &[1, 2, 3], &[4], &[(4, 3), (2, 0), (3, 0)]), Some(vote(&[1, 2, 3, 4])));
        let lags = [(4, 9), (2, 5_000), (3, 1)];
        assert_eq!(step(1, &[1, 2, 3, 4], &[], &lags), Some(Step::HandOver(NodeId(3))));
        assert_eq!(step(1, &[1, 2, 3, 4], &[], &[]), None);
        assert_eq!(step(3, &[1, 2, 3, 4], &[], &[(4, 9), (2, 0)]), Some(vote(&[2, 3, 4])));
    }

    #[test]
    fn a_leader_that_drains_hands_over_and_goes_on_voting() {
        let mut wished = wished(&[1, 2, 3], &[]);
        wished.leaders.remove(&NodeId(1));
        wished.leaders.remove(&NodeId(2));
        let step = |lags: &[(u64, u64)]| next_step(ME, &status(&[1, 2, 3], &[], lags), &wished);
        assert_eq!(step(&[(2, 0), (3, 9)]), Some(Step::HandOver(NodeId(3))));
        assert_eq!(step(&[(2, 0), (3, 90_000)]), None);
    }

    #[test]
    fn of_several_newcomers_each_votes_when_it_can_and_nobody_leaves_before_all_do() {
        let wished = wished(&[1, 4, 5], &[]);
        let step = |voters: &[u64], learners: &[u64], lags: &[(u64, u64)]| {
            next_step(ME, &status(voters, learners, lags), &wished)
        };
        assert_eq!(step(&[1, 2, 3], &[4, 5], &[(4, 0)]), Some(vote(&[1, 2, 3, 4])));
        assert_eq!(step(&[1, 2, 3, 4], &[5], &[(4, 0)]), None);
        assert_eq!(step(&[1, 2, 3, 4], &[5], &[(4, 0), (5, 0)]), Some(vote(&[1, 4, 5])));
    }

    #[test]
    fn a_voter_that_shall_only_follow_stays_a_member() {
        let wished = wished(&[1, 3, 4], &[2]);
        let step = next_step(ME, &status(&[1, 2, 3], &[4], &[(4, 0)]), &wished);
        assert_eq!(step, Some(Step::Vote { voters: [1, 3, 4].map(NodeId).into(), keep: true }));
        assert_eq!(next_step(ME, &status(&[1, 3, 4], &[2], &[(4, 0)]), &wished), None);
    }
}
