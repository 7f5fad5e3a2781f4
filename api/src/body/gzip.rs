//! Inflates gzip bodies, with the error texts of Go's `compress/gzip`.

use super::Reservation;
use crate::error::Failure;
use flate2::read::MultiGzDecoder;
use std::io::{self, Read};

/// Bytes of a gzip header without options.
const HEADER_BYTES: usize = 10;
/// No byte of deflate becomes more.
const RATIO_MAX: usize = 1_032;
/// Bytes inflated at least at a time beyond what the body tells, each time within the budget.
const STEP_BYTES: usize = 1 << 20;

/// Inflates all members of a gzip stream.
pub(super) fn inflate(
    body: &[u8],
    bytes_max: usize,
    reservation: &mut Reservation,
) -> Result<Vec<u8>, Failure> {
    match body {
        [] => return Err(Failure::bad_request("EOF")),
        [0x1f, 0x8b, 8, ..] if body.len() >= HEADER_BYTES => {}
        _ if body.len() < HEADER_BYTES => return Err(Failure::bad_request("unexpected EOF")),
        _ => return Err(Failure::bad_request("gzip: invalid header")),
    }
    let told = told_bytes(body).min(bytes_max);
    let fits = reservation.try_grow_to(body.len() + told).is_ok();
    let mut step = if fits { told } else { STEP_BYTES.min(bytes_max) };
    let mut decoder = MultiGzDecoder::new(body);
    let mut inflated = Vec::new();
    loop {
        // The compressed bytes are still held as well.
        reservation.try_grow_to(body.len() + inflated.len() + step)?;
        inflated.reserve_exact(step);
        (&mut decoder).take(step as u64).read_to_end(&mut inflated).map_err(|error| reason(&error))?;
        let mut next = [0];
        if decoder.read(&mut next).map_err(|error| reason(&error))? == 0 {
            return Ok(inflated);
        }
        // More than it told. A large step copies what is there less often.
        step = (inflated.len() / 2).max(STEP_BYTES).min(bytes_max - inflated.len());
        if step == 0 {
            return Err(Failure::too_large());
        }
        reservation.try_grow_to(body.len() + inflated.len() + step)?;
        inflated.reserve_exact(step);
        inflated.push(next[0]);
        step -= 1;
    }
}

/// How many bytes the last member holds, which is mostly the only one, by its own account: nobody has checked it yet, but
/// it is at least possible.
fn told_bytes(body: &[u8]) -> usize {
    let told = body.last_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
    told.min(body.len().saturating_mul(RATIO_MAX))
}

fn reason(error: &io::Error) -> Failure {
    let text = error.to_string();
    Failure::bad_request(if error.kind() == io::ErrorKind::UnexpectedEof {
        "unexpected EOF"
    } else if text.contains("checksum") {
        "gzip: invalid checksum"
    } else if text.contains("header") {
        "gzip: invalid header"
    } else {
        "flate: corrupt input"
    })
}

#[cfg(test)]
mod tests {
    use super::super::Budget;
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;
    use std::time::Duration;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    async fn check(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, String> {
        let budget = Budget::new(64 << 20, Duration::from_millis(5), std::sync::Arc::default());
        let mut reservation = budget.reserve(0).await.expect("room");
        inflate(body, bytes_max, &mut reservation)
            .map_err(|failure| format!("{} {}", failure.status.as_u16(), failure.text))
    }

    #[tokio::test]
    async fn errors_are_those_of_go() {
        let good = gzip(b"m v=1 1");
        let error = |text: &str| Err(text.to_owned());
        assert_eq!(check(b"", 100).await, error("400 EOF"));
        assert_eq!(check(b"abc", 100).await, error("400 unexpected EOF"));
        assert_eq!(check(b"abcdefghijklmnop", 100).await, error("400 gzip: invalid header"));
        assert_eq!(check(&good[..15], 100).await, error("400 unexpected EOF"));
        assert_eq!(
            check(&[&good[..good.len() - 8], b"xxxxxxxx"].concat(), 100).await,
            error("400 gzip: invalid checksum")
        );
        assert_eq!(
            check(&[&good[..10], b"\xff\xff\xff\xff\xff"].concat(), 100).await,
            error("400 flate: corrupt input")
        );
        assert_eq!(check(&[&good[..], &good[..]].concat(), 100).await, Ok(b"m v=1 1m v=1 1".to_vec()));
    }

    #[tokio::test]
    async fn a_bomb_is_stopped_at_the_limit() {
        let bomb = gzip(&vec![0; 8 << 20]);
        assert!(bomb.len() < 100_000);
        assert_eq!(check(&bomb, 8 << 20).await.map(|inflated| inflated.len()), Ok(8 << 20));
        let refused = Err("413 Request Entity Too Large".to_owned());
        assert_eq!(check(&bomb, (8 << 20) - 1).await, refused);
        // One that tells less than it is: another member follows.
        let lying = [&bomb[..], &gzip(b"x")].concat();
        assert_eq!(check(&lying, (8 << 20) + 1).await.map(|inflated| inflated.len()), Ok((8 << 20) + 1));
        assert_eq!(check(&lying, 8 << 20).await, refused);
        assert_eq!(check(&lying, 5 << 20).await, refused);
    }
}
