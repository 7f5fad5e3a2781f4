//! Floats: most are whole numbers or decimals of few digits and become integers, some repeat; the rest goes to `pco`.
//!
//! ```text
//! floats := mode u8, then
//!   0..=4    value·10^mode as ints, where dividing again gives the same bits
//!   5        all are 32-bit floats: 4 byte planes, xor with the one before, blob
//!   6        8 byte planes, xor with the one before, blob
//!   7        all the same: 8 bytes LE
//!   8        pco, until the end
//!   9        all are 32-bit floats: pco, until the end
//!   10       all are 32-bit floats: their bits as ints
//!   11       the bits as ints
//!   21..=25  value·10^(mode - 16) as ints
//! ```

use super::{blob, ints, pcodec};
use crate::bytes::Cursor;

const DECIMALS_MAX: u8 = 9;
/// Modes of more decimals than these are 16 above them.
const NEAR_DECIMALS_MAX: u8 = 4;
const FAR_DECIMALS: u8 = 16;
const SINGLE_PLANES: u8 = 5;
const DOUBLE_PLANES: u8 = 6;
const CONSTANT: u8 = 7;
const DOUBLES: u8 = 8;
const SINGLES: u8 = 9;
const SINGLE_BITS: u8 = 10;
const DOUBLE_BITS: u8 = 11;
const POWERS: [f64; 10] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// Above it not every whole number is a float.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
/// With fewer values `pco`'s tables are larger than what they save.
const PCO_MIN: usize = 24;

/// Appends the values, at least one.
pub(super) fn encode(values: &[f64], out: &mut Vec<u8>) {
    if let Some((decimals, scaled)) = as_decimals(values) {
        out.push(if decimals > NEAR_DECIMALS_MAX { FAR_DECIMALS + decimals } else { decimals });
        return ints::encode(&scaled, out);
    }
    let first = values.first().copied().unwrap_or(0.0).to_bits();
    if values.iter().all(|v| v.to_bits() == first) {
        out.push(CONSTANT);
        return out.extend_from_slice(&first.to_le_bytes());
    }
    let singles: Vec<f32> = values.iter().map(|v| *v as f32).collect();
    if singles.iter().zip(values).all(|(s, v)| f64::from(*s).to_bits() == v.to_bits()) {
        let bits: Vec<i64> = singles.iter().map(|v| i64::from(v.to_bits())).collect();
        let planes = || planes(&singles.iter().map(|v| v.to_le_bytes()).collect::<Vec<_>>());
        put_smallest([SINGLE_BITS, SINGLES, SINGLE_PLANES], &bits, || pcodec::encode(&singles), planes, out);
    } else {
        let bits: Vec<i64> = values.iter().map(|v| v.to_bits() as i64).collect();
        let planes = || planes(&values.iter().map(|v| v.to_le_bytes()).collect::<Vec<_>>());
        put_smallest([DOUBLE_BITS, DOUBLES, DOUBLE_PLANES], &bits, || pcodec::encode(values), planes, out);
    }
}

/// Appends the mode with its bytes: bits as integers where values repeat, else `pco`, and planes for a few values.
fn put_smallest(
    [bits_mode, pco_mode, planes_mode]: [u8; 3],
    bits: &[i64],
    pco: impl FnOnce() -> Option<Vec<u8>>,
    planes: impl FnOnce() -> Vec<u8>,
    out: &mut Vec<u8>,
) {
    let plan = ints::Plan::of(bits);
    // Half a byte a value: nothing to be gained.
    if plan.len() > bits.len() / 2 {
        let pco = if bits.len() < PCO_MIN { None } else { pco() };
        let (mode, other) = pco.map_or_else(
            || {
                let mut blob = Vec::new();
                blob::put(&planes(), &mut blob);
                (planes_mode, blob)
            },
            |bytes| (pco_mode, bytes),
        );
        if other.len() < plan.len() {
            out.push(mode);
            return out.extend_from_slice(&other);
        }
    }
    out.push(bits_mode);
    plan.put(out);
}

/// Reads `count` values back.
pub(super) fn decode(bytes: &mut Cursor<'_>, count: usize) -> Option<Vec<f64>> {
    let mode = bytes.byte()?;
    match mode {
        SINGLE_PLANES => {
            let words = unplanes::<4>(&blob::read(bytes, count * 4)?, count);
            Some(words.into_iter().map(|w| f64::from(f32::from_le_bytes(w))).collect())
        }
        DOUBLE_PLANES => {
            let words = unplanes::<8>(&blob::read(bytes, count * 8)?, count);
            Some(words.into_iter().map(f64::from_le_bytes).collect())
        }
        CONSTANT => Some(vec![f64::from_le_bytes(bytes.array()?); count]),
        DOUBLES => pcodec::decode(bytes.take(bytes.rest().len())?, count),
        SINGLES => {
            let singles = pcodec::decode::<f32>(bytes.take(bytes.rest().len())?, count)?;
            Some(singles.into_iter().map(f64::from).collect())
        }
        SINGLE_BITS => {
            let single = |bits| Some(f64::from(f32::from_bits(u32::try_from(bits).ok()?)));
            ints::decode(bytes, count)?.into_iter().map(single).collect()
        }
        DOUBLE_BITS => Some(ints::decode(bytes, count)?.iter().map(|v| f64::from_bits(*v as u64)).collect()),
        _ => {
            let decimals = if mode <= NEAR_DECIMALS_MAX { mode } else { mode.checked_sub(FAR_DECIMALS)? };
            let power = POWERS.get(usize::from(decimals)).copied()?;
            Some(ints::decode(bytes, count)?.into_iter().map(|v| v as f64 / power).collect())
        }
    }
}

