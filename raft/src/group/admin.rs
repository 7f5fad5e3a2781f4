//! What an operator may tell a group: make a snapshot, hand over, compare the replicas.

use super::{Core, Group};
use crate::command;
use crate::error::{AdminError, PeerError, SubmitError};
use crate::state_machine::checksums::ChecksumAt;
use crate::type_config::PeerAddr;
use futures::future::join_all;
use model::NodeId;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{InitializeError, RaftError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Pause between two looks at something that takes time.
const LOOK: Duration = Duration::from_millis(50);

/// How long replicas are first given to come to a checksum command; doubled each time.
const CHECKSUM_PATIENCE: Duration = Duration::from_secs(4);

/// What one replica has at the index of a checksum command.
#[derive(Debug, Clone)]
pub struct ReplicaChecksum {
    /// The node.
    pub node: NodeId,
    /// Its checksum, or why there is none.
    pub checksum: Result<ChecksumAt, PeerError>,
}

/// What the replicas have at the index of one checksum command.
#[derive(Debug)]
pub(crate) struct ChecksumsAt {
    /// The command's token.
    pub(crate) token: u64,
    pub(crate) replicas: Vec<ReplicaChecksum>,
}

impl Group {
    /// Gives the group its first members. To be called with the same members wherever it is called.
    ///
    /// # Errors
    ///
    /// [`AdminError::Refused`] if the group has members or a log already: then nothing is left to do.
    pub async fn initialize(&self, members: &BTreeMap<NodeId, PeerAddr>) -> Result<(), AdminError> {
        let members: BTreeMap<u64, PeerAddr> =
            members.iter().map(|(id, peer)| (id.0, peer.clone())).collect();
        match self.running()?.raft.initialize(members).await {
            Ok(()) => Ok(()),
            Err(RaftError::APIError(
                error @ (InitializeError::NotAllowed(_) | InitializeError::NotInMembers(_)),
            )) => Err(AdminError::Refused { group: self.id, reason: error.to_string() }),
            Err(RaftError::Fatal(_)) => Err(AdminError::Stopped { group: self.id }),
        }
    }

    /// Flushes the state, makes a snapshot of it and lets the log before it be purged. Waits for the snapshot.
    ///
    /// # Errors
    ///
    /// [`AdminError::Timeout`] or [`AdminError::Stopped`].
    pub async fn flush_and_snapshot(&self, limit: Duration) -> Result<(), AdminError> {
        let core = self.running()?;
        let raft = core.raft.clone();
        let goal = *core.replica.applied.borrow();
        drop(core);
        let done = timeout(limit, async {
            let mut asked = Instant::now();
            raft.trigger().snapshot().await?;
            loop {
                let snapshot = raft.metrics().borrow_watched().snapshot.map(|log_id| log_id.index);
                if snapshot >= goal {
                    return Ok::<(), openraft::errors::Fatal<crate::TypeConfig>>(());
                }
                // An order is ignored while an earlier snapshot is being built.
                if asked.elapsed() > 20 * LOOK {
                    asked = Instant::now();
                    raft.trigger().snapshot().await?;
                }
                if self.is_stopped() || self.failure().is_some() {
                    return Err(openraft::errors::Fatal::Stopped);
                }
                sleep(LOOK).await;
            }
        });
        match done.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(AdminError::Stopped { group: self.id }),
            Err(_) => Err(self.too_late(limit)),
        }
    }

    /// Hands leadership to a voter and waits until it leads. Commands wait meanwhile.
    ///
    /// # Errors
    ///
    /// [`AdminError`]; after a timeout leadership may still move.
    pub async fn transfer_leader(&self, to: NodeId, limit: Duration) -> Result<(), AdminError> {
        let core = self.running()?;
        let raft = core.raft.clone();
        drop(core);
        let server = raft.server_metrics().borrow_watched().clone();
        if !self.is_leader() {
            return Err(AdminError::NotLeader { group: self.id, leader: self.leader() });
        }
        if to == self.node() {
            return Ok(());
        }
        if !server.membership_config.voter_ids().any(|id| id == to.0) {
            return Err(AdminError::NotVoter { group: self.id, node: to });
        }
        let stopped = |_| AdminError::Stopped { group: self.id };
        raft.trigger().transfer_leader(to.0).await.map_err(stopped)?;
        let mut server = raft.server_metrics();
        let moved = timeout(limit, async {
            while server.borrow_watched().current_leader != Some(to.0) {
                if server.changed().await.is_err() {
                    return false;
                }
            }
            true
        });
        match moved.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(AdminError::Stopped { group: self.id }),
            Err(_) => Err(self.too_late(limit)),
        }
    }

    /// Makes all replicas compute their checksum at one log index, and collects them. A replica that gets a snapshot in
    /// place of the command computes nothing, so a command that some replica leaves unanswered is given again.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] when the group did not take the command. A replica that did not answer before the deadline has
    /// its reason in the list.
    pub async fn checksums(&self, deadline: Instant) -> Result<Vec<ReplicaChecksum>, SubmitError> {
        let mut patience = CHECKSUM_PATIENCE;
        loop {
            let until = deadline.min(Instant::now() + patience);
            let collected = self.checksums_at_one_index(deadline, until).await?.replicas;
            if until == deadline || collected.iter().all(|replica| replica.checksum.is_ok()) {
                return Ok(collected);
            }
            patience *= 2;
        }
    }

    /// As [`Self::checksums`], with one command, whether or not all replicas come to it.
    ///
    /// # Errors
    ///
    /// As [`Self::checksums`].
    pub(crate) async fn checksums_once(&self, deadline: Instant) -> Result<ChecksumsAt, SubmitError> {
        self.checksums_at_one_index(deadline, deadline).await
    }

    async fn checksums_at_one_index(
        &self,
        deadline: Instant,
        until: Instant,
    ) -> Result<ChecksumsAt, SubmitError> {
        let token = rand::random();
        self.submit(command::checksum(token), deadline).await?;
        let members = self.members();
        let replicas = join_all(members.into_iter().map(|(node, address)| async move {
            ReplicaChecksum { node, checksum: self.checksum_of(node, &address, token, until).await }
        }));
        Ok(ChecksumsAt { token, replicas: replicas.await })
    }

    async fn checksum_of(
        &self,
        node: NodeId,
        address: &str,
        token: u64,
        deadline: Instant,
    ) -> Result<ChecksumAt, PeerError> {
        loop {
            let asked = if node == self.node() {
                Ok(self.checksum(token))
            } else {
                let reply = self.peer(node, address).checksum(token, self.attempt_timeout(deadline)).await;
                reply.map(|r| r.checksum.map(|c| ChecksumAt { index: c.index, value: c.value }))
            };
            match asked {
                Ok(Some(checksum)) => return Ok(checksum),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Ok(None) if Instant::now() >= deadline => {
                    return Err(PeerError::Unreachable { node, reason: "replica is behind".to_owned() });
                }
                Ok(None) | Err(_) => sleep(LOOK).await,
            }
        }
    }

    /// What runs here now.
    pub(super) fn running(&self) -> Result<Arc<Core>, AdminError> {
        self.core().ok_or(AdminError::Stopped { group: self.id })
    }

    pub(super) fn too_late(&self, limit: Duration) -> AdminError {
        AdminError::Timeout { group: self.id, waited_ms: limit.as_millis() as u64 }
    }
}
