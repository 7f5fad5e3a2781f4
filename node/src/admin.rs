//! What the admin API tells about the cluster: nodes and groups as every node sees them, checksums, readiness.

use crate::coordinator::NodeCoordinator;
use crate::data_level::known_level;
use crate::metrics::Page;
use api::coordinator::{AdminError, Readiness};
use futures::future::join_all;
use model::NodeId;
use model::feature_level::{level_told, too_old};
use raft::{Condition, GroupStatus, Role};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// How long another node may take to tell its state.
const STATUS_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a checksum of all groups may take.
const CHECKSUM_TIMEOUT: Duration = Duration::from_secs(60);
/// A replica that lacks more entries than this is not ready: its reads would wait.
const READY_LAG_MAX: u64 = 1_000;

/// A metric read from `T`: name, help, value.
type Kind<T> = (&'static str, &'static str, fn(&T) -> u64);

impl NodeCoordinator {
    /// From now on the node is not ready: it is about to stop.
    pub(crate) fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Ready when every group that is here has members, runs, knows a leader, and is nearly caught up. Groups on other nodes
    /// do not count, nor do replicas that come to a node which was ready before: others answer for them.
    pub(crate) fn tell_readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        let mut started = true;
        for group in self.host.groups() {
            if !group.is_here() && (group.condition() == Condition::Elsewhere || self.was_ready()) {
                continue;
            }
            let status = group.status();
            if !group.is_initialized() {
                started = false;
                reasons.push(format!("group {}: has no members yet", group.id()));
            } else if let Some(failure) = &status.failure {
                reasons.push(format!("group {}: stopped: {failure}", group.id()));
            } else if status.leader.is_none() {
                reasons.push(format!("group {}: no leader", group.id()));
            } else if lag(&status) > READY_LAG_MAX {
                reasons.push(format!("group {}: {} entries behind", group.id(), lag(&status)));
            } else if !group.is_here() {
                reasons.push(format!("group {}: replica is being filled", group.id()));
            }
        }
        if let Some(level) = self.host.unreadable_level() {
            let reason = too_old(known_level(), level);
            reasons.extend(reason.map(|reason| format!("this node is too old: {reason}")));
        }
        if self.host.catalog().cluster.is_empty() {
            started = false;
            reasons.push("catalog: not written yet".to_owned());
        }
        if self.stopping.load(Ordering::Relaxed) {
            reasons.push("the node is stopping".to_owned());
        }
        if reasons.is_empty() {
            self.settled.store(true, Ordering::Relaxed);
        }
        Readiness { started, ready: reasons.is_empty(), reasons }
    }

    /// Whether the node has been ready since it started.
    fn was_ready(&self) -> bool {
        self.settled.load(Ordering::Relaxed)
    }

    /// `GET /admin/v1/cluster`.
    pub(crate) async fn tell_cluster(&self) -> Value {
        let catalog = self.host.catalog();
        let asked = catalog
            .nodes
            .iter()
            .map(|(id, info)| async move { (*id, info, self.host.peer_report(*id, STATUS_TIMEOUT).await) });
        let answers = join_all(asked).await;
        let mut nodes = Vec::new();
        let mut replicas: Vec<(NodeId, GroupStatus)> = Vec::new();
        for (id, info, told) in answers {
            let (reachable, error) = (told.is_ok(), told.as_ref().err().map(ToString::to_string));
            let (status, state) = told.ok().unzip();
            let level = state.as_ref().map(|state| level_told(state.feature_level));
            let version = state.as_ref().map(|state| state.version.clone());
            let disk = state.map(|state| {
                json!({
                    "level": state.disk_level,
                    "free_bytes": state.disk_free,
                    "total_bytes": state.disk_total,
                    "refuses_writes": state.refusal,
                    "slow": state.disk_is_slow,
                })
            });
            nodes.push(json!({
                "id": id.0,
                "http": info.http_addr,
                "admin": info.admin_addr,
                "peer": info.peer_addr,
                "volume": info.volume,
                "reachable": reachable,
                "error": error,
                "disk": disk,
                "version": version,
                "feature_level": level,
            }));
            replicas.extend(status.into_iter().flatten().map(|s| (id, s)));
        }
        let ids = self.host.groups();
        let groups: Vec<Value> = ids.iter().map(|g| group_json(g.id().0, &replicas)).collect();
        json!({
            "cluster": catalog.cluster,
            "node": self.host.node().0,
            "version": env!("CARGO_PKG_VERSION"),
            "catalog_version": catalog.version,
            "feature_level": catalog.feature_level,
            "nodes": nodes,
            "groups": groups,
        })
    }

    /// `POST /admin/v1/checksum`: every group at one log index, on every replica.
    pub(crate) async fn compare_checksums(&self) -> Result<Value, AdminError> {
        let deadline = Instant::now() + CHECKSUM_TIMEOUT;
        let groups = self.host.groups();
        let computed = join_all(groups.iter().map(|group| group.checksums(deadline))).await;
        let mut answer = Vec::new();
        let mut all_equal = true;
        for (group, replicas) in groups.iter().zip(computed) {
            let replicas = replicas.map_err(|error| AdminError(format!("group {}: {error}", group.id())))?;
            let first = replicas.first().and_then(|r| r.checksum.as_ref().ok());
            let equal = replicas.iter().all(|r| r.checksum.as_ref().ok() == first) && first.is_some();
            all_equal &= equal;
            let replicas: Vec<Value> = replicas
                .iter()
                .map(|r| match &r.checksum {
                    Ok(sum) => {
                        json!({"node": r.node.0, "index": sum.index, "checksum": format!("{:016x}", sum.value)})
                    }
                    Err(error) => json!({"node": r.node.0, "error": error.to_string()}),
                })
                .collect();
            answer.push(json!({"group": group.id().0, "equal": equal, "replicas": replicas}));
        }
        Ok(json!({"equal": all_equal, "groups": answer}))
    }

    /// Per group: role, indexes, and what its replica holds.
    pub(crate) fn render_groups(&self, page: &mut Page) {
        let groups = self.host.groups();
        let here = groups.iter().filter(|group| group.condition() != Condition::Elsewhere);
        let statuses: Vec<GroupStatus> = here.map(|group| group.status()).collect();
        let mut gauge = |name: &str, help: &str, value: &dyn Fn(&GroupStatus) -> Option<u64>| {
            page.head(name, "gauge", help);
            for status in &statuses {
                if let Some(value) = value(status) {
                    page.sample(name, &[("group", &status.group)], value);
                }
            }
        };
        gauge("steadfast_group_is_leader", "1 where this node leads.", &|s| {
            Some(u64::from(s.role == Role::Leader))
        });
        gauge("steadfast_group_has_leader", "1 where a leader is known.", &|s| {
            Some(u64::from(s.leader.is_some()))
        });
        gauge("steadfast_group_failed", "1 where the replica stopped by itself.", &|s| {
            Some(u64::from(s.failure.is_some()))
        });
        gauge("steadfast_group_term", "Current term.", &|s| Some(s.term));
        gauge("steadfast_group_last_log_index", "Last entry in the log.", &|s| s.last_log);
        gauge("steadfast_group_committed_index", "Last committed entry.", &|s| s.committed);
        gauge("steadfast_group_applied_index", "Last applied entry.", &|s| s.applied);
        gauge("steadfast_group_durable_index", "Last entry in the flushed state.", &|s| s.durable);
        gauge("steadfast_group_rebuilding", "1 while the replica is damaged and being rebuilt.", &|s| {
            Some(u64::from(s.condition == "rebuilding"))
        });
        gauge("steadfast_group_log_bytes", "Bytes of entries in the log.", &|s| Some(s.log_bytes));
        gauge("steadfast_group_snapshot_index", "Last entry in the snapshot.", &|s| s.snapshot);
        gauge("steadfast_group_purged_index", "Last entry gone from the log.", &|s| s.purged);
        let name = "steadfast_group_proof_age_seconds";
        page.head(name, "gauge", "Since all replicas were seen to be equal, as far as this node led.");
        for group in &groups {
            if let Some(age) = group.proof_age() {
                page.sample(name, &[("group", &group.id())], age.as_secs());
            }
        }
        let kinds: [Kind<raft::GroupCounters>; 13] = [
            ("steadfast_group_submitted_total", "Commands submitted here.", |c| c.submitted),
            ("steadfast_group_forwarded_total", "Attempts sent to another node.", |c| c.forwarded),
            ("steadfast_group_retried_total", "Attempts after the first.", |c| c.retried),
            ("steadfast_group_timed_out_total", "Submissions that missed their deadline.", |c| c.timed_out),
            ("steadfast_group_applied_total", "Commands applied to the replica.", |c| c.applied_commands),
            ("steadfast_group_applied_bytes_total", "Bytes of these.", |c| c.applied_bytes),
            ("steadfast_group_reopened_total", "Times the replica was opened again.", |c| c.reopened),
            ("steadfast_group_damaged_total", "Times the replica was found damaged.", |c| c.damaged),
            ("steadfast_group_rebuilt_total", "Times it was rebuilt from another node.", |c| c.rebuilt),
            ("steadfast_group_mismatched_total", "Times replicas differed.", |c| c.mismatched),
            ("steadfast_group_snapshots_sent_total", "Snapshots sent.", |c| c.snapshots_sent),
            ("steadfast_group_snapshots_received_total", "Snapshots received.", |c| c.snapshots_received),
            ("steadfast_group_snapshot_sent_bytes_total", "Bytes of those sent.", |c| c.snapshot_bytes_sent),
        ];
        for (name, help, read) in kinds {
            page.head(name, "counter", help);
            for group in &groups {
                page.sample(name, &[("group", &group.id())], read(&group.counters()));
            }
        }
        self.render_stores(page);
    }

    fn render_stores(&self, page: &mut Page) {
        let stores: Vec<_> = self.stores().into_iter().map(|(id, s)| (id, s.stats())).collect();
        let kinds: [Kind<storage::ShardStats>; 4] = [
            ("steadfast_group_series", "Series in the replica.", |s| s.series),
            ("steadfast_group_head_points", "Points not yet in a chunk.", |s| s.head_points),
            ("steadfast_group_head_bytes", "Memory of these.", |s| s.head_bytes),
            ("steadfast_group_disk_bytes", "Bytes of the replica's files.", |s| s.disk_bytes),
        ];
        for (name, help, read) in kinds {
            page.head(name, "gauge", help);
            for (group, stats) in &stores {
                page.sample(name, &[("group", group)], read(stats));
            }
        }
    }
}

