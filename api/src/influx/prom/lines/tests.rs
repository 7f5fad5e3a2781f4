//! Remote write bodies and the lines they become.

use super::super::messages::{Label, Sample, TimeSeries};
use super::*;
use crate::body::Budget;
use model::line_protocol;
use model::value::ValueRef;
use prost::Message;
use std::sync::Arc;
use std::time::Duration;

/// What Prometheus sends.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

fn series(labels: &[(&str, &str)], samples: &[(f64, i64)]) -> TimeSeries {
    let label = |(name, value): &(&str, &str)| Label { name: (*name).into(), value: (*value).into() };
    TimeSeries {
        labels: labels.iter().map(label).collect(),
        samples: samples.iter().map(|&(value, timestamp)| Sample { value, timestamp }).collect(),
    }
}

async fn lines_of(message: Vec<u8>, bytes_max: usize) -> Result<(String, Option<String>), String> {
    let budget = Budget::new(8 << 20, Duration::from_millis(5), Arc::default());
    let reservation = budget.reserve(message.len()).await.expect("room");
    match render(ReservedBody { bytes: Bytes::from(message), reservation }, bytes_max) {
        Ok((body, unfit)) => {
            let text = String::from_utf8_lossy(&body.bytes).into_owned();
            Ok((text, unfit.map(|unfit| unfit.to_string())))
        }
        Err(failure) => Err(format!("{} {}", failure.status.as_u16(), failure.text)),
    }
}

async fn rendered(timeseries: Vec<TimeSeries>) -> (String, Option<String>) {
    lines_of(WriteRequest { timeseries }.encode_to_vec(), 1 << 20).await.expect("lines")
}

#[tokio::test]
async fn samples_become_lines() {
    let up = series(&[("__name__", "up"), ("job", "a b"), ("instance", "x:1")], &[(1.0, 5), (0.0, -7)]);
    let unnamed = series(&[("z", "1"), ("a", "=,"), ("empty", ""), ("z", "2")], &[(1e300, 0), (-2.5e-9, 1)]);
    let (text, unfit) = rendered(vec![up, unnamed]).await;
    assert_eq!(
        text,
        "up,__name__=up,instance=x:1,job=a\\ b value=1.0 5\nup,__name__=up,instance=x:1,job=a\\ b value=0.0 -7\n\
         prom_metric_not_specified,a=\\=\\,,z=2 value=1e300 0\nprom_metric_not_specified,a=\\=\\,,z=2 value=-2.5e-9 1\n"
    );
    assert_eq!(unfit, None);
}

#[tokio::test]
async fn a_limit_may_be_small_and_is_kept_to_the_byte() {
    let message = || WriteRequest { timeseries: vec![series(&[("l", "x")], &[(1.0, 1)])] }.encode_to_vec();
    let key_bytes = "prom_metric_not_specified,l=x".len();
    assert!(lines_of(message(), key_bytes + VALUE_BYTES_MAX).await.is_ok());
    let refused = lines_of(message(), key_bytes + VALUE_BYTES_MAX - 1).await;
    assert_eq!(refused, Err("413 Request Entity Too Large".to_owned()));
}

#[tokio::test]
async fn no_message_makes_it_panic() {
    let samples = [(1.0, 1), (f64::MAX, i64::MIN), (f64::MIN_POSITIVE, i64::MAX)];
    let timeseries = vec![series(&[("__name__", "m"), ("l", "é")], &samples), series(&[], &samples)];
    let good = WriteRequest { timeseries }.encode_to_vec();
    for place in 0..good.len() {
        for byte in [0, 1, 7, 0x0a, 0x12, 0x7f, 0x80, 0xff] {
            let mut message = good.clone();
            message[place] = byte;
            lines_of(message, 1 << 20).await.ok();
        }
        lines_of(good[..place].to_vec(), 1 << 20).await.ok();
    }
}

