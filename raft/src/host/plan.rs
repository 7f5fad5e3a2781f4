//! What moves next: from the catalog, and how the nodes and groups are, to one change of the catalog. Pure.
//!
//! Three things move replicas: nodes that drain or are lost have none where others can take them, every group has as many as
//! the replication factor says, and a rebalancing goes to its goal. Always one node of a group at a time, and the next one
//! when the group's Raft has followed: learner, caught up, voter, then the old one removed.

use crate::group::{GroupStatus, Role};
use model::catalog::{Catalog, Duty, MembershipCommand};
use model::placement::{level, mend};
use model::{GroupId, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// How the nodes and groups are now.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Nodes that answer.
    pub(crate) alive: BTreeSet<NodeId>,
    /// What they tell of their replicas.
    pub(crate) told: Vec<GroupStatus>,
    /// The newest feature levels they know, as they told; 0 if they did not.
    pub(crate) levels: BTreeMap<NodeId, u32>,
    /// Nodes without room for one more replica.
    pub(crate) cramped: BTreeSet<NodeId>,
}

impl Seen {
    /// Nodes that answer, without those that would take replicas and have no room for one.
    pub(crate) fn roomy(&self, catalog: &Catalog) -> BTreeSet<NodeId> {
        let takes = |id: &&NodeId| catalog.duty(**id) != Duty::Full || !self.cramped.contains(id);
        self.alive.iter().filter(takes).copied().collect()
    }

    /// A group as its latest leader sees it.
    pub(crate) fn leader(&self, group: GroupId) -> Option<&GroupStatus> {
        let leaders = self.told.iter().filter(|status| status.group == group && status.role == Role::Leader);
        leaders.max_by_key(|status| status.term)
    }
}

/// One change of the nodes of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The group.
    pub group: GroupId,
    /// The node that gets a replica; `None` when one only goes.
    pub to: Option<NodeId>,
    /// The node that loses its; `None` when one only comes.
    pub from: Option<NodeId>,
}

/// Where the replicas of all data groups should be in the end; `roomy` are the nodes that answer and have room for one.
pub(crate) fn target(catalog: &Catalog, roomy: &BTreeSet<NodeId>) -> BTreeMap<GroupId, Vec<NodeId>> {
    let mut placed = catalog.placed();
    for (group, goal) in &catalog.goal {
        placed.insert(*group, goal.clone());
    }
    let staying = catalog.nodes.keys().filter(|id| catalog.duty(**id) == Duty::Full).copied().collect();
    let factor = catalog.replication_factor();
    not_fewer(&catalog.placed(), mend(&placed, &staying, roomy, factor), factor)
}

/// A placement in which groups that would end with fewer replicas than they have stay as they are. One with more than the
/// factor may lose some.
fn not_fewer(
    now: &BTreeMap<GroupId, Vec<NodeId>>,
    then: BTreeMap<GroupId, Vec<NodeId>>,
    factor: u32,
) -> BTreeMap<GroupId, Vec<NodeId>> {
    let kept = |(group, replicas): (GroupId, Vec<NodeId>)| {
        let before = now.get(&group).filter(|before| replicas.len() < before.len().min(factor as usize));
        let kept = before.cloned().unwrap_or(replicas);
        (group, kept)
    };
    then.into_iter().map(kept).collect()
}

/// Where a rebalancing would go: as [`target`], and even.
pub(crate) fn even(catalog: &Catalog, alive: &BTreeSet<NodeId>) -> BTreeMap<GroupId, Vec<NodeId>> {
    let full = catalog.nodes.keys().filter(|id| catalog.duty(**id) == Duty::Full && alive.contains(id));
    let nodes: Vec<NodeId> = full.copied().collect();
    if nodes.is_empty() {
        return catalog.placed();
    }
    let factor = catalog.replication_factor();
    not_fewer(&catalog.placed(), level(&catalog.placed(), &nodes, factor), factor)
}

/// The moves from one placement to another.
pub(crate) fn moves_between(
    now: &BTreeMap<GroupId, Vec<NodeId>>,
    then: &BTreeMap<GroupId, Vec<NodeId>>,
) -> Vec<Move> {
    let mut moves = Vec::new();
    for (group, to) in then {
        let from: &[NodeId] = now.get(group).map(Vec::as_slice).unwrap_or_default();
        let mut coming = to.iter().filter(|id| !from.contains(id)).copied();
        let mut going = from.iter().filter(|id| !to.contains(id)).copied();
        loop {
            let next = Move { group: *group, to: coming.next(), from: going.next() };
            if next.to.is_none() && next.from.is_none() {
                break;
            }
            moves.push(next);
        }
    }
    moves
}

