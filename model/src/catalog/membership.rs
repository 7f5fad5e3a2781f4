//! Who belongs to the cluster beyond its founders, what each of them does, and which nodes have which group.
//!
//! A group's replicas are changed one node at a time, by compare and set: whoever plans a move has seen what it changes.
//! Its Raft follows the catalog; what is written here is the wish, not yet the fact.

use super::{Catalog, CatalogCommand, CatalogError, NodeInfo};
use crate::id::{GroupId, NodeId};
use crate::limits::INVITED_MAX;
use crate::placement::{REPLICATION_FACTORS, meta_voters};
use std::collections::{BTreeMap, BTreeSet};

/// What a member does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duty {
    /// Everything.
    #[default]
    Full,
    /// It is to lead nothing and, where others can take them, to have no replicas of data groups.
    Draining,
    /// It was gone for so long that others take its replicas. It is back in full as soon as it answers.
    Lost,
}

impl Duty {
    /// One lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Draining => "draining",
            Self::Lost => "lost",
        }
    }

    /// As it stands on disk.
    pub fn code(self) -> u8 {
        match self {
            Self::Full => 0,
            Self::Draining => 1,
            Self::Lost => 2,
        }
    }

    /// Reads [`Self::code`].
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Full, Self::Draining, Self::Lost].into_iter().find(|duty| duty.code() == code)
    }
}

/// A change of who belongs to the cluster, or of where replicas are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MembershipCommand {
    /// A node with this peer address may join, or may no longer.
    Invite {
        /// `host:port`.
        address: String,
        /// Whether it may.
        may_join: bool,
    },
    /// Gives a blank volume a place of its own under a new id. Does nothing for a volume that is a member.
    AddNode {
        /// The newcomer.
        info: NodeInfo,
        /// Whether it must have been invited.
        invited_only: bool,
        /// What it can read, see [`crate::feature_level`]; 0 if that is not said.
        feature_level: u32,
    },
    /// Changes what a member does.
    SetDuty {
        /// The node.
        id: NodeId,
        /// From now on.
        duty: Duty,
    },
    /// Changes which nodes shall have a data group.
    SetReplicas {
        /// The group.
        group: GroupId,
        /// As whoever asks has seen it, in order of ids.
        from: Vec<NodeId>,
        /// From now on, in order of ids.
        to: Vec<NodeId>,
    },
    /// Changes how many replicas data groups shall have.
    SetFactor {
        /// One of `placement::REPLICATION_FACTORS`.
        factor: u32,
    },
    /// Says where the replicas of data groups shall move, in place of what was said before; nothing ends it.
    SetGoal {
        /// Data group → its nodes in the end, in order of ids.
        goal: BTreeMap<GroupId, Vec<NodeId>>,
    },
    /// From now on the cluster writes at this level, if it did not already: every member can read it.
    RaiseLevel {
        /// See [`crate::feature_level`].
        level: u32,
    },
}

impl From<MembershipCommand> for CatalogCommand {
    fn from(command: MembershipCommand) -> Self {
        Self::Membership(command)
    }
}

impl Catalog {
    /// The nodes that shall have a replica of a group, in order of their ids: every node of the meta group.
    pub fn replicas(&self, group: GroupId) -> Vec<NodeId> {
        match self.placement.groups.get(&group) {
            Some(replicas) if !group.is_meta() => replicas.clone(),
            _ => self.nodes.keys().copied().collect(),
        }
    }

    /// The nodes that shall vote in a group: all that have a data group, up to five of the meta group.
    pub fn voters(&self, group: GroupId) -> BTreeSet<NodeId> {
        if !group.is_meta() {
            return self.replicas(group).into_iter().collect();
        }
        let leaving = self.duties.keys().copied().collect();
        meta_voters(&self.nodes.keys().copied().collect(), &leaving)
    }

    /// What a member does.
    pub fn duty(&self, node: NodeId) -> Duty {
        self.duties.get(&node).copied().unwrap_or_default()
    }

    /// Data group → nodes, also in a catalog from before there was a placement.
    pub fn placed(&self) -> BTreeMap<GroupId, Vec<NodeId>> {
        (1..=self.data_groups()).map(|group| (GroupId(group), self.replicas(GroupId(group)))).collect()
    }