#[tokio::test]
async fn every_finite_value_and_any_label_reads_back() {
    let values = [0.1, -1.5e-7, f64::MAX, f64::MIN_POSITIVE, 5e-324, 123_456_789_012_345_680.0, 1.0 / 3.0];
    for (place, value) in values.into_iter().enumerate() {
        let label = ["plain", "a,b", "a=b", "a b", "é\"q\"", "back\\slash", "tab\there"][place];
        let (text, unfit) = rendered(vec![series(&[("__name__", "m"), ("l", label)], &[(value, 1)])]).await;
        assert_eq!(unfit, None);
        let parsed = line_protocol::parse(text.as_bytes(), 1_000_000);
        assert!(parsed.errors.is_empty(), "{text}: {:?}", parsed.errors);
        let line = &parsed.lines[0];
        assert_eq!(parsed.fields_of(line)[0].value, ValueRef::Float(value));
        assert_eq!(line.time, Some(1_000_000));
        let tags: Vec<String> = line.tags().map(|(_, v)| String::from_utf8_lossy(&v).into_owned()).collect();
        assert_eq!(tags, ["m", label]);
    }
}

#[tokio::test]
async fn what_influxdb_has_no_value_for_is_left_out_silently() {
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let samples = [(f64::NAN, 1), (f64::INFINITY, 2), (f64::NEG_INFINITY, 3), (stale, 4)];
    assert_eq!(rendered(vec![series(&[("__name__", "m")], &samples)]).await, (String::new(), None));
}

#[tokio::test]
async fn labels_that_no_tag_can_hold_drop_their_series_only() {
    for (labels, reason) in [
        (
            [("__name__", "m"), ("l", "a\nb")],
            "the label \"l\" with the value \"a\\nb\" cannot be a tag dropped=2",
        ),
        (
            [("__name__", "m"), ("l", "C:\\")],
            "the label \"l\" with the value \"C:\\\\\" cannot be a tag dropped=2",
        ),
        ([("__name__", "m"), ("", "x")], "the label \"\" with the value \"x\" cannot be a tag dropped=2"),
        ([("__name__", "#m"), ("l", "x")], "\"#m\" cannot be the name of a measurement dropped=2"),
    ] {
        let good = series(&[("__name__", "good")], &[(1.0, 1)]);
        let bad = series(&labels, &[(1.0, 1), (2.0, 2), (f64::NAN, 3)]);
        let (text, unfit) = rendered(vec![bad, good]).await;
        assert_eq!(text, "good,__name__=good value=1.0 1\n");
        assert_eq!(unfit.as_deref(), Some(reason));
    }
    let long = "x".repeat(KEY_BYTES_MAX);
    let (_, unfit) = rendered(vec![series(&[("l", &long)], &[(1.0, 1)])]).await;
    assert_eq!(unfit.as_deref(), Some("max key length exceeded: 65538 > 65535 dropped=1"));
}

#[tokio::test]
async fn broken_messages_have_the_errors_of_go() {
    for (message, error) in [
        (&b"\x0a\x05a"[..], "400 unexpected EOF"),
        (b"\x08\x01", "400 proto: wrong wireType for field Timeseries"),
        (b"\x0a\x02\x08\x01", "400 proto: wrong wireType for field Labels"),
        (b"\x0a\x04\x12\x02\x08\x01", "400 proto: wrong wireType for field Value"),
    ] {
        assert_eq!(lines_of(message.to_vec(), 1 << 20).await, Err(error.to_owned()), "{message:?}");
    }
    // Fields of later versions are passed over.
    assert_eq!(lines_of(b"\x1a\x03abc".to_vec(), 1 << 20).await, Ok((String::new(), None)));
}

#[tokio::test]
async fn labels_repeated_for_millions_of_samples_are_stopped_at_the_limit() {
    let label = "x".repeat(60_000);
    let samples: Vec<(f64, i64)> = (0..10_000).map(|time| (1.0, time)).collect();
    let message = WriteRequest { timeseries: vec![series(&[("l", &label)], &samples)] }.encode_to_vec();
    assert!(message.len() < 300_000);
    for bytes_max in [1 << 20, usize::MAX] {
        let refused = lines_of(message.clone(), bytes_max).await.expect_err("600 MB");
        assert_eq!(refused, "413 Request Entity Too Large", "{bytes_max}");
    }
}
