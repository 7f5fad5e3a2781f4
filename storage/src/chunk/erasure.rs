//! A delete of points that are sealed already: a range of times, as a block behind the chunks it takes them from.
//!
//! ```text
//! erasure := version u8 = 2 | first zigzag | last - first varint | crc32 u32 LE
//! ```

use super::{Damage, header::CRC_BYTES};
use crate::bytes::Cursor;
use model::batch::{put_varint, zigzag};

/// The first byte; those of chunks are others.
pub(super) const VERSION: u8 = 2;

/// Times whose points are gone, both ends inclusive, the first one not after the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Erasure {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl Erasure {
    /// Whether a point of this time is gone.
    pub(crate) fn covers(self, time: i64) -> bool {
        self.first <= time && time <= self.last
    }

    /// Whether all times from `first` to `last` are gone.
    pub(crate) fn covers_all(self, (first, last): (i64, i64)) -> bool {
        self.first <= first && last <= self.last
    }

    /// What of it lies between `first` and `last`, if anything does.
    pub(crate) fn within(self, (first, last): (i64, i64)) -> Option<Self> {
        let common = Self { first: self.first.max(first), last: self.last.min(last) };
        (common.first <= common.last).then_some(common)
    }

    pub(super) fn encode(self, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(VERSION);
        put_varint(out, zigzag(self.first));
        put_varint(out, self.last.wrapping_sub(self.first) as u64);
        let crc = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }

    pub(super) fn parse(block: &[u8]) -> Result<Self, Damage> {
        let body_len = block.len().checked_sub(CRC_BYTES).ok_or(Damage("erasure too short"))?;
        let (body, crc) = block.split_at(body_len);
        if crc != crc32fast::hash(body).to_le_bytes() {
            return Err(Damage("erasure checksum"));
        }
        Self::parse_fields(Cursor::new(body)).ok_or(Damage("erasure"))
    }

    fn parse_fields(mut bytes: Cursor<'_>) -> Option<Self> {
        bytes.byte().filter(|version| *version == VERSION)?;
        let first = bytes.zigzag()?;
        let last = first.checked_add_unsigned(bytes.varint()?)?;
        bytes.is_empty().then_some(Self { first, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn erasures_round_trip(a: i64, b: i64, flip: prop::sample::Index, bit in 0u8..8) {
            let erasure = Erasure { first: a.min(b), last: a.max(b) };
            let mut block = Vec::new();
            erasure.encode(&mut block);
            prop_assert_eq!(Erasure::parse(&block), Ok(erasure));
            let place = flip.index(block.len());
            block[place] ^= 1 << bit;
            prop_assert!(Erasure::parse(&block).is_err());
        }

        #[test]
        fn damaged_bytes_never_panic(bytes: Vec<u8>) {
            let _refused = Erasure::parse(&bytes);
        }
    }
}
