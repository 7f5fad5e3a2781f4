//! How a group is, as this node sees it: for the admin API, metrics and peers.

use super::{Condition, Group};
use model::{GroupId, NodeId};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Instant, RaftMetrics, ServerState};
use proto::peer as wire;
use std::time::Duration;

/// What this node does in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Takes commands.
    Leader,
    /// Votes and follows.
    Follower,
    /// Asks to be elected.
    Candidate,
    /// Follows, does not vote; also before the group has members.
    Learner,
    /// Stopped, by an error or a shutdown.
    #[default]
    Stopped,
    /// Nothing: this node has no replica.
    Absent,
}

impl Role {
    /// One lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
            Self::Learner => "learner",
            Self::Stopped => "stopped",
            Self::Absent => "absent",
        }
    }
}

/// How a group is. Indexes are log indexes; `None` is "nothing yet".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupStatus {
    /// The group.
    pub group: GroupId,
    /// This node's part in it.
    pub role: Role,
    /// The current term.
    pub term: u64,
    /// Who leads, if it is known.
    pub leader: Option<NodeId>,
    /// Last entry in the log.
    pub last_log: Option<u64>,
    /// Last entry known to be committed.
    pub committed: Option<u64>,
    /// Last entry applied to the state.
    pub applied: Option<u64>,
    /// What a crash of the state would go back to.
    pub durable: Option<u64>,
    /// Last entry in the snapshot.
    pub snapshot: Option<u64>,
    /// Last entry that is gone from the log.
    pub purged: Option<u64>,
    /// Leader only: time since a quorum last answered.
    pub since_quorum_ack: Option<Duration>,
    /// Others: time since a leader was last heard; `None` if never.
    pub since_leader: Option<Duration>,
    /// How long no leader could confirm that it has a quorum, as far as reads asked for it here.
    pub unconfirmed_for: Option<Duration>,
    /// Leader only: the other members.
    pub peers: Vec<PeerStatus>,
    /// Voters, in order of their ids.
    pub voters: Vec<NodeId>,
    /// Learners, in order of their ids.
    pub learners: Vec<NodeId>,
    /// Whether these are of one membership, not of the change from one to another.
    pub is_uniform: bool,
    /// The log index of the membership that these are from.
    pub membership_at: Option<u64>,
    /// Why the group stopped by itself on this node, or cannot be opened.
    pub failure: Option<String>,
    /// How the replica is: `opening`, `running`, `failed`, `rebuilding`, or `elsewhere` when there is none.
    pub condition: String,
    /// Time since the group was opened on this node.
    pub since_start: Duration,
    /// Bytes of the entries that are in the log, not purged.
    pub log_bytes: u64,
}

/// A member as the leader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerStatus {
    /// The member.
    pub node: NodeId,
    /// Entries it lacks; `None` if that is not known yet.
    pub lag: Option<u64>,
    /// Time since it last answered.
    pub since_ack: Option<Duration>,
}

impl GroupStatus {
    pub(crate) fn into_wire(self) -> wire::GroupStatus {
        let millis = |d: Duration| d.as_millis() as u64;
        wire::GroupStatus {
            group: self.group.0,
            role: self.role.name().to_owned(),
            term: self.term,
            leader: self.leader.map(|node| node.0),
            last_log: self.last_log,
            committed: self.committed,
            applied: self.applied,
            durable: self.durable,
            snapshot: self.snapshot,
            purged: self.purged,
            millis_since_quorum_ack: self.since_quorum_ack.map(millis),
            millis_since_leader: self.since_leader.map(millis),
            millis_unconfirmed: self.unconfirmed_for.map(millis),
            peers: self.peers.iter().map(|peer| peer.into_wire()).collect(),
            voters: self.voters.iter().map(|node| node.0).collect(),
            learners: self.learners.iter().map(|node| node.0).collect(),
            failure: self.failure.unwrap_or_default(),
            condition: self.condition,
            millis_since_start: millis(self.since_start),
            log_bytes: self.log_bytes,
            membership_at: self.membership_at,
            is_joint: !self.is_uniform,
        }
    }

    pub(crate) fn from_wire(status: wire::GroupStatus) -> Self {
        let roles = [Role::Leader, Role::Follower, Role::Candidate, Role::Learner, Role::Absent];
        let nodes = |ids: Vec<u64>| ids.into_iter().map(NodeId).collect();
        Self {
            group: GroupId(status.group),
            role: roles.into_iter().find(|role| role.name() == status.role).unwrap_or(Role::Stopped),
            term: status.term,
            leader: status.leader.map(NodeId),
            last_log: status.last_log,
            committed: status.committed,
            applied: status.applied,
            durable: status.durable,
            snapshot: status.snapshot,
            purged: status.purged,
            since_quorum_ack: status.millis_since_quorum_ack.map(Duration::from_millis),
            since_leader: status.millis_since_leader.map(Duration::from_millis),
            unconfirmed_for: status.millis_unconfirmed.map(Duration::from_millis),
            peers: status.peers.iter().map(PeerStatus::from_wire).collect(),
            voters: nodes(status.voters),
            learners: nodes(status.learners),
            failure: Some(status.failure).filter(|failure| !failure.is_empty()),
            condition: status.condition,
            since_start: Duration::from_millis(status.millis_since_start),
            log_bytes: status.log_bytes,
            membership_at: status.membership_at,
            is_uniform: !status.is_joint,
        }
    }
}

