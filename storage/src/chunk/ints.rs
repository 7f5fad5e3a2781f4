//! Integers: the smallest of a constant and four packings.
//!
//! ```text
//! ints    := kind u8, then
//!   0 constant        value zigzag varint
//!   1 plain           base zigzag varint | packed          value = base + n·gcd
//!   2 delta           first zigzag varint | base | packed  difference = base + n·gcd
//!   3 signed delta    first | packed                       difference = unzigzag(n)·gcd
//!   4 double delta    first | first difference | packed    difference of differences = unzigzag(n)·gcd
//! packed  := gcd varint | width u8 | exceptions varint
//!          | all n, their low `width` bits each
//!          | exceptions × (places since the one before varint | n >> width varint)
//! ```
//!
//! A few large numbers are exceptions, so that one counter reset or one gap in time does not widen all the others.
//! All arithmetic wraps, so that every i64 round-trips and no damaged byte can panic.

use super::bits;
use crate::bytes::Cursor;
use model::batch::{put_varint, unzigzag, zigzag};

const CONSTANT: u8 = 0;
const PLAIN: u8 = 1;
const DELTA: u8 = 2;
const SIGNED_DELTA: u8 = 3;
const DOUBLE_DELTA: u8 = 4;

/// Appends the values, at least one.
pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
    let Some(&first) = values.first() else { return };
    if values.iter().all(|v| *v == first) {
        out.push(CONSTANT);
        return put_varint(out, zigzag(first));
    }
    let deltas = differences(values);
    let doubles = differences(&deltas);
    let (plain_base, plain) = Packing::above_least(values);
    let (delta_base, delta) = Packing::above_least(&deltas);
    let signed = Packing::signed(&deltas);
    let double = Packing::signed(&doubles);
    // Earlier kinds win ties: they decode faster.
    let sizes = [
        (PLAIN, plain.len),
        (DELTA, delta.len + 2),
        (SIGNED_DELTA, signed.len + 2),
        (DOUBLE_DELTA, double.len + 4),
    ];
    let kind = sizes.iter().min_by_key(|(_, len)| *len).map_or(PLAIN, |(kind, _)| *kind);
    out.push(kind);
    match kind {
        DELTA => {
            put_varint(out, zigzag(first));
            put_varint(out, zigzag(delta_base));
            delta.put(out);
        }
        SIGNED_DELTA => {
            put_varint(out, zigzag(first));
            signed.put(out);
        }
        DOUBLE_DELTA => {
            put_varint(out, zigzag(first));
            put_varint(out, zigzag(deltas[0]));
            double.put(out);
        }
        _ => {
            put_varint(out, zigzag(plain_base));
            plain.put(out);
        }
    }
}

/// Reads `count` values back.
pub(super) fn decode(bytes: &mut Cursor<'_>, count: usize) -> Option<Vec<i64>> {
    let kind = bytes.byte()?;
    if count == 0 {
        return None;
    }
    let first = bytes.zigzag()?;
    match kind {
        CONSTANT => Some(vec![first; count]),
        PLAIN => {
            let (gcd, numbers) = unpack(bytes, count)?;
            Some(numbers.into_iter().map(|n| above(first, n, gcd)).collect())
        }
        DELTA => {
            let base = bytes.zigzag()?;
            let (gcd, numbers) = unpack(bytes, count - 1)?;
            Some(running_sum(first, numbers.into_iter().map(|n| above(base, n, gcd)), count))
        }
        SIGNED_DELTA => {
            let (gcd, numbers) = unpack(bytes, count - 1)?;
            Some(running_sum(first, numbers.into_iter().map(|n| signed(n, gcd)), count))
        }
        DOUBLE_DELTA => {
            let delta = bytes.zigzag()?;
            let (gcd, numbers) = unpack(bytes, count.checked_sub(2)?)?;
            let deltas = running_sum(delta, numbers.into_iter().map(|n| signed(n, gcd)), count - 1);
            Some(running_sum(first, deltas.into_iter(), count))
        }
        _ => None,
    }
}

fn differences(values: &[i64]) -> Vec<i64> {
    values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect()
}

fn running_sum(first: i64, deltas: impl Iterator<Item = i64>, count: usize) -> Vec<i64> {
    let mut values = Vec::with_capacity(count);
    let mut value = first;
    values.push(value);
    for delta in deltas {
        value = value.wrapping_add(delta);
        values.push(value);
    }
    values
}

fn above(base: i64, number: u64, gcd: u64) -> i64 {
    base.wrapping_add(number.wrapping_mul(gcd) as i64)
}

fn signed(number: u64, gcd: u64) -> i64 {
    unzigzag(number).wrapping_mul(gcd as i64)
}

/// Numbers and the cheapest way to write them.
struct Packing {
    gcd: u64,
    numbers: Vec<u64>,
    width: u8,
    /// Bytes of the packed form, within two.
    len: usize,
}

impl Packing {
    /// Distances from the least value.
    fn above_least(values: &[i64]) -> (i64, Self) {
        let base = values.iter().copied().min().unwrap_or(0);
        let above: Vec<u64> = values.iter().map(|v| v.wrapping_sub(base) as u64).collect();
        let gcd = common_divisor(above.iter().copied());
        let packing = Self::new(gcd, above.into_iter().map(|n| n / gcd).collect());
        // The base costs what it costs; one or two bytes more or less do not change the choice often.
        (base, Self { len: packing.len + varint_len(zigzag(base)), ..packing })
    }

