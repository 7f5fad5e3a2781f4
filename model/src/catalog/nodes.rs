//! The members of the cluster: founding, addresses, and a blank volume in the place of a lost one.
//!
//! A node id stands for one volume and is never given again: a vote or an acknowledgement that was given under it is
//! either on that volume or lost with it, never forgotten.

use super::{Catalog, CatalogError, NodeInfo};
use crate::feature_level::{level_told, too_old};
use crate::id::{GroupId, NodeId};
use crate::placement::Placement;
use std::sync::Arc;

impl Catalog {
    pub(super) fn bootstrap(
        &mut self,
        cluster: &str,
        nodes: &[(NodeId, NodeInfo)],
        (slots, placement): (&Arc<[GroupId]>, &Placement),
        feature_level: u32,
    ) -> Result<(), CatalogError> {
        if self.cluster == cluster {
            return Ok(());
        }
        if !self.cluster.is_empty() {
            return Err(CatalogError::AlreadyBootstrapped { cluster: self.cluster.clone() });
        }
        cluster.clone_into(&mut self.cluster);
        self.nodes = nodes.iter().cloned().collect();
        self.next_node = nodes.iter().map(|(id, _)| id.0 + 1).max().unwrap_or(1);
        self.slots = Arc::clone(slots);
        self.placement = placement.clone();
        self.feature_level = feature_level;
        Ok(())
    }

    pub(super) fn put_node(&mut self, id: NodeId, info: &NodeInfo) -> Result<(), CatalogError> {
        let known = self.nodes.get_mut(&id).ok_or(CatalogError::NotAMember { id })?;
        known.clone_from(info);
        Ok(())
    }

    pub(super) fn replace_node(&mut self, info: &NodeInfo, feature_level: u32) -> Result<(), CatalogError> {
        if self.node_of_volume(&info.volume).is_some() {
            return Ok(());
        }
        self.check_level(info, feature_level)?;
        let place = self.nodes.iter().find(|(_, known)| known.peer_addr == info.peer_addr).map(|(id, _)| *id);
        let Some(place) = place else {
            let members: Vec<&str> = self.nodes.values().map(|known| known.peer_addr.as_str()).collect();
            let members = members.join(", ");
            return Err(CatalogError::NoSuchMember { address: info.peer_addr.clone(), members });
        };
        let id = self.next_node_id();
        self.nodes.remove(&place);
        self.duties.remove(&place);
        self.nodes.insert(id, info.clone());
        self.replace_in_placement(place, id);
        Ok(())
    }

    /// Refuses a newcomer that cannot read what the cluster writes: whoever proposed it may have looked before that was
    /// raised. Nobody from before the second level applies a command that could be refused here.
    pub(super) fn check_level(&self, info: &NodeInfo, feature_level: u32) -> Result<(), CatalogError> {
        let address = info.peer_addr.clone();
        let reason = too_old(level_told(feature_level), self.feature_level);
        reason.map_or(Ok(()), |reason| Err(CatalogError::TooOld { address, reason }))
    }

    /// An id that no node ever had.
    pub(super) fn next_node_id(&mut self) -> NodeId {
        let after = self.nodes.keys().last().map_or(1, |id| id.0.saturating_add(1));
        let id = NodeId(self.next_node.max(after));
        self.next_node = id.0.saturating_add(1);
        id
    }