/// The next change of the catalog, if one may be made now: at most `at_once` groups are on their way at a time.
pub(crate) fn next_change(catalog: &Catalog, seen: &Seen, at_once: usize) -> Option<MembershipCommand> {
    let placed = catalog.placed();
    let target = target(catalog, &seen.roomy(catalog));
    // A group without a leader goes nowhere; it must not keep others from being healed.
    let moves = |group: GroupId, replicas: &[NodeId]| {
        seen.leader(group).is_some() && !is_settled(seen, group, replicas)
    };
    let moving = placed.iter().filter(|(group, replicas)| moves(**group, replicas)).count();
    for (group, then) in &target {
        let Some(now) = placed.get(group).filter(|now| *now != then) else { continue };
        let is_settled = is_settled(seen, *group, now);
        if !is_settled && !awaits_somebody_gone(catalog, seen, *group, now) {
            continue;
        }
        if is_settled && moving >= at_once {
            continue;
        }
        if let Some(to) = one_node_nearer(catalog, &seen.alive, now, then) {
            return Some(MembershipCommand::SetReplicas { group: *group, from: now.clone(), to });
        }
    }
    None
}

/// Whether a group's Raft has followed the catalog.
pub(crate) fn is_settled(seen: &Seen, group: GroupId, replicas: &[NodeId]) -> bool {
    let leader = seen.leader(group);
    leader.is_some_and(|leader| leader.is_uniform && leader.learners.is_empty() && leader.voters == replicas)
}

/// Whether a group waits for a newcomer that will not come.
fn awaits_somebody_gone(catalog: &Catalog, seen: &Seen, group: GroupId, replicas: &[NodeId]) -> bool {
    let Some(leader) = seen.leader(group) else { return false };
    let is_gone = |id: &NodeId| catalog.duty(*id) != Duty::Full && !seen.alive.contains(id);
    replicas.iter().any(|id| !leader.voters.contains(id) && is_gone(id))
}

