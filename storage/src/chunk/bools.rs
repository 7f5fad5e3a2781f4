//! Booleans: one byte when all are the same, else a bitmap.

use super::bits;
use crate::bytes::Cursor;

const ALL_FALSE: u8 = 0;
const ALL_TRUE: u8 = 1;
const BITMAP: u8 = 2;

/// Appends the values.
pub(super) fn encode(values: impl Iterator<Item = bool>, out: &mut Vec<u8>) {
    let values: Vec<u64> = values.map(u64::from).collect();
    let trues = values.iter().filter(|v| **v == 1).count();
    if trues == 0 {
        out.push(ALL_FALSE);
    } else if trues == values.len() {
        out.push(ALL_TRUE);
    } else {
        out.push(BITMAP);
        bits::pack(&values, 1, out);
    }
}

/// Reads `count` values back.
pub(super) fn decode(bytes: &mut Cursor<'_>, count: usize) -> Option<Vec<bool>> {
    match bytes.byte()? {
        ALL_FALSE => Some(vec![false; count]),
        ALL_TRUE => Some(vec![true; count]),
        BITMAP => {
            let packed = bytes.take(bits::packed_len(count, 1))?;
            Some(bits::unpack(packed, count, 1).into_iter().map(|bit| bit == 1).collect())
        }
        _ => None,
    }
}
