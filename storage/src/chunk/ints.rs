//! Integers: the smallest of a constant and six packings.
//!
//! ```text
//! ints    := kind u8, then
//!   0 constant        value zigzag varint
//!   1 plain           base zigzag varint | packed          value = base + n·gcd
//!   2 delta           first zigzag varint | base | packed  difference = base + n·gcd
//!   3 signed delta    first | packed                       difference = unzigzag(n)·gcd
//!   4 double delta    first | first difference | packed    difference of differences = unzigzag(n)·gcd
//!   5 sparse delta    first | bitmap of the differences that are not 0 | packed
//!   6 rare delta      first | packed places | packed       place = places without a change before it
//! packed  := gcd varint | width u8 | exceptions varint
//!          | all n, their low `width` bits each
//!          | exceptions × (places since the one before varint | n >> width varint)
//! ```
//!
//! A few large numbers are exceptions, so that one counter reset or one gap in time does not widen all the others.
//! In kinds 5 and 6 only differences that are not 0 are packed, difference = unzigzag(n + 1)·gcd; kind 6 has their
//! number as a varint before the places. All arithmetic wraps, so that every i64 round-trips and no damaged byte can
//! panic.
//!
//! Which kind is smallest is told from the lengths of the numbers in bits, before anything is packed.

use super::bits;
use crate::bytes::Cursor;
use model::batch::{put_varint, unzigzag, zigzag};

const CONSTANT: u8 = 0;
const PLAIN: u8 = 1;
const DELTA: u8 = 2;
const SIGNED_DELTA: u8 = 3;
const DOUBLE_DELTA: u8 = 4;
const SPARSE_DELTA: u8 = 5;
const RARE_DELTA: u8 = 6;

/// Appends the values, at least one.
pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
    Plan::of(values).put(out);
}

/// How values will be written, and how long that is.
pub(super) struct Plan {
    kind: u8,
    /// What stands before the packed numbers, as zigzag varints.
    heads: [Option<i64>; 2],
    /// Which differences are not 0; for kind 5 as a bitmap, for kind 6 packed.
    changes: Vec<bool>,
    places: Option<Packing>,
    packing: Packing,
    /// Bytes, within two.
    len: usize,
}

impl Plan {
    /// The smallest way to write these values, at least one.
    pub(super) fn of(values: &[i64]) -> Self {
        let first = values.first().copied().unwrap_or(0);
        if values.iter().all(|v| *v == first) {
            let heads = [Some(first), None];
            let (packing, len) = (Packing::default(), 1 + varint_len(zigzag(first)));
            return Self { kind: CONSTANT, heads, changes: Vec::new(), places: None, packing, len };
        }
        let deltas = differences(values);
        let first_len = 1 + varint_len(zigzag(first));
        // Earlier kinds win ties: they decode faster.
        let mut best = Self::plain(values);
        best.improve(Self::delta(first, &deltas), first_len);
        let signed = Packing::signed(deltas.iter().copied());
        best.improve(Self::new(SIGNED_DELTA, [Some(first), None], signed), first_len);
        best.improve(Self::double_delta(first, &deltas), first_len);
        if deltas.iter().filter(|d| **d == 0).count() > deltas.len() / 4 {
            best.improve_by_sparse(first, &deltas, first_len);
        }
        best
    }

    fn new(kind: u8, heads: [Option<i64>; 2], packing: Packing) -> Self {
        let len = packing.len;
        Self { kind, heads, changes: Vec::new(), places: None, packing, len }
    }

    fn plain(values: &[i64]) -> Self {
        let base = values.iter().copied().min().unwrap_or(0);
        let packing = Packing::new(values.iter().map(|v| v.wrapping_sub(base) as u64));
        let plan = Self::new(PLAIN, [Some(base), None], packing);
        Self { len: 1 + varint_len(zigzag(base)) + plan.len, ..plan }
    }

    fn delta(first: i64, deltas: &[i64]) -> Self {
        let base = deltas.iter().copied().min().unwrap_or(0);
        let packing = Packing::new(deltas.iter().map(|v| v.wrapping_sub(base) as u64));
        let plan = Self::new(DELTA, [Some(first), Some(base)], packing);
        Self { len: varint_len(zigzag(base)) + plan.len, ..plan }
    }

    fn double_delta(first: i64, deltas: &[i64]) -> Self {
        let first_delta = deltas.first().copied().unwrap_or(0);
        let doubles = deltas.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
        let plan = Self::new(DOUBLE_DELTA, [Some(first), Some(first_delta)], Packing::signed(doubles));
        Self { len: varint_len(zigzag(first_delta)) + plan.len, ..plan }
    }

