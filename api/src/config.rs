//! What an operator may set about the HTTP surface.

use crate::auth::AuthConfig;
use crate::metrics::HttpMetrics;
use std::sync::Arc;
use std::time::Duration;

/// The version in `X-Influxdb-Version`. Clients switch features by it; this is the one whose answers are given.
pub const INFLUXDB_VERSION: &str = "1.6.7";
/// Bytes of a form or multipart body of `/query`; Go's `net/http` reads as much of a form.
pub const FORM_BYTES_MAX: usize = 10 << 20;
/// Rows in a chunk of a chunked answer when `chunk_size` says nothing else.
pub const CHUNK_ROWS: usize = 10_000;

/// Queries with `async=true` at a time; above it 503. Their clients are gone, so only this bounds them.
pub const UNHEARD_QUERIES_MAX: usize = 64;

/// Limits of the InfluxDB API.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Bytes of a body on the wire; above it 413. Default 25,000,000, as in 1.x.
    pub body_bytes_max: usize,
    /// Bytes of an inflated gzip body; above it 413. Default 250,000,000.
    pub inflated_bytes_max: usize,
    /// Bytes of all bodies in flight, inflated ones included; a request above it waits for `overload_wait` and then
    /// gets 503. Default 256 MiB.
    pub bodies_in_flight_bytes_max: usize,
    /// How long a request waits for room for its body. Default 2 s: a collector that gets a 503 drops its points.
    pub overload_wait: Duration,
    /// How long a client may take to send a body. Default 60 s.
    pub body_timeout: Duration,
    /// Bytes of an answer that is not chunked, as kept until it is sent; above it 422. Default 128 MiB.
    pub answer_bytes_max: usize,
    /// Who is asked for credentials. Default nobody.
    pub auth: AuthConfig,
    /// Bytes of all such answers together; above it 503. Default 128 MiB.
    pub answers_bytes_max: usize,
    /// Rows of an answer that is not chunked; what is beyond is cut off, as 1.x's `max-row-limit` does. 0, the default, is
    /// no limit.
    pub rows_max: usize,
    /// Where requests are counted; share it with the admin router to have it in `/metrics`.
    pub metrics: Arc<HttpMetrics>,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            body_bytes_max: model::limits::BODY_BYTES_MAX,
            inflated_bytes_max: model::limits::INFLATED_BYTES_MAX,
            bodies_in_flight_bytes_max: 256 << 20,
            overload_wait: Duration::from_secs(2),
            body_timeout: Duration::from_secs(60),
            auth: AuthConfig::default(),
            answer_bytes_max: 128 << 20,
            answers_bytes_max: 128 << 20,
            rows_max: 0,
            metrics: Arc::default(),
        }
    }
}
