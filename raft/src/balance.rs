//! Spreads leadership: each group has a preferred leader among its voters, and is handed to it when it is fit.
//!
//! Only leaders act, each for the groups it leads. A node that comes and goes is left alone for longer each time, and one
//! whose disk is slow neither keeps leadership nor gets it, as long as there is another that is fit.

mod disk_pace;

use crate::group::{Group, GroupStatus};
use crate::host::RaftHost;
use disk_pace::DiskPace;
use hashbrown::HashMap;
use model::catalog::Duty;
use model::{GroupId, NodeId};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Entries that a preferred leader may lack.
const LAG_MAX: u64 = 100;
/// How long ago it may have answered.
const ACK_MAX: Duration = Duration::from_secs(1);
/// A leadership that comes back sooner was no good idea.
const STABLE: Duration = Duration::from_secs(60);
/// Longest wait before a node is tried again.
const HOLD_MAX: Duration = Duration::from_secs(300);
/// How long a handover may take.
const HANDOVER: Duration = Duration::from_secs(3);
/// How long another node may take to tell whether its disk is slow.
const ASK_MAX: Duration = Duration::from_secs(1);

/// Hands over at most one group per interval, as long as the host lives; all of them while the disk is slow: when its
/// fsyncs take `slow_disk` or longer.
pub(crate) async fn run(host: Weak<RaftHost>, (interval, hold): (Duration, Duration), slow_disk: Duration) {
    let mut balancer = Balancer::new(hold);
    let mut pace = DiskPace::new(slow_disk);
    loop {
        sleep(interval).await;
        let Some(host) = host.upgrade() else { return };
        if host.is_stopping() {
            return;
        }
        let groups = host.groups();
        let was_slow = host.disk_is_slow.load(Ordering::Relaxed);
        let is_slow = host.log_stats().map_or(was_slow, |stats| pace.look(stats, Instant::now()));
        host.disk_is_slow.store(is_slow, Ordering::Relaxed);
        if is_slow != was_slow {
            tracing::warn!(is_slow, "the disk of the raft log changed its pace");
        }
        let catalog = host.catalog();
        let able = |mut status: GroupStatus| {
            let wished = catalog.replicas(status.group);
            status.voters.retain(|id| catalog.duty(*id) == Duty::Full && wished.contains(id));
            status
        };
        let led = groups.iter().filter(|group| group.is_leader());
        let led: Vec<GroupStatus> = led.map(|group| able(group.status())).collect();
        if is_slow {
            give_all_away(&host, &groups, &led).await;
            continue;
        }
        let Some((id, to)) = balancer.choose(host.node(), &led, Instant::now()) else { continue };
        let Some(group) = groups.iter().find(|group| group.id() == id) else { continue };
        if is_slow_at(&host, to).await {
            balancer.unfit(id, to);
            continue;
        }
        hand_over(group, to).await;
        balancer.given(id, to, Instant::now());
    }
}

async fn hand_over(group: &Arc<Group>, to: NodeId) {
    match group.transfer_leader(to, HANDOVER).await {
        Ok(()) => tracing::info!(group = %group.id(), %to, "leadership handed to the preferred node"),
        Err(error) => tracing::info!(group = %group.id(), %to, %error, "leadership not handed over"),
    }
}

/// Hands each group to the first voter that is fit and has no slow disk itself; those that have none stay.
async fn give_all_away(host: &Arc<RaftHost>, groups: &[Arc<Group>], led: &[GroupStatus]) {
    let mut slow: HashMap<NodeId, bool> = HashMap::new();
    for status in led {
        let Some(group) = groups.iter().find(|group| group.id() == status.group) else { continue };
        for to in successors(host.node(), status) {
            let is_slow = match slow.get(&to) {
                Some(known) => *known,
                None => *slow.entry(to).or_insert(is_slow_at(host, to).await),
            };
            if !is_slow {
                hand_over(group, to).await;
                break;
            }
        }
    }
}

