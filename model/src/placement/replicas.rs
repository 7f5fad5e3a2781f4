//! Which nodes have a replica of a group: spread evenly, and changed by as few moves as that takes.
//!
//! Pure functions. What they answer is written into the catalog by a command, so that replicas that run different
//! versions of them agree all the same.

use crate::id::{GroupId, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// Most nodes that vote on the catalog: a larger quorum survives no more that matters and only gets slower.
pub const META_VOTERS_MAX: usize = 5;
/// The replication factors there are: an even number of voters survives no more than one voter less.
pub const REPLICATION_FACTORS: [u32; 3] = [1, 3, 5];

/// Which nodes shall have a replica of each data group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// How many replicas a data group shall have, if there are so many nodes; 0 in a catalog from before there was a
    /// placement.
    pub factor: u32,
    /// Data group → its nodes in order of their ids; empty in a catalog from before: every node has every group.
    pub groups: BTreeMap<GroupId, Vec<NodeId>>,
}

impl Placement {
    /// The first placement of a cluster: `groups` data groups (ids from 1), `factor` replicas of each.
    pub fn founding(groups: u32, nodes: &[NodeId], factor: u32) -> Self {
        let empty = (1..=groups).map(|group| (GroupId(group), Vec::new())).collect();
        Self { factor, groups: level(&empty, nodes, factor) }
    }
}

/// The nearest placement in which every group has `factor` replicas (all `nodes`, if there are fewer), only on `nodes`,
/// and no node has two replicas more than another.
pub fn level(
    groups: &BTreeMap<GroupId, Vec<NodeId>>,
    nodes: &[NodeId],
    factor: u32,
) -> BTreeMap<GroupId, Vec<NodeId>> {
    let factor = (factor.max(1) as usize).min(nodes.len());
    let mut places = Places::of(groups, nodes);
    for group in groups.keys() {
        places.shrink(*group, factor);
    }
    for group in groups.keys() {
        places.fill(*group, factor);
    }
    while places.even_out() {}
    let sorted = places.groups.into_iter().map(|(group, nodes)| (group, nodes.into_iter().collect()));
    sorted.collect()
}

/// The nearest placement in which nobody has a replica but those that are `staying`, and every group has `factor` of them.
/// Only those of them that are `alive` get any. Where there are not enough of them, those who leave keep theirs, first those
/// that are alive: no group ends with fewer replicas than it had, unless that is more than `factor`.
pub fn mend(
    groups: &BTreeMap<GroupId, Vec<NodeId>>,
    staying: &BTreeSet<NodeId>,
    alive: &BTreeSet<NodeId>,
    factor: u32,
) -> BTreeMap<GroupId, Vec<NodeId>> {
    let factor = factor.max(1) as usize;
    let nodes: Vec<NodeId> = staying.iter().copied().collect();
    let mut places = Places::of(groups, &nodes);
    places.takers = Some(alive.clone());
    for group in groups.keys() {
        places.shrink(*group, factor);
    }
    for group in groups.keys() {
        places.fill(*group, factor);
    }
    for (group, before) in groups {
        let mut leaving: Vec<&NodeId> = before.iter().filter(|id| !staying.contains(id)).collect();
        leaving.sort_by_key(|id| (!alive.contains(id), **id));
        for id in leaving {
            if places.groups.get(group).is_some_and(|now| now.len() < factor.min(before.len())) {
                places.give(*group, *id);
            }
        }
    }
    let sorted = places.groups.into_iter().map(|(group, nodes)| (group, nodes.into_iter().collect()));
    sorted.collect()
}

/// Nodes with their replicas, while a placement is made.
struct Places {
    groups: BTreeMap<GroupId, BTreeSet<NodeId>>,
    loads: BTreeMap<NodeId, usize>,
    /// Who may get a replica; all, if it is not said.
    takers: Option<BTreeSet<NodeId>>,
}

impl Places {
    /// What there is on `nodes`.
    fn of(groups: &BTreeMap<GroupId, Vec<NodeId>>, nodes: &[NodeId]) -> Self {
        let mut loads: BTreeMap<NodeId, usize> = nodes.iter().map(|node| (*node, 0)).collect();
        let kept = groups.iter().map(|(group, replicas)| {
            let kept: BTreeSet<NodeId> =
                replicas.iter().filter(|id| loads.contains_key(id)).copied().collect();
            (*group, kept)
        });
        let groups: BTreeMap<GroupId, BTreeSet<NodeId>> = kept.collect();
        for id in groups.values().flatten() {
            *loads.entry(*id).or_default() += 1;
        }
        Self { groups, loads, takers: None }
    }

    /// Takes the replicas beyond `factor` from the nodes with most.
    fn shrink(&mut self, group: GroupId, factor: usize) {
        while let Some(replicas) = self.groups.get(&group).filter(|replicas| replicas.len() > factor) {
            let load = |id: &NodeId| self.loads.get(id).copied().unwrap_or(0);
            let most = replicas.iter().max_by_key(|id| (!self.may_take(**id), load(id), **id)).copied();
            let Some(most) = most else { return };
            self.take(group, most);
        }
    }

