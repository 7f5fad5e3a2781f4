//! Remote write → line protocol, which `node` checks, places and stores like any other.

use super::wire::{Fields, WireError};
use crate::body::{Reservation, ReservedBody};
use crate::error::Failure;
use bytes::Bytes;
use model::limits::KEY_BYTES_MAX;
use model::series::escape_into;
use std::fmt;
use std::io::Write as _;

/// The label that holds the metric's name.
const NAME: &[u8] = b"__name__";
/// The measurement of series without a name, as in 1.8.
const UNNAMED: &[u8] = b"prom_metric_not_specified";
/// The field that holds the value, as it stands behind a key.
const VALUE: &[u8] = b" value=";
/// Bytes that a value and its time take at most.
const VALUE_BYTES_MAX: usize = 64;
/// Bytes by which the room for lines grows at least.
const STEP_BYTES: usize = 64 << 10;

/// Samples that were left out because line protocol has no words for their labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unfit {
    reason: String,
    samples: usize,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dropped={}", self.reason, self.samples)
    }
}

/// Renders a `WriteRequest`; lines of more than `bytes_max` bytes are refused, because a series' labels are repeated for
/// each of its samples. Values that InfluxDB has not (NaN, so Prometheus' staleness markers, and ±Inf) are left out.
pub(super) fn render(body: ReservedBody, bytes_max: usize) -> Result<(ReservedBody, Option<Unfit>), Failure> {
    let ReservedBody { bytes: message, reservation } = body;
    let mut lines = Lines { out: Vec::new(), held: message.len(), bytes_max, reservation, unfit: None };
    for field in Fields::of(&message) {
        if let (1, series) = field.map_err(bad)? {
            lines.series(series.bytes("Timeseries").map_err(bad)?)?;
        }
    }
    let Lines { out, reservation, unfit, .. } = lines;
    Ok((ReservedBody { bytes: Bytes::from(out), reservation }, unfit))
}

fn bad(error: WireError) -> Failure {
    Failure::bad_request(error.to_string())
}

struct Lines {
    out: Vec<u8>,
    /// Bytes of the message, which stays in memory beside the lines.
    held: usize,
    bytes_max: usize,
    reservation: Reservation,
    unfit: Option<Unfit>,
}

impl Lines {
    /// A `TimeSeries`: its labels are looked at first, wherever they stand.
    fn series(&mut self, series: &[u8]) -> Result<(), Failure> {
        let key = key(series).map_err(bad)?;
        for field in Fields::of(series) {
            let (2, sample) = field.map_err(bad)? else { continue };
            let (value, time_ms) = read_sample(sample.bytes("Samples").map_err(bad)?).map_err(bad)?;
            if !value.is_finite() {
                continue;
            }
            match &key {
                Ok(key) => self.line(key, value, time_ms)?,
                Err(reason) => self.leave_out(reason),
            }
        }
        Ok(())
    }

    fn line(&mut self, key: &[u8], value: f64, time_ms: i64) -> Result<(), Failure> {
        let length = self.out.len() + key.len() + VALUE_BYTES_MAX;
        if length > self.bytes_max {
            return Err(Failure::too_large());
        }
        if length > self.out.capacity() {
            let wanted = (2 * self.out.capacity()).max(STEP_BYTES);
            let capacity = wanted.min(self.bytes_max).max(length);
            self.reservation.try_grow_to(self.held + self.out.capacity() + capacity)?;
            self.out.reserve_exact(capacity - self.out.len());
        }
        self.out.extend_from_slice(key);
        self.out.extend_from_slice(VALUE);
        // The shortest text that reads back the same; writing to memory does not fail.
        writeln!(self.out, "{value:?} {time_ms}").unwrap_or_default();
        Ok(())
    }

    fn leave_out(&mut self, reason: &str) {
        let unfit = self.unfit.get_or_insert_with(|| Unfit { reason: reason.to_owned(), samples: 0 });
        unfit.samples += 1;
    }
}

fn read_sample(sample: &[u8]) -> Result<(f64, i64), WireError> {
    let (mut value, mut time_ms) = (0.0, 0);
    for field in Fields::of(sample) {
        match field? {
            (1, given) => value = given.double("Value")?,
            (2, given) => time_ms = given.int64("Timestamp")?,
            _ => {}
        }
    }
    Ok((value, time_ms))
}

/// The key of a series in line protocol, or why it has none.
fn key(series: &[u8]) -> Result<Result<Vec<u8>, String>, WireError> {
    let mut labels: Vec<(&[u8], &[u8])> = Vec::new();
    let mut bytes = 0;
    for field in Fields::of(series) {
        let (1, label) = field? else { continue };
        let (name, value) = read_label(label.bytes("Labels")?)?;
        // An empty label is one that is not there.
        bytes += name.len() + value.len() + 2;
        if bytes > KEY_BYTES_MAX {
            return Ok(Err(format!("max key length exceeded: {bytes} > {KEY_BYTES_MAX}")));
        }
        labels.push((name, value));
    }
    labels.sort_by_key(|&(name, _)| name);
    // Of equal names the last one stands.
    labels.reverse();
    labels.dedup_by_key(|&mut (name, _)| name);
    labels.reverse();
    labels.retain(|(_, value)| !value.is_empty());
    let measurement = labels.iter().find(|(name, _)| *name == NAME).map_or(UNNAMED, |&(_, value)| value);
    Ok(spell(measurement, &labels))
}

fn read_label(label: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let (mut name, mut value) = (&b""[..], &b""[..]);
    for field in Fields::of(label) {
        match field? {
            (1, given) => name = given.bytes("Name")?,
            (2, given) => value = given.bytes("Value")?,
            _ => {}
        }
    }
    Ok((name, value))
}

fn spell(measurement: &[u8], labels: &[(&[u8], &[u8])]) -> Result<Vec<u8>, String> {
    let misread_start = matches!(measurement.first(), Some(b'#' | b'\t' | 0));
    if misread_start || measurement.contains(&b'\\') || measurement.contains(&b'\n') {
        return Err(format!(
            "{:?} cannot be the name of a measurement",
            String::from_utf8_lossy(measurement)
        ));
    }
    let mut key = Vec::with_capacity(256);
    escape_into(&mut key, measurement, b", ");
    for (name, value) in labels {
        if [name, value]
            .into_iter()
            .any(|part| part.is_empty() || part.ends_with(b"\\") || part.contains(&b'\n'))
        {
            let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
            return Err(format!("the label {name:?} with the value {value:?} cannot be a tag"));
        }
        key.push(b',');
        escape_into(&mut key, name, b",= ");
        key.push(b'=');
        escape_into(&mut key, value, b",= ");
    }
    Ok(key)
}

#[cfg(test)]
mod tests;
