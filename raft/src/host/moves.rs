//! Moves replicas from node to node: the leader of the meta group looks how the nodes and groups are and makes one change
//! of the catalog after the other. It also notes who is lost, and who is back.
//!
//! It remembers since when a node does not answer; a new leader begins to count anew, so a change of leadership makes
//! healing later, never sooner.

use super::RaftHost;
use super::plan::{Move, Seen, even, is_settled, moves_between, next_change, target};
use crate::command::{self, Outcome};
use crate::error::AdminError;
use crate::group::GroupStatus;
use futures::future::join_all;
use hashbrown::HashMap;
use model::catalog::{Catalog, CatalogCommand, Duty, MembershipCommand};
use model::{GroupId, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(1);
/// How long a node may take to tell how its groups are.
const ASK_MAX: Duration = Duration::from_secs(1);
/// How often it is looked whether a node has left.
const LEFT_LOOK: Duration = Duration::from_millis(100);
/// How long one change of the catalog may take.
const CHANGE_MAX: Duration = Duration::from_secs(10);

/// Runs as long as the host does.
pub(crate) async fn run(host: Weak<RaftHost>) {
    let mut absent = Absent::default();
    loop {
        sleep(LOOK).await;
        let Some(host) = host.upgrade().filter(|host| !host.is_stopping()) else { return };
        let leads = host.group(GroupId::META).is_some_and(|meta| meta.is_leader());
        let catalog = host.catalog();
        host.pool.written_level.store(catalog.feature_level, Ordering::Relaxed);
        if !leads || catalog.cluster.is_empty() {
            absent = Absent::default();
            continue;
        }
        let seen = host.look_at_all().await;
        let after = host.tuning().replace_after;
        let change = absent.change_of_duty(&catalog, &seen, after, Instant::now());
        let change = change.or_else(|| next_change(&catalog, &seen, host.tuning().moves_at_once));
        let change = change.or_else(|| next_level(&catalog, &seen));
        if let Some(change) = change {
            host.make(change).await;
        }
    }
}

/// Since when nodes do not answer.
#[derive(Debug, Default)]
struct Absent(HashMap<NodeId, Instant>);

impl Absent {
    /// A node that has been gone for `after` (zero: never) is lost if there is one that can take a replica of its; one
    /// that is lost and answers does everything again.
    fn change_of_duty(
        &mut self,
        catalog: &Catalog,
        seen: &Seen,
        after: Duration,
        now: Instant,
    ) -> Option<MembershipCommand> {
        self.0.retain(|id, _| catalog.nodes.contains_key(id) && !seen.alive.contains(id));
        for id in catalog.nodes.keys().filter(|id| !seen.alive.contains(id)) {
            self.0.entry(*id).or_insert(now);
        }
        let back = catalog.duties.iter().find(|(id, duty)| **duty == Duty::Lost && seen.alive.contains(id));
        if let Some((id, _)) = back {
            return Some(MembershipCommand::SetDuty { id: *id, duty: Duty::Full });
        }
        let is_due = |id: &NodeId| self.0.get(id).is_some_and(|since| now.duration_since(*since) >= after);
        let mut gone = catalog.nodes.keys().filter(|id| catalog.duty(**id) == Duty::Full && is_due(id));
        let id = gone.find(|id| !after.is_zero() && can_be_replaced(catalog, seen, **id))?;
        Some(MembershipCommand::SetDuty { id: *id, duty: Duty::Lost })
    }
}

/// The level that every member knows, if the cluster writes a lower one: nobody may be left out, also who is away, or does
/// not say what it knows: it is from before there were levels.
fn next_level(catalog: &Catalog, seen: &Seen) -> Option<MembershipCommand> {
    let told = |id| seen.levels.get(id).copied().filter(|level| *level > 0);
    let known: Option<Vec<u32>> = catalog.nodes.keys().map(told).collect();
    let level = known?.into_iter().min().filter(|level| *level > catalog.feature_level)?;
    Some(MembershipCommand::RaiseLevel { level })
}

/// Whether some other node can take a replica of a node.
fn can_be_replaced(catalog: &Catalog, seen: &Seen, id: NodeId) -> bool {
    let without = catalog.duties.clone().into_iter().chain([(id, Duty::Lost)]).collect();
    let lost = Catalog { duties: without, ..catalog.clone() };
    target(&lost, &seen.roomy(catalog)) != target(catalog, &seen.roomy(catalog))
}

impl RaftHost {
    /// How all nodes and groups are.
    pub(super) async fn look_at_all(&self) -> Seen {
        let nodes: Vec<NodeId> = self.catalog().nodes.keys().copied().collect();
        let told = join_all(nodes.iter().map(|id| self.peer_report(*id, ASK_MAX))).await;
        let mut seen = Seen::default();
        for (id, told) in nodes.iter().zip(told) {
            if let Ok((groups, state)) = told {
                seen.alive.insert(*id);
                seen.levels.insert(*id, state.feature_level);
                if state.has_no_room() {
                    seen.cramped.insert(*id);
                }
                seen.told.extend(groups);
            }
        }
        seen
    }

    async fn make(&self, change: MembershipCommand) {
        match self.change_members(change.clone(), Instant::now() + CHANGE_MAX).await {
            Ok(()) => tracing::info!(?change, "placement changed"),
            Err(reason) => tracing::info!(?change, reason, "placement not changed yet"),
        }
    }

    /// Makes one change of the members or their replicas, and waits until this node has it, too.
    ///
    /// # Errors
    ///
    /// Why not, for the operator.
    pub async fn change_members(
        &self,
        change: impl Into<CatalogCommand>,
        deadline: Instant,
    ) -> Result<(), String> {
        let meta = self.group(GroupId::META).ok_or("no replica of the meta group here")?;
        let command = command::catalog(&change.into());
        let reply = meta.submit(command, deadline).await.map_err(|error| error.to_string())?;
        if let Outcome::Refused(reason) = reply.outcome() {
            return Err(reason);
        }
        meta.read_barrier(deadline).await.map_err(|error| error.to_string())
    }

    /// Waits until the meta group's Raft has let a node go for good: before that its vote may still be needed.
    pub async fn has_left_meta(&self, node: NodeId, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let seen = self.look_at_all().await;
            let has_left = |leader: &GroupStatus| {
                let is_member = leader.voters.contains(&node) || leader.learners.contains(&node);
                leader.is_uniform && !is_member && leader.committed >= leader.membership_at
            };
            if seen.leader(GroupId::META).is_some_and(has_left) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            sleep(LEFT_LOOK).await;
        }
    }

    /// Whether the voters of the meta group are those that the catalog names.
    pub async fn is_meta_settled(&self) -> bool {
        let voters: Vec<NodeId> = self.catalog().voters(GroupId::META).into_iter().collect();
        let seen = self.look_at_all().await;
        seen.leader(GroupId::META).is_some_and(|leader| leader.is_uniform && leader.voters == voters)
    }

    /// Where replicas are to move, and which groups are on their way now.
    pub async fn pending_moves(&self) -> Pending {
        let catalog = self.catalog();
        let seen = self.look_at_all().await;
        let placed = catalog.placed();
        let moves = moves_between(&placed, &target(&catalog, &seen.roomy(&catalog)));
        let unsettled = placed.iter().filter(|(group, replicas)| !is_settled(&seen, **group, replicas));
        Pending { moves, unsettled: unsettled.map(|(group, _)| *group).collect(), alive: seen.alive }
    }

    /// What a rebalancing would move, and the goal that says so.
    pub async fn plan_rebalance(&self) -> (Vec<Move>, BTreeMap<GroupId, Vec<NodeId>>) {
        let catalog = self.catalog();
        let seen = self.look_at_all().await;
        let goal = even(&catalog, &seen.roomy(&catalog));
        (moves_between(&catalog.placed(), &goal), goal)
    }

    /// The groups that would be without a majority of their voters, or without a voter that has everything, if a node
    /// went now: each with the reason.
    pub async fn would_lose(&self, node: NodeId) -> Vec<String> {
        let seen = self.look_at_all().await;
        let mut reasons = Vec::new();
        for group in self.groups() {
            let id = group.id();
            let Some(leader) = seen.leader(id) else {
                reasons.push(format!("group {id} has no leader"));
                continue;
            };
            if let Some(reason) = lost_by(node, leader, &seen.alive) {
                reasons.push(format!("group {id}: {reason}"));
            }
        }
        reasons
    }

    /// Hands leadership of a group to a voter, wherever its leader is.
    ///
    /// # Errors
    ///
    /// [`AdminError`].
    pub async fn transfer_leader_of(
        &self,
        group: GroupId,
        to: NodeId,
        limit: Duration,
    ) -> Result<(), AdminError> {
        let handle = self.group(group).ok_or(AdminError::Stopped { group })?;
        if handle.is_leader() {
            return handle.transfer_leader(to, limit).await;
        }
        let leader = self.look_at_all().await.leader(group).and_then(|status| status.leader);
        let Some(leader) = leader else { return Err(AdminError::NotLeader { group, leader: None }) };
        if leader == to {
            return Ok(());
        }
        let refused = |reason: String| AdminError::Refused { group, reason };
        let address = self.peer_address(leader).map_err(|error| refused(error.to_string()))?;
        self.peer(leader, &address)
            .hand_over(group, to, limit)
            .await
            .map_err(|error| refused(error.to_string()))
    }
}

