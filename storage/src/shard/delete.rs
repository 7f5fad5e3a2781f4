//! Drops whole databases, policies and expired partitions. All in memory: the next flush deletes on disk.

use super::partition::Partition;
use super::state::State;
use crate::key::PartitionKey;
use model::{DatabaseId, RetentionPolicyId, SeriesId};
use roaring::RoaringBitmap;

impl State {
    /// Drops a database, its series, and the policies that are named or known to be its own.
    pub(super) fn drop_database(&mut self, database: DatabaseId, policies: &[RetentionPolicyId]) {
        let known = self.policies.iter().filter(|(_, p)| p.database == database).map(|(id, _)| *id);
        let mut policies: Vec<RetentionPolicyId> = known.chain(policies.iter().copied()).collect();
        policies.sort_unstable();
        policies.dedup();
        for policy in policies {
            self.drop_policy(policy);
        }
        if self.dropped_databases.insert(database) {
            self.pending.dropped_databases.push(database);
        }
        self.pending.series.forget(database);
        self.pending.forgotten_series.extend(self.series.forget(database));
        self.index.remove_database(database);
        self.pending.forgotten_fields.extend(self.fields.forget(database));
        self.pending.fields.retain(|((db, _), _)| *db != database);
    }

    /// Drops a policy with its partitions.
    pub(super) fn drop_policy(&mut self, policy: RetentionPolicyId) {
        if self.dropped_policies.insert(policy) {
            self.pending.dropped_policies.push(policy);
        }
        if let Some(gone) = self.policies.remove(&policy) {
            let partitions = gone.partitions.into_iter().collect();
            self.drop_partitions(policy, partitions);
        }
    }

    /// Drops the partitions of a policy that end at or before `time`.
    pub(super) fn drop_before(&mut self, policy: RetentionPolicyId, time: i64) {
        let Some(known) = self.policies.get_mut(&policy) else { return };
        // They do not overlap, so those that ended are the first ones.
        let ended: Vec<i64> =
            known.partitions.iter().take_while(|(_, p)| p.end <= time).map(|(start, _)| *start).collect();
        if ended.is_empty() {
            return;
        }
        let gone = ended.into_iter().filter_map(|s| Some((s, known.partitions.remove(&s)?))).collect();
        self.drop_partitions(policy, gone);
    }

    /// Whether partitions were dropped since the last flush that are on the disk.
    pub(super) fn holds_dropped(&self) -> bool {
        !self.pending.dropped_partitions.is_empty()
    }

    fn drop_partitions(&mut self, policy: RetentionPolicyId, partitions: Vec<(i64, Partition)>) {
        let mut orphans = RoaringBitmap::new();
        for (start, partition) in partitions {
            orphans |= &partition.series;
            self.open_bytes = self.open_bytes.saturating_sub(partition.open_bytes());
            if partition.recorded {
                self.pending.dropped_partitions.push(PartitionKey { policy, start });
            }
        }
        self.leave_index(orphans);
    }

    /// Takes those of the series out of the index that have no points in any partition.
    pub(super) fn leave_index(&mut self, mut orphans: RoaringBitmap) {
        // The newest first: they have most of what is still alive.
        for partition in self.policies.values().flat_map(|p| p.partitions.values().rev()) {
            if orphans.is_empty() {
                return;
            }
            orphans -= &partition.series;
        }
        // Without points a series leaves the index but keeps its id: a row that names it brings it back.
        for id in &orphans {
            self.index.remove(SeriesId(id));
        }
    }
}