    fn improve_by_sparse(&mut self, first: i64, deltas: &[i64], first_len: usize) {
        let not_zero = deltas.iter().copied().filter(|d| *d != 0);
        let packing = Packing::changes(not_zero);
        let bitmap_len = bits::packed_len(deltas.len(), 1);
        let places = Packing::new(Gaps::new(deltas));
        let changes: Vec<bool> = deltas.iter().map(|d| *d != 0).collect();
        let heads = [Some(first), None];
        let sparse = if places.len + varint_len(places.count as u64) < bitmap_len {
            let len = packing.len + places.len + varint_len(places.count as u64);
            Self { kind: RARE_DELTA, heads, changes, places: Some(places), packing, len }
        } else {
            let len = packing.len + bitmap_len;
            Self { kind: SPARSE_DELTA, heads, changes, places: None, packing, len }
        };
        self.improve(sparse, first_len);
    }

    fn improve(&mut self, other: Self, more: usize) {
        if other.len + more < self.len {
            *self = Self { len: other.len + more, ..other };
        }
    }

    /// Bytes it will take, within two.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends the values.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.push(self.kind);
        for head in self.heads.iter().flatten() {
            put_varint(out, zigzag(*head));
        }
        match self.kind {
            CONSTANT => return,
            SPARSE_DELTA => bits::pack(self.changes.iter().map(|c| u64::from(*c)), 1, out),
            _ => {}
        }
        if let Some(places) = &self.places {
            put_varint(out, places.count as u64);
            places.put(out);
        }
        self.packing.put(out);
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
        SPARSE_DELTA => {
            let bitmap = bytes.take(bits::packed_len(count - 1, 1))?;
            let changes = bits::unpack(bitmap, count - 1, 1);
            let (gcd, numbers) = unpack(bytes, changes.iter().filter(|c| **c == 1).count())?;
            let mut numbers = numbers.into_iter();
            let delta = |change| if change == 1 { numbers.next().map_or(0, |n| changed(n, gcd)) } else { 0 };
            Some(running_sum(first, changes.into_iter().map(delta), count))
        }
        RARE_DELTA => rare_deltas(bytes, first, count),
        _ => None,
    }
}

fn rare_deltas(bytes: &mut Cursor<'_>, first: i64, count: usize) -> Option<Vec<i64>> {
    let changes = bytes.count(count - 1)?;
    let (scale, gaps) = unpack(bytes, changes)?;
    let (gcd, numbers) = unpack(bytes, changes)?;
    let mut values = Vec::with_capacity(count);
    let mut value = first;
    for (gap, number) in gaps.into_iter().zip(numbers) {
        let same = usize::try_from(gap.checked_mul(scale)?).ok()?.checked_add(1)?;
        if same >= count - values.len() {
            return None;
        }
        values.resize(values.len() + same, value);
        value = value.wrapping_add(changed(number, gcd));
    }
    values.resize(count, value);
    Some(values)
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

fn changed(number: u64, gcd: u64) -> i64 {
    signed(number.wrapping_add(1), gcd)
}

/// For each difference that is not 0, how many are 0 since the one before.
#[derive(Clone)]
struct Gaps<'a> {
    deltas: std::slice::Iter<'a, i64>,
}

impl<'a> Gaps<'a> {
    fn new(deltas: &'a [i64]) -> Self {
        Self { deltas: deltas.iter() }
    }
}

impl Iterator for Gaps<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.deltas.position(|d| *d != 0).map(|gap| gap as u64)
    }
}

/// Numbers and the cheapest way to write them.
#[derive(Default)]
struct Packing {
    gcd: u64,
    numbers: Vec<u64>,
    count: usize,
    width: u8,
    exceptions: usize,
    /// Bytes of the packed form.
    len: usize,
}

impl Packing {
    /// Numbers divided by what divides them all.
    fn new(numbers: impl Iterator<Item = u64> + Clone) -> Self {
        let gcd = common_divisor(numbers.clone());
        if gcd == 1 { Self::scaled(1, numbers) } else { Self::scaled(gcd, numbers.map(|n| n / gcd)) }
    }

    /// Small absolute values become small numbers.
    fn signed(values: impl Iterator<Item = i64> + Clone) -> Self {
        let gcd = signed_divisor(values.clone());
        if gcd == 1 {
            Self::scaled(1, values.map(zigzag))
        } else {
            Self::scaled(gcd, values.map(|v| zigzag(v / gcd as i64)))
        }
    }