    /// How many replicas a data group shall have; without a placement as many as there are nodes.
    pub fn replication_factor(&self) -> u32 {
        match self.placement.factor {
            // Nobody may lose a replica without being asked.
            0 => REPLICATION_FACTORS
                .into_iter()
                .find(|factor| *factor as usize >= self.nodes.len())
                .unwrap_or(REPLICATION_FACTORS[REPLICATION_FACTORS.len() - 1]),
            factor => factor,
        }
    }

    pub(super) fn change_members(&mut self, command: &MembershipCommand) -> Result<(), CatalogError> {
        match command {
            MembershipCommand::Invite { address, may_join: true } => self.invite(address),
            MembershipCommand::Invite { address, may_join: false } => {
                self.invited.remove(address);
                Ok(())
            }
            MembershipCommand::AddNode { info, invited_only, feature_level } => {
                self.add_node(info, *invited_only, *feature_level)
            }
            MembershipCommand::SetDuty { id, duty } => self.set_duty(*id, *duty),
            MembershipCommand::SetReplicas { group, from, to } => self.set_replicas(*group, from, to),
            MembershipCommand::SetFactor { factor } => self.set_factor(*factor),
            MembershipCommand::SetGoal { goal } => self.set_goal(goal),
            MembershipCommand::RaiseLevel { level } => {
                self.feature_level = self.feature_level.max(*level);
                Ok(())
            }
        }
    }

    fn invite(&mut self, address: &str) -> Result<(), CatalogError> {
        if let Some((id, _)) = self.nodes.iter().find(|(_, known)| known.peer_addr == address) {
            return Err(CatalogError::AddressTaken { address: address.to_owned(), id: *id });
        }
        if self.invited.len() >= INVITED_MAX {
            return Err(CatalogError::TooManyInvited);
        }
        self.invited.insert(address.to_owned());
        Ok(())
    }

    fn add_node(
        &mut self,
        info: &NodeInfo,
        invited_only: bool,
        feature_level: u32,
    ) -> Result<(), CatalogError> {
        if self.node_of_volume(&info.volume).is_some() {
            return Ok(());
        }
        self.check_level(info, feature_level)?;
        let address = info.peer_addr.clone();
        if let Some((id, _)) = self.nodes.iter().find(|(_, known)| known.peer_addr == address) {
            return Err(CatalogError::AddressTaken { address, id: *id });
        }
        if invited_only && !self.invited.contains(&address) {
            return Err(CatalogError::NotInvited { address });
        }
        // Where every node had every group, the newcomer begins with none all the same.
        self.write_placement_down();
        self.invited.remove(&address);
        let id = self.next_node_id();
        self.nodes.insert(id, info.clone());
        Ok(())
    }

    pub(super) fn remove_node(&mut self, id: NodeId) -> Result<(), CatalogError> {
        if !self.nodes.contains_key(&id) {
            return Ok(());
        }
        if self.nodes.len() == 1 {
            return Err(CatalogError::OnlyMember { id });
        }
        let placed = self.placement.groups.iter().filter(|(_, replicas)| replicas.contains(&id));
        let groups: Vec<String> = placed.map(|(group, _)| group.to_string()).collect();
        if !groups.is_empty() {
            return Err(CatalogError::HasReplicas { id, groups: groups.join(", ") });
        }
        self.nodes.remove(&id);
        self.duties.remove(&id);
        self.goal.retain(|_, replicas| !replicas.contains(&id));
        Ok(())
    }

    fn set_duty(&mut self, id: NodeId, duty: Duty) -> Result<(), CatalogError> {
        if !self.nodes.contains_key(&id) {
            return Err(CatalogError::NotAMember { id });
        }
        match duty {
            Duty::Full => drop(self.duties.remove(&id)),
            Duty::Draining | Duty::Lost => drop(self.duties.insert(id, duty)),
        }
        Ok(())
    }

    fn set_replicas(&mut self, group: GroupId, from: &[NodeId], to: &[NodeId]) -> Result<(), CatalogError> {
        let now = self.replicas(group);
        if now == to {
            return Ok(());
        }
        if now != from {
            return Err(CatalogError::PlacementChanged { group });
        }
        self.check_replicas(group, to)?;
        self.write_placement_down();
        self.placement.groups.insert(group, to.to_vec());
        if self.goal.get(&group).is_some_and(|goal| goal == to) {
            self.goal.remove(&group);
        }
        Ok(())
    }

    fn set_factor(&mut self, factor: u32) -> Result<(), CatalogError> {
        if !REPLICATION_FACTORS.contains(&factor) {
            return Err(CatalogError::InvalidFactor);
        }
        self.write_placement_down();
        self.placement.factor = factor;
        Ok(())
    }

