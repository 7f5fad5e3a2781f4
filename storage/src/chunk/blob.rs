//! Bytes that may be compressed: `packing u8 (0 plain, 1 lz4) | length varint | bytes`.

use crate::bytes::Cursor;
use model::batch::put_varint;

const PLAIN: u8 = 0;
const LZ4: u8 = 1;

/// Most bytes that a blob may unpack to: what a decoder is ready to allocate.
pub(super) const BYTES_MAX: usize = 64 << 20;
/// No byte of an LZ4 block stands for more than this many: a length that lies allocates no more either.
const RATIO_MAX: usize = 256;

/// Appends `raw`, compressed if that is smaller.
pub(super) fn put(raw: &[u8], out: &mut Vec<u8>) {
    let packed = lz4_flex::block::compress(raw);
    let (packing, bytes) = if packed.len() < raw.len() { (LZ4, &packed[..]) } else { (PLAIN, raw) };
    out.push(packing);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads a blob that unpacks to `raw_len` bytes.
pub(super) fn read(bytes: &mut Cursor<'_>, raw_len: usize) -> Option<Vec<u8>> {
    let packing = bytes.byte()?;
    let packed = bytes.slice()?;
    let raw = match packing {
        PLAIN => packed.to_vec(),
        LZ4 if raw_len <= BYTES_MAX.min(packed.len().saturating_mul(RATIO_MAX)) => {
            lz4_flex::block::decompress(packed, raw_len).ok()?
        }
        _ => return None,
    };
    (raw.len() == raw_len).then_some(raw)
}
