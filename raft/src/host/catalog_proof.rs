//! Whether the catalog on this node is good enough to take writes by, without asking anybody.
//!
//! A write is stored under the ids that the local catalog gives to its database and policy. One that was dropped and made
//! again has others: what is stored by a catalog from before would be acknowledged, and lost. To ask the meta group's leader
//! before each write would cost a round trip, so it is the rare statement that waits: whoever changes where points go tells
//! all nodes the log index of the change, and waits for those it does not reach until they have heard no leader for
//! [`lease`]. A node that heard none for so long, or has just been started, asks once ([`RaftHost::prove_catalog`]) before
//! it trusts its catalog again.
//!
//! What is measured is always this process's own monotonic time; a process that was frozen finds that its last look is too
//! long ago.

use super::RaftHost;
use crate::config::Tuning;
use crate::error::{BarrierError, PeerError};
use crate::group::{Group, GroupStatus, Role};
use futures::future::join_all;
use model::{GroupId, NodeId};
use parking_lot::Mutex;
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often it is looked whether the leader is heard.
const LOOK: Duration = Duration::from_millis(100);
/// How long one attempt at the leader may take before the other nodes are asked.
const ATTEMPT: Duration = Duration::from_secs(1);
/// How long these may take.
const VOUCH_MAX: Duration = Duration::from_millis(500);
/// How much longer than the lease the leader must not have heard a node: for the looks, and messages under way.
const MARGIN: Duration = Duration::from_millis(300);

/// How long after the last word of a leader the catalog is trusted.
fn lease(tuning: &Tuning) -> Duration {
    tuning.election_min
}

/// What is known of the local catalog.
#[derive(Debug, Default)]
pub(crate) struct CatalogProof {
    /// When a leader was last heard, in one chain of looks since the catalog was current; `None`: it has to be proven.
    heard: Mutex<Option<Instant>>,
    /// The log index of the newest change that this node was told of.
    required: AtomicU64,
    /// What the replica had applied when it was last looked at.
    had: AtomicU64,
    /// The version of the catalog then: one that is being opened again is an older one for a while.
    had_version: AtomicU64,
}

impl CatalogProof {
    /// Goes on with the chain, or ends it.
    fn look(&self, since_heard: Option<Duration>, lease: Duration, now: Instant) {
        let mut heard = self.heard.lock();
        let is_unbroken = heard.is_some_and(|at| now.duration_since(at) <= lease);
        let at = since_heard.and_then(|since| now.checked_sub(since));
        // A word from before the last one counted says nothing new.
        *heard = match (*heard, at) {
            (Some(last), Some(at)) if is_unbroken => Some(last.max(at)),
            (Some(last), None) if is_unbroken => Some(last),
            _ => None,
        };
    }

    fn is_fresh(&self, applied: Option<u64>, lease: Duration, now: Instant) -> bool {
        let is_heard = self.heard.lock().is_some_and(|at| now.duration_since(at) <= lease);
        is_heard && applied.unwrap_or(0) >= self.required.load(Ordering::Acquire)
    }

    /// The catalog had everything that was acknowledged before `at`.
    fn proven(&self, at: Instant) {
        let mut heard = self.heard.lock();
        *heard = Some(heard.map_or(at, |last| last.max(at)));
    }
}

/// Looks as long as the host lives.
pub(super) async fn run(host: Weak<RaftHost>) {
    loop {
        sleep(LOOK).await;
        let Some(host) = host.upgrade().filter(|host| !host.is_stopping()) else { return };
        if let Some(applied) = host.group(GroupId::META).and_then(|meta| meta.applied()) {
            // In this order: the version that goes with an index is never a lower one.
            host.catalog_proof.had.fetch_max(applied, Ordering::AcqRel);
            host.catalog_proof.had_version.fetch_max(host.catalog().version, Ordering::AcqRel);
        }
        host.catalog_proof.look(host.since_meta_leader(), lease(host.tuning()), Instant::now());
    }
}

