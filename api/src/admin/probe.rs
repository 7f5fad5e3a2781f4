//! What Kubernetes asks: 200 `ok`, or 503 with the reasons, one line each.

use crate::coordinator::Coordinator;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

/// The process answers. It says nothing of recovery or quorum: a restart would help neither.
pub(super) fn live() -> Response {
    verdict(true, &[])
}

/// Requests are welcome.
pub(super) fn ready(coordinator: &dyn Coordinator) -> Response {
    let readiness = coordinator.readiness();
    verdict(readiness.ready, &readiness.reasons)
}

/// Recovery is over, so that a slow start is no reason for a restart.
pub(super) fn started(coordinator: &dyn Coordinator) -> Response {
    let readiness = coordinator.readiness();
    verdict(readiness.started, &readiness.reasons)
}

fn verdict(good: bool, reasons: &[String]) -> Response {
    let (status, mut text) = if good {
        (StatusCode::OK, "ok".to_owned())
    } else if reasons.is_empty() {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n"))
    };
    text.push('\n');
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
