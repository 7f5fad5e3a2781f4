//! Headers that every answer carries, and those that answers to browsers do.

use crate::config::INFLUXDB_VERSION;
use axum::http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, HeaderName,
    ORIGIN,
};
use axum::http::{HeaderMap, HeaderValue};

/// Text of the error, cut.
pub(crate) const INFLUXDB_ERROR: HeaderName = HeaderName::from_static("x-influxdb-error");
/// Milliseconds since some group's data was last known to be current.
pub(crate) const STALE_MS: HeaderName = HeaderName::from_static("x-steadfast-stale-ms");
/// How fresh an answer must be, where the URL does not say.
pub(crate) const CONSISTENCY: HeaderName = HeaderName::from_static("x-steadfast-consistency");
/// How old an answer may be, where the URL does not say.
pub(crate) const MAX_STALENESS: HeaderName = HeaderName::from_static("x-steadfast-max-staleness");
/// Groups missing from the answer.
pub(crate) const PARTIAL: HeaderName = HeaderName::from_static("x-steadfast-partial");
const INFLUXDB_VERSION_NAME: HeaderName = HeaderName::from_static("x-influxdb-version");
const INFLUXDB_BUILD: HeaderName = HeaderName::from_static("x-influxdb-build");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Bytes of the error text that go into a header.
const ERROR_BYTES: usize = 1024;

/// On every answer of the InfluxDB port.
pub(crate) fn version(answer: &mut HeaderMap) {
    answer.insert(INFLUXDB_VERSION_NAME, HeaderValue::from_static(INFLUXDB_VERSION));
    answer.insert(INFLUXDB_BUILD, HeaderValue::from_static("OSS"));
}

/// On every answer of a route: the request's id, or a new one.
pub(crate) fn request_id(request: &HeaderMap, answer: &mut HeaderMap) {
    let given = [X_REQUEST_ID, REQUEST_ID]
        .iter()
        .filter_map(|name| request.get(name))
        .find(|id| !id.is_empty())
        .cloned();
    let Some(id) = given.or_else(|| HeaderValue::from_str(&new_request_id()).ok()) else { return };
    answer.insert(REQUEST_ID, id.clone());
    answer.insert(X_REQUEST_ID, id);
}

/// A UUID that looks like one of version 1, as 1.x's do; ours holds random bits in place of a clock.
fn new_request_id() -> String {
    let mut bytes = uuid::Uuid::new_v4().into_bytes();
    bytes[6] = (bytes[6] & 0x0f) | 0x10;
    uuid::Uuid::from_bytes(bytes).to_string()
}

/// On answers to browsers (`Origin` given). Allowing credentials is ours: without it Grafana's direct access with basic
/// auth is blocked by the browser.
pub(crate) fn cors(request: &HeaderMap, answer: &mut HeaderMap) {
    let Some(origin) = request.get(ORIGIN).filter(|origin| !origin.is_empty()) else { return };
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("DELETE, GET, OPTIONS, POST, PUT"));
    answer.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "Accept, Accept-Encoding, Authorization, Content-Length, Content-Type, X-CSRF-Token, X-HTTP-Method-Override",
        ),
    );
    answer.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Date, X-InfluxDB-Version, X-InfluxDB-Build"),
    );
}

/// The start of an error text as a header value; what a header cannot hold becomes a space.
pub(crate) fn error_value(text: &str) -> Option<HeaderValue> {
    let bytes: Vec<u8> = text
        .bytes()
        .take(ERROR_BYTES)
        .map(|byte| if (byte < 0x20 && byte != b'\t') || byte == 0x7f { b' ' } else { byte })
        .collect();
    HeaderValue::from_bytes(&bytes).ok()
}

/// Whether the client takes gzip. Like 1.x, this looks for the word and ignores weights.
pub(crate) fn accepts_gzip(request: &HeaderMap) -> bool {
    request
        .get_all(ACCEPT_ENCODING)
        .iter()
        .any(|value| value.as_bytes().windows(4).any(|word| word == b"gzip"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_request_id_looks_like_version_1() {
        let id = new_request_id();
        assert_eq!(id.len(), 36);
        assert_eq!(id.as_bytes()[14], b'1');
        assert_ne!(id, new_request_id());
    }

    #[test]
    fn an_error_header_is_one_line_of_1024_bytes() {
        let value = error_value(&"a\nb".repeat(1000)).expect("a header value");
        assert_eq!(value.len(), 1024);
        assert!(value.as_bytes().starts_with(b"a ba b"));
        assert!(error_value("é").is_some());
    }
}
