//! What must hold at every moment, as far as the nodes' own accounts of themselves tell it.

use super::node::SimulatedNode;
use super::operator::newest_catalog;
use super::verdict::Effects;
use super::world::World;
use model::catalog::{Catalog, Duty};
use model::{GroupId, NodeId};
use node::embedded::{Group, GroupStatus, Role};
use std::collections::{BTreeMap, BTreeSet};

/// What was seen until now.
#[derive(Debug, Default)]
pub struct Watch {
    /// Who led a group in a term: two may, one after the other, since votes are ordered by term and node.
    leaders: BTreeSet<(u32, u64, u64)>,
    /// The highest committed index a process told, by place and group.
    committed: BTreeMap<(usize, u32), u64>,
    purged: BTreeMap<(usize, u32), u64>,
    received: BTreeMap<(usize, u32), u64>,
    /// The newest catalog seen, and what it said.
    version: u64,
    placed: BTreeMap<GroupId, Vec<NodeId>>,
    lost: BTreeSet<NodeId>,
    /// To which cluster the volume at a place belongs.
    clusters: BTreeMap<usize, String>,
    /// Node ids that were seen, each in its cluster, and at which volume.
    ids: BTreeMap<(String, u64), (usize, u32)>,
}

impl Watch {
    /// Looks at all nodes.
    pub fn look(&mut self, nodes: &[SimulatedNode], world: &World, effects: &mut Effects) {
        self.placement(nodes, effects);
        for node in nodes.iter().filter(|node| node.running().is_some()) {
            let Some(cluster) = node.look(|embedded| embedded.cluster()).flatten() else { continue };
            self.cluster(node.place, cluster.clone(), world);
            let seen = node.look(|embedded| {
                let host = embedded.host()?;
                Some((host.node().0, host.groups().iter().map(|group| told(group)).collect::<Vec<_>>()))
            });
            let Some(Some((id, groups))) = seen else { continue };
            self.identity(node, (cluster, id), world, effects);
            for (status, received) in groups {
                if status.role == Role::Absent {
                    self.forget_replica(node.place, status.group.0);
                    world.forget_replica(node.place, status.group.0);
                    continue;
                }
                if status.role == Role::Stopped {
                    continue;
                }
                self.group((node.place, id), &status, world, effects);
                let known = self.received.entry((node.place, status.group.0)).or_default();
                effects.add("snapshots_installed", received.saturating_sub(*known));
                *known = received;
            }
        }
    }

    fn cluster(&mut self, place: usize, cluster: String, world: &World) {
        if let Some((other, known)) = self.clusters.iter().find(|(_, known)| **known != cluster) {
            world
                .violation(format!("node {place} belongs to cluster {cluster}, and node {other} to {known}"));
        }
        self.clusters.insert(place, cluster);
    }

    /// The volume at this place is lost.
    pub fn forget_volume(&mut self, place: usize) {
        self.clusters.remove(&place);
    }

    /// Whether the volume at this place belongs to a cluster.
    pub fn has_cluster(&self, place: usize) -> bool {
        self.clusters.contains_key(&place)
    }

    /// What the newest catalog says of where replicas are.
    fn placement(&mut self, nodes: &[SimulatedNode], effects: &mut Effects) {
        let Some(catalog) = newest_catalog(nodes).filter(|catalog| catalog.version > self.version) else {
            return;
        };
        self.version = catalog.version;
        let placed = catalog.placed();
        let moved =
            placed.iter().filter(|(group, at)| self.placed.get(*group).is_some_and(|known| known != *at));
        effects.add("replicas_moved", moved.count() as u64);
        self.placed = placed;
        let lost: BTreeSet<NodeId> =
            catalog.nodes.keys().copied().filter(|id| catalog.duty(*id) == Duty::Lost).collect();
        effects.add("nodes_given_up", lost.difference(&self.lost).count() as u64);
        self.lost = lost;
    }

    fn identity(&mut self, node: &SimulatedNode, id: (String, u64), world: &World, effects: &mut Effects) {
        let here = (node.place, node.volume());
        let replaced = node.has_replaced_volume() && !self.ids.contains_key(&id);
        let number = id.1;
        effects.add("volumes_replaced", u64::from(replaced));
        let known = *self.ids.entry(id).or_insert(here);
        if known != here {
            world.violation(format!("node id {number} is used by volume {here:?} and was by {known:?}"));
        }
    }

