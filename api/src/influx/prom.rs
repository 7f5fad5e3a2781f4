//! Prometheus remote storage: `/api/v1/prom/write` and `/api/v1/prom/read`, both snappy blocks with protobuf inside.
//!
//! A sample is a point of the measurement that its metric is called, with all labels as tags (`__name__` too) and the
//! value in the field `value`, as in InfluxDB 1.8. So what Prometheus wrote, InfluxQL reads, and the other way round.
//!
//! Differences from 1.8: regular expressions of matchers are anchored, as Prometheus means them; a label that a tag
//! cannot hold (a line break, a backslash at its end) drops its series with an error; remote write 2.0 is told
//! that it is not spoken, in place of finding nothing in such a body and answering 204.

mod lines;
mod messages;
mod samples;
mod select;
mod wire;

use super::query::{Executor, Freshness, reading};
use super::write::{self, Target, no_content};
use crate::audit::Actor;
use crate::auth::Caller;
use crate::body::{self, BodyLimits, ReservedBody};
use crate::coordinator::StatementResponse;
use crate::error::Failure;
use crate::params::Params;
use crate::router::Api;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use messages::ReadRequest;
use prost::Message;
use query::influxql::ast::Statement;
use select::Question;
use std::sync::Arc;
use tokio::time::Instant;

/// Bytes of a read request, inflated or not: a few matchers.
const READ_REQUEST_BYTES_MAX: usize = 1 << 20;

/// Remote write: samples in, 204 out.
pub(crate) async fn write(
    api: Arc<Api>,
    caller: Caller,
    request: Request,
    url: &Params,
) -> Result<Response, Failure> {
    let (parts, mut body) = request.into_parts();
    // Times are in ms.
    let target = Target { precision_ns: 1_000_000, ..Target::v1(url) };
    let received = match speaks_1_0(&parts.headers) {
        Ok(()) => write::receive(&api, &caller, &parts.headers, &mut body, &target.database).await,
        Err(failure) => Err(failure),
    };
    let received = match received {
        Ok(received) => received,
        Err(failure) => {
            body::drain(&parts.headers, &mut body).await;
            return Err(failure);
        }
    };
    let bytes_max = api.config.inflated_bytes_max;
    let samples = body::inflate_snappy(received, bytes_max).await?;
    let (body, unfit) = body::off_thread(samples, move |samples| lines::render(samples, bytes_max)).await?;
    write::store(&api, target, body.into_bytes()).await?;
    match unfit {
        None => Ok(no_content()),
        Some(unfit) => Err(Failure::bad_request(format!("partial write: {unfit}"))),
    }
}

/// A body of remote write 2.0 has none of the fields that a 1.0 reader looks at.
fn speaks_1_0(headers: &HeaderMap) -> Result<(), Failure> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let proto = given.split(';').skip(1).find_map(|part| part.trim().strip_prefix("proto="));
    match proto.map(|name| name.trim_matches('"')) {
        None | Some("prometheus.WriteRequest") => Ok(()),
        Some(other) => Err(Failure::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("{other} is not supported; send prometheus.WriteRequest (remote write 1.0)"),
        )),
    }
}

/// Remote read: one query in, the samples of its series out.
pub(crate) async fn read(
    api: Arc<Api>,
    caller: Caller,
    request: Request,
    url: &Params,
) -> Result<Response, Failure> {
    let (parts, mut body) = request.into_parts();
    let limits = BodyLimits { bytes_max: READ_REQUEST_BYTES_MAX, timeout: api.config.body_timeout };
    let received = match body::read(&parts.headers, &mut body, limits, &api.budget).await {
        Ok(received) => received,
        Err(failure) => {
            body::drain(&parts.headers, &mut body).await;
            return Err(failure);
        }
    };
    let question = question(body::inflate_snappy(received, READ_REQUEST_BYTES_MAX).await?)?;
    let executor = Executor {
        coordinator: Arc::clone(&api.coordinator),
        user: caller.user().cloned(),
        actor: Actor::default(),
        database: url.get("db").to_owned(),
        policy: url.get("rp").to_owned(),
        read_only: true,
        chunk_rows: None,
        reading: reading(&parts.headers, url)?,
        begun: Instant::now(),
    };
    if !api.coordinator.database_exists(&executor.database).await {
        return Err(Failure::bad_request("no database"));
    }
    caller.may_read(&api, &executor.database).await?;
    let mut response = StatementResponse::default();
    if let Some(measurements) = measurements(&question, &executor).await?
        && let Some(statement) = question.select(measurements)
    {
        response = run(&executor, statement).await?;
    }
    let mut freshness = Freshness::default();
    freshness.observe(&mut response);
    let bytes_max = api.config.answer_bytes_max;
    let encode = move || samples::encode(response.result.series, bytes_max);
    let encoding = tokio::task::spawn_blocking(encode).await;
    let block = encoding.map_err(|_| Failure::internal("encoding the answer failed"))??;
    let mut response = Response::new(Body::from(block));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
    freshness.headers(headers);
    Ok(response)
}

/// What a request asks.
fn question(body: ReservedBody) -> Result<Question, Failure> {
    let request = ReadRequest::decode(&*body.bytes).map_err(|error| {
        let text = error.to_string();
        // Go's word for a message that ends too early.
        let cut = text.ends_with("buffer underflow");
        Failure::bad_request(if cut { "unexpected EOF" } else { text.as_str() })
    })?;
    let Ok([query]) = <[_; 1]>::try_from(request.queries) else {
        return Err(Failure::bad_request(
            "Prometheus read endpoint currently only supports one query at a time",
        ));
    };
    Question::new(query).map_err(Failure::bad_request)
}

/// The measurements that are asked for; `None` if there is none.
async fn measurements(question: &Question, executor: &Executor) -> Result<Option<Vec<String>>, Failure> {
    let names = match question.name() {
        Some(name) => vec![name.to_owned()],
        None => select::names(&run(executor, select::show_measurements()).await?.result),
    };
    let names: Vec<String> = names.into_iter().filter(|name| question.wants(name)).collect();
    Ok((!names.is_empty()).then_some(names))
}

/// Runs a statement; an error of its own is one of the request here.
async fn run(executor: &Executor, statement: Statement) -> Result<StatementResponse, Failure> {
    executor.execute(statement).await?.map_err(|text| {
        let unknown_policy = text.starts_with("retention policy not found");
        Failure::bad_request(if unknown_policy { "invalid retention policy" } else { text.as_str() })
    })
}
