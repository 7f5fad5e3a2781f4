//! Read indexes of all groups at once: one message to each peer instead of a round of heartbeats in each group.
//!
//! ReadIndex needs to know that the leader was not replaced before the read began. A voter whose vote is still for the
//! leader *after* the read began shows it as well as one that answers a heartbeat: whoever leads later needs a majority of
//! votes, so among any majority that still stands with the leader there is one that would have to have left it before. The
//! node that asks is a voter itself, so with three replicas its own vote and the leader's word are enough.
//!
//! What cannot be confirmed so (five voters, a leader that has not committed in its term, a peer that does not answer) goes
//! the long way of [`super::barrier`].

use super::Group;
use crate::codec;
use crate::type_config::Vote;
use model::NodeId;
use openraft::RaftState;
use openraft::ServerState;
use proto::peer as wire;
use std::collections::BTreeSet;

/// Where this node stands in a group, at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) vote: Vote,
    /// If it leads: what is committed, which is at least everything that was acknowledged.
    committed: Option<u64>,
    /// The effective membership.
    voters: Vec<BTreeSet<u64>>,
}

impl Standing {
    fn of(state: &RaftState<crate::TypeConfig>) -> Self {
        let vote = *state.vote_ref();
        // Before it has committed in its own term, a leader does not know what others have acknowledged.
        let own = |id: &&crate::type_config::LogId| id.leader_id == vote.leader_id;
        let leads = state.server_state == ServerState::Leader && vote.committed;
        let committed = state.cluster_committed().filter(own).filter(|_| leads).map(|id| id.index);
        let voters = state.membership_state.effective().get_joint_config().clone();
        Self { vote, committed, voters }
    }

    /// The index for a read, if this node leads and `other` stands with it under `vote`.
    pub(crate) fn index_with(&self, own: NodeId, other: Option<(NodeId, &Vote)>) -> Option<u64> {
        let committed = self.committed?;
        let supporter = match other {
            None => None,
            Some((node, vote)) if *vote == self.vote => Some(node),
            Some(_) => return None,
        };
        let stands = |id: &u64| *id == own.0 || supporter.is_some_and(|node| node.0 == *id);
        let is_quorum =
            |voters: &BTreeSet<u64>| voters.iter().filter(|id| stands(id)).count() * 2 > voters.len();
        (!self.voters.is_empty() && self.voters.iter().all(is_quorum)).then_some(committed)
    }

    /// Voters besides this node.
    pub(crate) fn others(&self, own: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.voters.iter().flatten().filter(move |id| **id != own.0).map(|id| NodeId(*id))
    }
}

impl Group {
    /// Where this node stands now; `None` when the group's Raft has stopped.
    pub(crate) async fn standing(&self) -> Option<Standing> {
        self.raft()?.with_raft_state(Standing::of).await.ok()
    }

    /// Answers a peer that says where it stands.
    pub(crate) async fn stand(&self, from: NodeId, theirs: &Vote) -> Option<wire::Standing> {
        let standing = self.standing().await?;
        let index = standing.index_with(self.node(), Some((from, theirs)));
        Some(wire::Standing { group: self.id.0, vote: codec::encode(&standing.vote), index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::type_config::LeaderId;

    fn vote(term: u64, node_id: u64, committed: bool) -> Vote {
        Vote { leader_id: LeaderId { term, node_id }, committed }
    }

    fn leader(voters: &[&[u64]]) -> Standing {
        let voters = voters.iter().map(|set| set.iter().copied().collect()).collect();
        Standing { vote: vote(3, 1, true), committed: Some(7), voters }
    }

    #[test]
    fn a_majority_that_stands_with_the_leader_confirms() {
        let (me, other) = (NodeId(1), NodeId(2));
        let with = |standing: &Standing, vote: Vote| standing.index_with(me, Some((other, &vote)));
        let three = leader(&[&[1, 2, 3]]);
        assert_eq!(with(&three, vote(3, 1, true)), Some(7));
        assert_eq!(three.index_with(me, None), None, "alone it is no majority");
        for other in [vote(4, 1, true), vote(3, 2, true), vote(3, 1, false), vote(2, 3, true)] {
            assert_eq!(with(&three, other), None, "{other:?}");
        }
        assert_eq!(leader(&[&[1]]).index_with(me, None), Some(7));
        assert_eq!(with(&leader(&[&[1, 2, 3, 4, 5]]), vote(3, 1, true)), None);
        assert_eq!(with(&leader(&[&[1, 3]]), vote(3, 1, true)), None, "the other one has no vote");
        assert_eq!(
            with(&leader(&[&[1, 2, 3], &[1, 3, 4]]), vote(3, 1, true)),
            None,
            "both of a joint membership"
        );
        assert_eq!(with(&leader(&[&[1, 2, 3], &[1, 2, 4]]), vote(3, 1, true)), Some(7));
        assert_eq!(with(&leader(&[]), vote(3, 1, true)), None);
        let follower = Standing { committed: None, ..leader(&[&[1, 2, 3]]) };
        assert_eq!(with(&follower, vote(3, 1, true)), None);
    }
}