    /// The member that a volume belongs to.
    pub fn node_of_volume(&self, volume: &str) -> Option<NodeId> {
        self.nodes.iter().find(|(_, known)| known.volume == volume).map(|(id, _)| *id)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::catalog::{CatalogCommand, MembershipCommand};

    pub(in crate::catalog) fn info(address: &str, volume: &str) -> NodeInfo {
        NodeInfo { peer_addr: address.to_owned(), volume: volume.to_owned(), ..NodeInfo::default() }
    }

    pub(in crate::catalog) fn founded() -> Catalog {
        let nodes = (1..=3).map(|id| (NodeId(id), info(&format!("n{id}:8088"), &format!("v{id}"))));
        let command = CatalogCommand::Bootstrap {
            cluster: "c".to_owned(),
            nodes: nodes.collect(),
            slots: [GroupId(1)].into(),
            placement: Placement::default(),
            feature_level: 0,
        };
        let mut catalog = Catalog::default();
        catalog.apply(&command).unwrap();
        catalog
    }

    fn members(catalog: &Catalog) -> Vec<(u64, &str)> {
        catalog.nodes.iter().map(|(id, info)| (id.0, info.volume.as_str())).collect()
    }

    fn replace(address: &str, volume: &str, feature_level: u32) -> CatalogCommand {
        CatalogCommand::Replace { info: info(address, volume), feature_level }
    }

    #[test]
    fn who_cannot_read_what_was_raised_meanwhile_stays_out() {
        let mut catalog = founded();
        let add = |feature_level| {
            let info = info("n4:8088", "v4");
            CatalogCommand::from(MembershipCommand::AddNode { info, invited_only: false, feature_level })
        };
        // From a node that does not say.
        catalog.apply(&replace("n3:8088", "w3", 0)).unwrap();
        catalog.apply(&MembershipCommand::RaiseLevel { level: 2 }.into()).unwrap();
        for old in [0, 1] {
            let refused = catalog.apply(&replace("n2:8088", "w2", old)).unwrap_err().to_string();
            assert!(
                refused.contains("the node at n2:8088 is too old: it knows feature levels up to 1"),
                "{refused}"
            );
            assert!(matches!(catalog.apply(&add(old)), Err(CatalogError::TooOld { .. })));
        }
        assert_eq!(members(&catalog), [(1, "v1"), (2, "v2"), (4, "w3")]);
        catalog.apply(&replace("n2:8088", "w2", 2)).unwrap();
        catalog.apply(&add(3)).unwrap();
        assert_eq!(members(&catalog), [(1, "v1"), (4, "w3"), (5, "w2"), (6, "v4")]);
    }

    #[test]
    fn a_blank_volume_takes_the_place_of_its_address_under_a_new_id() {
        let mut catalog = founded();
        let replace = |volume: &str| replace("n2:8088", volume, 1);
        catalog.apply(&replace("w1")).unwrap();
        assert_eq!(members(&catalog), [(1, "v1"), (3, "v3"), (4, "w1")]);
        // Asked again after its answer was lost.
        catalog.apply(&replace("w1")).unwrap();
        assert_eq!(members(&catalog), [(1, "v1"), (3, "v3"), (4, "w1")]);
        catalog.apply(&replace("w2")).unwrap();
        assert_eq!(members(&catalog), [(1, "v1"), (3, "v3"), (5, "w2")]);
        assert_eq!(catalog.node_of_volume("w2"), Some(NodeId(5)));
        assert_eq!(catalog.node_of_volume("w1"), None);
    }

    #[test]
    fn ids_are_never_given_again() {
        let mut catalog = founded();
        catalog.apply(&replace("n3:8088", "w1", 1)).unwrap();
        catalog.apply(&CatalogCommand::RemoveNode { id: NodeId(4) }).unwrap();
        catalog.apply(&replace("n1:8088", "w2", 1)).unwrap();
        assert_eq!(members(&catalog), [(2, "v2"), (5, "w2")]);
    }

    #[test]
    fn a_stranger_is_refused_and_told_the_members() {
        let mut catalog = founded();
        let refused = catalog.apply(&replace("x:8088", "w", 1)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "no member of this cluster has the address x:8088; its members are n1:8088, n2:8088, n3:8088"
        );
        assert_eq!(members(&catalog).len(), 3);
    }

    #[test]
    fn a_volume_that_was_replaced_stays_out() {
        let mut catalog = founded();
        catalog.apply(&replace("n2:8088", "w1", 1)).unwrap();
        let back = catalog.apply(&CatalogCommand::PutNode { id: NodeId(2), info: info("n2:8088", "v2") });
        assert_eq!(back, Err(CatalogError::NotAMember { id: NodeId(2) }));
    }
}
