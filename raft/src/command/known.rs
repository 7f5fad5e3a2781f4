//! Series of a write that the leader knows already are named by their ids, not by their keys.
//!
//! A node that has no replica of the group, or one that is behind, sends keys. In the log each of them would stay, and every
//! replica would look it up again.

use super::{DataCommand, write};
use bytes::Bytes;
use model::batch::{BatchReader, BatchWriter, Row, RowSeries};
use storage::{KeyHash, ShardStore};

/// Whether a command brings keys of series.
pub(crate) fn brings_keys(command: &[u8]) -> bool {
    let Ok(DataCommand::Write(batch)) = DataCommand::decode(command) else { return false };
    BatchReader::new(batch).is_ok_and(|rows| !rows.new_series().is_empty())
}

/// The same command with ids; `None` if no key is known, or it is no write.
pub(crate) fn with_ids(command: &[u8], store: &ShardStore) -> Option<Bytes> {
    let Ok(DataCommand::Write(batch)) = DataCommand::decode(command) else { return None };
    let rows = BatchReader::new(batch).ok()?;
    let header = rows.header();
    let hashes: Vec<KeyHash> =
        rows.new_series().iter().map(|key| KeyHash::of(header.database, key)).collect();
    let mut ids = Vec::with_capacity(hashes.len());
    store.lookup_hashes(&hashes, &mut ids);
    if ids.iter().all(Option::is_none) {
        return None;
    }
    let mut writer = BatchWriter::with_capacity(header, batch.len());
    let keys = rows.new_series().iter().zip(ids);
    let name = |(key, id): (&&[u8], Option<_>)| id.map_or_else(|| writer.add_series(key), RowSeries::Known);
    let named: Vec<RowSeries> = keys.map(name).collect();
    for row in rows {
        let row = row.ok()?;
        let series = match row.series {
            RowSeries::Known(_) => row.series,
            RowSeries::New(place) => *named.get(place as usize)?,
        };
        writer.push(&Row { series, ..row });
    }
    Some(write(writer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::batch::BatchHeader;
    use model::time::ShardOrigin;
    use model::value::ValueRef;
    use model::{DatabaseId, FieldId, RetentionPolicyId, SeriesId};
    use storage::{ApplyMarker, Shared};

    fn command(keys: &[&str]) -> Bytes {
        let header = BatchHeader {
            database: DatabaseId(1),
            policy: RetentionPolicyId(1),
            shard_duration_ns: 1 << 50,
            shard_origin: ShardOrigin::YearOne,
        };
        let mut writer = BatchWriter::new(header);
        let series: Vec<RowSeries> = keys.iter().map(|key| writer.add_series(key.as_bytes())).collect();
        for time in 0..3 {
            for (n, series) in (0..).zip(&series) {
                let value = ValueRef::Integer(time * 10 + n);
                writer.push(&Row { series: *series, time, field: FieldId(1), value });
            }
        }
        write(writer)
    }

    #[test]
    fn only_keys_that_are_not_known_stay() {
        let dir = tempfile::tempdir().unwrap();
        let store =
            ShardStore::open(dir.path(), &Shared::new(&storage::StorageConfig::default()).unwrap()).unwrap();
        let first = command(&["m,a=1", "m,a=2"]);
        assert!(brings_keys(&first));
        assert_eq!(with_ids(&first, &store), None);
        let Ok(DataCommand::Write(batch)) = DataCommand::decode(&first) else { panic!("a write") };
        assert!(store.apply_write(batch, ApplyMarker { index: 1, bytes: Vec::new() }).unwrap());
        let again = with_ids(&command(&["m,a=3", "m,a=2", "m,a=1"]), &store).unwrap();
        let Ok(DataCommand::Write(batch)) = DataCommand::decode(&again) else { panic!("a write") };
        let rows = BatchReader::new(batch).unwrap();
        assert_eq!(rows.new_series(), [b"m,a=3"]);
        let id = |key: &[u8]| store.lookup_series(DatabaseId(1), key).unwrap();
        let names: [RowSeries; 3] =
            [RowSeries::New(0), RowSeries::Known(id(b"m,a=2")), RowSeries::Known(id(b"m,a=1"))];
        for (place, row) in rows.enumerate() {
            let row = row.unwrap();
            assert_eq!(row.series, names[place % 3]);
            assert_eq!(row.time, (place / 3) as i64);
            assert_eq!(row.value, ValueRef::Integer((place / 3 * 10 + place % 3) as i64));
        }
        let known = with_ids(&command(&["m,a=1"]), &store).unwrap();
        assert!(!brings_keys(&known));
        assert_ne!(id(b"m,a=1"), SeriesId(u32::MAX));
    }
}
