//! SHOW SHARDS, SHOW SHARD GROUPS and DROP SHARD.
//!
//! A shard group is a slice of time of a retention policy, a shard is one data group's part of it. Nobody hands out
//! their ids: they are made from what they stand for, so every node gives the same ones, and the slice that a policy has
//! again after it was dropped has its id again.

use crate::coordinator::NodeCoordinator;
use crate::replicas::{Replica, Spoiled, is_read_here};
use api::coordinator::{Consistency, ExecuteError, Reading};
use model::catalog::{Catalog, Database, RetentionPolicy};
use model::delete::Measurements;
use model::{Delete, RetentionPolicyId, TagPredicate, TimeRange};
use query::Budget;
use query::result::{Cell, Series};
use raft::{Group, blocking};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::time::Instant;

/// Bits of an id: JavaScript reads it exactly.
const ID_BITS: u32 = 48;

/// Of each policy, the slices of time that each group has.
type Slices = BTreeMap<RetentionPolicyId, Vec<(Arc<Group>, Vec<TimeRange>)>>;

/// A shard.
struct Shard<'a> {
    database: &'a Database,
    policy: &'a RetentionPolicy,
    group: Arc<Group>,
    range: TimeRange,
}

impl Shard<'_> {
    fn id(&self) -> i64 {
        hash(&[u64::from(self.policy.id.0), self.range.start as u64, u64::from(self.group.id().0)])
    }

    fn group_id(&self) -> i64 {
        group_id(self.policy.id, self.range)
    }
}

fn group_id(policy: RetentionPolicyId, range: TimeRange) -> i64 {
    hash(&[u64::from(policy.0), range.start as u64, range.end as u64, u64::MAX])
}

/// A positive number of [`ID_BITS`] bits (splitmix64).
fn hash(parts: &[u64]) -> i64 {
    let mut state = 0_u64;
    for part in parts {
        state = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^= state >> 31;
    }
    (state >> (u64::BITS - ID_BITS)).max(1) as i64
}

impl NodeCoordinator {
    /// What there is of each policy in each group, as it is: these statements must work when nothing else does, so a
    /// group of which nobody tells is left out.
    async fn slices(&self, catalog: &Arc<Catalog>, deadline: Instant) -> Result<Slices, ExecuteError> {
        let reading = Reading { consistency: Some(Consistency::Stale), max_staleness: None };
        let mut elsewhere = self.find_elsewhere(reading, &Spoiled::new(), deadline).await?;
        let closed = self.host.groups().into_iter().filter(|g| is_read_here(g) && g.data_store().is_none());
        elsewhere.missing.extend(closed.map(|group| group.id()));
        let budget = Arc::new(Budget::new(&self.limits.query, deadline.into_std()));
        let replicas = self.open_replicas(&elsewhere, &budget, deadline)?;
        let catalog = Arc::clone(catalog);
        let asking = blocking::run(move || {
            let policies = catalog.databases.iter().flat_map(|database| &database.policies);
            let of = |policy: &RetentionPolicy| {
                let slices = |(group, reader): &Replica| (Arc::clone(group), reader.slices(policy.id));
                (policy.id, replicas.all.iter().map(slices).collect())
            };
            policies.map(of).collect()
        });
        asking.await.map_err(|panic| ExecuteError::Internal(format!("statement failed: {panic}")))
    }