/// Who may lead a group in place of `me`, the preferred one first; then from the next id on, so that what one node gives
/// away is spread.
fn successors(me: NodeId, status: &GroupStatus) -> Vec<NodeId> {
    let from = status.group.0 as usize % status.voters.len().max(1);
    let in_turn = status.voters[from..].iter().chain(&status.voters[..from]);
    in_turn.copied().filter(|id| *id != me && is_fit(status, *id)).collect()
}

/// Whether a node says that its disk is slow, or says nothing.
async fn is_slow_at(host: &RaftHost, node: NodeId) -> bool {
    host.peer_node_state(node, ASK_MAX).await.map_or(true, |state| state.disk_is_slow)
}

/// The voter that should lead a group.
pub(crate) fn preferred(group: GroupId, voters: &[NodeId]) -> Option<NodeId> {
    voters.get(group.0 as usize % voters.len().max(1)).copied()
}

/// Remembers who was fit since when, and who gave leadership back.
struct Balancer {
    hold: Duration,
    fit_since: HashMap<(GroupId, NodeId), Instant>,
    given: HashMap<GroupId, (NodeId, Instant)>,
    holds: HashMap<NodeId, Duration>,
}

impl Balancer {
    fn new(hold: Duration) -> Self {
        Self { hold, fit_since: HashMap::new(), given: HashMap::new(), holds: HashMap::new() }
    }

    /// A group to hand over, and to whom. `led` are the groups that `me` leads.
    fn choose(&mut self, me: NodeId, led: &[GroupStatus], now: Instant) -> Option<(GroupId, NodeId)> {
        let mut chosen = None;
        for status in led {
            let Some(to) = preferred(status.group, &status.voters).filter(|to| *to != me) else { continue };
            if !is_fit(status, to) {
                self.fit_since.remove(&(status.group, to));
                continue;
            }
            self.take_back(status.group, to, now);
            let since = *self.fit_since.entry((status.group, to)).or_insert(now);
            let hold = self.holds.get(&to).copied().unwrap_or(self.hold);
            if chosen.is_none() && now.duration_since(since) >= hold {
                chosen = Some((status.group, to));
            }
        }
        self.fit_since.retain(|(group, _), _| led.iter().any(|status| status.group == *group));
        chosen
    }

    /// If the group was given to `to` and is led here again, `to` has to wait: longer if it was soon.
    fn take_back(&mut self, group: GroupId, to: NodeId, now: Instant) {
        let Some((node, at)) = self.given.remove(&group) else { return };
        if node != to {
            return;
        }
        if now.duration_since(at) < STABLE {
            let hold = self.holds.entry(to).or_insert(self.hold);
            *hold = (*hold * 2).min(HOLD_MAX);
        } else {
            self.holds.remove(&to);
        }
        self.fit_since.insert((group, to), now);
    }

    /// A preferred node turned out to be unfit; it has to be fit for as long again.
    fn unfit(&mut self, group: GroupId, node: NodeId) {
        self.fit_since.remove(&(group, node));
    }

    fn given(&mut self, group: GroupId, to: NodeId, now: Instant) {
        self.given.insert(group, (to, now));
        self.fit_since.remove(&(group, to));
    }
}

