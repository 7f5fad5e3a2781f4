//! `/ping` and its old name `/status`: 204 while the process can answer at all. Collectors only want to see an answer;
//! `wait_for_leader` and `verbose` are ignored, as in 1.6.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;

pub(crate) fn answer() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
