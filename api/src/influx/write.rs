//! `/write`: line protocol in, 204 out.
//!
//! Order of the checks, as in 1.x: `db` given, database known, body size, lines, consistency, policy. Parameters come
//! from the URL only; the body is never looked at as a form.

use crate::body::{self, BodyLimits, ReservedBody};
use crate::coordinator::WriteRequest;
use crate::error::Failure;
use crate::params::Params;
use crate::router::Api;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use std::sync::Arc;

pub(crate) async fn answer(api: Arc<Api>, request: Request, url: Params) -> Result<Response, Failure> {
    let (parts, mut body) = request.into_parts();
    let received = receive(&api, &parts.headers, &mut body, url.get("db")).await;
    let received = match received {
        Ok(received) => received,
        Err(failure) => {
            body::drain(&parts.headers, &mut body).await;
            return Err(failure);
        }
    };
    api.config.metrics.observe_body(received.bytes.len());
    let write = WriteRequest {
        database: url.get("db").to_owned(),
        policy: url.get("rp").to_owned(),
        precision_ns: precision_ns(url.get("precision")),
        consistency: url.get("consistency").to_ascii_lowercase(),
        body: received.into_bytes(),
    };
    let coordinator = Arc::clone(&api.coordinator);
    // On a task of its own: a client that leaves must not stop a write between two groups.
    let writing = tokio::spawn(async move { coordinator.write(write).await });
    writing.await.map_err(|_| Failure::internal("write failed"))??;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

async fn receive(
    api: &Api,
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
    let limits = BodyLimits { bytes_max: api.config.body_bytes_max, timeout: api.config.body_timeout };
    let received = body::read(headers, body, limits, &api.budget).await?;
    body::inflate(headers, received, api.config.inflated_bytes_max).await
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
