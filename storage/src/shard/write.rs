//! Applies a write batch to the heads.
//!
//! The hottest loop of a node: every point of every replica passes it. Rows of one scrape come in the same order each
//! time, so the partition, the field and the column of a row are guessed from the row before and only looked up when
//! the guess is wrong.

use super::Inner;
use super::fields::Field;
use super::head::ColumnKey;
use super::partition::{Policy, Pushed};
use super::series::KeyHash;
use super::state::State;
use crate::error::StorageError;
use hashbrown::hash_map::Entry;
use model::batch::{BatchHeader, BatchReader, Row, RowSeries};
use model::series::{measurement_len, text, unescape};
use model::time::{TIME_MAX, TIME_MIN};
use model::value::ValueRef;
use model::{FieldId, FieldType, SeriesId};
use std::sync::Arc;

/// Rows per hold of the state's lock: about a third of a millisecond.
const ROWS_PER_HOLD: usize = 2_048;

/// A row that will be stored.
struct Accepted<'a> {
    key: ColumnKey,
    time: i64,
    value: ValueRef<'a>,
    /// The place of its series among the batch's new ones, or `KNOWN`.
    new: u32,
}

const KNOWN: u32 = u32::MAX;

/// The series that a batch brings: their ids here, and their keys.
struct NewSeries<'a> {
    ids: Vec<SeriesId>,
    keys: Vec<&'a [u8]>,
}

/// Applies the batch; answers whether its database and policy exist here. The caller holds off other entries.
pub(super) fn apply(inner: &Inner, batch: &[u8]) -> Result<bool, StorageError> {
    let mut rows = BatchReader::new(batch)?;
    let header = rows.header();
    let new_series = {
        let mut state = inner.state.write();
        if !state.takes(&header) {
            return Ok(false);
        }
        let keys = rows.new_series().to_vec();
        NewSeries { ids: state.add_series(&header, &keys), keys }
    };
    let mut read = Vec::with_capacity(ROWS_PER_HOLD);
    let mut accepted = Vec::with_capacity(ROWS_PER_HOLD);
    loop {
        // Rows are decoded without the lock.
        for row in rows.by_ref().take(ROWS_PER_HOLD) {
            read.push(row?);
        }
        if read.is_empty() {
            return Ok(true);
        }
        let mut state = inner.state.write();
        state.accept_rows(&header, &new_series, read.drain(..), &mut accepted)?;
        state.push_rows(&header, &new_series, &accepted)?;
        drop(state);
        accepted.clear();
    }
}

impl State {
    /// Whether neither the batch's database nor its policy was dropped.
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
                self.pending.series.push(id, header.database, key);
                id
            });
            ids.push(id);
        }
        ids
    }

    /// Resolves the rows and leaves out those that cannot be stored.
    fn accept_rows<'a>(
        &mut self,
        header: &BatchHeader,
        new_series: &NewSeries<'_>,
        rows: impl Iterator<Item = Row<'a>>,
        accepted: &mut Vec<Accepted<'a>>,
    ) -> Result<(), StorageError> {
        // A scrape has hundreds of rows of one field in a row.
        let mut last_field: Option<(FieldId, FieldType)> = None;
        for row in rows {
            let (id, new) = match row.series {
                RowSeries::Known(id) => (id, KNOWN),
                RowSeries::New(place) => match new_series.ids.get(place as usize) {
                    Some(id) => (*id, place),
                    None => continue,
                },
            };
            let in_range = (TIME_MIN..=TIME_MAX).contains(&row.time);
            if !in_range || self.series.database(id) != Some(header.database) {
                continue;
            }
            let field_type = match last_field {
                Some((field, field_type)) if field == row.field => field_type,
                _ => {
                    let key = new_series.keys.get(new as usize).copied();
                    self.field_type(header, (id, key), row.field, row.value.field_type())?
                }
            };
            last_field = Some((row.field, field_type));
            if field_type == row.value.field_type() {
                accepted.push(Accepted {
                    key: ColumnKey::new(id, row.field),
                    time: row.time,
                    value: row.value,
                    new,
                });
            }
        }
        Ok(())
    }

    /// The type of a field; its first row gives it `first`.
    fn field_type(
        &mut self,
        header: &BatchHeader,
        (series, key): (SeriesId, Option<&[u8]>),
        field: FieldId,
        first: FieldType,
    ) -> Result<FieldType, StorageError> {
        let name = (header.database, field);
        if let Some(known) = self.fields.get(name) {
            return Ok(known.field_type);
        }
        let measurement = match (self.index.measurement_of(series), key) {
            (Some(measurement), _) => Arc::clone(measurement),
            (None, Some(key)) => measurement(key),
            (None, None) => measurement(&self.series_key(series)?.0),
        };
        let known = Field { field_type: first, measurement };
        self.pending.fields.push((name, known.clone()));
        self.fields.insert(name, known);
        Ok(first)
    }

    /// Stores the rows, and indexes the series that have their first point in some partition.
    fn push_rows(
        &mut self,
        header: &BatchHeader,
        new_series: &NewSeries<'_>,
        rows: &[Accepted<'_>],
    ) -> Result<(), StorageError> {
        let mut appeared: Vec<(SeriesId, u32)> = Vec::new();
        let mut rest = rows;
        while let Some(row) = rest.first() {
            let policy = match self.policies.entry(header.policy) {
                Entry::Occupied(policy) => policy.into_mut(),
                Entry::Vacant(place) => place.insert(Policy::new(header.database)),
            };
            let groups = (header.shard_duration_ns, header.shard_origin);
            let (start, partition) = policy.partition_at(row.time, groups, &mut self.incarnation);
            let bytes_before = partition.head.bytes();
            // Rows of one partition mostly come together.
            while let Some((row, others)) = rest.split_first() {
                if row.time < start || row.time >= partition.end {
                    break;
                }
                if partition.push(row.key, row.time, &row.value) == Pushed::FirstOfSeries {
                    appeared.push((row.key.series(), row.new));
                }
                rest = others;
            }
            self.open_bytes += partition.head.bytes() - bytes_before;
        }
        for (id, new) in appeared {
            self.index_series(header.database, id, new_series.keys.get(new as usize).copied())?;
        }
        Ok(())
    }
}

/// The measurement of a canonical key.
fn measurement(key: &[u8]) -> Arc<str> {
    text(&unescape(&key[..measurement_len(key)], b", "))
}
