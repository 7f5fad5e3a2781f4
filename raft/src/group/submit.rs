//! Submitting a command from any node: to the leader, wherever it is, again and again until the deadline.

use super::{Group, RaftInstance};
use crate::blocking;
use crate::command;
use crate::error::SubmitError;
use crate::network::rpc::Peer;
use crate::type_config::{Command, Reply};
use bytes::Bytes;
use model::NodeId;
use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use proto::peer::ProposeReply;
use proto::peer::propose_reply::Outcome;
use rand::Rng;
use std::time::Duration;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// Bytes that one permit stands for.
const UNIT: usize = 1_024;
/// Pause before the next attempt when nothing else says when: between these, ms.
const PAUSE_MS: (u64, u64) = (20, 200);
/// How often in a row another node's word about the leader is followed without a pause.
const HINTS_MAX: u32 = 3;
/// How long a proposal may still be answered after leadership was lost.
const LOST_GRACE: Duration = Duration::from_millis(500);
/// How long a leader that was asked may still answer after another one is known: in an orderly handover it answers as
/// soon as its successor has committed, and another attempt would only fill the log.
const SUCCESSOR_GRACE: Duration = Duration::from_millis(100);

/// What one attempt at a leader came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attempt<T> {
    /// Done.
    Done(T),
    /// Certainly not done; perhaps that node leads.
    NotDone {
        /// The leader, as the one that was asked knows it.
        leader: Option<NodeId>,
    },
    /// Certainly not done: the leader takes no new data now, and says why.
    Refused(String),
    /// Done or not, now or later.
    Undecided,
}

/// Permits for so many bytes.
pub(super) fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT).clamp(1, u32::MAX as usize >> 1)
}

impl Group {
    /// Gets a command committed and applied by the group's leader, from any node. Waits through elections and
    /// unreachable leaders; tries again until `deadline`.
    ///
    /// A command may be applied more than once, and after a later one, if its first attempt's outcome was unknown.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; only `Timeout { unknown: true }`, `Stopped` and `Storage` leave the outcome open.
    pub async fn submit(&self, command: Bytes, deadline: Instant) -> Result<Reply, SubmitError> {
        self.submit_counted(command, deadline, || {}).await
    }

    /// As [`Self::submit`]; calls `counted` when the command is among the bytes that wait for an answer, so that the
    /// caller can let go of what it was made of.
    ///
    /// # Errors
    ///
    /// As [`Self::submit`].
    pub async fn submit_counted(
        &self,
        command: Bytes,
        deadline: Instant,
        counted: impl FnOnce() + Send,
    ) -> Result<Reply, SubmitError> {
        command::check(self.id, &command)?;
        let _room = self.reserve(command.len(), deadline).await?;
        counted();
        let started = Instant::now();
        let mut unknown = false;
        let mut refusal = None;
        let mut hint = None;
        let mut hints = 0;
        let mut turn = 0;
        self.counters.submitted();
        loop {
            let target = hint.take().or_else(|| self.guess(&mut turn));
            let attempt = match (target, self.detour(target, &mut turn)) {
                (Some(node), _) if node == self.node() => self.propose_here(command.clone(), deadline).await,
                (_, Some(relay)) => self.propose_through(relay, target, command.clone(), deadline).await,
                (Some(node), None) => self.propose_at(node, command.clone(), deadline).await,
                (None, None) => Attempt::NotDone { leader: None },
            };
            match attempt {
                Attempt::Done(reply) => {
                    self.tell_leader(target);
                    return Ok(reply);
                }
                Attempt::NotDone { leader } if leader.is_some() && leader != target && hints < HINTS_MAX => {
                    hint = leader;
                    hints += 1;
                }
                Attempt::NotDone { .. } => {}
                // It hands leadership to a node that has room, if there is one.
                Attempt::Refused(reason) => refusal = Some(reason),
                Attempt::Undecided => unknown = true,
            }
            if self.is_stopped() {
                return Err(SubmitError::Stopped { group: self.id });
            }
            if Instant::now() >= deadline {
                self.counters.timed_out();
                return Err(match refusal {
                    Some(reason) if !unknown => SubmitError::Refused { group: self.id, reason },
                    _ => self.late(started, unknown),
                });
            }
            if hint.is_none() {
                hints = 0;
                self.pause(target, deadline).await;
            }
            self.counters.retried();
        }
    }

