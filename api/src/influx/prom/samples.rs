//! Series → the answer of remote read.

use super::messages::{Label, QueryResult, ReadResponse, Sample, TimeSeries};
use crate::error::Failure;
use axum::http::StatusCode;
use prost::Message;
use query::result::{Cell, Series};
use snap::raw::Encoder;

/// ns in the unit of Prometheus' times.
const MILLISECOND_NS: i64 = 1_000_000;
/// Tags that 1.8 keeps to itself.
const SYSTEM_TAGS: [&str; 2] = ["_measurement", "_field"];

/// The answer as a snappy block; one of more than `bytes_max` bytes is refused.
pub(super) fn encode(series: Vec<Series>, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let message = ReadResponse { results: vec![result(series)] };
    let too_large = || {
        Failure::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("answer exceeds {bytes_max} bytes; ask for a shorter time or fewer series"),
        )
    };
    if message.encoded_len() > bytes_max {
        return Err(too_large());
    }
    let bytes = message.encode_to_vec();
    drop(message);
    Encoder::new().compress_vec(&bytes).map_err(|_| too_large())
}

fn result(series: Vec<Series>) -> QueryResult {
    let mut timeseries: Vec<TimeSeries> = series.iter().filter_map(time_series).collect();
    timeseries.sort_by(|a, b| a.labels.cmp(&b.labels));
    QueryResult { timeseries }
}

/// `None` if the series has no samples. Only floats are, as in 1.8.
fn time_series(series: &Series) -> Option<TimeSeries> {
    let rows = series.cells.chunks_exact(series.columns.len().max(1));
    let samples: Vec<Sample> = rows
        .filter_map(|row| match row {
            [Cell::Time(time), Cell::Float(value)] => {
                Some(Sample { value: *value, timestamp: time / MILLISECOND_NS })
            }
            _ => None,
        })
        .collect();
    if samples.is_empty() {
        return None;
    }
    // A tag that a series lacks comes as an empty one; to Prometheus both are the same.
    let tags = series.tags.iter().flatten();
    let tags = tags.filter(|(tag, value)| !value.is_empty() && !SYSTEM_TAGS.contains(&&**tag));
    let mut labels: Vec<Label> =
        tags.map(|(name, value)| Label { name: (**name).into(), value: (**value).into() }).collect();
    labels.sort();
    Some(TimeSeries { labels, samples })
}
