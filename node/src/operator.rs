//! What an operator tells the cluster to do, by the admin API. Every order may be given twice, and is refused when it would
//! lose data or a quorum; a refusal says what to do instead.

mod nodes;
mod tell;

pub(crate) use tell::{Events, watch_events};

use crate::coordinator::NodeCoordinator;
use api::operator::{Order, OrderError};
use model::catalog::{CatalogCommand, Duty, MembershipCommand};
use model::placement::REPLICATION_FACTORS;
use model::{GroupId, NodeId};
use raft::Move;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long an order may take to be known to the cluster.
const ORDER_MAX: Duration = Duration::from_secs(10);
/// How long leadership may take to move.
const TRANSFER_MAX: Duration = Duration::from_secs(5);

impl NodeCoordinator {
    /// See [`api::Coordinator::operate`].
    pub(crate) async fn carry_out(&self, order: Order) -> Result<Value, OrderError> {
        match order {
            Order::Nodes => Ok(self.tell_nodes().await),
            Order::Node(id) => self.tell_node(id).await,
            Order::Announce(address) => self.announce(address, true).await,
            Order::Withdraw(address) => self.announce(address, false).await,
            Order::Drain(id) => self.drain(NodeId(id)).await,
            Order::Undrain(id) => self.undrain(NodeId(id)).await,
            Order::Remove { node, force } => self.remove(NodeId(node), force).await,
            Order::Groups => Ok(json!({"groups": self.tell_cluster().await["groups"]})),
            Order::Group(id) => self.tell_group(id).await,
            Order::TransferLeader { group, to } => self.transfer(GroupId(group), NodeId(to)).await,
            Order::MoveReplica { group, from, to } => {
                self.move_replica(GroupId(group), NodeId(from), NodeId(to)).await
            }
            Order::SetReplicationFactor(factor) => self.set_factor(factor).await,
            Order::PlanRebalance => Ok(tell_moves(&self.host.plan_rebalance().await.0)),
            Order::Rebalance => self.rebalance().await,
            Order::CancelRebalance => {
                self.change(MembershipCommand::SetGoal { goal: BTreeMap::new() }).await?;
                Ok(json!({"cancelled": true}))
            }
            Order::Moves => Ok(self.tell_pending().await),
            Order::Events => Ok(json!({"events": self.events.tell()})),
        }
    }

    /// Changes the catalog. What it refuses is the operator's business, all else may be tried again.
    async fn change(&self, command: impl Into<CatalogCommand>) -> Result<(), OrderError> {
        let meta = self.host.group(GroupId::META);
        let meta = meta.ok_or_else(|| OrderError::Unavailable("no catalog here".to_owned()))?;
        let before = meta.read_barrier(Instant::now() + ORDER_MAX).await;
        before.map_err(|error| OrderError::Unavailable(error.to_string()))?;
        let deadline = Instant::now() + ORDER_MAX;
        self.change_catalog(&command.into(), deadline).await.map_err(|error| match error {
            crate::catalog::ChangeError::Refused(text) => OrderError::Refused(text),
            other => OrderError::Unavailable(other.to_string()),
        })
    }

    fn known(&self, id: NodeId) -> Result<(), OrderError> {
        let catalog = self.host.catalog();
        if catalog.nodes.contains_key(&id) {
            return Ok(());
        }
        let ids: Vec<String> = catalog.nodes.keys().map(ToString::to_string).collect();
        Err(OrderError::Unknown(format!("no node {id}; there are {}", ids.join(", "))))
    }

    fn known_group(&self, group: GroupId) -> Result<(), OrderError> {
        match self.host.group(group) {
            Some(_) => Ok(()),
            None => {
                let last = self.host.catalog().data_groups();
                Err(OrderError::Unknown(format!("no group {group}; there are 0 to {last}")))
            }
        }
    }

