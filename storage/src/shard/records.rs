//! The values of the small records of a shard; `docs/format/keys.md` draws them. Each starts with a version byte.

use crate::bytes::Cursor;
use crate::error::StorageError;
use model::{DatabaseId, FieldType};
use roaring::RoaringBitmap;
use std::sync::Arc;

const VERSION: u8 = 1;

fn body<'a>(value: &'a [u8], what: &'static str) -> Result<Cursor<'a>, StorageError> {
    match value.split_first() {
        Some((&VERSION, rest)) => Ok(Cursor::new(rest)),
        _ => Err(StorageError::damaged(what)),
    }
}

/// Value of a series: its database and its canonical key.
pub(super) fn series(database: DatabaseId, key: &[u8]) -> Vec<u8> {
    let mut value = vec![VERSION];
    value.extend_from_slice(&database.0.to_be_bytes());
    value.extend_from_slice(key);
    value
}

pub(super) fn parse_series(value: &[u8]) -> Result<(DatabaseId, &[u8]), StorageError> {
    const WHAT: &str = "series record";
    let mut bytes = body(value, WHAT)?;
    let database = bytes.u32_be().ok_or(StorageError::damaged(WHAT))?;
    Ok((DatabaseId(database), bytes.rest()))
}

/// Value of a partition: the first time after it, and the database of its policy.
pub(super) fn partition(end: i64, database: DatabaseId) -> Vec<u8> {
    let mut value = vec![VERSION];
    value.extend_from_slice(&end.to_be_bytes());
    value.extend_from_slice(&database.0.to_be_bytes());
    value
}

pub(super) fn parse_partition(value: &[u8]) -> Result<(i64, DatabaseId), StorageError> {
    const WHAT: &str = "partition record";
    let mut bytes = body(value, WHAT)?;
    let end = bytes.array().map(i64::from_be_bytes);
    match (end, bytes.u32_be(), bytes.is_empty()) {
        (Some(end), Some(database), true) => Ok((end, DatabaseId(database))),
        _ => Err(StorageError::damaged(WHAT)),
    }
}

/// Value of a field: its type and the measurement it belongs to.
pub(super) fn field(field_type: FieldType, measurement: &str) -> Vec<u8> {
    let mut value = vec![VERSION, field_type.code()];
    value.extend_from_slice(measurement.as_bytes());
    value
}

pub(super) fn parse_field(value: &[u8]) -> Result<(FieldType, Arc<str>), StorageError> {
    const WHAT: &str = "field record";
    let mut bytes = body(value, WHAT)?;
    let field_type = bytes.byte().and_then(FieldType::from_code);
    match (field_type, std::str::from_utf8(bytes.rest())) {
        (Some(field_type), Ok(measurement)) => Ok((field_type, Arc::from(measurement))),
        _ => Err(StorageError::damaged(WHAT)),
    }
}

/// Value of the next series id.
pub(super) fn next_series(id: u32) -> Vec<u8> {
    let mut value = vec![VERSION];
    value.extend_from_slice(&id.to_be_bytes());
    value
}

pub(super) fn parse_next_series(value: &[u8]) -> Result<u32, StorageError> {
    const WHAT: &str = "next series record";
    let mut bytes = body(value, WHAT)?;
    bytes.u32_be().filter(|_| bytes.is_empty()).ok_or(StorageError::damaged(WHAT))
}

/// Value of a field's activity: the series that have points, in Roaring's portable format.
pub(super) fn activity(series: &RoaringBitmap) -> Result<Vec<u8>, StorageError> {
    let mut value = vec![VERSION];
    // Writing to memory does not fail.
    series.serialize_into(&mut value).map_err(|_| StorageError::damaged("activity in memory"))?;
    Ok(value)
}

pub(super) fn parse_activity(value: &[u8]) -> Result<RoaringBitmap, StorageError> {
    const WHAT: &str = "activity record";
    let bytes = body(value, WHAT)?;
    RoaringBitmap::deserialize_from(bytes.rest()).map_err(|_| StorageError::damaged(WHAT))
}

/// Value of how far a partition was compacted: the last day.
pub(super) fn compacted(day: i32) -> Vec<u8> {
    let mut value = vec![VERSION];
    value.extend_from_slice(&day.to_be_bytes());
    value
}

pub(super) fn parse_compacted(value: &[u8]) -> Result<i32, StorageError> {
    const WHAT: &str = "compaction record";
    let mut bytes = body(value, WHAT)?;
    let day = bytes.array().map(i32::from_be_bytes);
    day.filter(|_| bytes.is_empty()).ok_or(StorageError::damaged(WHAT))
}

/// Value of a record whose key says everything.
pub(super) fn mark() -> Vec<u8> {
    vec![VERSION]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_round_trip(id: u32, key: Vec<u8>, end: i64, name: String, ids: Vec<u32>) {
            let database = DatabaseId(id);
            let value = series(database, &key);
            prop_assert_eq!(parse_series(&value).unwrap(), (database, &key[..]));
            prop_assert_eq!(parse_partition(&partition(end, database)).unwrap(), (end, database));
            let back = parse_field(&field(FieldType::Boolean, &name)).unwrap();
            prop_assert_eq!(back, (FieldType::Boolean, Arc::from(name.as_str())));
            prop_assert_eq!(parse_next_series(&next_series(id)).unwrap(), id);
            prop_assert_eq!(parse_compacted(&compacted(id as i32)).unwrap(), id as i32);
            let mut bitmap: RoaringBitmap = ids.iter().copied().collect();
            bitmap.insert_range(id..id.saturating_add(9_000));
            prop_assert_eq!(parse_activity(&activity(&bitmap).unwrap()).unwrap(), bitmap.clone());
            bitmap.optimize();
            prop_assert_eq!(parse_activity(&activity(&bitmap).unwrap()).unwrap(), bitmap);
        }

        #[test]
        fn damaged_records_never_panic(value: Vec<u8>) {
            drop(parse_series(&value));
            drop(parse_partition(&value));
            drop(parse_field(&value));
            drop(parse_next_series(&value));
            drop(parse_compacted(&value));
            drop(parse_activity(&value));
        }
    }
}