    /// Proposes a command once, if this node leads the group; `None` if it does not.
    ///
    /// # Errors
    ///
    /// As [`Self::submit`].
    pub async fn submit_if_leading(
        &self,
        command: Bytes,
        deadline: Instant,
    ) -> Result<Option<Reply>, SubmitError> {
        command::check(self.id, &command)?;
        let _room = self.reserve(command.len(), deadline).await?;
        let started = Instant::now();
        match self.propose_here(command, deadline).await {
            Attempt::Done(reply) => Ok(Some(reply)),
            Attempt::NotDone { .. } => Ok(None),
            Attempt::Refused(reason) => Err(SubmitError::Refused { group: self.id, reason }),
            Attempt::Undecided => Err(self.late(started, true)),
        }
    }

    fn late(&self, started: Instant, unknown: bool) -> SubmitError {
        if self.failure().is_some() {
            return SubmitError::Storage { group: self.id };
        }
        SubmitError::Timeout { group: self.id, waited_ms: started.elapsed().as_millis() as u64, unknown }
    }

    /// Waits for room among the bytes that wait for an answer.
    async fn reserve(&self, bytes: usize, deadline: Instant) -> Result<SemaphorePermit<'_>, SubmitError> {
        let limit_bytes = self.tuning().in_flight_bytes;
        let permits = units(bytes).min(units(limit_bytes)) as u32;
        match timeout_at(deadline, self.in_flight.acquire_many(permits)).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(SubmitError::Stopped { group: self.id }),
            Err(_) => Err(SubmitError::Overloaded { group: self.id, limit_bytes }),
        }
    }

    /// Notes who did what only a leader does.
    pub(super) fn tell_leader(&self, leader: Option<NodeId>) {
        *self.told_leader.lock() = leader.filter(|leader| *leader != self.node());
    }

    /// Whom to ask: the leader; if this node hears of none because no Raft runs here, or one that nobody has told
    /// anything yet, who was it last, then the other members in turn.
    pub(super) fn guess(&self, turn: &mut usize) -> Option<NodeId> {
        if self.failure().is_none()
            && let Some(server) = self.server()
            && (server.current_leader.is_some() || server.membership_config.nodes().next().is_some())
        {
            return server.current_leader.map(NodeId);
        }
        if let Some(leader) = *self.told_leader.lock() {
            return Some(leader);
        }
        let mut others: Vec<NodeId> = self.members().into_keys().collect();
        others.retain(|id| *id != self.node());
        *turn += 1;
        others.get(*turn % others.len().max(1)).copied()
    }

    /// Proposes a command if this node leads the group.
    pub(crate) async fn propose_here(&self, command: Bytes, deadline: Instant) -> Attempt<Reply> {
        if !self.is_leader() {
            return Attempt::NotDone { leader: self.leader().filter(|leader| *leader != self.node()) };
        }
        let Some(raft) = self.raft() else { return Attempt::NotDone { leader: None } };
        if let Some(reason) = self.pool.refusal.load().as_deref()
            && command::adds_data(self.id, &command)
        {
            return Attempt::Refused(reason.clone());
        }
        let command = self.with_ids(command).await;
        let written = tokio::select! {
            written = raft.client_write(Command(command)) => written,
            () = lost_leadership(&raft) => return Attempt::Undecided,
            () = sleep_until(deadline) => return Attempt::Undecided,
        };
        match written {
            Ok(written) => Attempt::Done(written.data),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward))) => {
                Attempt::NotDone { leader: forward.leader_id.map(NodeId) }
            }
            Err(RaftError::APIError(
                ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_),
            )) => Attempt::NotDone { leader: None },
            Err(RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) | RaftError::Fatal(_)) => {
                Attempt::Undecided
            }
        }
    }

    /// The command with the ids of series that are known here in place of their keys.
    async fn with_ids(&self, command: Bytes) -> Bytes {
        let Some(store) = self.data_store().filter(|_| command::known::brings_keys(&command)) else {
            return command;
        };
        let keys = command.clone();
        let naming = blocking::run(move || command::known::with_ids(&keys, &store));
        naming.await.ok().flatten().unwrap_or(command)
    }

    /// Hands a command to another node. A leader that is slow (its disk, or a queue before it) is waited for as long as it
    /// leads: a second attempt would come behind the first in the same queue. The wait ends when this node hears of
    /// another leader, or when the transport finds the peer dead.
    pub(super) async fn propose_at(&self, node: NodeId, command: Bytes, deadline: Instant) -> Attempt<Reply> {
        let Some(address) = self.address(node) else { return Attempt::NotDone { leader: None } };
        // Somebody else's word about the leader is worth one attempt of limited length.
        let timeout = match self.leader() {
            Some(leader) if leader == node => deadline.saturating_duration_since(Instant::now()),
            _ => self.attempt_timeout(deadline),
        };
        self.counters.forwarded();
        let peer = self.peer(node, &address);
        let asked = Instant::now();
        let answer = tokio::select! {
            answer = peer.propose(command, false, timeout) => answer,
            () = self.succeeded(node) => return Attempt::Undecided,
        };
        // Who is slow till the end of the wait is reached all the same.
        self.reached(node, answer.is_ok() || asked.elapsed() >= timeout);
        match answer {
            Ok(reply) => self.understood(node, reply),
            Err(error) => {
                tracing::debug!(group = %self.id, %error, "leader not reached");
                Attempt::Undecided
            }
        }
    }

    /// What the answer of another node means.
    pub(super) fn understood(&self, node: NodeId, reply: ProposeReply) -> Attempt<Reply> {
        match reply.outcome {
            Some(Outcome::Reply(reply)) => Attempt::Done(Reply(reply)),
            Some(Outcome::NotLeader(not)) => Attempt::NotDone { leader: not.leader.map(NodeId) },
            Some(Outcome::Undecided(_)) | None => Attempt::Undecided,
            Some(Outcome::Refused(reason)) => Attempt::Refused(reason),
            Some(Outcome::Invalid(reason)) => {
                tracing::warn!(group = %self.id, peer = %node, reason, "peer does not know the command");
                Attempt::NotDone { leader: None }
            }
        }
    }

    /// Ready some time after this node heard of a leader that is neither `node` nor the one it knows now.
    pub(super) async fn succeeded(&self, node: NodeId) {
        // Who has no Raft hears of nobody; the transport's deadline remains.
        let Some(raft) = self.raft() else { return std::future::pending().await };
        let mut server = raft.server_metrics();
        let known = server.borrow_watched().current_leader;
        loop {
            let leader = server.borrow_watched().current_leader;
            if leader.is_some() && leader != known && leader != Some(node.0) {
                break;
            }
            if server.changed().await.is_err() {
                // Raft has ended here and hears of nobody; the transport's deadline remains.
                std::future::pending::<()>().await;
            }
        }
        sleep(SUCCESSOR_GRACE).await;
    }

    pub(crate) fn peer<'a>(&'a self, node: NodeId, address: &'a str) -> Peer<'a> {
        Peer { pool: &self.pool, group: self.id, node, address }
    }

    pub(super) fn attempt_timeout(&self, deadline: Instant) -> Duration {
        deadline.saturating_duration_since(Instant::now()).min(self.tuning().attempt_timeout)
    }

    /// Waits for another leader than `tried`, but not long: a leader may come back without anything changing.
    pub(super) async fn pause(&self, tried: Option<NodeId>, deadline: Instant) {
        self.told_leader.lock().take_if(|leader| Some(*leader) == tried);
        let pause = Duration::from_millis(rand::rng().random_range(PAUSE_MS.0..PAUSE_MS.1));
        let until = (Instant::now() + pause).min(deadline);
        let raft = self.raft();
        let another = async {
            let Some(raft) = raft else { return std::future::pending::<()>().await };
            let mut server = raft.server_metrics();
            loop {
                let leader = server.borrow_watched().current_leader.map(NodeId);
                if leader.is_some() && leader != tried {
                    return;
                }
                if server.changed().await.is_err() {
                    // Raft has ended here; only time passes.
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            () = another => {}
            () = sleep_until(until) => {}
        }
    }
}

/// Ready some time after this node stopped leading: openraft answers most proposals before that.
async fn lost_leadership(raft: &RaftInstance) {
    let mut server = raft.server_metrics();
    while server.borrow_watched().state == ServerState::Leader {
        if server.changed().await.is_err() {
            break;
        }
    }
    sleep(LOST_GRACE).await;
}
