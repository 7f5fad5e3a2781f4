//! Read barriers of all groups of a node. Barriers that wait share a round; none joins a round that began before it.

use super::RaftHost;
use crate::codec;
use crate::error::BarrierError;
use crate::group::Group;
use crate::group::standing::Standing;
use crate::network::pool::Lane;
use crate::network::rpc::within;
use futures::future::join_all;
use hashbrown::HashMap;
use model::{GroupId, NodeId};
use proto::peer as wire;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;
use storage::bugs::{self, Bug};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

/// Barriers that may wait for the next round.
pub(super) const QUEUE: usize = 4_096;
/// How long a round waits for a peer. Groups that it leaves open go the long way.
const ROUND_MAX: Duration = Duration::from_millis(50);
/// How long a group may take to say where this node stands in it.
const STANDING_MAX: Duration = Duration::from_millis(50);
/// How long a peer that did not answer is left out.
const AVOID: Duration = Duration::from_secs(1);

/// Read indexes by group.
type Indexes = Arc<BTreeMap<GroupId, u64>>;

/// A barrier that waits for a round.
pub(super) type Waiter = oneshot::Sender<Indexes>;

/// Runs rounds, one after the other, as long as the host lives.
pub(super) async fn serve(host: Weak<RaftHost>, mut waiting: mpsc::Receiver<Waiter>) {
    let mut round = Vec::new();
    let mut silent: HashMap<NodeId, Instant> = HashMap::new();
    while waiting.recv_many(&mut round, QUEUE).await > 0 {
        let Some(host) = host.upgrade() else { return };
        round.retain(|waiter| !waiter.is_closed());
        if round.is_empty() {
            continue;
        }
        let now = Instant::now();
        silent.retain(|_, until| now < *until);
        let indexes = Arc::new(host.confirm(&mut silent).await);
        for waiter in round.drain(..) {
            // Whoever gave up needs no answer.
            waiter.send(Arc::clone(&indexes)).ok();
        }
    }
}

impl RaftHost {
    /// Waits until the local replica of every group that is here has applied everything that was acknowledged before the
    /// call.
    pub async fn read_barriers(&self, deadline: Instant) -> Vec<(Arc<Group>, Result<(), BarrierError>)> {
        self.read_barriers_of(|_| true, deadline).await
    }

    /// As [`Self::read_barriers`], for some groups: those that nobody waits for hold nobody up.
    pub(crate) async fn read_barriers_of(
        &self,
        is_wanted: impl Fn(GroupId) -> bool,
        deadline: Instant,
    ) -> Vec<(Arc<Group>, Result<(), BarrierError>)> {
        if bugs::is(Bug::StaleRead) {
            return self.groups.values().map(|group| (Arc::clone(group), Ok(()))).collect();
        }
        let (waiter, answer) = oneshot::channel();
        let indexes = match self.barriers.send(waiter).await {
            // Without an answer each group is asked by itself, which has an end.
            Ok(()) => timeout_at(deadline, answer).await.ok().and_then(Result::ok).unwrap_or_default(),
            Err(_) => Indexes::default(),
        };
        let here = self.groups.values().filter(|group| group.is_here() && is_wanted(group.id()));
        let waits = here.map(|group| {
            let index = indexes.get(&group.id()).copied();
            async move {
                let outcome = match index {
                    Some(index) => group.wait_applied(index, deadline).await,
                    None => group.read_barrier(deadline).await,
                };
                (Arc::clone(group), outcome)
            }
        });
        join_all(waits).await
    }

    /// One round: where this node stands in its groups, then where the peers stand.
    async fn confirm(&self, silent: &mut HashMap<NodeId, Instant>) -> BTreeMap<GroupId, u64> {
        let begun = Instant::now();
        let node = self.node();
        // A group whose log does not get onto the disk does not say where it stands, and holds nobody else up.
        let standing =
            async |group: &Arc<Group>| timeout(STANDING_MAX, group.standing()).await.ok().flatten();
        let standings = join_all(self.groups.values().map(standing)).await;
        let known = self.groups.keys().copied().zip(standings);
        let standings: BTreeMap<GroupId, Standing> =
            known.filter_map(|(id, standing)| Some((id, standing?))).collect();
        let alone = |(id, standing): (&GroupId, &Standing)| Some((*id, standing.index_with(node, None)?));
        let mut indexes: BTreeMap<GroupId, u64> = standings.iter().filter_map(alone).collect();
        let mut peers: BTreeSet<NodeId> = standings.values().flat_map(|s| s.others(node)).collect();
        peers.retain(|peer| !silent.contains_key(peer));
        let asked = peers.iter().map(|peer| self.ask(*peer, &standings));
        for (peer, reply) in peers.iter().zip(join_all(asked).await) {
            match reply {
                Some(reply) => indexes.extend(confirmed_by(node, *peer, reply, &standings)),
                None => drop(silent.insert(*peer, Instant::now() + AVOID)),
            }
        }
        for group in indexes.keys().filter_map(|id| self.groups.get(id)) {
            group.confirmed(begun);
        }
        indexes
    }

    /// Tells a peer where this node stands and asks the same; `None` when it does not answer soon.
    async fn ask(&self, peer: NodeId, standings: &BTreeMap<GroupId, Standing>) -> Option<wire::StandReply> {
        let address = self.groups.values().find_map(|group| group.address(peer))?;
        let standing = |(id, standing): (&GroupId, &Standing)| wire::Standing {
            group: id.0,
            vote: codec::encode(&standing.vote),
            index: None,
        };
        let request = wire::StandRequest {
            header: Some(self.pool.header(GroupId::META, peer)),
            groups: standings.iter().map(standing).collect(),
        };
        let mut client = self.pool.client(peer, &address, Lane::Heartbeat).ok()?;
        within(peer, ROUND_MAX, client.stand(request)).await.ok()
    }
}

/// The read indexes that a peer's reply confirms: those of groups that it leads, and of groups that this node leads.
fn confirmed_by(
    node: NodeId,
    peer: NodeId,
    reply: wire::StandReply,
    standings: &BTreeMap<GroupId, Standing>,
) -> Vec<(GroupId, u64)> {
    let confirmed = reply.groups.into_iter().filter_map(|theirs| {
        let id = GroupId(theirs.group);
        let mine = standings.get(&id)?;
        let as_leader = || mine.index_with(node, Some((peer, &codec::decode(theirs.vote).ok()?)));
        Some((id, theirs.index.or_else(as_leader)?))
    });
    confirmed.collect()
}
