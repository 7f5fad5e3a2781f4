//! Small numbers side by side, each in the same number of bits, least significant first.

/// Bytes that `count` numbers of `width` bits take.
pub(super) fn packed_len(count: usize, width: u8) -> usize {
    (count * usize::from(width)).div_ceil(8)
}

/// Appends the low `width` bits (0 to 64) of each number.
pub(super) fn pack(numbers: impl Iterator<Item = u64>, width: u8, out: &mut Vec<u8>) {
    let mut held = 0u128;
    let mut held_bits = 0u32;
    let mask = mask(width);
    for number in numbers {
        held |= u128::from(number & mask) << held_bits;
        held_bits += u32::from(width);
        if held_bits >= 64 {
            out.extend_from_slice(&(held as u64).to_le_bytes());
            held >>= 64;
            held_bits -= 64;
        }
    }
    let rest = held_bits.div_ceil(8) as usize;
    out.extend_from_slice(&held.to_le_bytes()[..rest]);
}

/// Reads `count` numbers back; `bytes` has [`packed_len`] bytes.
pub(super) fn unpack(bytes: &[u8], count: usize, width: u8) -> Vec<u64> {
    let mut numbers = vec![0; count];
    let width = usize::from(width);
    if width == 0 {
        return numbers;
    }
    // A number that begins in the middle of a byte lies within eight bytes only up to this width.
    let fast = if width <= 56 { bytes.len().saturating_sub(8) * 8 / width } else { 0 };
    let (mask, fast) = (mask(width as u8), fast.min(count));
    for (place, number) in numbers[..fast].iter_mut().enumerate() {
        let bit = place * width;
        *number = (word(&bytes[bit / 8..bit / 8 + 8]) >> (bit % 8)) & mask;
    }
    for (place, number) in numbers.iter_mut().enumerate().skip(fast) {
        let bit = place * width;
        let from = (bit / 8).min(bytes.len());
        let mut wide = [0; 16];
        let near = &bytes[from..bytes.len().min(from + 16)];
        wide[..near.len()].copy_from_slice(near);
        *number = (u128::from_le_bytes(wide) >> (bit % 8)) as u64 & mask;
    }
    numbers
}

fn word(bytes: &[u8]) -> u64 {
    let mut full = [0; 8];
    full.copy_from_slice(bytes);
    u64::from_le_bytes(full)
}

fn mask(width: u8) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_round_trip(numbers: Vec<u64>, width in 0u8..=64) {
            let numbers: Vec<u64> = numbers.iter().map(|n| n & mask(width)).collect();
            let mut bytes = Vec::new();
            pack(numbers.iter().copied(), width, &mut bytes);
            prop_assert_eq!(bytes.len(), packed_len(numbers.len(), width));
            prop_assert_eq!(unpack(&bytes, numbers.len(), width), numbers);
        }
    }
}
