//! What benchmarks and fuzz targets may touch of the inside. No product code calls it.

use crate::chunk::{self, Header, Rows, blocks};
use crate::rocks::Table;
use crate::{ShardStore, StorageError};
use model::FieldType;
use model::scan::ColumnBatch;

/// Points of one column, ready to be sealed.
#[derive(Debug, Clone)]
pub struct Points(Rows);

impl Points {
    /// Points with these times and the bits of their values: a float's bits, an integer, 0 or 1.
    pub fn of_numbers(field_type: FieldType, rows: Vec<(i64, u64)>) -> Self {
        Self(Rows { rows, ..Rows::new(field_type) })
    }

    /// Points with these times and strings.
    pub fn of_strings<'a>(values: impl IntoIterator<Item = (i64, &'a [u8])>) -> Self {
        let mut rows = Rows::new(FieldType::String);
        for (time, value) in values {
            let place = rows.strings.push(value);
            rows.rows.push((time, place));
        }
        Self(rows)
    }

    /// One chunk of them, at most 1,024.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        chunk::encode(self.0.field_type, &self.0.rows, &self.0.strings, &mut out);
        out
    }

    /// The value that a seal writes.
    pub fn seal(&self) -> Vec<u8> {
        blocks::encode(&self.0, &self.0.rows)
    }
}

/// Decodes a chunk as a query does; `None` if it is damaged.
pub fn decode_chunk(bytes: &[u8]) -> Option<ColumnBatch> {
    chunk::decode_batch(&Header::parse(bytes).ok()?).ok()
}

/// Folds a value as compaction does and answers the number of points; `None` if it is damaged.
pub fn fold(value: &[u8]) -> Option<usize> {
    blocks::fold(value).ok().map(|rows| rows.map_or(0, |rows| rows.rows.len()))
}

/// Writes all files of a store anew, as RocksDB's own compaction would in time.
///
/// # Errors
///
/// When the database cannot be written.
pub fn compact_files(store: &ShardStore) -> Result<(), StorageError> {
    Ok(store.rocks().compact_all()?)
}

/// Bytes of a store's files: records of meta, series, chunks.
pub fn table_bytes(store: &ShardStore) -> [u64; 3] {
    [Table::Meta, Table::Series, Table::Chunk].map(|table| store.rocks().table_bytes(table))
}
