//! What must hold at every moment, as far as the nodes' own accounts of themselves tell it.

use super::node::SimulatedNode;
use super::verdict::Effects;
use super::world::World;
use node::embedded::{GroupStatus, Role};
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
    /// Node ids that were seen, and at which volume.
    ids: BTreeMap<u64, (usize, u32)>,
}

impl Watch {
    /// Looks at all nodes.
    pub fn look(&mut self, nodes: &[SimulatedNode], world: &World, effects: &mut Effects) {
        for node in nodes.iter().filter(|node| node.running().is_some()) {
            let seen = node.look(|embedded| {
                let host = embedded.host()?;
                let groups = host.groups();
                let of = |group: &std::sync::Arc<_>| -> (GroupStatus, u64) { told(group) };
                Some((host.node().0, groups.iter().map(of).collect::<Vec<_>>()))
            });
            let Some(Some((id, groups))) = seen else { continue };
            self.identity(node, id, world);
            for (status, received) in groups {
                self.group((node.place, id), &status, world, effects);
                let known = self.received.entry((node.place, status.group.0)).or_default();
                effects.add("snapshots_installed", received.saturating_sub(*known));
                *known = received;
            }
        }
    }

    fn identity(&mut self, node: &SimulatedNode, id: u64, world: &World) {
        let here = (node.place, node.volume());
        let known = *self.ids.entry(id).or_insert(here);
        if known != here {
            world.violation(format!("node id {id} is used by volume {here:?} and was by {known:?}"));
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
        if let Some((purged, durable)) = status.purged.zip(status.durable.or(Some(0)))
            && purged > durable
        {
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

    /// The process at this place died: what it knew of commits and received, it may have to learn again.
    pub fn forget(&mut self, place: usize) {
        self.committed.retain(|(at, _), _| *at != place);
        self.received.retain(|(at, _), _| *at != place);
        self.purged.retain(|(at, _), _| *at != place);
    }

    /// Node ids seen so far.
    pub fn ids(&self) -> BTreeSet<u64> {
        self.ids.keys().copied().collect()
    }
}

fn told(group: &std::sync::Arc<node::embedded::Group>) -> (GroupStatus, u64) {
    (group.status(), group.counters().snapshots_received)
}

/// Places of nodes that lead some group.
pub fn leading(nodes: &[SimulatedNode]) -> BTreeSet<usize> {
    let leads = |node: &&SimulatedNode| {
        node.look(|embedded| embedded.host().is_some_and(|host| host.leads_any())).unwrap_or(false)
    };
    nodes.iter().filter(leads).map(|node| node.place).collect()
}

/// Why the cluster has not come to rest: every group has one leader, and all voters have applied its log.
pub fn unrest(nodes: &[SimulatedNode]) -> Option<String> {
    let mut groups: BTreeMap<u32, Vec<(u64, GroupStatus)>> = BTreeMap::new();
    for node in nodes {
        let told = node.look(|embedded| {
            let host = embedded.host().ok_or_else(|| embedded.failure().unwrap_or("starting".to_owned()))?;
            let statuses = host.groups().iter().map(|group| group.status()).collect::<Vec<_>>();
            Ok::<_, String>((host.node().0, statuses))
        });
        match told {
            None => return Some(format!("node {} is down", node.place)),
            Some(Err(why)) => return Some(format!("node {}: {why}", node.place)),
            Some(Ok((id, statuses))) => {
                for status in statuses {
                    groups.entry(status.group.0).or_default().push((id, status));
                }
            }
        }
    }
    groups.into_iter().find_map(|(group, members)| {
        let leader = members.iter().find(|(_, status)| status.role == Role::Leader);
        let Some((_, leader)) = leader else { return Some(format!("group {group} has no leader")) };
        let present: BTreeSet<u64> = members.iter().map(|(id, _)| *id).collect();
        let voters: BTreeSet<u64> = leader.voters.iter().map(|id| id.0).collect();
        if voters != present || !leader.learners.is_empty() {
            return Some(format!("group {group} has voters {voters:?}, not {present:?}"));
        }
        let behind = members.iter().find(|(_, status)| status.applied < leader.last_log);
        behind.map(|(id, status)| {
            let (applied, last) = (status.applied, leader.last_log);
            format!("node {id} has applied {applied:?} of {last:?} in group {group}: {}", status.condition)
        })
    })
}
