//! An operator of the simulated cluster: lets nodes join, drains and removes them, moves replicas, changes how many there are,
//! one order after the other, whatever else goes wrong.

use super::node::SimulatedNode;
use super::verdict::Effects;
use super::watch::Watch;
use super::world::World;
use crate::workload::random::Random;
use model::catalog::{Catalog, Duty};
use model::{GroupId, NodeId};
use node::embedded::{Order, OrderError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// After so long without an answer the node that was asked is taken for dead, ms.
const PATIENCE_MS: u64 = 30_000;
/// How often he looks for nodes that the cluster has forgotten, ms.
const LOOK_MS: u64 = 20;
/// Nodes that may be away at once by his order.
const SPARE_MAX: usize = 2;

type Told = Arc<Mutex<Option<Result<(), String>>>>;

#[derive(Debug)]
struct Given {
    order: Order,
    at: u64,
    told: Told,
}

/// The operator of one run.
#[derive(Debug)]
pub struct Operator {
    random: Random,
    next_at: u64,
    given: Option<Given>,
    /// The newest catalog in which a node was seen.
    members: BTreeMap<NodeId, u64>,
    /// Whether he only brings everything back to normal.
    ending: bool,
}

/// What he sees and does something with.
#[derive(Debug)]
pub struct Premises<'a> {
    /// All nodes.
    pub nodes: &'a mut [SimulatedNode],
    /// Around them.
    pub world: &'a World,
    /// What has been seen.
    pub watch: &'a mut Watch,
    /// What took effect.
    pub effects: &'a mut Effects,
}

impl Operator {
    /// An operator who has not done anything yet.
    pub fn new(seed: u64) -> Self {
        let random = Random::new(seed ^ 0x6f70_6572_6174_6f72);
        Self { random, next_at: 1_000, given: None, members: BTreeMap::new(), ending: false }
    }

    /// Hears what came of the last order, and gives the next one if it is time.
    pub fn act(&mut self, premises: &mut Premises<'_>) {
        let now = premises.world.now();
        self.hear(premises);
        if now.is_multiple_of(LOOK_MS) {
            self.switch_off(premises);
        }
        if self.given.is_some() || now < self.next_at {
            return;
        }
        self.next_at = now + if self.ending { 200 } else { 500 + self.random.below(3_000) };
        let Some((place, catalog)) = self.ask_somebody(premises.nodes) else { return };
        let order = if self.ending {
            last_order(premises.nodes, &catalog)
        } else {
            self.choose(premises.nodes, &catalog)
        };
        if let Some(order) = order {
            self.give(order, &premises.nodes[place], premises.world);
        }
    }

    /// From now on there are no new orders but those that end what was begun.
    pub fn end(&mut self) {
        self.ending = true;
        self.next_at = 0;
    }

    /// Whether nothing is under way and, as far as this catalog knows, nothing is left to be ended.
    pub fn is_idle(&self, nodes: &[SimulatedNode]) -> bool {
        let Some(catalog) = newest_catalog(nodes) else { return self.given.is_none() };
        let everywhere = || catalog.placed().values().all(|replicas| replicas.len() == catalog.nodes.len());
        self.given.is_none() && (!self.ending || last_order(nodes, &catalog).is_none() && everywhere())
    }

    /// Takes the machines away of nodes that the cluster has forgotten, whether or not he was told so.
    fn switch_off(&mut self, premises: &mut Premises<'_>) {
        let Some(catalog) = newest_catalog(premises.nodes) else { return };
        for id in catalog.nodes.keys() {
            self.members.insert(*id, catalog.version);
        }
        for node in premises.nodes.iter_mut().filter(|node| node.is_wanted()) {
            let id = premises.watch.id_at(node.place, node.volume());
            let was = id.and_then(|id| self.members.get(&id));
            if was.is_none_or(|version| *version >= catalog.version) {
                continue;
            }
            premises
                .world
                .trace()
                .event(premises.world.now(), || format!("node {} is switched off", node.place));
            node.crash();
            node.set_wanted(false);
            node.wipe(false);
            premises.world.forget_process(node.place);
            premises.watch.forget(node.place);
            premises.watch.forget_volume(node.place);
            premises.world.forget_volume(node.place);
            premises.effects.count("removals");
        }
    }

    fn ask_somebody(&mut self, nodes: &[SimulatedNode]) -> Option<(usize, Arc<Catalog>)> {
        let able: Vec<_> = nodes
            .iter()
            .filter(|node| node.running().is_some())
            .filter_map(|node| Some((node.place, catalog_of(node)?)))
            .filter(|(_, catalog)| !catalog.cluster.is_empty())
            .collect();
        let chosen = self.random.below(able.len().max(1) as u64) as usize;
        able.get(chosen).cloned()
    }