    /// Gives the missing replicas to the nodes with fewest.
    fn fill(&mut self, group: GroupId, factor: usize) {
        while let Some(replicas) = self.groups.get(&group).filter(|replicas| replicas.len() < factor) {
            let free = self.loads.iter().filter(|(id, _)| !replicas.contains(id) && self.may_take(**id));
            let Some(fewest) = free.min_by_key(|(id, load)| (**load, **id)).map(|(id, _)| *id) else {
                return;
            };
            self.give(group, fewest);
        }
    }

    /// Moves one replica from the node with most to the one with fewest, if that makes it more even.
    fn even_out(&mut self) -> bool {
        let by_load = |(id, load): &(&NodeId, &usize)| (**load, **id);
        let Some((most, max)) = self.loads.iter().max_by_key(by_load).map(|(id, load)| (*id, *load)) else {
            return false;
        };
        let Some((fewest, min)) = self.loads.iter().min_by_key(by_load).map(|(id, load)| (*id, *load)) else {
            return false;
        };
        if max - min < 2 {
            return false;
        }
        let has = |replicas: &BTreeSet<NodeId>| replicas.contains(&most) && !replicas.contains(&fewest);
        let Some(group) = self.groups.iter().find(|(_, replicas)| has(replicas)).map(|(group, _)| *group)
        else {
            return false;
        };
        self.take(group, most);
        self.give(group, fewest);
        true
    }

    fn may_take(&self, node: NodeId) -> bool {
        self.takers.as_ref().is_none_or(|takers| takers.contains(&node))
    }

    fn take(&mut self, group: GroupId, node: NodeId) {
        if self.groups.get_mut(&group).is_some_and(|replicas| replicas.remove(&node)) {
            *self.loads.entry(node).or_default() -= 1;
        }
    }

    fn give(&mut self, group: GroupId, node: NodeId) {
        if self.groups.entry(group).or_default().insert(node) {
            *self.loads.entry(node).or_default() += 1;
        }
    }
}

