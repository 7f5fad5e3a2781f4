//! `/ping` and its old name `/status`: 204 while the process can answer at all. Collectors only want to see an answer;
//! `wait_for_leader` is ignored, as in 1.x. `verbose` is 1.8's: the version in a body.

use crate::config::INFLUXDB_VERSION;
use crate::influx::write::no_content;
use crate::params::Params;
use axum::body::Body;
use axum::response::Response;

pub(crate) fn answer(url: &Params) -> Response {
    match url.get("verbose") {
        "" | "0" | "false" => no_content(),
        _ => Response::new(Body::from(serde_json::json!({ "version": INFLUXDB_VERSION }).to_string())),
    }
}