    /// Small absolute values become small numbers.
    fn signed(values: &[i64]) -> Self {
        // A divisor above i64::MAX can only be i64::MIN's own; 1 keeps the arithmetic signed.
        let gcd = common_divisor(values.iter().map(|v| v.unsigned_abs()));
        let gcd = if i64::try_from(gcd).is_ok() { gcd } else { 1 };
        Self::new(gcd, values.iter().map(|v| zigzag(v / gcd as i64)).collect())
    }

    fn new(gcd: u64, numbers: Vec<u64>) -> Self {
        let mut lengths = [0usize; 65];
        for number in &numbers {
            lengths[(64 - number.leading_zeros()) as usize] += 1;
        }
        let longest = lengths.iter().rposition(|n| *n > 0).unwrap_or(0);
        let cost = |width: usize| {
            let exceptions = lengths[width + 1..=longest].iter().zip(1..);
            bits::packed_len(numbers.len(), width as u8)
                + exceptions.map(|(n, more): (&usize, usize)| n * (1 + more.div_ceil(7))).sum::<usize>()
        };
        let best = (0..=longest).map(|width| (cost(width), width)).min().unwrap_or((0, 0));
        Self { gcd, numbers, width: best.1 as u8, len: best.0 + 2 + varint_len(gcd) }
    }

    fn put(&self, out: &mut Vec<u8>) {
        let high = |n: u64| if self.width >= 64 { 0 } else { n >> self.width };
        put_varint(out, self.gcd);
        out.push(self.width);
        put_varint(out, self.numbers.iter().filter(|n| high(**n) != 0).count() as u64);
        bits::pack(&self.numbers, self.width, out);
        let mut next = 0;
        for (place, number) in self.numbers.iter().enumerate() {
            if high(*number) != 0 {
                put_varint(out, (place - next) as u64);
                put_varint(out, high(*number));
                next = place + 1;
            }
        }
    }
}

fn unpack(bytes: &mut Cursor<'_>, count: usize) -> Option<(u64, Vec<u64>)> {
    let gcd = bytes.varint()?;
    let width = bytes.byte().filter(|w| *w <= 64)?;
    let exceptions = bytes.count(count)?;
    let packed = bytes.take(bits::packed_len(count, width))?;
    let mut numbers = bits::unpack(packed, count, width);
    let mut next = 0usize;
    for _ in 0..exceptions {
        let place = next.checked_add(bytes.count(count)?)?;
        let high = bytes.varint()?;
        *numbers.get_mut(place)? |= high.checked_shl(u32::from(width))?;
        next = place + 1;
    }
    Some((gcd, numbers))
}

/// The greatest number that divides all; at least 1.
fn common_divisor(numbers: impl Iterator<Item = u64>) -> u64 {
    let mut divisor = 0;
    for number in numbers {
        let (mut a, mut b) = (divisor, number);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        divisor = a;
        if divisor == 1 {
            break;
        }
    }
    divisor.max(1)
}

fn varint_len(value: u64) -> usize {
    ((64 - value.leading_zeros()).max(1) as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(values: &[i64]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(values, &mut out);
        let mut cursor = Cursor::new(&out);
        assert_eq!(decode(&mut cursor, values.len()).as_deref(), Some(values));
        assert!(cursor.is_empty());
        out
    }

    #[test]
    fn sizes_are_as_small_as_promised() {
        let series: [(&str, Vec<i64>, usize); 6] = [
            ("constant", vec![7; 120], 2),
            ("counter", (0..120).map(|i| 1_000_000 + i * 60).collect(), 12),
            ("pages", (0..120).map(|i| 1_000_000_000 + 4096 * ((i * 7) % 50)).collect(), 100),
            ("mostly idle", (0..120).map(|i| 5_000_000 + 4096 * (i / 40)).collect(), 16),
            ("reset", (0..120).map(|i| if i < 60 { 1 << 40 } else { 0 } + i % 7).collect(), 80),
            ("gap", (0..120).map(|i| i * 60 + if i > 50 { 600 } else { 0 }).collect(), 16),
        ];
        for (name, values, most) in series {
            let len = encoded(&values).len();
            assert!(len <= most, "{name}: {len} bytes, at most {most} expected");
        }
    }

    #[test]
    fn ends_of_the_range_round_trip() {
        for values in [vec![i64::MIN], vec![i64::MIN, i64::MAX], vec![0, i64::MIN, 0, i64::MIN, i64::MAX, -1]]
        {
            encoded(&values);
        }
    }

    proptest! {
        #[test]
        fn any_values_round_trip(values in prop::collection::vec(any::<i64>(), 1..200)) {
            encoded(&values);
        }

        #[test]
        fn walks_round_trip(steps in prop::collection::vec(-50i64..50, 1..200), scale in 1i64..5000) {
            let walk: Vec<i64> = steps.iter().scan(0, |sum, s| { *sum += s * scale; Some(*sum) }).collect();
            encoded(&walk);
        }

        #[test]
        fn damaged_bytes_never_panic(bytes: Vec<u8>, count in 0usize..300) {
            drop(decode(&mut Cursor::new(&bytes), count));
        }
    }
}