/// Replicas that are to move.
#[derive(Debug, Clone, Default)]
pub struct Pending {
    /// In order of groups.
    pub moves: Vec<Move>,
    /// Groups whose Raft has not followed the catalog yet.
    pub unsettled: Vec<GroupId>,
    /// Nodes that answer.
    pub alive: BTreeSet<NodeId>,
}

/// What a group would lack without a node.
fn lost_by(node: NodeId, leader: &GroupStatus, alive: &BTreeSet<NodeId>) -> Option<String> {
    if !leader.voters.contains(&node) {
        return None;
    }
    let others: Vec<&NodeId> = leader.voters.iter().filter(|id| **id != node).collect();
    let able = others.iter().filter(|id| alive.contains(id)).count();
    if others.is_empty() {
        return Some(format!("node {node} has its only replica"));
    }
    (able * 2 <= others.len()).then(|| format!("of its other voters {able} of {} answer", others.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::catalog::NodeInfo;
    use model::placement::Placement;

    fn ids(ids: &[u64]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    fn catalog(nodes: u64) -> Catalog {
        let mut catalog = Catalog::default();
        let bootstrap = CatalogCommand::Bootstrap {
            cluster: "c".to_owned(),
            nodes: (1..=nodes).map(|id| (NodeId(id), NodeInfo::default())).collect(),
            slots: [GroupId(1)].into(),
            placement: Placement { factor: 3, groups: [(GroupId(1), ids(&[1, 2, 3]))].into() },
            feature_level: 0,
        };
        catalog.apply(&bootstrap).unwrap();
        catalog
    }

    fn alive(nodes: &[u64]) -> Seen {
        Seen { alive: ids(nodes).into_iter().collect(), ..Seen::default() }
    }

    const AFTER: Duration = Duration::from_secs(60);

    #[test]
    fn a_node_is_lost_after_its_time_if_another_can_take_its_replicas() {
        let mut absent = Absent::default();
        let (four, start) = (catalog(4), Instant::now());
        let lost = |id: u64| Some(MembershipCommand::SetDuty { id: NodeId(id), duty: Duty::Lost });
        assert_eq!(absent.change_of_duty(&four, &alive(&[1, 3, 4]), AFTER, start), None);
        assert_eq!(absent.change_of_duty(&four, &alive(&[1, 2, 3, 4]), AFTER, start + AFTER / 2), None);
        assert_eq!(
            absent.change_of_duty(&four, &alive(&[1, 3, 4]), AFTER, start + AFTER),
            None,
            "it was back"
        );
        let gone = absent.change_of_duty(&four, &alive(&[1, 3, 4]), AFTER, start + 2 * AFTER);
        assert_eq!(gone, lost(2));
        let never = absent.change_of_duty(&four, &alive(&[1, 3, 4]), Duration::ZERO, start + 9 * AFTER);
        assert_eq!(never, None);
        // Nobody could take anything.
        let mut absent = Absent::default();
        for at in [start, start + 2 * AFTER] {
            assert_eq!(absent.change_of_duty(&catalog(3), &alive(&[1, 3]), AFTER, at), None);
        }
    }

    #[test]
    fn the_level_is_what_every_member_knows() {
        let mut four = catalog(4);
        let known = |levels: [u32; 4]| Seen {
            levels: levels
                .into_iter()
                .zip(1..)
                .filter(|(level, _)| *level < u32::MAX)
                .map(|(l, id)| (NodeId(id), l))
                .collect(),
            ..Seen::default()
        };
        let raised = |level| Some(MembershipCommand::RaiseLevel { level });
        assert_eq!(next_level(&four, &known([1, 1, 1, 1])), raised(1));
        assert_eq!(next_level(&four, &known([2, 2, u32::MAX, 2])), None, "one is away");
        assert_eq!(next_level(&four, &known([2, 2, 0, 2])), None, "one is from before there were levels");
        four.feature_level = 1;
        assert_eq!(next_level(&four, &known([2, 1, 2, 2])), None);
        assert_eq!(next_level(&four, &known([2, 3, 2, 2])), raised(2));
    }

    #[test]
    fn a_lost_node_that_answers_does_everything_again() {
        let mut four = catalog(4);
        four.apply(&MembershipCommand::SetDuty { id: NodeId(2), duty: Duty::Lost }.into()).unwrap();
        let back = Absent::default().change_of_duty(&four, &alive(&[1, 2, 3, 4]), AFTER, Instant::now());
        assert_eq!(back, Some(MembershipCommand::SetDuty { id: NodeId(2), duty: Duty::Full }));
    }

    #[test]
    fn a_node_without_which_a_group_has_no_majority_is_missed() {
        let leader = GroupStatus { voters: ids(&[1, 2, 3]), ..GroupStatus::default() };
        let missed = |alive: &[u64]| lost_by(NodeId(3), &leader, &ids(alive).into_iter().collect());
        assert_eq!(missed(&[1, 2, 3]), None);
        assert_eq!(missed(&[1, 3]), Some("of its other voters 1 of 2 answer".to_owned()));
        assert_eq!(lost_by(NodeId(9), &leader, &BTreeSet::new()), None);
        let alone = GroupStatus { voters: ids(&[3]), ..GroupStatus::default() };
        assert!(lost_by(NodeId(3), &alone, &[NodeId(3)].into()).is_some());
    }
}
