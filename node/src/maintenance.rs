//! The loops beside the requests: founding the groups, telling the catalog about this node, dropping what is too old.

use crate::catalog::ChangeError;
use crate::coordinator::NodeCoordinator;
use crate::identity::{Founder, FoundingRecord, Identity};
use model::catalog::{Catalog, CatalogCommand, NodeInfo, RetentionPolicy};
use model::placement::{self, Placement};
use model::{GroupId, NodeId, RetentionPolicyId};
use raft::{Group, PeerAddr};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Pause between attempts at something that must succeed once.
const RETRY: Duration = Duration::from_millis(500);
/// How long the preferred founder of a group may take before the others found it: the member set is the same, so whoever
/// comes first decides nothing.
const PREFERRED_HEAD_START: Duration = Duration::from_secs(3);
/// How long one drop may take before it is left to the next round.
const DROP_TIMEOUT: Duration = Duration::from_secs(10);

/// Gives every group that is here its first members, if it has none. Each founder begins with the groups it is preferred for, so that
/// the first leaders are spread.
pub(crate) async fn found_groups(node: Arc<NodeCoordinator>, identity: Identity) {
    if !identity.is_founder() {
        return;
    }
    let founders = &identity.record.founders;
    let placement = identity.record.placement();
    let members = |group: GroupId| -> BTreeMap<NodeId, PeerAddr> {
        let replicas = placement.groups.get(&group);
        let has = |f: &&Founder| replicas.is_none_or(|replicas| replicas.contains(&NodeId(f.id)));
        let member = |f: &Founder| (NodeId(f.id), PeerAddr { address: f.peer_addr.clone() });
        founders.iter().filter(has).map(member).collect()
    };
    let started = Instant::now();
    loop {
        let mut all = true;
        for group in node.host.groups() {
            if group.is_initialized() {
                continue;
            }
            all = false;
            let members = members(group.id());
            let preferred = members.keys().nth(group.id().0 as usize % members.len().max(1));
            let mine = preferred == Some(&identity.node_id()) || started.elapsed() > PREFERRED_HEAD_START;
            if mine && let Err(error) = group.initialize(&members).await {
                tracing::debug!(group = %group.id(), %error, "not founded yet");
            }
        }
        if all {
            return;
        }
        sleep(RETRY).await;
    }
}

/// Puts the founding record and this node's present addresses into the catalog.
pub(crate) async fn publish(node: Arc<NodeCoordinator>, identity: Identity, info: NodeInfo) {
    loop {
        let catalog = node.host.catalog();
        match missing(&catalog, &identity, &info) {
            Missing::Nothing => return,
            Missing::Catalog => {}
            Missing::Command(command) => {
                match node.change_catalog(&command, Instant::now() + DROP_TIMEOUT).await {
                    Ok(()) => {}
                    Err(ChangeError::Refused(reason)) => {
                        tracing::error!(reason, "this node's addresses are not in the catalog");
                        return;
                    }
                    Err(error) => tracing::debug!(%error, "catalog not told yet"),
                }
            }
        }
        sleep(RETRY).await;
    }
}

/// What the catalog does not know yet.
enum Missing {
    Nothing,
    /// A newcomer does not have it yet.
    Catalog,
    Command(CatalogCommand),
}

fn missing(catalog: &Catalog, identity: &Identity, info: &NodeInfo) -> Missing {
    let record = &identity.record;
    if catalog.cluster.is_empty() && !identity.is_founder() {
        return Missing::Catalog;
    }
    if catalog.cluster.is_empty() {
        let nodes = record.founders.iter().map(|f| {
            let info =
                NodeInfo { peer_addr: f.peer_addr.clone(), volume: f.volume.clone(), ..NodeInfo::default() };
            (NodeId(f.id), info)
        });
        return Missing::Command(CatalogCommand::Bootstrap {
            cluster: record.cluster.clone(),
            nodes: nodes.collect(),
            slots: placement::even_slot_table(record.groups).into(),
            placement: founding_placement(record),
            feature_level: record.feature_level,
        });
    }
    let id = identity.node_id();
    if catalog.nodes.get(&id) == Some(info) {
        return Missing::Nothing;
    }
    Missing::Command(CatalogCommand::PutNode { id, info: info.clone() })
}

/// A record from before there was a choice leaves the catalog without a placement, as it was founded.
fn founding_placement(record: &FoundingRecord) -> Placement {
    match record.replication_factor {
        0 => Placement::default(),
        _ => record.placement(),
    }
}

/// Closes the lanes of subscriptions that were dropped, at each change of the catalog.
pub(crate) async fn forget_subscriptions(node: Arc<NodeCoordinator>) {
    let mut versions = node.host.watch_catalog();
    while versions.changed().await.is_ok() {
        node.subscribers.forget_dropped(&node.host.catalog());
    }
}

/// Drops expired shard groups, looking every `interval`. Only a group's leader proposes, by the time that a majority of the
/// nodes agrees on: a clock that jumped ahead must not drop what is young. Apply does what the entry says.
pub(crate) async fn enforce_retention(node: Arc<NodeCoordinator>, interval: Duration) {
    loop {
        sleep(interval).await;
        let Some(now_ns) = node.clock.agreed_ns() else { continue };
        for group in node.host.groups().into_iter().filter(|g| g.is_leader()) {
            for policy in expired(&node.host.catalog(), &group, now_ns) {
                drop_expired(&node, &group, policy.id, now_ns).await;
            }
        }
    }
}

/// The policies of which a group has shard groups that are over.
fn expired(catalog: &Catalog, group: &Group, now_ns: i64) -> Vec<RetentionPolicy> {
    let Some(store) = group.data_store() else { return Vec::new() };
    let is_over = |policy: &&RetentionPolicy| {
        let before_ns = now_ns.saturating_sub(policy.duration_ns);
        policy.duration_ns > 0 && store.first_partition_end(policy.id).is_some_and(|end| end <= before_ns)
    };
    let policies = catalog.databases.iter().flat_map(|database| database.policies.iter());
    policies.filter(is_over).cloned().collect()
}

/// Drops what is over by the policy as it is now, not as this node last heard: it may have been made longer. Only while this
/// node leads: what is proposed through others may come to pass when the policy is another one.
async fn drop_expired(node: &NodeCoordinator, group: &Group, policy: RetentionPolicyId, now_ns: i64) {
    let deadline = Instant::now() + DROP_TIMEOUT;
    let Some(meta) = node.host.group(GroupId::META) else { return };
    if let Err(error) = meta.read_barrier(deadline).await {
        return tracing::warn!(group = %group.id(), %error, "expired shard groups not dropped");
    }
    let now = expired(&node.host.catalog(), group, now_ns);
    let Some(policy) = now.into_iter().find(|other| other.id == policy) else { return };
    let command = raft::command::drop_before(policy.id, now_ns.saturating_sub(policy.duration_ns));
    match group.submit_if_leading(command, deadline).await {
        Ok(Some(_)) => {
            tracing::info!(group = %group.id(), policy = %policy.name, "dropped expired shard groups");
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(group = %group.id(), %error, "expired shard groups not dropped"),
    }
}