fn is_fit(status: &GroupStatus, node: NodeId) -> bool {
    let peer = status.peers.iter().find(|peer| peer.node == node);
    peer.is_some_and(|peer| {
        peer.lag.is_some_and(|lag| lag <= LAG_MAX) && peer.since_ack.is_some_and(|since| since <= ACK_MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{PeerStatus, Role};

    const HOLD: Duration = Duration::from_secs(10);
    const ME: NodeId = NodeId(1);

    /// Group 1 of three nodes prefers node 2.
    fn led(lag: u64, since_ack: Duration) -> Vec<GroupStatus> {
        vec![GroupStatus {
            group: GroupId(1),
            role: Role::Leader,
            term: 1,
            leader: Some(ME),
            last_log: Some(1),
            committed: None,
            applied: None,
            durable: None,
            snapshot: None,
            purged: None,
            since_quorum_ack: None,
            since_leader: None,
            unconfirmed_for: None,
            peers: vec![PeerStatus { node: NodeId(2), lag: Some(lag), since_ack: Some(since_ack) }],
            voters: vec![NodeId(1), NodeId(2), NodeId(3)],
            learners: vec![],
            failure: None,
            condition: "running".to_owned(),
            since_start: Duration::from_secs(60),
            log_bytes: 0,
            ..GroupStatus::default()
        }]
    }

    fn fit() -> Vec<GroupStatus> {
        led(0, Duration::ZERO)
    }

    #[test]
    fn preferences_spread_over_the_voters() {
        let voters = [NodeId(4), NodeId(7), NodeId(9)];
        let chosen: Vec<_> = (0..6).map(|group| preferred(GroupId(group), &voters).unwrap().0).collect();
        assert_eq!(chosen, [4, 7, 9, 4, 7, 9]);
        assert_eq!(preferred(GroupId(1), &[]), None);
    }

    #[test]
    fn a_fit_node_gets_its_group_after_the_hold() {
        let mut balancer = Balancer::new(HOLD);
        let start = Instant::now();
        assert_eq!(balancer.choose(ME, &fit(), start), None);
        assert_eq!(balancer.choose(ME, &fit(), start + HOLD / 2), None);
        assert_eq!(balancer.choose(ME, &fit(), start + HOLD), Some((GroupId(1), NodeId(2))));
    }

    #[test]
    fn a_node_that_lags_or_is_silent_starts_again() {
        let mut balancer = Balancer::new(HOLD);
        let start = Instant::now();
        assert_eq!(balancer.choose(ME, &fit(), start), None);
        assert_eq!(balancer.choose(ME, &led(1_000, Duration::ZERO), start + HOLD), None);
        assert_eq!(balancer.choose(ME, &fit(), start + HOLD), None);
        assert_eq!(balancer.choose(ME, &led(0, Duration::from_secs(5)), start + 2 * HOLD), None);
        assert_eq!(balancer.choose(ME, &fit(), start + 2 * HOLD), None);
    }

    #[test]
    fn a_node_that_gives_leadership_back_waits_longer() {
        let mut balancer = Balancer::new(HOLD);
        let start = Instant::now();
        balancer.choose(ME, &fit(), start);
        let given = start + HOLD;
        assert!(balancer.choose(ME, &fit(), given).is_some());
        balancer.given(GroupId(1), NodeId(2), given);
        // It came back at once.
        assert_eq!(balancer.choose(ME, &fit(), given + HOLD), None);
        assert_eq!(balancer.choose(ME, &fit(), given + 2 * HOLD), None);
        assert!(balancer.choose(ME, &fit(), given + 3 * HOLD).is_some());
    }

    #[test]
    fn who_gives_away_knows_who_comes_next() {
        let peer = |node: u64, lag: u64| PeerStatus {
            node: NodeId(node),
            lag: Some(lag),
            since_ack: Some(Duration::ZERO),
        };
        let group = |group: u32, lags: [u64; 2]| GroupStatus {
            group: GroupId(group),
            voters: vec![NodeId(1), NodeId(2), NodeId(3)],
            peers: vec![peer(2, lags[0]), peer(3, lags[1])],
            ..GroupStatus::default()
        };
        assert_eq!(successors(ME, &group(1, [0, 0])), [NodeId(2), NodeId(3)]);
        assert_eq!(successors(ME, &group(2, [0, 0])), [NodeId(3), NodeId(2)]);
        assert_eq!(successors(ME, &group(3, [0, 0])), [NodeId(2), NodeId(3)]);
        assert_eq!(successors(ME, &group(1, [1_000, 0])), [NodeId(3)]);
        assert_eq!(successors(ME, &GroupStatus::default()), []);
    }

    #[test]
    fn a_leader_that_is_preferred_keeps_its_group() {
        let mut balancer = Balancer::new(Duration::ZERO);
        assert_eq!(balancer.choose(NodeId(2), &fit(), Instant::now()), None);
    }
}
