//! Booleans: one byte when all are the same, else the lengths of runs or a bitmap, whichever is smaller.
//!
//! ```text
//! bools := 0 all false | 1 all true
//!        | 2 | bitmap, least significant bit first
//!        | 3 | first u8 | runs varint, at least 2 | ints of the lengths of all runs but the last
//! ```

use super::{bits, ints};
use crate::bytes::Cursor;
use model::batch::put_varint;

const ALL_FALSE: u8 = 0;
const ALL_TRUE: u8 = 1;
const BITMAP: u8 = 2;
const RUNS: u8 = 3;

/// Appends the values, at least one.
pub(super) fn encode(values: impl Iterator<Item = bool>, out: &mut Vec<u8>) {
    let values: Vec<bool> = values.collect();
    let runs: Vec<i64> = values.chunk_by(|a, b| a == b).map(|run| run.len() as i64).collect();
    let first = values.first().copied().unwrap_or(false);
    let [lengths @ .., _] = &runs[..] else { return };
    if lengths.is_empty() {
        return out.push(if first { ALL_TRUE } else { ALL_FALSE });
    }
    let plan = ints::Plan::of(lengths);
    if plan.len() + 2 < bits::packed_len(values.len(), 1) {
        out.extend([RUNS, u8::from(first)]);
        put_varint(out, runs.len() as u64);
        plan.put(out);
    } else {
        out.push(BITMAP);
        bits::pack(values.iter().map(|v| u64::from(*v)), 1, out);
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
        RUNS => decode_runs(bytes, count),
        _ => None,
    }
}

fn decode_runs(bytes: &mut Cursor<'_>, count: usize) -> Option<Vec<bool>> {
    let mut value = match bytes.byte()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let runs = bytes.count(count)?.checked_sub(1)?;
    let mut values = Vec::with_capacity(count);
    for length in ints::decode(bytes, runs)? {
        let length = usize::try_from(length).ok().filter(|n| *n > 0 && *n < count - values.len())?;
        values.resize(values.len() + length, value);
        value = !value;
    }
    values.resize(count, value);
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(values: &[bool]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(values.iter().copied(), &mut out);
        let mut cursor = Cursor::new(&out);
        assert_eq!(decode(&mut cursor, values.len()).as_deref(), Some(values));
        assert!(cursor.is_empty());
        out
    }

    #[test]
    fn the_smallest_form_is_taken() {
        let up = |n: usize, down: usize| (0..n).map(|i| i != down).collect::<Vec<_>>();
        assert_eq!(encoded(&up(1000, 1000)), [ALL_TRUE]);
        assert_eq!(encoded(&[false]), [ALL_FALSE]);
        assert!(encoded(&up(1000, 500)).len() <= 12);
        assert_eq!(encoded(&up(20, 7))[0], BITMAP);
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 63 == 0
        };
        assert_eq!(encoded(&(0..800).map(|_| random()).collect::<Vec<_>>()).len(), 101);
    }

    proptest! {
        #[test]
        fn any_values_round_trip(values in prop::collection::vec(any::<bool>(), 1..1024)) {
            encoded(&values);
        }

        #[test]
        fn runs_round_trip(runs in prop::collection::vec((any::<bool>(), 1usize..100), 1..10)) {
            encoded(&runs.into_iter().flat_map(|(value, n)| vec![value; n]).collect::<Vec<_>>());
        }

        #[test]
        fn damaged_bytes_never_panic(bytes: Vec<u8>, count in 1usize..300) {
            drop(decode(&mut Cursor::new(&bytes), count));
        }
    }
}
