//! `/query`: InfluxQL in, results out.

mod chunked;
mod freshness;
mod reading;
mod statement;
mod whole;

pub(super) use freshness::Freshness;
pub(super) use reading::reading;
pub(super) use statement::Executor;

use crate::audit::Actor;
use crate::auth::Caller;
use crate::body::{self, BodyLimits};
use crate::config::{CHUNK_ROWS, FORM_BYTES_MAX};
use crate::encode::room::AnswerBytes;
use crate::encode::{Epoch, Format};
use crate::error::Failure;
use crate::headers::accepts_gzip;
use crate::params::{Multipart, Params, bind};
use crate::router::{Api, client_address};
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, TRANSFER_ENCODING, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use query::influxql::parse_query_with;
use std::sync::Arc;
use tokio::time::Instant;

/// How the answer is to be written.
#[derive(Debug, Clone, Copy)]
struct Style {
    format: Format,
    epoch: Epoch,
    gzip: bool,
}

pub(crate) async fn answer(
    api: Arc<Api>,
    caller: Caller,
    request: Request,
    url: Params,
    format: Format,
) -> Result<Response, Failure> {
    let (parts, mut body) = request.into_parts();
    let (params, query_file) = read_params(&api, &parts, &mut body, url).await?;
    let text = match (params.get("q").trim(), &query_file) {
        ("", Some(file)) => file.as_str(),
        (text, _) => text,
    };
    if text.is_empty() {
        return Err(Failure::bad_request("missing required parameter \"q\""));
    }
    let bound = bind::parse(params.get("params")).map_err(Failure::bad_request)?;
    let statements = parse_query_with(text, &bound)
        .map_err(|error| Failure::bad_request(format!("error parsing query: {error}")))?;
    let reading = reading(&parts.headers, &params)?;
    caller.may_run(&api, &statements, params.get("db")).await?;
    let chunk_rows = (params.get("chunked") == "true").then(|| chunk_rows(params.get("chunk_size")));
    let executor = Executor {
        coordinator: Arc::clone(&api.coordinator),
        user: caller.user().cloned(),
        actor: Actor::new(caller.user().map(|user| &*user.name), client_address(&parts.extensions)),
        database: params.get("db").to_owned(),
        policy: params.get("rp").to_owned(),
        read_only: parts.method == Method::GET,
        chunk_rows,
        reading,
        begun: Instant::now(),
    };
    if params.get("async") == "true" {
        let place = Arc::clone(&api.unheard_queries).try_acquire_owned();
        let place =
            place.map_err(|_| Failure::unavailable("too many queries with async=true are running"))?;
        tokio::spawn(async move {
            statement::run_unheard(executor, statements).await;
            drop(place);
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        return Ok(response);
    }
    let epoch = Epoch::from_parameter(params.get("epoch"));
    let style = Style { format, epoch, gzip: accepts_gzip(&parts.headers) };
    match chunk_rows {
        None => {
            let room = AnswerBytes::new(Arc::clone(&api.answers));
            whole::answer(executor, statements, style, (room, api.config.rows_max)).await
        }
        Some(chunk_rows) => chunked::answer(executor, statements, style, chunk_rows).await,
    }
}

/// Rows a chunk; the default if the parameter is no positive number.
fn chunk_rows(text: &str) -> usize {
    text.parse().ok().filter(|&rows| rows > 0).unwrap_or(CHUNK_ROWS)
}

/// The parameters of URL and body, and the multipart file named `q`. Those of a form win over the URL's, those of a
/// multipart body do not: so does Go.
async fn read_params(
    api: &Api,
    parts: &Parts,
    body: &mut Body,
    url: Params,
) -> Result<(Params, Option<String>), Failure> {
    let content_type =
        parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_form = media == "application/x-www-form-urlencoded";
    if parts.method != Method::POST || !(is_form || media == "multipart/form-data") {
        // Read all the same, so that the connection stays in step.
        body::drain(&parts.headers, body).await;
        return Ok((url, None));
    }
    let limits = BodyLimits { bytes_max: FORM_BYTES_MAX, timeout: api.config.body_timeout };
    let received = match body::read(&parts.headers, body, limits, &api.budget).await {
        Ok(received) => received,
        Err(failure) => {
            body::drain(&parts.headers, body).await;
            return Err(failure);
        }
    };
    if is_form {
        let mut params = Params::parse(&received.bytes);
        params.extend(url);
        return Ok((params, None));
    }
    let multipart = Multipart::parse(content_type, &received.bytes);
    let mut params = url;
    params.extend(multipart.fields);
    Ok((params, multipart.query_file))
}

/// The head of a streamed 200 answer.
fn streamed(body: Body, style: Style) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, style.format.content_type());
    if style.gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    debug_assert!(!headers.contains_key(TRANSFER_ENCODING), "hyper sets it");
    response
}
