//! Rebuilds the memory of a shard from its small records. Chunks are not read.

use super::fields::Field;
use super::partition::Partition;
use super::records;
use super::series::KeyHash;
use super::state::State;
use crate::error::StorageError;
use crate::key::{self, KeyKind, PartitionKey};
use crate::marker::ApplyMarker;
use crate::rocks::{Rocks, Table};
use model::time::TimeRange;
use model::{RetentionPolicyId, SeriesId};
use roaring::RoaringBitmap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The state that the database holds.
pub(super) fn load(rocks: Arc<Rocks>, marker: ApplyMarker) -> Result<State, StorageError> {
    let mut state = State::new(Arc::clone(&rocks), marker);
    load_partitions(&rocks, &mut state)?;
    load_activity(&rocks, &mut state)?;
    load_fields(&rocks, &mut state)?;
    load_dropped(&rocks, &mut state)?;
    let partitions = state.policies.values().flat_map(|p| p.partitions.values());
    let alive = partitions.fold(RoaringBitmap::new(), |all, p| all | &p.series);
    load_series(&rocks, &mut state, &alive)?;
    Ok(state)
}

/// Calls `visit` with every record of a kind.
fn each(
    rocks: &Rocks,
    table: Table,
    kind: KeyKind,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let (from, to) = kind.range();
    let mut result = Ok(());
    rocks.scan(table, &from, &to, |key, value| {
        result = visit(key, value);
        if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    result
}

fn load_partitions(rocks: &Rocks, state: &mut State) -> Result<(), StorageError> {
    each(rocks, Table::Meta, KeyKind::Partition, |key, value| {
        let key = PartitionKey::parse_record(key).ok_or(StorageError::damaged("partition key"))?;
        let (end, database) = records::parse_partition(value)?;
        state.incarnation += 1;
        let mut partition = Partition::new(TimeRange::new(key.start, end), state.incarnation);
        partition.recorded = true;
        partition.sealed = true;
        let policy = state.policies.entry(key.policy);
        let policy = policy.or_insert_with(|| super::partition::Policy::new(database));
        policy.partitions.insert(key.start, partition);
        Ok(())
    })
}

fn load_activity(rocks: &Rocks, state: &mut State) -> Result<(), StorageError> {
    each(rocks, Table::Meta, KeyKind::Activity, |key, value| {
        let (key, field) = PartitionKey::parse_activity(key).ok_or(StorageError::damaged("activity key"))?;
        let series = records::parse_activity(value)?;
        let policy = state.policies.get_mut(&key.policy);
        let partition = policy.and_then(|p| p.partitions.get_mut(&key.start));
        let partition = partition.ok_or(StorageError::damaged("activity without its partition"))?;
        partition.series |= &series;
        partition.columns.insert(field, series);
        Ok(())
    })?;
    for partition in state.policies.values_mut().flat_map(|p| p.partitions.values_mut()) {
        partition.series.optimize();
    }
    Ok(())
}

fn load_fields(rocks: &Rocks, state: &mut State) -> Result<(), StorageError> {
    each(rocks, Table::Meta, KeyKind::Field, |key, value| {
        let name = key::parse_field(key).ok_or(StorageError::damaged("field key"))?;
        let (field_type, measurement) = records::parse_field(value)?;
        state.fields.insert(name, Field { field_type, measurement });
        Ok(())
    })
}

fn load_dropped(rocks: &Rocks, state: &mut State) -> Result<(), StorageError> {
    each(rocks, Table::Meta, KeyKind::DroppedDatabase, |key, _| {
        let id = key::parse_dropped_database(key).ok_or(StorageError::damaged("dropped database key"))?;
        state.dropped_databases.insert(id);
        Ok(())
    })?;
    each(rocks, Table::Meta, KeyKind::DroppedPolicy, |key, _| {
        let id: RetentionPolicyId =
            key::parse_dropped_policy(key).ok_or(StorageError::damaged("dropped policy key"))?;
        state.dropped_policies.insert(id);
        Ok(())
    })
}

fn load_series(rocks: &Rocks, state: &mut State, alive: &RoaringBitmap) -> Result<(), StorageError> {
    if let Some(value) = rocks.get(Table::Meta, &key::NEXT_SERIES)? {
        state.series.reserve(records::parse_next_series(&value)?);
    }
    let next = state.series.next();
    each(rocks, Table::Series, KeyKind::Series, |key, value| {
        let id: SeriesId = key::parse_series(key).ok_or(StorageError::damaged("series key"))?;
        let (database, key) = records::parse_series(value)?;
        if id.0 >= next {
            return Err(StorageError::damaged("series id beyond the next one"));
        }
        state.series.restore(id, database, KeyHash::of(database, key));
        if alive.contains(id.0) {
            state.index.insert(database, id, key);
        }
        Ok(())
    })
}