impl PeerStatus {
    fn into_wire(self) -> wire::group_status::Peer {
        let millis_since_ack = self.since_ack.map(|d| d.as_millis() as u64);
        wire::group_status::Peer { node: self.node.0, lag: self.lag, millis_since_ack }
    }

    fn from_wire(peer: &wire::group_status::Peer) -> Self {
        let since_ack = peer.millis_since_ack.map(Duration::from_millis);
        Self { node: NodeId(peer.node), lag: peer.lag, since_ack }
    }
}

impl Group {
    /// How the group is on this node, now. Cheap.
    pub fn status(&self) -> GroupStatus {
        let Some(core) = self.core() else { return self.closed_status() };
        let metrics = core.raft.metrics();
        let metrics = metrics.borrow_watched().clone();
        let membership = metrics.membership_config.membership();
        let failure = metrics.running_state.as_ref().err().map(ToString::to_string);
        let role = match metrics.state {
            _ if failure.is_some() => Role::Stopped,
            ServerState::Leader => Role::Leader,
            ServerState::Follower => Role::Follower,
            ServerState::Candidate => Role::Candidate,
            ServerState::Learner => Role::Learner,
            ServerState::Shutdown => Role::Stopped,
        };
        let mut voters: Vec<NodeId> = membership.voter_ids().map(NodeId).collect();
        voters.sort();
        voters.dedup();
        GroupStatus {
            role,
            term: metrics.current_term,
            leader: metrics.current_leader.map(NodeId),
            last_log: metrics.last_log_index,
            committed: metrics.local_committed.map(|log_id| log_id.index),
            applied: *core.replica.applied.borrow(),
            durable: core.replica.durable(),
            snapshot: metrics.snapshot.map(|log_id| log_id.index),
            purged: metrics.purged.map(|log_id| log_id.index),
            since_quorum_ack: metrics.last_quorum_acked.map(|at| at.elapsed()),
            peers: peers(&metrics),
            voters,
            learners: membership.learner_ids().map(NodeId).collect(),
            is_uniform: membership.get_joint_config().len() < 2,
            membership_at: metrics.membership_config.log_id().map(|log_id| log_id.index),
            failure: failure.filter(|_| !self.is_stopped()),
            log_bytes: core.log.bytes(),
            ..self.closed_status()
        }
    }

    /// What is known without a core.
    fn closed_status(&self) -> GroupStatus {
        let condition = self.condition();
        let is_elsewhere = condition == Condition::Elsewhere;
        GroupStatus {
            group: self.id,
            role: if is_elsewhere { Role::Absent } else { Role::Stopped },
            since_leader: self.heard.lock().map(|at| at.elapsed()),
            unconfirmed_for: self.unconfirmed_for(),
            failure: Some(condition.to_string()).filter(|_| !self.is_stopped() && !is_elsewhere),
            condition: condition.name().to_owned(),
            since_start: self.born.elapsed(),
            ..GroupStatus::default()
        }
    }
}

/// The other members as this node, the leader, sees them.
fn peers(metrics: &RaftMetrics<crate::TypeConfig>) -> Vec<PeerStatus> {
    let mut peers = Vec::new();
    for (id, matched) in metrics.replication.iter().flatten().filter(|(id, _)| **id != metrics.id) {
        let ack = metrics.heartbeat.as_ref().and_then(|acks| acks.get(id).copied().flatten());
        let lacks = |last: u64| last - matched.map_or(0, |log_id| log_id.index).min(last);
        peers.push(PeerStatus {
            node: NodeId(*id),
            lag: metrics.last_log_index.filter(|_| matched.is_some()).map(lacks),
            since_ack: ack.map(|at| at.elapsed()),
        });
    }
    peers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_crosses_the_wire() {
        let status = GroupStatus {
            group: GroupId(3),
            role: Role::Leader,
            term: 7,
            leader: Some(NodeId(1)),
            last_log: Some(10),
            committed: Some(9),
            applied: Some(8),
            durable: Some(5),
            snapshot: None,
            purged: None,
            since_quorum_ack: Some(Duration::from_millis(12)),
            since_leader: None,
            unconfirmed_for: Some(Duration::from_millis(5)),
            peers: vec![PeerStatus { node: NodeId(2), lag: Some(1), since_ack: None }],
            voters: vec![NodeId(1), NodeId(2)],
            learners: vec![NodeId(4)],
            failure: None,
            condition: "running".to_owned(),
            since_start: Duration::from_secs(60),
            log_bytes: 77,
            membership_at: Some(3),
            is_uniform: true,
        };
        assert_eq!(GroupStatus::from_wire(status.clone().into_wire()), status);
    }
}
