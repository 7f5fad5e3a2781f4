//! `/write` and `/api/v2/write`: line protocol in, 204 out.
//!
//! Order of the checks, as in 1.x: `db` given, database known, allowed to the caller, body size, lines, consistency,
//! policy. Parameters come from the URL only; the body is never looked at as a form.

use crate::auth::Caller;
use crate::body::{self, BodyLimits, ReservedBody};
use crate::coordinator::WriteRequest;
use crate::error::Failure;
use crate::params::Params;
use crate::router::Api;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use std::sync::Arc;

/// Where the points of a body go, and how they are to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) database: String,
    /// Empty is the default policy.
    pub(crate) policy: String,
    /// ns per unit of the timestamps.
    pub(crate) precision_ns: i64,
    pub(crate) consistency: String,
}

impl Target {
    /// The parameters of `/write`.
    pub(crate) fn v1(url: &Params) -> Self {
        Self {
            database: url.get("db").to_owned(),
            policy: url.get("rp").to_owned(),
            precision_ns: precision_ns(url.get("precision")),
            consistency: url.get("consistency").to_ascii_lowercase(),
        }
    }

    /// The parameters of `/api/v2/write`. `org` means nothing here.
    ///
    /// # Errors
    ///
    /// A precision that is none: 1.8 answers so as well, and then stores the points at wrong times. A bucket that names
    /// no database: 404, as in 1.8.
    pub(crate) fn v2(url: &Params) -> Result<Self, Failure> {
        let precision = url.get("precision");
        let precision_ns = match precision {
            "" | "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            _ => {
                let text = format!("invalid precision {precision:?} (use ns, us, ms or s)");
                return Err(Failure::bad_request(text));
            }
        };
        let bucket = url.get("bucket");
        let not_found = |text: String| Failure::new(StatusCode::NOT_FOUND, text);
        let (database, policy) = match bucket.split_once('/') {
            None if bucket.is_empty() => {
                let text = "bucket name \"\" is missing a slash; not in \"database/retention-policy\" format";
                return Err(not_found(text.to_owned()));
            }
            None => (bucket, ""),
            Some(("", _)) => {
                let text = format!("bucket name {bucket:?} is in db/rp form but has an empty database");
                return Err(not_found(text));
            }
            Some(both) => both,
        };
        Ok(Self { database: database.to_owned(), policy: policy.to_owned(), precision_ns, ..Self::v1(url) })
    }
}

pub(crate) async fn answer(
    api: Arc<Api>,
    caller: Caller,
    request: Request,
    target: Result<Target, Failure>,
) -> Result<Response, Failure> {
    let (parts, mut body) = request.into_parts();
    let received = match target {
        Ok(target) => {
            let received = lines(&api, &caller, &parts.headers, &mut body, &target.database).await;
            received.map(|received| (target, received))
        }
        Err(failure) => Err(failure),
    };
    let (target, received) = match received {
        Ok(received) => received,
        Err(failure) => {
            body::drain(&parts.headers, &mut body).await;
            return Err(failure);
        }
    };
    store(&api, target, received.into_bytes()).await?;
    Ok(no_content())
}

/// 204, of a write that was stored.
pub(crate) fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Stores lines.
pub(crate) async fn store(api: &Api, target: Target, body: Bytes) -> Result<(), Failure> {
    api.config.metrics.observe_body(body.len());
    let write = WriteRequest {
        database: target.database,
        policy: target.policy,
        precision_ns: target.precision_ns,
        consistency: target.consistency,
        body,
    };
    let coordinator = Arc::clone(&api.coordinator);
    // On a task of its own: a client that leaves must not stop a write between two groups.
    let writing = tokio::spawn(async move { coordinator.write(write).await });
    writing.await.map_err(|_| Failure::internal("write failed"))?.map_err(Failure::from)
}

async fn lines(
    api: &Api,
    caller: &Caller,
    headers: &HeaderMap,
    body: &mut Body,
    database: &str,
) -> Result<ReservedBody, Failure> {
    let received = receive(api, caller, headers, body, database).await?;
    body::inflate(headers, received, api.config.inflated_bytes_max).await
}

/// The body of a write to `database`, as it was sent.
pub(crate) async fn receive(
    api: &Api,
    caller: &Caller,
    headers: &HeaderMap,
    body: &mut Body,
    database: &str,
) -> Result<ReservedBody, Failure> {
    if database.is_empty() {
        return Err(Failure::bad_request("database is required"));
    }
    if !api.coordinator.database_exists(database).await {
        return Err(Failure::new(StatusCode::NOT_FOUND, format!("database not found: {database:?}")));
    }
    caller.may_write(api, database).await?;
    let limits = BodyLimits { bytes_max: api.config.body_bytes_max, timeout: api.config.body_timeout };
    body::read(headers, body, limits, &api.budget).await
}

/// ns per unit of the timestamps. Like 1.6, a word that is no unit means ns.
fn precision_ns(precision: &str) -> i64 {
    match precision {
        "u" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => 1,
    }
}
