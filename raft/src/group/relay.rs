//! The way round a link that is cut: a command goes to the leader through a member that reaches it.
//!
//! A network may fail between two nodes only. The leader then keeps its majority, nobody is elected, and a node that does
//! not reach it would let its clients wait for nothing.

use super::Group;
use super::submit::Attempt;
use crate::type_config::Reply;
use bytes::Bytes;
use model::NodeId;
use std::time::Duration;
use tokio::time::Instant;

/// How long a leader that did not answer is not asked directly.
const AVOIDED: Duration = Duration::from_secs(5);

impl Group {
    /// Notes whether a leader answered.
    pub(super) fn reached(&self, leader: NodeId, answered: bool) {
        let mut unreached = self.unreached.lock();
        if !answered {
            *unreached = Some((leader, Instant::now()));
        } else if unreached.is_some_and(|(node, _)| node == leader) {
            *unreached = None;
        }
    }

    /// The member to ask instead of the leader, if that does not answer, or was not heard for longer than an election
    /// takes.
    pub(super) fn detour(&self, leader: Option<NodeId>, turn: &mut usize) -> Option<NodeId> {
        let is_cut = match leader {
            Some(leader) => {
                let unreached = *self.unreached.lock();
                unreached.is_some_and(|(node, at)| node == leader && at.elapsed() < AVOIDED)
            }
            None => self.heard.lock().is_some_and(|at| at.elapsed() > self.tuning().election_max),
        };
        if !is_cut {
            return None;
        }
        let mut others: Vec<NodeId> = self.members().into_keys().collect();
        others.retain(|id| *id != self.node() && Some(*id) != leader);
        *turn += 1;
        others.get(*turn % others.len().max(1)).copied()
    }

    /// Hands a command to a member that is to hand it to the leader.
    pub(super) async fn propose_through(
        &self,
        relay: NodeId,
        leader: Option<NodeId>,
        command: Bytes,
        deadline: Instant,
    ) -> Attempt<Reply> {
        let Some(address) = self.address(relay) else { return Attempt::NotDone { leader: None } };
        self.counters.forwarded();
        let peer = self.peer(relay, &address);
        // As long as a leader that is reached: another attempt would come behind this one in the same queue.
        let timeout = deadline.saturating_duration_since(Instant::now());
        let answer = tokio::select! {
            answer = peer.propose(command, true, timeout) => answer,
            () = self.succeeded(leader.unwrap_or(relay)) => return Attempt::Undecided,
        };
        match answer {
            // The leader it names is the one that this node does not reach.
            Ok(reply) => match self.understood(relay, reply) {
                Attempt::NotDone { .. } => Attempt::NotDone { leader: None },
                attempt => attempt,
            },
            Err(error) => {
                tracing::debug!(group = %self.id, %error, "no way round to the leader");
                Attempt::Undecided
            }
        }
    }

    /// Proposes a command for another node: if this node leads the group, or, as a relay, at the leader.
    pub(crate) async fn propose_for(&self, command: Bytes, relay: bool, deadline: Instant) -> Attempt<Reply> {
        match self.propose_here(command.clone(), deadline).await {
            Attempt::NotDone { leader: Some(leader) } if relay => {
                self.propose_at(leader, command, deadline).await
            }
            attempt => attempt,
        }
    }
}
