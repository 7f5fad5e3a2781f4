//! Tells a damaged record from a torn tail in the last block of a write-ahead log.
//!
//! RocksDB reports every damage in the middle except one: a flipped bit in a record's *length* within the last block
//! makes the record reach past the end of the file, which is just what a torn tail looks like, and everything from
//! there on is silently dropped. The difference is that after a torn record there is nothing, and after a damaged one
//! there are intact records. The loader asks this file before it opens the log. It knows RocksDB's framing only: blocks
//! of 32 KiB with records of masked CRC-32C u32, length u16, type u8 (little-endian) and payload.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const BLOCK: u64 = 32 << 10;

/// Bytes of a record before its payload.
const HEADER: usize = 7;

/// Types of records: full, first, middle and last part.
const TYPES: std::ops::RangeInclusive<u8> = 1..=4;

/// Finds a write-ahead log in `dir` whose end was damaged, not torn.
pub(super) fn damaged(dir: &Path) -> io::Result<Option<PathBuf>> {
    for file in fs::read_dir(dir)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "log") && hides_records(&last_block(&path)?)
        {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn last_block(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(1) / BLOCK * BLOCK))?;
    let mut block = Vec::new();
    file.read_to_end(&mut block)?;
    Ok(block)
}

/// Whether a record of the block reaches past its end although an intact record follows.
fn hides_records(block: &[u8]) -> bool {
    let mut at = 0;
    while let Some(record) = Record::at(block, at) {
        if record.kind == 0 && record.length == 0 {
            return false;
        }
        if record.payload(block).is_none() {
            return (at + 1..block.len())
                .any(|later| Record::at(block, later).is_some_and(|record| record.is_intact(block)));
        }
        at += HEADER + record.length;
    }
    false
}

struct Record {
    at: usize,
    checksum: u32,
    length: usize,
    kind: u8,
}

impl Record {
    fn at(block: &[u8], at: usize) -> Option<Self> {
        let [a, b, c, d, low, high, kind] = *block.get(at..)?.first_chunk::<HEADER>()?;
        let checksum = u32::from_le_bytes([a, b, c, d]);
        Some(Self { at, checksum, length: u16::from_le_bytes([low, high]).into(), kind })
    }

    fn payload<'a>(&self, block: &'a [u8]) -> Option<&'a [u8]> {
        let start = self.at + HEADER;
        block.get(start..start + self.length)
    }

    fn is_intact(&self, block: &[u8]) -> bool {
        TYPES.contains(&self.kind)
            && self.length > 0
            && self.payload(block).is_some_and(|payload| masked(crc32c(self.kind, payload)) == self.checksum)
    }
}

/// RocksDB stores a checksum rotated and shifted, so that a checksum of data with checksums in it stays good.
fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C of the type and the payload.
fn crc32c(kind: u8, payload: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    let bytes = std::iter::once(&kind).chain(payload);
    !bytes.fold(!0, |crc, byte| (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ byte)])
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < table.len() {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(payload: &[u8]) -> Vec<u8> {
        let mut record = masked(crc32c(1, payload)).to_le_bytes().to_vec();
        record.extend((payload.len() as u16).to_le_bytes());
        record.push(1);
        record.extend(payload);
        record
    }

    #[test]
    fn the_checksum_is_crc_32c() {
        assert_eq!(crc32c(b'1', b"23456789"), 0xe306_9283);
    }

    #[test]
    fn a_tail_torn_anywhere_hides_nothing() {
        let block = [record(b"first"), record(b"second"), record(b"third")].concat();
        for end in 0..=block.len() {
            assert!(!hides_records(&block[..end]), "torn at {end}");
        }
        let padded = [block, vec![0; 40]].concat();
        assert!(!hides_records(&padded));
    }

    #[test]
    fn a_record_that_reaches_over_intact_ones_hides_them() {
        let mut block = [record(b"first"), record(b"second"), record(b"third")].concat();
        block[HEADER + 5 + 5] |= 0x40;
        assert!(hides_records(&block));
    }
}