/// `now` with one node more of `then`, and one less that is not in it: first one that is gone for good, then one that does not
/// answer now. Never so that those who do are no majority: the change would begin and never end, and nothing else would be
/// committed meanwhile.
fn one_node_nearer(
    catalog: &Catalog,
    alive: &BTreeSet<NodeId>,
    now: &[NodeId],
    then: &[NodeId],
) -> Option<Vec<NodeId>> {
    let mut going: Vec<NodeId> = now.iter().filter(|id| !then.contains(id)).copied().collect();
    going.sort_by_key(|id| (catalog.duty(*id) != Duty::Lost, alive.contains(id), *id));
    let coming = then.iter().find(|id| !now.contains(id)).copied();
    let mut next: Vec<NodeId> = now.to_vec();
    next.extend(coming);
    if coming.is_none() || next.len() > then.len() {
        let gone = going.first().copied();
        next.retain(|id| Some(*id) != gone);
    }
    next.sort_unstable();
    let answering = next.iter().filter(|id| alive.contains(id)).count();
    (next != now && answering * 2 > next.len()).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::catalog::{CatalogCommand, NodeInfo};
    use model::placement::Placement;

    fn ids(ids: &[u64]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    /// `nodes` nodes, one data group on the first three.
    fn catalog(nodes: u64) -> Catalog {
        let info = |id: u64| NodeInfo { peer_addr: format!("n{id}:1"), ..NodeInfo::default() };
        let mut catalog = Catalog::default();
        let bootstrap = CatalogCommand::Bootstrap {
            cluster: "c".to_owned(),
            nodes: (1..=nodes).map(|id| (NodeId(id), info(id))).collect(),
            slots: [GroupId(1)].into(),
            placement: Placement { factor: 3, groups: [(GroupId(1), ids(&[1, 2, 3]))].into() },
            feature_level: 0,
        };
        catalog.apply(&bootstrap).unwrap();
        catalog
    }

    fn duty(catalog: &mut Catalog, id: u64, duty: Duty) {
        catalog.apply(&MembershipCommand::SetDuty { id: NodeId(id), duty }.into()).unwrap();
    }

    fn seen(alive: &[u64], voters: &[u64], learners: &[u64]) -> Seen {
        let leader = GroupStatus {
            group: GroupId(1),
            role: Role::Leader,
            is_uniform: true,
            voters: ids(voters),
            learners: ids(learners),
            ..GroupStatus::default()
        };
        Seen { alive: ids(alive).into_iter().collect(), told: vec![leader], ..Seen::default() }
    }

    fn replicas(from: &[u64], to: &[u64]) -> MembershipCommand {
        MembershipCommand::SetReplicas { group: GroupId(1), from: ids(from), to: ids(to) }
    }

    #[test]
    fn nothing_moves_without_a_reason() {
        assert_eq!(next_change(&catalog(5), &seen(&[1, 2, 3, 4, 5], &[1, 2, 3], &[]), 2), None);
    }

    #[test]
    fn a_draining_node_gives_its_replica_to_one_that_takes_it() {
        let mut four = catalog(4);
        duty(&mut four, 2, Duty::Draining);
        let all = seen(&[1, 2, 3, 4], &[1, 2, 3], &[]);
        assert_eq!(next_change(&four, &all, 1), Some(replicas(&[1, 2, 3], &[1, 3, 4])));
        assert_eq!(next_change(&four, &all, 0), None, "as many as may are on their way");
        assert_eq!(next_change(&four, &seen(&[1, 2, 3], &[1, 2, 3], &[]), 1), None, "nobody takes it");
        assert_eq!(next_change(&four, &seen(&[1, 2, 3, 4], &[1, 2, 3], &[4]), 1), None, "not settled");
        let mut three = catalog(3);
        duty(&mut three, 2, Duty::Draining);
        assert_eq!(next_change(&three, &seen(&[1, 2, 3], &[1, 2, 3], &[]), 1), None);
    }

    #[test]
    fn a_lost_node_is_replaced_also_while_the_group_waits_for_it() {
        let mut five = catalog(5);
        let moved =
            MembershipCommand::SetReplicas { group: GroupId(1), from: ids(&[1, 2, 3]), to: ids(&[1, 2, 4]) };
        five.apply(&moved.into()).unwrap();
        let waiting = seen(&[1, 2, 3, 5], &[1, 2, 3], &[4]);
        assert_eq!(next_change(&five, &waiting, 1), None);
        duty(&mut five, 4, Duty::Lost);
        assert_eq!(next_change(&five, &waiting, 1), Some(replicas(&[1, 2, 4], &[1, 2, 3])));
    }

    #[test]
    fn of_two_that_go_the_one_that_answers_keeps_its_replica() {
        let mut four = catalog(4);
        duty(&mut four, 2, Duty::Lost);
        duty(&mut four, 3, Duty::Draining);
        let without = seen(&[1, 3, 4], &[1, 2, 3], &[]);
        assert_eq!(next_change(&four, &without, 1), Some(replicas(&[1, 2, 3], &[1, 3, 4])));
    }

    #[test]
    fn the_factor_is_followed_one_node_at_a_time() {
        let mut five = catalog(5);
        five.apply(&MembershipCommand::SetFactor { factor: 5 }.into()).unwrap();
        let all = [1, 2, 3, 4, 5];
        assert_eq!(
            next_change(&five, &seen(&all, &[1, 2, 3], &[]), 1),
            Some(replicas(&[1, 2, 3], &[1, 2, 3, 4]))
        );
        five.apply(&MembershipCommand::SetFactor { factor: 1 }.into()).unwrap();
        assert_eq!(next_change(&five, &seen(&all, &[1, 2, 3], &[]), 1), Some(replicas(&[1, 2, 3], &[1, 3])));
    }

    #[test]
    fn a_node_without_room_takes_nothing() {
        let mut five = catalog(5);
        duty(&mut five, 2, Duty::Draining);
        let cramped =
            Seen { cramped: ids(&[4]).into_iter().collect(), ..seen(&[1, 2, 3, 4, 5], &[1, 2, 3], &[]) };
        assert_eq!(next_change(&five, &cramped, 1), Some(replicas(&[1, 2, 3], &[1, 3, 5])));
    }

    #[test]
    fn who_does_not_answer_leaves_before_those_who_do() {
        let mut three = catalog(3);
        three.apply(&MembershipCommand::SetFactor { factor: 1 }.into()).unwrap();
        // The one that stays is on node 1; to take node 2 out first would leave 1 and 3, of which 3 answers nothing.
        let without_3 = seen(&[1, 2], &[1, 2, 3], &[]);
        assert_eq!(next_change(&three, &without_3, 1), Some(replicas(&[1, 2, 3], &[1, 2])));
        let alone = seen(&[1], &[1, 2, 3], &[]);
        assert_eq!(next_change(&three, &alone, 1), None, "one of two is no majority");
    }

    #[test]
    fn a_goal_is_gone_to() {
        let mut four = catalog(4);
        let goal = [(GroupId(1), ids(&[2, 3, 4]))].into();
        four.apply(&MembershipCommand::SetGoal { goal }.into()).unwrap();
        let all = seen(&[1, 2, 3, 4], &[1, 2, 3], &[]);
        assert_eq!(next_change(&four, &all, 1), Some(replicas(&[1, 2, 3], &[2, 3, 4])));
        four.apply(&MembershipCommand::SetGoal { goal: BTreeMap::new() }.into()).unwrap();
        assert_eq!(next_change(&four, &all, 1), None);
    }

    #[test]
    fn moves_are_pairs_where_they_can_be() {
        let now = [(GroupId(1), ids(&[1, 2, 3]))].into();
        let then = [(GroupId(1), ids(&[1, 4, 5, 6]))].into();
        let expected = [(Some(4), Some(2)), (Some(5), Some(3)), (Some(6), None)];
        let told = moves_between(&now, &then);
        let told: Vec<_> = told.iter().map(|m| (m.to.map(|id| id.0), m.from.map(|id| id.0))).collect();
        assert_eq!(told, expected);
    }
}