    async fn transfer(&self, group: GroupId, to: NodeId) -> Result<Value, OrderError> {
        self.known_group(group)?;
        self.known(to)?;
        if self.host.catalog().duty(to) != Duty::Full {
            let text = format!(
                "node {to} is {}: it leads nothing; undrain it first",
                self.host.catalog().duty(to).name()
            );
            return Err(OrderError::Refused(text));
        }
        let moved = self.host.transfer_leader_of(group, to, TRANSFER_MAX).await;
        moved.map_err(|error| OrderError::Refused(error.to_string()))?;
        Ok(json!({"group": group.0, "leader": to.0}))
    }

    async fn move_replica(&self, group: GroupId, from: NodeId, to: NodeId) -> Result<Value, OrderError> {
        self.known_group(group)?;
        self.known(to)?;
        if group.is_meta() {
            let text = "every node has a replica of the meta group".to_owned();
            return Err(OrderError::Invalid(text));
        }
        let now = self.host.catalog().replicas(group);
        if now.contains(&to) && !now.contains(&from) {
            return Ok(json!({"group": group.0, "replicas": ids(&now)}));
        }
        if !now.contains(&from) || now.contains(&to) {
            let text = format!("group {group} is on nodes {}", text_of(&now));
            return Err(OrderError::Refused(text));
        }
        if self.host.catalog().duty(to) != Duty::Full {
            return Err(OrderError::Refused(format!("node {to} does not take replicas; undrain it first")));
        }
        let pending = self.host.pending_moves().await;
        if pending.unsettled.contains(&group) {
            let text = format!("group {group} is on its way already; see the moves and ask again");
            return Err(OrderError::Refused(text));
        }
        if !pending.alive.contains(&to) {
            return Err(OrderError::Refused(format!("node {to} does not answer")));
        }
        let mut then: Vec<NodeId> = now.iter().copied().filter(|id| *id != from).collect();
        then.push(to);
        then.sort_unstable();
        self.change(MembershipCommand::SetReplicas { group, from: now, to: then.clone() }).await?;
        Ok(json!({"group": group.0, "replicas": ids(&then)}))
    }

    async fn set_factor(&self, factor: u32) -> Result<Value, OrderError> {
        if !REPLICATION_FACTORS.contains(&factor) {
            return Err(OrderError::Invalid(format!("{factor} replicas are not possible: 1, 3 or 5 are")));
        }
        let nodes = self.host.catalog().nodes.len();
        if factor as usize > nodes {
            let text = format!("{factor} replicas need {factor} nodes and there are {nodes}; add some first");
            return Err(OrderError::Refused(text));
        }
        self.change(MembershipCommand::SetFactor { factor }).await?;
        Ok(self.tell_pending().await)
    }

    async fn rebalance(&self) -> Result<Value, OrderError> {
        let catalog = self.host.catalog();
        let pending = self.host.pending_moves().await;
        let mut full = catalog.nodes.keys().filter(|id| catalog.duty(**id) == Duty::Full);
        if let Some(away) = full.find(|id| !pending.alive.contains(id)) {
            let text =
                format!("node {away} does not answer; wait until it is back, or drain or remove it first");
            return Err(OrderError::Refused(text));
        }
        let (moves, goal) = self.host.plan_rebalance().await;
        self.change(MembershipCommand::SetGoal { goal }).await?;
        Ok(tell_moves(&moves))
    }

    async fn tell_pending(&self) -> Value {
        let pending = self.host.pending_moves().await;
        let mut told = tell_moves(&pending.moves);
        told["on_their_way"] = pending.unsettled.iter().map(|group| group.0).collect();
        told["rebalancing"] = Value::Bool(!self.host.catalog().goal.is_empty());
        told["replication_factor"] = self.host.catalog().replication_factor().into();
        told
    }
}

fn tell_moves(moves: &[Move]) -> Value {
    let told: Vec<Value> = moves
        .iter()
        .map(|m| json!({"group": m.group.0, "from": m.from.map(|id| id.0), "to": m.to.map(|id| id.0)}))
        .collect();
    json!({"moves": told})
}

fn ids(nodes: &[NodeId]) -> Vec<u64> {
    nodes.iter().map(|node| node.0).collect()
}

fn text_of(nodes: &[NodeId]) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
