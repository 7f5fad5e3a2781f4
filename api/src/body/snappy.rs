//! Snappy blocks, as Prometheus sends and reads its bodies, with the error texts of Go's `snappy`.

use super::ReservedBody;
use crate::error::Failure;
use bytes::Bytes;
use snap::raw::{Decoder, decompress_len};

const CORRUPT: &str = "snappy: corrupt input";

/// Inflates a body that is one block. The block says how long it will be, so that is checked and reserved before anything
/// is allocated.
pub(super) fn inflate(body: ReservedBody, bytes_max: usize) -> Result<ReservedBody, Failure> {
    let ReservedBody { bytes, mut reservation } = body;
    let length = decompress_len(&bytes).map_err(|_| Failure::bad_request(CORRUPT))?;
    if length > bytes_max {
        return Err(Failure::too_large());
    }
    // The compressed bytes are still held as well.
    reservation.try_grow_to(bytes.len() + length)?;
    let inflated = Decoder::new().decompress_vec(&bytes).map_err(|_| Failure::bad_request(CORRUPT))?;
    Ok(ReservedBody { bytes: Bytes::from(inflated), reservation })
}

#[cfg(test)]
mod tests {
    use super::super::Budget;
    use super::*;
    use snap::raw::Encoder;
    use std::sync::Arc;
    use std::time::Duration;

    async fn check(bytes: Vec<u8>, bytes_max: usize) -> Result<Vec<u8>, String> {
        let budget = Budget::new(1 << 20, Duration::from_millis(5), Arc::default());
        let reservation = budget.reserve(bytes.len()).await.expect("room");
        inflate(ReservedBody { bytes: Bytes::from(bytes), reservation }, bytes_max)
            .map(|body| body.bytes.to_vec())
            .map_err(|failure| format!("{} {}", failure.status.as_u16(), failure.text))
    }

    #[tokio::test]
    async fn a_block_is_bounded_before_it_is_read() {
        let error = |text: &str| Err(text.to_owned());
        let zeros = Encoder::new().compress_vec(&[0; 1000]).expect("short");
        assert_eq!(check(zeros.clone(), 1000).await, Ok(vec![0; 1000]));
        assert_eq!(check(zeros, 999).await, error("413 Request Entity Too Large"));
        for broken in [&b""[..], b"abc", b"\xff\xff\xff\xff\xff\xff", b"\x05abc"] {
            assert_eq!(check(broken.to_vec(), 1000).await, error("400 snappy: corrupt input"), "{broken:?}");
        }
        // Four bytes that promise 2 GiB: over the limit, or over the room there is.
        let promise = b"\xff\xff\xff\xff\x07a".to_vec();
        assert_eq!(check(promise.clone(), 1000).await, error("413 Request Entity Too Large"));
        assert_eq!(check(promise, usize::MAX).await, error("413 Request Entity Too Large"));
    }
}
