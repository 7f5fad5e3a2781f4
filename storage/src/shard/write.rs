//! Applies a write batch to the heads.

use super::Inner;
use super::head::ColumnKey;
use super::partition::{Policy, Pushed};
use super::series::KeyHash;
use super::state::{Field, State};
use crate::error::StorageError;
use hashbrown::hash_map::Entry;
use model::batch::{BatchHeader, BatchReader, Row, RowSeries};
use model::time::{TIME_MAX, TIME_MIN};
use model::value::ValueRef;
use model::{FieldId, SeriesId};

/// Rows per hold of the state's lock: about a third of a millisecond.
const ROWS_PER_HOLD: usize = 2_048;

/// A row that will be stored.
struct Accepted<'a> {
    key: ColumnKey,
    time: i64,
    value: ValueRef<'a>,
}

/// Applies the batch. The caller holds off other entries.
pub(super) fn apply(inner: &Inner, batch: &[u8]) -> Result<(), StorageError> {
    let mut rows = BatchReader::new(batch)?;
    let header = rows.header();
    let new_series = {
        let mut state = inner.state.write();
        if !state.takes(&header) {
            return Ok(());
        }
        state.add_series(&header, rows.new_series())
    };
    let mut read = Vec::with_capacity(ROWS_PER_HOLD);
    loop {
        // Rows are decoded without the lock.
        for row in rows.by_ref().take(ROWS_PER_HOLD) {
            read.push(row?);
        }
        if read.is_empty() {
            return Ok(());
        }
        inner.state.write().add_rows(&header, &new_series, read.drain(..))?;
    }
}

impl State {
    /// Whether the batch's database and policy exist here.
    fn takes(&self, header: &BatchHeader) -> bool {
        !self.dropped_databases.contains(&header.database)
            && !self.dropped_policies.contains(&header.policy)
            && self.policies.get(&header.policy).is_none_or(|p| p.database == header.database)
    }

    /// Gives ids to the batch's new series; the group may have learnt some in the meantime.
    fn add_series(&mut self, header: &BatchHeader, keys: &[&[u8]]) -> Vec<SeriesId> {
        let mut ids = Vec::with_capacity(keys.len());
        for key in keys {
            let hash = KeyHash::of(header.database, key);
            let id = self.series.lookup(hash).unwrap_or_else(|| {
                let id = self.series.add(header.database, hash);
                self.pending.series.insert(id, (header.database, Box::from(*key)));
                id
            });
            ids.push(id);
        }
        ids
    }

    fn add_rows<'a>(
        &mut self,
        header: &BatchHeader,
        new_series: &[SeriesId],
        rows: impl Iterator<Item = Row<'a>>,
    ) -> Result<(), StorageError> {
        let mut accepted = Vec::with_capacity(rows.size_hint().0);
        for row in rows {
            if let Some(row) = self.accept(header, new_series, row)? {
                accepted.push(row);
            }
        }
        for id in self.push_rows(header, &accepted) {
            self.index_series(header.database, id)?;
        }
        Ok(())
    }

    /// Resolves a row; `None` if it must be left out.
    fn accept<'a>(
        &mut self,
        header: &BatchHeader,
        new_series: &[SeriesId],
        row: Row<'a>,
    ) -> Result<Option<Accepted<'a>>, StorageError> {
        let id = match row.series {
            RowSeries::Known(id) => id,
            RowSeries::New(place) => match new_series.get(place as usize) {
                Some(id) => *id,
                None => return Ok(None),
            },
        };
        let in_range = (TIME_MIN..=TIME_MAX).contains(&row.time);
        if !in_range || self.series.database(id) != Some(header.database) {
            return Ok(None);
        }
        if !self.accept_field(header, id, row.field, &row.value)? {
            return Ok(None);
        }
        Ok(Some(Accepted { key: ColumnKey::new(id, row.field), time: row.time, value: row.value }))
    }

    /// Whether the value has the field's type, which the field's first row fixes.
    fn accept_field(
        &mut self,
        header: &BatchHeader,
        series: SeriesId,
        field: FieldId,
        value: &ValueRef<'_>,
    ) -> Result<bool, StorageError> {
        let name = (header.database, field);
        if let Some(known) = self.fields.get(&name) {
            return Ok(known.field_type == value.field_type());
        }
        let measurement = match self.series.indexed(series) {
            Some(indexed) => std::sync::Arc::clone(&indexed.measurement),
            None => self.series_key(series)?.parse().measurement,
        };
        let known = Field { field_type: value.field_type(), measurement };
        self.pending.fields.push((name, known.clone()));
        self.fields.insert(name, known);
        Ok(true)
    }

    /// Stores the rows; answers the series that have their first point in some partition.
    fn push_rows(&mut self, header: &BatchHeader, rows: &[Accepted<'_>]) -> Vec<SeriesId> {
        let mut appeared = Vec::new();
        let mut rest = rows;
        while let Some(row) = rest.first() {
            let policy = match self.policies.entry(header.policy) {
                Entry::Occupied(policy) => policy.into_mut(),
                Entry::Vacant(place) => place.insert(Policy::new(header.database)),
            };
            let (start, partition) =
                policy.partition_at(row.time, header.shard_duration_ns, &mut self.incarnation);
            // Rows of one partition mostly come together.
            while let Some((row, others)) = rest.split_first() {
                if row.time < start || row.time >= partition.end {
                    break;
                }
                if partition.push(row.key, row.time, &row.value) == Pushed::FirstOfSeries {
                    appeared.push(row.key.series());
                }
                rest = others;
            }
        }
        appeared
    }
}