    /// The shards of the cluster, by database, policy, time and group.
    fn shards<'a>(catalog: &'a Catalog, slices: &Slices) -> Vec<Shard<'a>> {
        let mut shards = Vec::new();
        for database in &catalog.databases {
            for policy in &database.policies {
                let from = shards.len();
                for (group, slices) in slices.get(&policy.id).into_iter().flatten() {
                    shards.extend(slices.iter().map(|range| Shard {
                        database,
                        policy,
                        group: Arc::clone(group),
                        range: *range,
                    }));
                }
                shards[from..].sort_by_key(|shard: &Shard<'_>| (shard.range.start, shard.group.id()));
            }
        }
        shards
    }

    /// SHOW SHARDS.
    pub(super) async fn show_shards(&self, deadline: Instant) -> Result<Vec<Series>, ExecuteError> {
        let catalog = self.host.catalog();
        let slices = self.slices(&catalog, deadline).await?;
        let shards = Self::shards(&catalog, &slices);
        let columns: Arc<[Arc<str>]> = names(&[
            "id",
            "database",
            "retention_policy",
            "shard_group",
            "start_time",
            "end_time",
            "expiry_time",
            "owners",
        ]);
        let series = |database: &Arc<Database>| {
            let mine = shards.iter().filter(|shard| shard.database.id == database.id);
            let row = |shard: &Shard<'_>| {
                let owners: Vec<String> =
                    shard.group.status().voters.iter().map(|node| node.0.to_string()).collect();
                vec![
                    Cell::Integer(shard.id()),
                    Cell::String(Arc::clone(&database.name)),
                    Cell::String(Arc::clone(&shard.policy.name)),
                    Cell::Integer(shard.group_id()),
                    time(shard.range.start),
                    time(shard.range.end),
                    time(expiry(shard.policy, shard.range)),
                    Cell::String(owners.join(",").into()),
                ]
            };
            Series {
                name: Arc::clone(&database.name),
                columns: Arc::clone(&columns),
                cells: mine.flat_map(row).collect(),
                ..Series::default()
            }
        };
        Ok(catalog.databases.iter().map(series).collect())
    }

    /// SHOW SHARD GROUPS.
    pub(super) async fn show_shard_groups(&self, deadline: Instant) -> Result<Vec<Series>, ExecuteError> {
        let catalog = self.host.catalog();
        let slices = self.slices(&catalog, deadline).await?;
        let mut seen = BTreeSet::new();
        let mut cells = Vec::new();
        for shard in Self::shards(&catalog, &slices) {
            if !seen.insert(shard.group_id()) {
                continue;
            }
            cells.extend([
                Cell::Integer(shard.group_id()),
                Cell::String(Arc::clone(&shard.database.name)),
                Cell::String(Arc::clone(&shard.policy.name)),
                time(shard.range.start),
                time(shard.range.end),
                time(expiry(shard.policy, shard.range)),
            ]);
        }
        let columns = ["id", "database", "retention_policy", "start_time", "end_time", "expiry_time"];
        let columns = names(&columns);
        Ok(vec![Series { name: "shard groups".into(), columns, cells, ..Series::default() }])
    }

    /// DROP SHARD: the points of one data group in one slice of time. An id that is not known is no error, as in 1.x.
    pub(super) async fn drop_shard(&self, id: u64, deadline: Instant) -> Result<(), ExecuteError> {
        let catalog = self.host.catalog();
        let slices = self.slices(&catalog, deadline).await?;
        let shards = Self::shards(&catalog, &slices);
        let Some(shard) = shards.iter().find(|shard| shard.id() as u64 == id) else { return Ok(()) };
        let delete = Delete {
            database: shard.database.id,
            policy: Some(shard.policy.id),
            measurements: Measurements::All,
            predicate: TagPredicate::All,
            range: shard.range,
        };
        let submitted = shard.group.submit(raft::command::delete(&delete), deadline).await;
        submitted.map_err(crate::catalog::ChangeError::Submit)?;
        tracing::info!(group = %shard.group.id(), policy = %shard.policy.name, id, "dropped a shard");
        Ok(())
    }

    /// Data groups and shards that this node has, for statistics.
    pub(super) fn shard_counts(&self) -> (usize, usize) {
        let catalog = self.host.catalog();
        let stores = self.stores();
        let policies = || catalog.databases.iter().flat_map(|database| &database.policies);
        let readers = stores.values().map(|store| store.reader());
        let shards = readers.map(|reader| policies().map(|p| reader.slices(p.id).len()).sum::<usize>());
        (stores.len(), shards.sum())
    }
}

/// When the last point of a shard is dropped; its end where the policy keeps points for ever, as in 1.x.
fn expiry(policy: &RetentionPolicy, range: TimeRange) -> i64 {
    range.end.saturating_add(policy.duration_ns)
}

/// 1.x gives these as text whatever `epoch` says.
fn time(ns: i64) -> Cell {
    let seconds = ns.div_euclid(1_000_000_000);
    let text = jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default();
    Cell::String(text.into())
}

fn names(columns: &[&str]) -> Arc<[Arc<str>]> {
    columns.iter().map(|name| Arc::from(*name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_positive_and_small_enough_for_a_double() {
        let mut seen = BTreeSet::new();
        for policy in 0..50 {
            for hour in -50_i64..50 {
                let range = TimeRange::new(hour * 3_600_000_000_000, (hour + 1) * 3_600_000_000_000);
                let id = group_id(RetentionPolicyId(policy), range);
                assert!((1..1 << 53).contains(&id));
                seen.insert(id);
            }
        }
        assert_eq!(seen.len(), 5_000);
    }

    #[test]
    fn times_are_whole_seconds() {
        assert_eq!(time(-259_200_000_000_000), Cell::String("1969-12-29T00:00:00Z".into()));
    }
}