    fn choose(&mut self, nodes: &[SimulatedNode], catalog: &Catalog) -> Option<Order> {
        let spare: Vec<&SimulatedNode> = nodes.iter().filter(|node| !node.is_wanted()).collect();
        let draining = with_duty(catalog, Duty::Draining);
        match self.random.below(100) {
            0..25 => {
                let node = spare.get(self.random.below(spare.len().max(1) as u64) as usize)?;
                Some(Order::Announce(node.address()))
            }
            25..40 => {
                let full = with_duty(catalog, Duty::Full);
                (full.len() > 3).then(|| Order::Drain(self.one_of(&full).0))
            }
            40..50 => draining.first().map(|id| Order::Undrain(id.0)),
            50..65 if spare.len() < SPARE_MAX => {
                let has_nothing = |id: &&NodeId| !catalog.placed().values().any(|nodes| nodes.contains(id));
                draining.iter().find(has_nothing).map(|id| Order::Remove { node: id.0, force: false })
            }
            65..90 => self.movement(catalog),
            90..95 => Some(Order::Rebalance),
            95..98 if catalog.nodes.len() == 5 => {
                let factor = if catalog.replication_factor() == 5 { 3 } else { 5 };
                Some(Order::SetReplicationFactor(factor))
            }
            _ => None,
        }
    }

    fn one_of(&mut self, ids: &[NodeId]) -> NodeId {
        ids[self.random.below(ids.len().max(1) as u64) as usize]
    }

    fn movement(&mut self, catalog: &Catalog) -> Option<Order> {
        let placed: BTreeMap<GroupId, Vec<NodeId>> = catalog.placed();
        let group = GroupId(1 + self.random.below(placed.len().max(1) as u64) as u32);
        let from = placed.get(&group).filter(|nodes| !nodes.is_empty())?;
        let able = with_duty(catalog, Duty::Full).into_iter().filter(|id| !from.contains(id));
        let to: Vec<NodeId> = able.collect();
        if to.is_empty() {
            return None;
        }
        Some(Order::MoveReplica { group: group.0, from: self.one_of(from).0, to: self.one_of(&to).0 })
    }

    fn give(&mut self, order: Order, node: &SimulatedNode, world: &World) {
        world.trace().event(world.now(), || format!("ORDER {order:?} at node {}", node.place));
        let told = Told::default();
        if let Some(embedded) = node.look(Arc::clone) {
            let (order, told) = (order.clone(), Arc::clone(&told));
            node.spawn(async move {
                let done =
                    embedded.order(order).await.map(drop).map_err(|error: OrderError| error.to_string());
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
            });
        }
        self.given = Some(Given { order, at: world.now(), told });
    }

    fn hear(&mut self, premises: &mut Premises<'_>) {
        let Some(given) = &self.given else { return };
        let told = given.told.lock().unwrap_or_else(PoisonError::into_inner).take();
        let now = premises.world.now();
        match told {
            Some(Ok(())) => {
                let order = given.order.clone();
                premises.world.trace().event(now, || format!("ORDER {order:?} is done"));
                self.given = None;
                follow_up(&order, premises);
            }
            Some(Err(reason)) => {
                premises.world.trace().event(now, || format!("ORDER not done: {reason}"));
                self.given = None;
            }
            None if now - given.at > PATIENCE_MS => self.given = None,
            None => {}
        }
    }
}

/// What an operator does with machines when an order was carried out.
fn follow_up(order: &Order, premises: &mut Premises<'_>) {
    let what = match order {
        Order::Announce(address) => {
            let joining =
                premises.nodes.iter_mut().find(|node| node.address() == *address && !node.is_wanted());
            if let Some(node) = joining {
                node.set_wanted(true);
                node.start();
            }
            "joins"
        }
        Order::Drain(_) => "drains",
        Order::Undrain(_) => "undrains",
        Order::Remove { .. } => "removals_ordered",
        Order::MoveReplica { .. } => "moves_ordered",
        Order::SetReplicationFactor(_) => "factors_set",
        _ => "other_orders",
    };
    premises.effects.count(what);
}

/// The catalog as a node knows it.
pub fn catalog_of(node: &SimulatedNode) -> Option<Arc<Catalog>> {
    node.look(|embedded| Some(embedded.host()?.catalog())).flatten()
}

fn with_duty(catalog: &Catalog, duty: Duty) -> Vec<NodeId> {
    catalog.nodes.keys().copied().filter(|id| catalog.duty(*id) == duty).collect()
}

/// The newest catalog that any node knows.
pub fn newest_catalog(nodes: &[SimulatedNode]) -> Option<Arc<Catalog>> {
    nodes.iter().filter_map(catalog_of).max_by_key(|catalog| catalog.version)
}

/// What is still to be ordered so that every wanted node is a member, does everything, and has a replica of every group:
/// then everything can be read at every node.
fn last_order(nodes: &[SimulatedNode], catalog: &Catalog) -> Option<Order> {
    let draining = with_duty(catalog, Duty::Draining);
    if let Some(id) = draining.first() {
        return Some(Order::Undrain(id.0));
    }
    let is_known = |address: &String| {
        catalog.invited.contains(address) || catalog.nodes.values().any(|node| node.peer_addr == *address)
    };
    let mut wanted = nodes.iter().filter(|node| node.is_wanted()).map(SimulatedNode::address);
    if let Some(address) = wanted.find(|address| !is_known(address)) {
        return Some(Order::Announce(address));
    }
    let count = nodes.iter().filter(|node| node.is_wanted()).count();
    if count.is_multiple_of(2) {
        let spare = nodes.iter().find(|node| !node.is_wanted())?;
        return Some(Order::Announce(spare.address()));
    }
    let is_complete = catalog.nodes.len() == count;
    let factor = count as u32;
    (is_complete && catalog.replication_factor() != factor).then_some(Order::SetReplicationFactor(factor))
}
