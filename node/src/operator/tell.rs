//! Nodes and groups for operators, and what changed lately.

use crate::coordinator::NodeCoordinator;
use api::operator::OrderError;
use model::NodeId;
use model::catalog::Catalog;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;

/// Events that are kept; older ones are in the log only.
const EVENTS_MAX: usize = 512;

impl NodeCoordinator {
    pub(super) async fn tell_nodes(&self) -> Value {
        let cluster = self.tell_cluster().await;
        let catalog = self.host.catalog();
        let pending = self.host.pending_moves().await;
        let mut nodes = cluster["nodes"].as_array().cloned().unwrap_or_default();
        let no_groups = Vec::new();
        let groups = cluster["groups"].as_array().unwrap_or(&no_groups);
        for node in &mut nodes {
            let id = NodeId(node["id"].as_u64().unwrap_or_default());
            let wished = catalog.placed().values().filter(|replicas| replicas.contains(&id)).count();
            let leads = groups.iter().filter(|group| group["leader"] == node["id"]).count();
            let has = groups.iter().filter(|group| {
                let mut replicas = group["replicas"].as_array().into_iter().flatten();
                group["id"] != 0 && replicas.any(|replica| replica["node"] == node["id"])
            });
            let has = has.count();
            let stays = pending.moves.iter().any(|m| m.from == Some(id));
            node["duty"] = catalog.duty(id).name().into();
            node["replicas_wished"] = wished.into();
            node["replicas"] = has.into();
            node["leads"] = leads.into();
            node["drained"] =
                (catalog.duties.contains_key(&id) && leads == 0 && !stays && has == wished).into();
            node["may_be_removed"] = (wished == 0 && has == 0).into();
        }
        json!({"nodes": nodes, "announced": catalog.invited})
    }

    pub(super) async fn tell_node(&self, id: u64) -> Result<Value, OrderError> {
        self.known(NodeId(id))?;
        let told = self.tell_nodes().await;
        let mut nodes = told["nodes"].as_array().into_iter().flatten();
        let node = nodes.find(|node| node["id"] == id).cloned();
        node.ok_or_else(|| OrderError::Unknown(format!("node {id} has just gone")))
    }

    pub(super) async fn tell_group(&self, id: u32) -> Result<Value, OrderError> {
        self.known_group(model::GroupId(id))?;
        let told = self.tell_cluster().await;
        let mut groups = told["groups"].as_array().into_iter().flatten();
        let group = groups.find(|group| group["id"] == id).cloned();
        group.ok_or_else(|| OrderError::Unknown(format!("no group {id}")))
    }
}

/// What changed in the cluster lately, as this node learned of it, since it was started.
#[derive(Debug, Default)]
pub(crate) struct Events(Mutex<VecDeque<(i64, String)>>);

impl Events {
    fn note(&self, now_ns: i64, text: String) {
        tracing::info!(event = text, "cluster changed");
        let mut events = self.0.lock();
        if events.len() >= EVENTS_MAX {
            events.pop_front();
        }
        events.push_back((now_ns, text));
    }

    pub(super) fn tell(&self) -> Vec<Value> {
        let time = |ns: i64| jiff::Timestamp::from_nanosecond(i128::from(ns)).map(|time| time.to_string());
        let events = self.0.lock();
        events
            .iter()
            .map(|(ns, text)| json!({"time": time(*ns).unwrap_or_default(), "event": text}))
            .collect()
    }
}

/// Notes what each new version of the catalog changes about nodes and replicas.
pub(crate) async fn watch_events(node: Arc<NodeCoordinator>) {
    let mut versions = node.host.watch_catalog();
    let mut before = node.host.catalog();
    while versions.changed().await.is_ok() {
        let after = node.host.catalog();
        for text in changes(&before, &after) {
            node.events.note(node.clock.now_ns(), text);
        }
        before = after;
    }
}

fn changes(before: &Catalog, after: &Catalog) -> Vec<String> {
    let mut texts = Vec::new();
    for (id, info) in after.nodes.iter().filter(|(id, _)| !before.nodes.contains_key(id)) {
        texts.push(format!("node {id} at {} is a member", info.peer_addr));
    }
    for id in before.nodes.keys().filter(|id| !after.nodes.contains_key(id)) {
        texts.push(format!("node {id} is no member any more"));
    }
    for id in after.nodes.keys().filter(|id| before.nodes.contains_key(id)) {
        if before.duty(*id) != after.duty(*id) {
            texts.push(format!(
                "node {id} was {} and is {}",
                before.duty(*id).name(),
                after.duty(*id).name()
            ));
        }
    }
    for address in after.invited.difference(&before.invited) {
        texts.push(format!("a node at {address} may join"));
    }
    for (group, replicas) in after.placed() {
        let was = before.replicas(group);
        if !before.cluster.is_empty() && was != replicas {
            let (was, is) = (super::text_of(&was), super::text_of(&replicas));
            texts.push(format!("group {group} moves from nodes {was} to {is}"));
        }
    }
    if before.placement.factor != after.placement.factor {
        texts.push(format!("data groups have {} replicas", after.placement.factor));
    }
    if before.feature_level != after.feature_level {
        texts.push(format!("the cluster writes feature level {}", after.feature_level));
    }
    if before.goal.is_empty() != after.goal.is_empty() {
        texts
            .push(if after.goal.is_empty() { "rebalancing is over" } else { "rebalancing began" }.to_owned());
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::catalog::{Duty, NodeInfo};

    #[test]
    fn events_say_what_changed() {
        let mut before = Catalog::default();
        before.nodes.insert(NodeId(1), NodeInfo::default());
        before.nodes.insert(NodeId(2), NodeInfo::default());
        let mut after = before.clone();
        after.nodes.remove(&NodeId(1));
        after.nodes.insert(NodeId(3), NodeInfo { peer_addr: "n3:1".to_owned(), ..NodeInfo::default() });
        after.duties.insert(NodeId(2), Duty::Draining);
        let told = changes(&before, &after);
        let expected =
            ["node 3 at n3:1 is a member", "node 1 is no member any more", "node 2 was full and is draining"];
        assert_eq!(told, expected);
        assert_eq!(changes(&after, &after), Vec::<String>::new());
    }

    #[test]
    fn the_oldest_events_are_forgotten() {
        let events = Events::default();
        (0..EVENTS_MAX as i64 + 3).for_each(|at| events.note(at, at.to_string()));
        let told = events.tell();
        assert_eq!((told.len(), told[0]["event"].as_str()), (EVENTS_MAX, Some("3")));
    }
}