impl RaftHost {
    /// Makes sure that the local catalog has all changes of databases and policies that were acknowledged before now. Asks
    /// nobody as long as a leader of the meta group is heard.
    ///
    /// # Errors
    ///
    /// [`BarrierError`] if the catalog may be an old one.
    pub async fn prove_catalog(&self, deadline: Instant) -> Result<(), BarrierError> {
        let stopped = BarrierError::Stopped { group: GroupId::META };
        let meta = self.group(GroupId::META).ok_or(stopped)?;
        if self.catalog_proof.is_fresh(meta.applied(), lease(self.tuning()), Instant::now()) {
            return Ok(());
        }
        loop {
            let begun = Instant::now();
            let attempt = deadline.min(begun + ATTEMPT);
            let mut outcome = match meta.applied() {
                Some(_) => meta.read_barrier(attempt).await,
                None => self.prove_closed(&meta, attempt).await,
            };
            // The link to the leader may be cut, and another node reach it.
            if outcome.is_err() && self.is_vouched_for().await {
                outcome = Ok(());
            }
            match outcome {
                Ok(()) => {
                    self.catalog_proof.proven(begun);
                    return Ok(());
                }
                Err(error @ BarrierError::Stopped { .. }) => return Err(error),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => sleep(LOOK).await,
            }
        }
    }

    /// Whether a node that trusts its catalog has no more of it than this one.
    async fn is_vouched_for(&self) -> bool {
        let others: Vec<NodeId> =
            self.catalog().nodes.keys().copied().filter(|id| *id != self.node()).collect();
        let told = join_all(others.iter().map(|id| self.peer_report(*id, VOUCH_MAX))).await;
        let had = self.catalog_proof.had.load(Ordering::Acquire);
        let is_old = self.catalog().version < self.catalog_proof.had_version.load(Ordering::Acquire);
        let has_no_more = |groups: &[GroupStatus]| {
            let meta = groups.iter().find(|status| status.group == GroupId::META);
            meta.is_some_and(|status| status.applied.unwrap_or(u64::MAX) <= had)
        };
        !is_old
            && told
                .into_iter()
                .flatten()
                .any(|(groups, state)| state.catalog_is_fresh && has_no_more(&groups))
    }

    /// Whether the catalog is trusted now.
    pub(crate) fn catalog_is_fresh(&self) -> bool {
        let applied = self.group(GroupId::META).and_then(|meta| meta.applied());
        self.catalog_proof.is_fresh(applied, lease(self.tuning()), Instant::now())
    }

    /// A replica that is closed, because its disk fails, catches up with nothing; what it had last may be current all the
    /// same.
    async fn prove_closed(&self, meta: &Group, deadline: Instant) -> Result<(), BarrierError> {
        let had = self.catalog_proof.had.load(Ordering::Acquire);
        let had_version = self.catalog_proof.had_version.load(Ordering::Acquire);
        let begun = Instant::now();
        match meta.read_index(deadline).await {
            Some(index) if index <= had && self.catalog().version >= had_version => Ok(()),
            _ => {
                let waited_ms = begun.elapsed().as_millis() as u64;
                Err(BarrierError::Timeout { group: GroupId::META, waited_ms })
            }
        }
    }

    /// How long a node without a word of a leader may go on trusting its catalog, and how long it takes at most until there
    /// is a leader that could know of its silence.
    pub fn catalog_distrust_after(&self) -> Duration {
        lease(self.tuning()) + MARGIN + self.tuning().election_max
    }

    /// From now on the catalog is trusted only if it has this entry of the meta group's log.
    pub(crate) fn require_catalog(&self, index: u64) {
        self.catalog_proof.required.fetch_max(index, Ordering::AcqRel);
    }

