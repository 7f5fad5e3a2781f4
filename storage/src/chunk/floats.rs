//! Floats: most are whole numbers or decimals of few digits and become integers; the rest is laid out byte plane by
//! byte plane.
//!
//! ```text
//! floats := mode u8, then
//!   0..=4  value·10^mode as ints, where dividing again gives the same bits
//!   5      all are 32-bit floats: 4 byte planes, xor with the one before, blob
//!   6      8 byte planes, xor with the one before, blob
//!   7      all the same: 8 bytes LE
//! ```

use super::{blob, ints};
use crate::bytes::Cursor;

const DECIMALS_MAX: u8 = 4;
const SINGLES: u8 = 5;
const DOUBLES: u8 = 6;
const CONSTANT: u8 = 7;
const POWERS: [f64; 5] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0];
/// Above it not every whole number is a float.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Appends the values, at least one.
pub(super) fn encode(values: &[f64], out: &mut Vec<u8>) {
    if let Some((decimals, scaled)) = (0..=DECIMALS_MAX).find_map(|d| Some((d, as_ints(values, d)?))) {
        out.push(decimals);
        return ints::encode(&scaled, out);
    }
    let first = values.first().copied().unwrap_or(0.0).to_bits();
    if values.iter().all(|v| v.to_bits() == first) {
        out.push(CONSTANT);
        return out.extend_from_slice(&first.to_le_bytes());
    }
    if values.iter().all(|v| f64::from(*v as f32).to_bits() == v.to_bits()) {
        out.push(SINGLES);
        let words: Vec<[u8; 4]> = values.iter().map(|v| (*v as f32).to_le_bytes()).collect();
        blob::put(&planes(&words), out);
    } else {
        out.push(DOUBLES);
        let words: Vec<[u8; 8]> = values.iter().map(|v| v.to_le_bytes()).collect();
        blob::put(&planes(&words), out);
    }
}

/// Reads `count` values back.
pub(super) fn decode(bytes: &mut Cursor<'_>, count: usize) -> Option<Vec<f64>> {
    match bytes.byte()? {
        decimals @ 0..=DECIMALS_MAX => {
            let power = POWERS[usize::from(decimals)];
            Some(ints::decode(bytes, count)?.into_iter().map(|v| v as f64 / power).collect())
        }
        SINGLES => {
            let words = unplanes::<4>(&blob::read(bytes, count * 4)?, count);
            Some(words.into_iter().map(|w| f64::from(f32::from_le_bytes(w))).collect())
        }
        DOUBLES => {
            let words = unplanes::<8>(&blob::read(bytes, count * 8)?, count);
            Some(words.into_iter().map(f64::from_le_bytes).collect())
        }
        CONSTANT => Some(vec![f64::from_le_bytes(bytes.array()?); count]),
        _ => None,
    }
}

/// The whole number that `value` is after moving the point, if dividing gives back the same bits.
fn as_ints(values: &[f64], decimals: u8) -> Option<Vec<i64>> {
    let power = POWERS[usize::from(decimals)];
    let mut ints = Vec::with_capacity(values.len());
    for value in values {
        let scaled = (value * power).round();
        let is_whole = scaled.is_finite() && scaled.abs() < WHOLE_MAX;
        if !is_whole || ((scaled as i64) as f64 / power).to_bits() != value.to_bits() {
            return None;
        }
        ints.push(scaled as i64);
    }
    Some(ints)
}

/// First bytes of all words, then their second bytes and so on, each word xored with the one before.
fn planes<const N: usize>(words: &[[u8; N]]) -> Vec<u8> {
    let mut out = vec![0; words.len() * N];
    let mut before = [0; N];
    for (place, word) in words.iter().enumerate() {
        for byte in 0..N {
            out[byte * words.len() + place] = word[byte] ^ before[byte];
        }
        before = *word;
    }
    out
}

/// The inverse of [`planes`]; `bytes` has `count * N` bytes.
fn unplanes<const N: usize>(bytes: &[u8], count: usize) -> Vec<[u8; N]> {
    let mut words = Vec::with_capacity(count);
    let mut before = [0; N];
    for place in 0..count {
        for byte in 0..N {
            before[byte] ^= bytes[byte * count + place];
        }
        words.push(before);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(values: &[f64]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(values, &mut out);
        let mut cursor = Cursor::new(&out);
        let back = decode(&mut cursor, values.len()).unwrap();
        assert!(back.iter().map(|v| v.to_bits()).eq(values.iter().map(|v| v.to_bits())));
        assert!(cursor.is_empty());
        out
    }

    #[test]
    fn modes_are_chosen_by_what_the_values_are() {
        assert_eq!(encoded(&[1.0, 2.0, -3.0])[0], 0);
        assert_eq!(encoded(&[0.1, 2.5])[0], 1);
        assert_eq!(encoded(&[99.99, 0.01])[0], 2);
        assert_eq!(encoded(&[f64::from(1.0f32 / 3.0), 2.0])[0], SINGLES);
        assert_eq!(encoded(&[1.0 / 3.0, 2.0])[0], DOUBLES);
        assert_eq!(encoded(&[1.0 / 3.0, 1.0 / 3.0])[0], CONSTANT);
        assert_eq!(encoded(&[-0.0, 0.0])[0], SINGLES);
        assert_eq!(encoded(&[1e300, f64::MIN_POSITIVE])[0], DOUBLES);
    }

    proptest! {
        #[test]
        fn any_bits_round_trip(bits in prop::collection::vec(any::<u64>(), 1..100)) {
            encoded(&bits.into_iter().map(f64::from_bits).collect::<Vec<_>>());
        }

        #[test]
        fn decimals_round_trip(n in prop::collection::vec(-1_000_000i64..1_000_000, 1..100), d in 0usize..6) {
            encoded(&n.into_iter().map(|n| n as f64 / 10f64.powi(d as i32)).collect::<Vec<_>>());
        }

        #[test]
        fn damaged_bytes_never_panic(bytes: Vec<u8>, count in 1usize..300) {
            drop(decode(&mut Cursor::new(&bytes), count));
        }
    }
}