    fn group(
        &mut self,
        (place, id): (usize, u64),
        status: &GroupStatus,
        world: &World,
        effects: &mut Effects,
    ) {
        let group = status.group.0;
        if status.role == Role::Leader && self.leaders.insert((group, status.term, id)) {
            effects.count("leaders_elected");
            let term = status.term;
            world.trace().event(world.now(), || format!("node {id} leads {group} in term {term}"));
        }
        let voted = world.voted_in(place, group);
        // 0: it has just been opened and tells nothing yet.
        if status.term > 0 && status.term < voted {
            world.violation(format!(
                "node {id} voted in term {voted} of group {group} and knows of term {} only",
                status.term
            ));
        }
        let purged = status.purged.unwrap_or(0);
        let durable = status.durable.unwrap_or(0);
        // A replica that comes back, empty, still knows up to where its log was.
        if purged > durable && status.applied.unwrap_or(0) >= purged {
            world.violation(format!(
                "node {id} purged group {group} to {purged}, but a crash goes back to {durable}"
            ));
        }
        let committed = status.committed.unwrap_or(0);
        let known = self.committed.entry((place, group)).or_default();
        if committed < *known {
            world.violation(format!(
                "node {id} took back the commit of {known} in group {group}: {committed}"
            ));
        }
        *known = committed;
        let purged = self.purged.entry((place, group)).or_default();
        effects.add("purges", u64::from(status.purged.unwrap_or(0) > *purged));
        *purged = status.purged.unwrap_or(0).max(*purged);
    }

    fn forget_replica(&mut self, place: usize, group: u32) {
        self.committed.remove(&(place, group));
        self.received.remove(&(place, group));
        self.purged.remove(&(place, group));
    }

    /// The process at this place died: what it knew of commits and received, it may have to learn again.
    pub fn forget(&mut self, place: usize) {
        self.committed.retain(|(at, _), _| *at != place);
        self.received.retain(|(at, _), _| *at != place);
        self.purged.retain(|(at, _), _| *at != place);
    }

    /// The node id of a volume, once it was seen.
    pub fn id_at(&self, place: usize, volume: u32) -> Option<NodeId> {
        self.ids.iter().find(|(_, at)| **at == (place, volume)).map(|((_, id), _)| NodeId(*id))
    }
}

fn told(group: &Group) -> (GroupStatus, u64) {
    (group.status(), group.counters().snapshots_received)
}

/// Places of nodes that lead some group.
pub fn leading(nodes: &[SimulatedNode]) -> BTreeSet<usize> {
    let leads = |node: &&SimulatedNode| {
        node.look(|embedded| embedded.host().is_some_and(|host| host.leads_any())).unwrap_or(false)
    };
    nodes.iter().filter(leads).map(|node| node.place).collect()
}

/// Why the cluster has not come to rest: every group has the members that the catalog says, one of them leads it, and all
/// have applied its log.
pub fn unrest(nodes: &[SimulatedNode]) -> Option<String> {
    let mut groups: BTreeMap<GroupId, Vec<(NodeId, GroupStatus)>> = BTreeMap::new();
    for node in nodes.iter().filter(|node| node.is_wanted()) {
        let told = node.look(|embedded| {
            let host = embedded.host().ok_or_else(|| embedded.failure().unwrap_or("starting".to_owned()))?;
            let here = host.groups().into_iter().filter(|group| group.is_here());
            let statuses: Vec<GroupStatus> = here.map(|group| group.status()).collect();
            Ok::<_, String>((host.node(), host.groups().len(), statuses))
        });
        match told {
            None => return Some(format!("node {} is down", node.place)),
            Some(Err(why)) => return Some(format!("node {}: {why}", node.place)),
            Some(Ok((id, all, statuses))) => {
                for group in 0..all as u32 {
                    groups.entry(GroupId(group)).or_default();
                }
                for status in statuses {
                    groups.entry(status.group).or_default().push((id, status));
                }
            }
        }
    }
    let Some(catalog) = newest_catalog(nodes).filter(|catalog| !catalog.cluster.is_empty()) else {
        return Some("there is no catalog".to_owned());
    };
    let wanted = nodes.iter().filter(|node| node.is_wanted()).count();
    if catalog.nodes.len() != wanted || !catalog.duties.is_empty() {
        let (members, duties) = (&catalog.nodes, &catalog.duties);
        return Some(format!("of {wanted} nodes the catalog has {}, with duties {duties:?}", members.len()));
    }
    groups.into_iter().find_map(|(group, members)| unrest_of(&catalog, group, &members))
}

fn unrest_of(catalog: &Catalog, group: GroupId, members: &[(NodeId, GroupStatus)]) -> Option<String> {
    let leader = members.iter().find(|(_, status)| status.role == Role::Leader);
    let Some((_, leader)) = leader else { return Some(format!("group {group} has no leader")) };
    let present: BTreeSet<NodeId> = members.iter().map(|(id, _)| *id).collect();
    let replicas: BTreeSet<NodeId> = catalog.replicas(group).into_iter().collect();
    let voters: BTreeSet<NodeId> = leader.voters.iter().copied().collect();
    let learners: BTreeSet<NodeId> = leader.learners.iter().copied().collect();
    let wished = catalog.voters(group);
    if voters != wished || present != replicas || learners != &replicas - &wished || !leader.is_uniform {
        return Some(format!(
            "group {group} is on {present:?} with voters {voters:?}, and shall be on {replicas:?} with {wished:?}"
        ));
    }
    let behind = members.iter().find(|(_, status)| status.applied < leader.last_log);
    behind.map(|(id, status)| {
        let (applied, last) = (status.applied, leader.last_log);
        format!("node {id} has applied {applied:?} of {last:?} in group {group}: {}", status.condition)
    })
}