    fn set_goal(&mut self, goal: &BTreeMap<GroupId, Vec<NodeId>>) -> Result<(), CatalogError> {
        for (group, replicas) in goal {
            self.check_replicas(*group, replicas)?;
        }
        self.goal = goal.iter().filter(|(group, to)| self.replicas(**group) != **to).map(owned).collect();
        Ok(())
    }

    fn check_replicas(&self, group: GroupId, replicas: &[NodeId]) -> Result<(), CatalogError> {
        let in_order = replicas.windows(2).all(|pair| pair[0] < pair[1]);
        let known = replicas.iter().all(|id| self.nodes.contains_key(id));
        let is_data = !group.is_meta() && group.0 <= self.data_groups();
        if is_data && in_order && known && !replicas.is_empty() {
            Ok(())
        } else {
            Err(CatalogError::InvalidPlacement { group })
        }
    }

    /// From now on the placement says where each group is, also if that was everywhere.
    fn write_placement_down(&mut self) {
        if self.placement.groups.is_empty() {
            self.placement.factor = self.replication_factor();
            self.placement.groups = self.placed();
        }
    }

    /// A newcomer takes the place of a lost node.
    pub(super) fn replace_in_placement(&mut self, old: NodeId, new: NodeId) {
        for replicas in self.placement.groups.values_mut().chain(self.goal.values_mut()) {
            if let Some(place) = replicas.iter().position(|id| *id == old) {
                replicas.remove(place);
                replicas.push(new);
                replicas.sort_unstable();
            }
        }
    }
}

fn owned((group, replicas): (&GroupId, &Vec<NodeId>)) -> (GroupId, Vec<NodeId>) {
    (*group, replicas.clone())
}

#[cfg(test)]
mod tests {
    use super::super::nodes::tests::{founded, info};
    use super::*;

    const GROUP: GroupId = GroupId(1);

