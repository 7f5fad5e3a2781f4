//! Read barriers: what was acknowledged before a read began is in the local replica.
//!
//! ReadIndex: the leader makes sure that it still leads and names an index; the local replica waits until it has
//! applied it. All reads that wait share one round, but a read never joins a round that began before it.

use super::{Attempt, Group};
use crate::error::BarrierError;
use model::NodeId;
use openraft::ReadPolicy;
use openraft::errors::{LinearizableReadError, RaftError};
use proto::peer::read_index_reply::Outcome;
use std::sync::Weak;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

/// Reads answered by one round, at most.
const ROUND_MAX: usize = 4_096;

/// A read that waits for a round.
#[derive(Debug)]
pub(super) struct Waiter {
    deadline: Instant,
    index: oneshot::Sender<u64>,
}

/// Runs rounds, one after the other, as long as the group lives.
pub(super) async fn serve(group: Weak<Group>, mut waiting: mpsc::Receiver<Waiter>) {
    let mut round = Vec::new();
    while waiting.recv_many(&mut round, ROUND_MAX).await > 0 {
        let Some(group) = group.upgrade() else { return };
        round.retain(|waiter| !waiter.index.is_closed());
        let Some(deadline) = round.iter().map(|waiter| waiter.deadline).max() else { continue };
        group.counters.barrier_round();
        let begun = Instant::now();
        let index = group.read_index(deadline).await;
        group.note_round(begun, index.is_some());
        if let Some(index) = index {
            for waiter in round.drain(..) {
                // Whoever gave up needs no answer.
                waiter.index.send(index).ok();
            }
        }
        round.clear();
    }
}

impl Group {
    /// Waits until the local replica has applied everything that was acknowledged before the call. Works on any node.
    ///
    /// # Errors
    ///
    /// [`BarrierError`]; the local replica may be behind.
    pub async fn read_barrier(&self, deadline: Instant) -> Result<(), BarrierError> {
        let started = Instant::now();
        self.counters.barrier();
        let passed = timeout_at(deadline, self.pass_barrier(deadline)).await.unwrap_or(false);
        if passed {
            return Ok(());
        }
        if self.is_stopped() {
            return Err(BarrierError::Stopped { group: self.id });
        }
        Err(BarrierError::Timeout { group: self.id, waited_ms: started.elapsed().as_millis() as u64 })
    }

    /// Waits until the local replica has applied `index`, which a read needs.
    ///
    /// # Errors
    ///
    /// As [`Group::read_barrier`].
    pub(crate) async fn wait_applied(&self, index: u64, deadline: Instant) -> Result<(), BarrierError> {
        let started = Instant::now();
        self.counters.barrier();
        let reached = match self.core() {
            // A replica that is not there reaches nothing; the core is not kept while this waits.
            None => false,
            Some(core) => {
                let mut applied = core.replica.applied.subscribe();
                drop(core);
                let waited = timeout_at(deadline, applied.wait_for(|applied| *applied >= Some(index))).await;
                waited.is_ok_and(|reached| reached.is_ok())
            }
        };
        match reached {
            true => Ok(()),
            false if self.is_stopped() => Err(BarrierError::Stopped { group: self.id }),
            false => {
                let waited_ms = started.elapsed().as_millis() as u64;
                Err(BarrierError::Timeout { group: self.id, waited_ms })
            }
        }
    }

    /// Notes that a quorum stood with the leader in a round that began then.
    pub(crate) fn confirmed(&self, begun: Instant) {
        self.counters.barrier_round();
        self.note_round(begun, true);
    }

    async fn pass_barrier(&self, deadline: Instant) -> bool {
        let (index, answer) = oneshot::channel();
        if self.barriers.send(Waiter { deadline, index }).await.is_err() {
            return false;
        }
        let Ok(index) = answer.await else { return false };
        let Some(core) = self.core() else { return false };
        let mut applied = core.replica.applied.subscribe();
        drop(core);
        applied.wait_for(|applied| *applied >= Some(index)).await.is_ok()
    }

    fn note_round(&self, begun: Instant, confirmed: bool) {
        let mut unconfirmed = self.unconfirmed.lock();
        if confirmed {
            *unconfirmed = None;
        } else {
            unconfirmed.get_or_insert(begun);
        }
    }

    /// Asks the leader for a read index until one answers or the deadline passes.
    async fn read_index(&self, deadline: Instant) -> Option<u64> {
        let mut turn = 0;
        let mut hint = None;
        while Instant::now() < deadline && !self.is_stopped() {
            let hinted = hint.is_some();
            let target = hint.take().or_else(|| self.guess(&mut turn));
            let attempt = match target {
                Some(node) if node == self.node() => self.read_index_here(deadline).await,
                Some(node) => self.read_index_at(node, deadline).await,
                None => Attempt::NotDone { leader: None },
            };
            match attempt {
                Attempt::Done(index) => {
                    self.tell_leader(target);
                    return Some(index);
                }
                Attempt::NotDone { leader } if leader.is_some() && leader != target && !hinted => {
                    hint = leader;
                }
                Attempt::NotDone { .. } | Attempt::Refused(_) | Attempt::Undecided => {
                    self.pause(target, deadline).await;
                }
            }
        }
        None
    }

    /// The read index, if this node leads the group and reaches a quorum.
    pub(crate) async fn read_index_here(&self, deadline: Instant) -> Attempt<u64> {
        if !self.is_leader() {
            return Attempt::NotDone { leader: self.leader().filter(|leader| *leader != self.node()) };
        }
        let Some(raft) = self.raft() else { return Attempt::NotDone { leader: None } };
        let until = Instant::now() + self.attempt_timeout(deadline);
        match timeout_at(until, raft.get_read_linearizer(ReadPolicy::ReadIndex)).await {
            Ok(Ok(linearizer)) => Attempt::Done(linearizer.read_log_id().index()),
            Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)))) => {
                Attempt::NotDone { leader: forward.leader_id.map(NodeId) }
            }
            Ok(Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)) | RaftError::Fatal(_)))
            | Err(_) => Attempt::Undecided,
        }
    }

    async fn read_index_at(&self, node: NodeId, deadline: Instant) -> Attempt<u64> {
        let Some(address) = self.address(node) else { return Attempt::NotDone { leader: None } };
        let timeout = self.attempt_timeout(deadline);
        match self.peer(node, &address).read_index(timeout).await {
            Ok(reply) => match reply.outcome {
                Some(Outcome::Index(index)) => Attempt::Done(index),
                Some(Outcome::NotLeader(not)) => Attempt::NotDone { leader: not.leader.map(NodeId) },
                Some(Outcome::NoQuorum(_)) | None => Attempt::Undecided,
            },
            Err(error) => {
                tracing::debug!(group = %self.id, %error, "leader not reached for a read");
                Attempt::Undecided
            }
        }
    }
}
