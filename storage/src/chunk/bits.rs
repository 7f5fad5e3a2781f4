//! Small numbers side by side, each in the same number of bits, least significant first.

/// Bytes that `count` numbers of `width` bits take.
pub(super) fn packed_len(count: usize, width: u8) -> usize {
    (count * usize::from(width)).div_ceil(8)
}

/// Appends the low `width` bits (0 to 64) of each number.
pub(super) fn pack(numbers: &[u64], width: u8, out: &mut Vec<u8>) {
    let mut held = 0u128;
    let mut held_bits = 0u32;
    let mask = mask(width);
    for number in numbers {
        held |= u128::from(number & mask) << held_bits;
        held_bits += u32::from(width);
        while held_bits >= 8 {
            out.push(held as u8);
            held >>= 8;
            held_bits -= 8;
        }
    }
    if held_bits > 0 {
        out.push(held as u8);
    }
}

/// Reads `count` numbers back; `bytes` has [`packed_len`] bytes.
pub(super) fn unpack(bytes: &[u8], count: usize, width: u8) -> Vec<u64> {
    if width == 0 {
        return vec![0; count];
    }
    let mut numbers = Vec::with_capacity(count);
    let mask = u128::from(mask(width));
    let mut held = 0u128;
    let mut held_bits = 0u32;
    let mut words = bytes.chunks(8).map(|word| {
        let mut full = [0; 8];
        full[..word.len()].copy_from_slice(word);
        u64::from_le_bytes(full)
    });
    for _ in 0..count {
        if held_bits < u32::from(width) {
            held |= u128::from(words.next().unwrap_or(0)) << held_bits;
            held_bits += 64;
        }
        numbers.push((held & mask) as u64);
        held >>= width;
        held_bits -= u32::from(width);
    }
    numbers
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
            pack(&numbers, width, &mut bytes);
            prop_assert_eq!(bytes.len(), packed_len(numbers.len(), width));
            prop_assert_eq!(unpack(&bytes, numbers.len(), width), numbers);
        }
    }
}
