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
        for id in self.series.forget(database) {
            self.pending.series.remove(&id);
            self.pending.forgotten_series.push(id);
        }
        self.index.remove_database(database);
        self.index.sweep();
        let gone = self.fields.extract_if(|(db, _), _| *db == database).map(|(name, _)| name);
        self.pending.forgotten_fields.extend(gone);
        self.pending.fields.retain(|((db, _), _)| *db != database);
    }

    /// Drops a policy with its partitions.
    pub(super) fn drop_policy(&mut self, policy: RetentionPolicyId) {
        if self.dropped_policies.insert(policy) {
            self.pending.dropped_policies.push(policy);
        }
        if let Some(gone) = self.policies.remove(&policy) {
            let partitions = gone.partitions.into_iter().collect();
            self.drop_partitions(policy, gone.database, partitions);
        }
    }

    /// Drops the partitions of a policy that end at or before `time`.
    pub(super) fn drop_before(&mut self, policy: RetentionPolicyId, time: i64) {
        let Some(known) = self.policies.get_mut(&policy) else { return };
        let database = known.database;
        let ended: Vec<i64> =
            known.partitions.iter().filter(|(_, p)| p.end <= time).map(|(start, _)| *start).collect();
        let gone = ended.into_iter().filter_map(|s| Some((s, known.partitions.remove(&s)?))).collect();
        self.drop_partitions(policy, database, gone);
    }

    fn drop_partitions(
        &mut self,
        policy: RetentionPolicyId,
        database: DatabaseId,
        partitions: Vec<(i64, Partition)>,
    ) {
        let mut orphans = RoaringBitmap::new();
        for (start, partition) in partitions {
            orphans |= &partition.series;
            if partition.recorded {
                self.pending.dropped_partitions.push(PartitionKey { policy, start });
            }
        }
        self.leave_index(database, orphans);
    }

    /// Takes those of the series out of the index that have no points in any partition.
    pub(super) fn leave_index(&mut self, database: DatabaseId, mut orphans: RoaringBitmap) {
        for partition in self.policies.values().flat_map(|p| p.partitions.values()) {
            orphans -= &partition.series;
        }
        // Without points a series leaves the index but keeps its id: a row that names it brings it back.
        for id in &orphans {
            let id = SeriesId(id);
            if let Some(indexed) = self.series.take_indexed(id) {
                self.index.remove(database, id, &indexed);
            }
        }
        if !orphans.is_empty() {
            self.index.sweep();
        }
    }
}