    /// The same for values that are not 0.
    fn changes(values: impl Iterator<Item = i64> + Clone) -> Self {
        let gcd = signed_divisor(values.clone());
        Self::scaled(gcd, values.map(|v| zigzag(v / gcd as i64).wrapping_sub(1)))
    }

    fn scaled(gcd: u64, numbers: impl Iterator<Item = u64>) -> Self {
        let numbers: Vec<u64> = numbers.collect();
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
        let exceptions = lengths[best.1 + 1..].iter().sum();
        let len = best.0 + 1 + varint_len(exceptions as u64) + varint_len(gcd);
        Self { gcd, count: numbers.len(), numbers, width: best.1 as u8, exceptions, len }
    }

    fn put(&self, out: &mut Vec<u8>) {
        let high = |n: u64| if self.width >= 64 { 0 } else { n >> self.width };
        put_varint(out, self.gcd);
        out.push(self.width);
        put_varint(out, self.exceptions as u64);
        bits::pack(self.numbers.iter().copied(), self.width, out);
        if self.exceptions == 0 {
            return;
        }
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
        // Most numbers are multiples of what divided those before.
        if divisor != 0 && number % divisor == 0 {
            continue;
        }
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

/// The same for absolute values. A divisor above `i64::MAX` can only be `i64::MIN`'s own; 1 keeps the arithmetic
/// signed.
fn signed_divisor(values: impl Iterator<Item = i64>) -> u64 {
    let gcd = common_divisor(values.map(i64::unsigned_abs));
    if i64::try_from(gcd).is_ok() { gcd } else { 1 }
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
        let plan = Plan::of(values);
        plan.put(&mut out);
        // The choice between kinds rests on it.
        assert!(plan.len().abs_diff(out.len()) <= 2, "{} planned, {} written", plan.len(), out.len());
        let mut cursor = Cursor::new(&out);
        assert_eq!(decode(&mut cursor, values.len()).as_deref(), Some(values));
        assert!(cursor.is_empty());
        out
    }

    /// A thousand values of which every n-th or so differs from the one before.
    fn rarely(n: u64) -> Vec<i64> {
        let mut state = 1u64;
        let mut value = 5_000_000;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            value += if (state >> 33).is_multiple_of(n) { 1 + (state >> 60) as i64 % 2 } else { 0 };
            value
        };
        (0..1000).map(|_| next()).collect()
    }

    #[test]
    fn sizes_are_as_small_as_promised() {
        let series: [(&str, Vec<i64>, u8, usize); 9] = [
            ("constant", vec![7; 120], CONSTANT, 2),
            ("counter", (0..120).map(|i| 1_000_000 + i * 60).collect(), DELTA, 12),
            ("pages", (0..120).map(|i| 1_000_000_000 + 4096 * (i * i * 7919 % 53)).collect(), PLAIN, 100),
            ("mostly idle", rarely(20), RARE_DELTA, 80),
            ("idle counter", rarely(3), SPARSE_DELTA, 260),
            ("up and down", (0..120).map(|i| [0, 4, 4, 4, 0, 0][i % 6]).collect(), RARE_DELTA, 21),
            ("reset", (0..120).map(|i| if i < 60 { 1 << 40 } else { 0 } + i % 7).collect(), SIGNED_DELTA, 80),
            ("gap", (0..120).map(|i| i * 60 + if i > 50 { 600 } else { 0 }).collect(), DELTA, 16),
            ("one step", (0..1000).map(|i| i64::from(i > 500)).collect(), SIGNED_DELTA, 14),
        ];
        for (name, values, kind, most) in series {
            let bytes = encoded(&values);
            assert!(bytes.len() <= most, "{name}: {} bytes, at most {most} expected", bytes.len());
            assert_eq!(bytes[0], kind, "{name}");
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
        fn any_values_round_trip(values in prop::collection::vec(any::<i64>(), 1..1024)) {
            encoded(&values);
        }

        #[test]
        fn rare_changes_round_trip(changes in prop::collection::vec((0usize..60, any::<i64>(), 1i64..5000), 1..12)) {
            let mut values = vec![0i64];
            for (same, step, scale) in changes {
                let last = values[values.len() - 1];
                values.resize(values.len() + same, last);
                values.push(last.wrapping_add(step.wrapping_mul(scale)));
            }
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