/// Who of the members votes on the catalog; the others follow it without a vote. Those in `leaving` only where fewer than
/// three would be left.
pub fn meta_voters(nodes: &BTreeSet<NodeId>, leaving: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
    let staying = nodes.difference(leaving).count();
    let count = match if staying >= 3 { staying } else { nodes.len() } {
        // Of two, each has the only copy when the other one is gone.
        few @ 0..=3 => few,
        4 => 3,
        _ => META_VOTERS_MAX,
    };
    // Ids are given in order: who votes goes on voting when others come.
    nodes.difference(leaving).chain(nodes.intersection(leaving)).take(count).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids(range: std::ops::RangeInclusive<u64>) -> Vec<NodeId> {
        range.map(NodeId).collect()
    }

    fn loads(groups: &BTreeMap<GroupId, Vec<NodeId>>, nodes: &[NodeId]) -> Vec<usize> {
        let load = |node: &NodeId| groups.values().filter(|replicas| replicas.contains(node)).count();
        nodes.iter().map(load).collect()
    }

    /// Replicas that are where there was none.
    fn moves(from: &BTreeMap<GroupId, Vec<NodeId>>, to: &BTreeMap<GroupId, Vec<NodeId>>) -> usize {
        to.iter().map(|(group, nodes)| nodes.iter().filter(|id| !from[group].contains(id)).count()).sum()
    }

    fn check(groups: &BTreeMap<GroupId, Vec<NodeId>>, nodes: &[NodeId], factor: u32) {
        for replicas in groups.values() {
            assert_eq!(replicas.len(), (factor as usize).min(nodes.len()));
            assert!(replicas.is_sorted() && replicas.windows(2).all(|pair| pair[0] != pair[1]));
            assert!(replicas.iter().all(|id| nodes.contains(id)));
        }
        let loads = loads(groups, nodes);
        let (min, max) = (loads.iter().min().copied(), loads.iter().max().copied());
        assert!(max.unwrap_or(0) - min.unwrap_or(0) <= 1, "{loads:?}");
    }

    #[test]
    fn three_founders_have_everything() {
        let placement = Placement::founding(8, &ids(1..=3), 3);
        assert!(placement.groups.values().all(|replicas| *replicas == ids(1..=3)));
    }

    #[test]
    fn a_fourth_node_takes_its_part_and_nothing_else_moves() {
        let three = Placement::founding(8, &ids(1..=3), 3).groups;
        let four = level(&three, &ids(1..=4), 3);
        check(&four, &ids(1..=4), 3);
        assert_eq!(moves(&three, &four), 6);
        let back = level(&four, &ids(1..=3), 3);
        assert_eq!((moves(&four, &back), back), (6, three));
    }

    proptest! {
        #[test]
        fn a_founding_is_even(groups in 1u32..65, nodes in 1u64..10, factor in 0usize..3) {
            let factor = REPLICATION_FACTORS[factor];
            check(&Placement::founding(groups, &ids(1..=nodes), factor).groups, &ids(1..=nodes), factor);
        }

        #[test]
        fn any_change_of_the_nodes_and_the_factor_ends_even(
            groups in 1u32..20,
            changes in proptest::collection::vec((proptest::collection::btree_set(1u64..9, 1..8), 0usize..3), 1..6),
        ) {
            let mut placement = Placement::founding(groups, &ids(1..=3), 3).groups;
            for (nodes, factor) in changes {
                let nodes: Vec<NodeId> = nodes.into_iter().map(NodeId).collect();
                let factor = REPLICATION_FACTORS[factor];
                placement = level(&placement, &nodes, factor);
                check(&placement, &nodes, factor);
                prop_assert_eq!(&level(&placement, &nodes, factor), &placement, "what is even stays");
            }
        }

        #[test]
        fn one_more_node_takes_no_more_than_its_share(groups in 1u32..40, nodes in 3u64..9) {
            let before = Placement::founding(groups, &ids(1..=nodes), 3).groups;
            let after = level(&before, &ids(1..=nodes + 1), 3);
            check(&after, &ids(1..=nodes + 1), 3);
            let share = (groups as usize * 3) / (nodes as usize + 1);
            prop_assert!(moves(&before, &after) <= share + 1);
        }

        #[test]
        fn of_one_node_less_only_what_it_had_moves(groups in 1u32..40, nodes in 4u64..9, gone in 1u64..9) {
            let gone = NodeId(gone.min(nodes));
            let before = Placement::founding(groups, &ids(1..=nodes), 3).groups;
            let left: BTreeSet<NodeId> = ids(1..=nodes).into_iter().filter(|id| *id != gone).collect();
            let after = mend(&before, &left, &left, 3);
            prop_assert!(after.values().all(|replicas| replicas.len() == 3 && !replicas.contains(&gone)));
            let had = before.values().filter(|replicas| replicas.contains(&gone)).count();
            prop_assert_eq!(moves(&before, &after), had);
        }

        #[test]
        fn what_is_mended_has_as_many_replicas_as_it_can(
            groups in 1u32..20,
            staying in proptest::collection::btree_set(1u64..9, 0..8),
            dead in 0u64..9,
            factor in 0usize..3,
        ) {
            let factor = REPLICATION_FACTORS[factor];
            let before = Placement::founding(groups, &ids(1..=5), 3).groups;
            let staying: BTreeSet<NodeId> = staying.into_iter().map(NodeId).collect();
            let takers: BTreeSet<NodeId> = staying.iter().copied().filter(|id| id.0 != dead).collect();
            let after = mend(&before, &staying, &takers, factor);
            for (group, replicas) in &after {
                let had = &before[group];
                let kept = had.iter().filter(|id| staying.contains(id)).count();
                let could = had.iter().filter(|id| staying.contains(id)).chain(&takers).collect::<BTreeSet<_>>().len();
                prop_assert!(replicas.iter().all(|id| had.contains(id) || takers.contains(id)));
                prop_assert!(replicas.len() <= factor as usize);
                prop_assert!(replicas.len() >= had.len().min(factor as usize).max(could.min(factor as usize)));
                let leaving = replicas.iter().filter(|id| !staying.contains(id)).count();
                prop_assert!(leaving == 0 || could < factor as usize);
                let stay = replicas.iter().filter(|id| had.contains(id) && staying.contains(id)).count();
                prop_assert_eq!(stay, kept.min(factor as usize), "who may stay stays");
            }
            prop_assert_eq!(&mend(&after, &staying, &takers, factor), &after);
        }

        #[test]
        fn the_catalog_has_an_odd_number_of_voters_that_stay(nodes in proptest::collection::btree_set(1u64..12, 1..10)) {
            let nodes: BTreeSet<NodeId> = nodes.into_iter().map(NodeId).collect();
            let voters = meta_voters(&nodes, &BTreeSet::new());
            prop_assert!(voters.len() % 2 == 1 || nodes.len() == 2);
            prop_assert!(voters.is_subset(&nodes) && voters.len() <= META_VOTERS_MAX);
            let last = *voters.iter().next().unwrap();
            let without = meta_voters(&nodes, &[last].into());
            prop_assert!(nodes.len() < 4 || !without.contains(&last));
            prop_assert!(without.len() >= nodes.len().min(3));
        }
    }

    #[test]
    fn a_voter_that_leaves_is_followed_by_the_next_id() {
        let nodes: BTreeSet<NodeId> = ids(1..=4).into_iter().collect();
        let set = |ids: &[u64]| ids.iter().copied().map(NodeId).collect::<BTreeSet<_>>();
        assert_eq!(meta_voters(&nodes, &set(&[])), set(&[1, 2, 3]));
        assert_eq!(meta_voters(&nodes, &set(&[2])), set(&[1, 3, 4]));
        assert_eq!(meta_voters(&nodes, &set(&[1, 2, 3, 4])), set(&[1, 2, 3]));
    }
}
