//! Request bodies: read within a byte limit, a time limit and the budget of all bodies in flight; gzip and snappy are
//! inflated.
//!
//! A body is only handed on when it has arrived completely, so an upload that breaks off stores nothing.

mod budget;
mod gzip;
mod snappy;

pub(crate) use budget::{Budget, Reservation};

use crate::error::Failure;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};
use bytes::Bytes;
use http_body_util::BodyExt;
use std::time::Duration;

/// Bytes reserved for a body whose length is not known.
const FIRST_BYTES: usize = 64 << 10;
/// Bytes from which a body is worked on by a blocking thread.
const WORK_INLINE_BYTES: usize = 64 << 10;
/// What is read and thrown away of a body that was refused, so that the client gets to see why.
const DRAIN_BYTES_MAX: usize = 32 << 20;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Limits for one body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    /// Bytes on the wire.
    pub(crate) bytes_max: usize,
    /// Time to send it.
    pub(crate) timeout: Duration,
}

/// A body with its place in the budget: to be kept until the bytes are dropped.
#[derive(Debug)]
pub(crate) struct ReservedBody {
    pub(crate) bytes: Bytes,
    pub(crate) reservation: Reservation,
}

impl ReservedBody {
    /// The bytes as one that keeps the place in the budget itself: it is given back when the last clone is dropped.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for ReservedBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body to its end.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: &mut Body,
    limits: BodyLimits,
    budget: &Budget,
) -> Result<ReservedBody, Failure> {
    let announced = content_length(headers);
    if announced.is_some_and(|bytes| bytes > limits.bytes_max as u64) {
        return Err(Failure::too_large());
    }
    let expected = announced.map_or(FIRST_BYTES, |bytes| bytes as usize);
    let reservation = budget.reserve(expected).await?;
    let reading = collect(body, limits.bytes_max, expected, reservation);
    match tokio::time::timeout(limits.timeout, reading).await {
        Ok(read) => read,
        Err(_) => Err(Failure::unavailable(format!("request body not received within {:?}", limits.timeout))),
    }
}

async fn collect(
    body: &mut Body,
    bytes_max: usize,
    expected: usize,
    mut reservation: Reservation,
) -> Result<ReservedBody, Failure> {
    // All of it at once: growing step by step copies a body twice, and there is room for it in the budget. The pages of
    // a body that is announced and never sent are not touched.
    let mut bytes = Vec::with_capacity(expected);
    while let Some(frame) = body.frame().await {
        // Go's word for a connection that ends inside a body.
        let frame = frame.map_err(|_| Failure::bad_request("unexpected EOF"))?;
        let Ok(piece) = frame.into_data() else { continue };
        if bytes.len() + piece.len() > bytes_max {
            return Err(Failure::too_large());
        }
        bytes.extend_from_slice(&piece);
        reservation.grow_to(bytes.capacity()).await?;
    }
    Ok(ReservedBody { bytes: Bytes::from(bytes), reservation })
}

/// Inflates a body if its `Content-Encoding` is `gzip`; other encodings are ignored, as in 1.x.
pub(crate) async fn inflate(
    headers: &HeaderMap,
    body: ReservedBody,
    inflated_bytes_max: usize,
) -> Result<ReservedBody, Failure> {
    if headers.get(CONTENT_ENCODING).is_none_or(|encoding| encoding != "gzip") {
        return Ok(body);
    }
    let inflate = move |body: ReservedBody| {
        let mut reservation = body.reservation;
        let bytes = gzip::inflate(&body.bytes, inflated_bytes_max, &mut reservation)?;
        Ok(ReservedBody { bytes: Bytes::from(bytes), reservation })
    };
    off_thread(body, inflate).await
}

/// Inflates a body that is a snappy block.
pub(crate) async fn inflate_snappy(
    body: ReservedBody,
    inflated_bytes_max: usize,
) -> Result<ReservedBody, Failure> {
    off_thread(body, move |body| snappy::inflate(body, inflated_bytes_max)).await
}

/// Works on a body: at once if it is small, else on a blocking thread.
pub(crate) async fn off_thread<T: Send + 'static>(
    body: ReservedBody,
    work: impl FnOnce(ReservedBody) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    if body.bytes.len() < WORK_INLINE_BYTES {
        return work(body);
    }
    let working = tokio::task::spawn_blocking(move || work(body)).await;
    working.unwrap_or_else(|_| Err(Failure::internal("reading the request body failed")))
}

/// Throws away what is left of a body, within limits. A client that is still sending may not look at the answer before
/// it is done, and would only see the connection break.
pub(crate) async fn drain(headers: &HeaderMap, body: &mut Body) {
    if headers.contains_key(EXPECT) {
        // The client waits for our word before it sends.
        return;
    }
    let draining = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > DRAIN_BYTES_MAX {
                break;
            }
        }
    };
    tokio::time::timeout(DRAIN_TIMEOUT, draining).await.unwrap_or_default();
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
