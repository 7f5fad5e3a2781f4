//! Floats that are neither whole nor decimal, by the `pco` crate: its own format, version 4.1, without its header.
//!
//! What comes back is compared with what went in before it is taken, and modes of the format whose decoder allocates
//! by numbers in the bytes are neither written nor read: a decoder here needs less than 3 MiB, whatever the bytes say
//! (two tables of at most 2^14 states and bins).

use pco::data_types::Number;
use pco::metadata::{ChunkMeta, DeltaEncoding, Mode};
use pco::wrapped::{ChunkCompressor, FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, ModeSpec};

/// The header that `pco` writes once a file; the mode byte of the floats stands for it.
const FORMAT: [u8; 2] = [4, 1];
/// Above 4 it takes twice the time for a per cent.
const LEVEL: usize = 4;
/// The first four bits of a chunk: a dictionary of up to 2^24 entries follows.
const DICTIONARY: u8 = 4;

/// The values in few bytes; `None` if `pco` does not bring back the very same bits.
pub(super) fn encode<T: Number + Default + Bits>(values: &[T]) -> Option<Vec<u8>> {
    let mut compressor = compressor(values)?;
    let mut out = Vec::with_capacity(compressor.meta_size_hint() + compressor.page_size_hint(0));
    compressor.write_meta(&mut out).ok()?;
    compressor.write_page(0, &mut out).ok()?;
    let back = decode::<T>(&out, values.len())?;
    back.iter().map(T::bits).eq(values.iter().map(T::bits)).then_some(out)
}

fn compressor<T: Number>(values: &[T]) -> Option<ChunkCompressor> {
    let config = ChunkConfig::default().with_compression_level(LEVEL).with_delta_spec(DeltaSpec::NoOp);
    [ModeSpec::Auto, ModeSpec::Classic].into_iter().find_map(|mode| {
        let config = config.clone().with_mode_spec(mode);
        FileCompressor::default().chunk_compressor(values, &config).ok().filter(|c| is_bounded(c.meta()))
    })
}

/// Reads `count` values back, which take all of the bytes.
pub(super) fn decode<T: Number + Default>(bytes: &[u8], count: usize) -> Option<Vec<T>> {
    if bytes.first()? & 0b1111 == DICTIONARY {
        return None;
    }
    let (file, _) = FileDecompressor::new(&FORMAT[..]).ok()?;
    let (mut chunk, rest) = file.chunk_decompressor::<T, _>(bytes).ok()?;
    if !is_bounded(chunk.meta()) {
        return None;
    }
    let mut page = chunk.page_decompressor(rest, count).ok()?;
    let mut values = vec![T::default(); count];
    let progress = page.read(&mut values).ok()?;
    (progress.finished && progress.n_processed == count && page.into_src().is_empty()).then_some(values)
}

/// Whether decoding allocates no more than tables of bins.
fn is_bounded(meta: &ChunkMeta) -> bool {
    let is_plain = matches!(meta.mode, Mode::Classic | Mode::FloatMult(_) | Mode::FloatQuant(_));
    is_plain && matches!(meta.delta_encoding, DeltaEncoding::NoOp | DeltaEncoding::Consecutive { .. })
}

/// Floats as bits, for comparison.
pub(super) trait Bits {
    fn bits(&self) -> u64;
}

impl Bits for f64 {
    fn bits(&self) -> u64 {
        self.to_bits()
    }
}

impl Bits for f32 {
    fn bits(&self) -> u64 {
        u64::from(self.to_bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_format_is_the_one_that_the_mode_byte_stands_for() {
        let mut header = Vec::new();
        FileCompressor::default().write_header(&mut header).unwrap();
        assert_eq!(header, FORMAT);
    }

    #[test]
    fn bytes_of_an_earlier_release_are_read() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i * i % 17) / 3.0).collect();
        let bytes = encode(&values).unwrap();
        assert_eq!(decode::<f64>(&bytes, 40), Some(values));
        assert_eq!(decode::<f64>(&bytes, 41), None);
        assert_eq!(decode::<f64>(&bytes[..bytes.len() - 1], 40), None);
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(bits in prop::collection::vec(any::<u64>(), 1..1024)) {
            let values: Vec<f64> = bits.iter().map(|b| f64::from_bits(*b)).collect();
            if let Some(bytes) = encode(&values) {
                let back = decode::<f64>(&bytes, values.len()).unwrap();
                prop_assert!(back.iter().map(|v| v.to_bits()).eq(bits));
            }
        }

        #[test]
        fn damaged_bytes_never_panic(bytes: Vec<u8>, count in 1usize..300) {
            drop(decode::<f64>(&bytes, count));
            drop(decode::<f32>(&bytes, count));
        }
    }
}