    /// Tells a node of a change of the catalog. Answers what it has applied of the meta group's log.
    ///
    /// # Errors
    ///
    /// [`PeerError`]: it may not know.
    pub async fn tell_of_change(
        &self,
        node: NodeId,
        index: u64,
        timeout: Duration,
    ) -> Result<Option<u64>, PeerError> {
        let address = self.peer_address(node)?;
        let reply = self.peer(node, &address).tell_of_change(index, timeout).await?;
        let meta = reply.groups.iter().find(|group| group.group == GroupId::META.0);
        Ok(meta.and_then(|group| group.applied))
    }

    /// Whether the meta group's leader has not heard a node for so long that the node does not trust its catalog.
    pub async fn distrusts_its_catalog(&self, node: NodeId, timeout: Duration) -> bool {
        let Some(leader) = self.group(GroupId::META).and_then(|meta| meta.leader()) else { return false };
        let Ok(told) = self.peer_status(leader, timeout).await else { return false };
        let meta = told.iter().find(|status| status.group == GroupId::META && status.role == Role::Leader);
        let peer = meta.and_then(|status| status.peers.iter().find(|peer| peer.node == node));
        let silence = peer.and_then(|peer| peer.since_ack);
        silence.is_some_and(|silence| silence >= lease(self.tuning()) + MARGIN)
    }

    /// Time since this node heard that there is a leader; as the leader, that it has a quorum.
    fn since_meta_leader(&self) -> Option<Duration> {
        let status = self.group(GroupId::META)?.status();
        if status.role == Role::Leader { status.since_quorum_ack } else { status.since_leader }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_millis(1_500);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn it_is_trusted_as_long_as_a_leader_is_heard_without_a_gap() {
        let (proof, start) = (CatalogProof::default(), Instant::now());
        proof.look(Some(ms(0)), LEASE, start);
        assert!(
            !proof.is_fresh(Some(9), LEASE, start),
            "a leader was heard, but the catalog may be of yesterday"
        );
        proof.proven(start);
        assert!(proof.is_fresh(Some(9), LEASE, start + LEASE));
        assert!(!proof.is_fresh(Some(9), LEASE, start + LEASE + ms(1)));
        proof.look(Some(ms(100)), LEASE, start + ms(1_000));
        assert!(proof.is_fresh(Some(9), LEASE, start + ms(2_400)));
        assert!(!proof.is_fresh(Some(9), LEASE, start + ms(2_401)));
    }

    #[test]
    fn after_a_gap_it_has_to_be_proven_again() {
        let (proof, start) = (CatalogProof::default(), Instant::now());
        proof.proven(start);
        // The process was frozen, and heard the leader before it looked.
        proof.look(Some(ms(0)), LEASE, start + ms(10_000));
        assert!(!proof.is_fresh(Some(9), LEASE, start + ms(10_000)));
        proof.look(Some(ms(0)), LEASE, start + ms(10_100));
        assert!(!proof.is_fresh(Some(9), LEASE, start + ms(10_100)));
        proof.proven(start + ms(10_200));
        assert!(proof.is_fresh(Some(9), LEASE, start + ms(10_300)));
    }

    #[test]
    fn silence_is_no_gap_until_the_lease_is_over() {
        let (proof, start) = (CatalogProof::default(), Instant::now());
        proof.proven(start);
        for at in [500, 1_000, 1_500] {
            proof.look(None, LEASE, start + ms(at));
            assert!(proof.is_fresh(None, LEASE, start + ms(at)));
        }
        proof.look(None, LEASE, start + ms(1_600));
        assert!(!proof.is_fresh(None, LEASE, start + ms(1_600)));
    }

    #[test]
    fn a_change_that_was_told_has_to_be_there() {
        let (proof, start) = (CatalogProof::default(), Instant::now());
        proof.proven(start);
        proof.required.store(8, Ordering::Release);
        assert!(!proof.is_fresh(None, LEASE, start));
        assert!(!proof.is_fresh(Some(7), LEASE, start));
        assert!(proof.is_fresh(Some(8), LEASE, start));
    }
}