    fn ids(ids: &[u64]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    fn add(catalog: &mut Catalog, address: &str, volume: &str) -> Result<(), CatalogError> {
        let info = info(address, volume);
        catalog.apply(&MembershipCommand::AddNode { info, invited_only: true, feature_level: 1 }.into())
    }

    fn invite(catalog: &mut Catalog, address: &str) -> Result<(), CatalogError> {
        let address = address.to_owned();
        catalog.apply(&MembershipCommand::Invite { address, may_join: true }.into())
    }

    fn place(catalog: &mut Catalog, from: &[u64], to: &[u64]) -> Result<(), CatalogError> {
        let (from, to) = (ids(from), ids(to));
        catalog.apply(&MembershipCommand::SetReplicas { group: GROUP, from, to }.into())
    }

    #[test]
    fn a_node_that_was_announced_joins_and_begins_with_nothing() {
        let mut catalog = founded();
        assert!(matches!(add(&mut catalog, "n4:8088", "v4"), Err(CatalogError::NotInvited { .. })));
        invite(&mut catalog, "n4:8088").unwrap();
        add(&mut catalog, "n4:8088", "v4").unwrap();
        add(&mut catalog, "n4:8088", "v4").unwrap();
        assert_eq!(catalog.node_of_volume("v4"), Some(NodeId(4)));
        assert!(catalog.invited.is_empty());
        assert_eq!(catalog.replicas(GROUP), ids(&[1, 2, 3]), "where every node had every group, too");
        assert_eq!(catalog.replicas(GroupId::META), ids(&[1, 2, 3, 4]));
        assert_eq!(catalog.voters(GroupId::META), ids(&[1, 2, 3]).into_iter().collect());
        // Another volume at that address would have to replace it.
        let taken = add(&mut catalog, "n4:8088", "w4");
        assert_eq!(taken, Err(CatalogError::AddressTaken { address: "n4:8088".to_owned(), id: NodeId(4) }));
        assert!(invite(&mut catalog, "n2:8088").is_err());
    }

    #[test]
    fn the_level_is_never_lowered() {
        let mut catalog = founded();
        for (level, now) in [(1, 1), (3, 3), (2, 3)] {
            catalog.apply(&MembershipCommand::RaiseLevel { level }.into()).unwrap();
            assert_eq!(catalog.feature_level, now);
        }
    }

    #[test]
    fn replicas_move_only_from_where_they_are() {
        let mut catalog = founded();
        invite(&mut catalog, "n4:8088").unwrap();
        add(&mut catalog, "n4:8088", "v4").unwrap();
        place(&mut catalog, &[1, 2, 3], &[1, 2, 4]).unwrap();
        place(&mut catalog, &[1, 2, 3], &[1, 2, 4]).unwrap();
        assert_eq!(
            place(&mut catalog, &[1, 2, 3], &[2, 3, 4]),
            Err(CatalogError::PlacementChanged { group: GROUP })
        );
        for wrong in [&[][..], &[4, 1], &[1, 1], &[1, 9]] {
            let refused = place(&mut catalog, &[1, 2, 4], wrong);
            assert_eq!(refused, Err(CatalogError::InvalidPlacement { group: GROUP }), "{wrong:?}");
        }
        assert_eq!(catalog.replicas(GROUP), ids(&[1, 2, 4]));
    }

    #[test]
    fn a_node_with_replicas_is_not_forgotten() {
        let mut catalog = founded();
        invite(&mut catalog, "n4:8088").unwrap();
        add(&mut catalog, "n4:8088", "v4").unwrap();
        let remove = CatalogCommand::RemoveNode { id: NodeId(3) };
        let refused = catalog.apply(&remove).unwrap_err();
        assert_eq!(refused.to_string(), "node 3 has replicas of data groups 1; drain it first");
        place(&mut catalog, &[1, 2, 3], &[1, 2, 4]).unwrap();
        catalog.apply(&remove).unwrap();
        catalog.apply(&remove).unwrap();
        assert!(!catalog.nodes.contains_key(&NodeId(3)));
    }

    #[test]
    fn a_volume_that_takes_a_place_takes_its_replicas() {
        let mut catalog = founded();
        invite(&mut catalog, "n4:8088").unwrap();
        add(&mut catalog, "n4:8088", "v4").unwrap();
        place(&mut catalog, &[1, 2, 3], &[1, 3, 4]).unwrap();
        let info = info("n3:8088", "w3");
        catalog.apply(&CatalogCommand::Replace { info, feature_level: 1 }).unwrap();
        assert_eq!(catalog.replicas(GROUP), ids(&[1, 4, 5]));
    }

    #[test]
    fn a_goal_is_over_when_the_replicas_are_there() {
        let mut catalog = founded();
        invite(&mut catalog, "n4:8088").unwrap();
        add(&mut catalog, "n4:8088", "v4").unwrap();
        let goal = |to: &[u64]| MembershipCommand::SetGoal { goal: [(GROUP, ids(to))].into() }.into();
        catalog.apply(&goal(&[1, 2, 3])).unwrap();
        assert!(catalog.goal.is_empty());
        catalog.apply(&goal(&[2, 3, 4])).unwrap();
        place(&mut catalog, &[1, 2, 3], &[2, 3, 4]).unwrap();
        assert!(catalog.goal.is_empty());
        assert_eq!(catalog.apply(&goal(&[7])), Err(CatalogError::InvalidPlacement { group: GROUP }));
    }

    #[test]
    fn a_node_that_drains_gives_up_its_vote_on_the_catalog() {
        let mut catalog = founded();
        invite(&mut catalog, "n4:8088").unwrap();
        add(&mut catalog, "n4:8088", "v4").unwrap();
        let duty = |id: u64, duty| MembershipCommand::SetDuty { id: NodeId(id), duty }.into();
        catalog.apply(&duty(2, Duty::Draining)).unwrap();
        assert_eq!(catalog.voters(GroupId::META), ids(&[1, 3, 4]).into_iter().collect());
        catalog.apply(&duty(2, Duty::Full)).unwrap();
        assert_eq!(catalog.voters(GroupId::META), ids(&[1, 2, 3]).into_iter().collect());
        assert!(catalog.duties.is_empty());
        assert_eq!(catalog.apply(&duty(9, Duty::Lost)), Err(CatalogError::NotAMember { id: NodeId(9) }));
    }

    #[test]
    fn the_factor_is_odd_and_small() {
        let mut catalog = founded();
        assert_eq!(catalog.replication_factor(), 3);
        let set = |factor| MembershipCommand::SetFactor { factor }.into();
        assert_eq!(catalog.apply(&set(2)), Err(CatalogError::InvalidFactor));
        catalog.apply(&set(5)).unwrap();
        assert_eq!((catalog.replication_factor(), catalog.replicas(GROUP)), (5, ids(&[1, 2, 3])));
    }
}