fn lag(status: &GroupStatus) -> u64 {
    status.committed.unwrap_or(0).saturating_sub(status.applied.unwrap_or(0))
}

/// One group: who leads, and each replica as its own node sees it.
fn group_json(id: u32, replicas: &[(NodeId, GroupStatus)]) -> Value {
    let mine = || replicas.iter().filter(|(_, s)| s.group.0 == id);
    let leader = mine().filter(|(_, s)| s.role == Role::Leader).max_by_key(|(_, s)| s.term);
    let head = mine().filter_map(|(_, s)| s.committed).max().unwrap_or(0);
    let members: Vec<Value> = mine()
        .map(|(node, s)| {
            json!({
                "node": node.0,
                "role": s.role.name(),
                "term": s.term,
                "last_log": s.last_log,
                "committed": s.committed,
                "applied": s.applied,
                "durable": s.durable,
                "snapshot": s.snapshot,
                "purged": s.purged,
                "lag": head.saturating_sub(s.applied.unwrap_or(0)),
                "log_bytes": s.log_bytes,
                "condition": s.condition,
                "failure": s.failure,
            })
        })
        .collect();
    json!({
        "id": id,
        "leader": leader.map(|(node, _)| node.0),
        "term": leader.map(|(_, s)| s.term),
        "voters": leader.map(|(_, s)| s.voters.iter().map(|n| n.0).collect::<Vec<_>>()),
        "learners": leader.map(|(_, s)| s.learners.iter().map(|n| n.0).collect::<Vec<_>>()),
        "replicas": members,
    })
}