/// The values as whole numbers after moving the point by the fewest places that serve all of them.
fn as_decimals(values: &[f64]) -> Option<(u8, Vec<i64>)> {
    let mut decimals = 0;
    for value in values {
        while as_whole(*value, decimals).is_none() {
            decimals += 1;
            if decimals > DECIMALS_MAX {
                return None;
            }
        }
    }
    let scaled: Option<Vec<i64>> = values.iter().map(|v| as_whole(*v, decimals)).collect();
    Some((decimals, scaled?))
}

/// The whole number that `value` is after moving the point, if dividing gives back the same bits.
fn as_whole(value: f64, decimals: u8) -> Option<i64> {
    let power = POWERS[usize::from(decimals)];
    let scaled = (value * power).round();
    let is_same = scaled.abs() < WHOLE_MAX && (scaled as i64 as f64 / power).to_bits() == value.to_bits();
    is_same.then_some(scaled as i64)
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
        assert_eq!(encoded(&[0.000_25, 1.0])[0], FAR_DECIMALS + 5);
        assert_eq!(encoded(&[1e-9, 1.0])[0], FAR_DECIMALS + 9);
        assert_eq!(encoded(&[1.0 / 3.0, 1.0 / 3.0])[0], CONSTANT);
        assert_eq!(encoded(&[1e300, f64::MIN_POSITIVE])[0], DOUBLE_PLANES);
        let rare = |of: f64| (0..200).map(|i| if i == 100 { of } else { -0.0 }).collect::<Vec<_>>();
        assert_eq!(encoded(&rare(f64::from(1.0f32 / 3.0)))[0], SINGLE_BITS);
        assert_eq!(encoded(&rare(1.0 / 3.0))[0], DOUBLE_BITS);
    }

    /// Numbers from 0 to 1 that no shorter form fits.
    fn random(n: usize) -> Vec<f64> {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn real_floats_go_to_pco() {
        let doubles = random(500);
        let bytes = encoded(&doubles);
        assert_eq!(bytes[0], DOUBLES);
        assert!(bytes.len() < 500 * 7, "{} bytes", bytes.len());
        let singles: Vec<f64> = doubles.iter().map(|v| f64::from((*v * v * v * 100.0) as f32)).collect();
        let bytes = encoded(&singles);
        assert_eq!(bytes[0], SINGLES);
        assert!(bytes.len() < 500 * 7 / 2, "{} bytes", bytes.len());
    }

    #[test]
    fn odd_bits_come_back() {
        let odd = [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, f64::MIN, f64::MAX];
        let quiet = f64::from_bits(0x7ff8_0000_dead_beef);
        let signalling = f64::from_bits(0x7ff0_0000_0000_0001);
        for n in [1, 2, 100, 1024] {
            let mixed: Vec<f64> = odd.iter().copied().chain([quiet, signalling]).cycle().take(n).collect();
            encoded(&mixed);
            encoded(
                &mixed.iter().zip(random(n)).map(|(a, b)| if b < 0.5 { *a } else { b }).collect::<Vec<_>>(),
            );
        }
    }

    proptest! {
        #[test]
        fn any_bits_round_trip(bits in prop::collection::vec(any::<u64>(), 1..1024)) {
            encoded(&bits.into_iter().map(f64::from_bits).collect::<Vec<_>>());
        }

        #[test]
        fn singles_round_trip(bits in prop::collection::vec(any::<u32>(), 1..1024)) {
            encoded(&bits.into_iter().map(|b| f64::from(f32::from_bits(b))).collect::<Vec<_>>());
        }

        #[test]
        fn damaged_bytes_of_each_mode_never_panic(mode in 0u8..30, mut bytes: Vec<u8>, count in 1usize..300) {
            bytes.insert(0, mode);
            drop(decode(&mut Cursor::new(&bytes), count));
        }

        #[test]
        fn decimals_round_trip(n in prop::collection::vec(-1_000_000i64..1_000_000, 1..1024), d in 0usize..12) {
            encoded(&n.into_iter().map(|n| n as f64 / 10f64.powi(d as i32)).collect::<Vec<_>>());
        }

        #[test]
        fn damaged_bytes_never_panic(bytes: Vec<u8>, count in 1usize..300) {
            drop(decode(&mut Cursor::new(&bytes), count));
        }
    }
}
