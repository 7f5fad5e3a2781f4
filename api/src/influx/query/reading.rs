//! How fresh the client wants its answer: parameters of the URL (or form) before headers.

use crate::coordinator::{Consistency, Reading};
use crate::error::Failure;
use crate::headers::{CONSISTENCY, MAX_STALENESS};
use crate::params::Params;
use axum::http::{HeaderMap, HeaderName};
use query::influxql::duration;
use std::time::Duration;

/// Levels of a write in InfluxDB's cluster; a client that sends one with everything means nothing by it here.
const WRITE_LEVELS: [&str; 4] = ["any", "one", "quorum", "all"];

/// What a request says about it.
///
/// # Errors
///
/// A word that is no consistency, a text that is no duration: to answer as if nothing were said could be wrong by far.
pub(crate) fn reading(headers: &HeaderMap, params: &Params) -> Result<Reading, Failure> {
    let consistency = given(headers, params, "consistency", &CONSISTENCY).to_ascii_lowercase();
    let consistency = match consistency.as_str() {
        "" => None,
        level if WRITE_LEVELS.contains(&level) => None,
        "strong" => Some(Consistency::Strong),
        "lease" => Some(Consistency::Lease),
        "stale" => Some(Consistency::Stale),
        other => {
            let text = format!("invalid consistency {other:?} (use strong, lease or stale)");
            return Err(Failure::bad_request(text));
        }
    };
    let max_staleness = match given(headers, params, "max_staleness", &MAX_STALENESS) {
        "" => None,
        text => Some(span(text).ok_or_else(|| {
            Failure::bad_request(format!("invalid max_staleness {text:?} (a duration, such as 500ms or 10s)"))
        })?),
    };
    Ok(Reading { consistency, max_staleness })
}

fn given<'a>(headers: &'a HeaderMap, params: &'a Params, name: &str, header: &HeaderName) -> &'a str {
    let said = || headers.get(header).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    match params.get(name).trim() {
        "" => said(),
        text => text,
    }
}

fn span(text: &str) -> Option<Duration> {
    Some(Duration::from_nanos(u64::try_from(duration::parse(text).ok()?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn read(url: &str, headers: &[(&'static str, &'static str)]) -> Result<Reading, String> {
        let pairs = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        reading(&pairs.collect(), &Params::parse(url.as_bytes())).map_err(|failure| failure.text)
    }

    #[test]
    fn parameters_win_over_headers() {
        let header = ("x-steadfast-consistency", "Stale");
        let age = ("x-steadfast-max-staleness", "10s");
        let said = |consistency, ms: Option<u64>| {
            Ok(Reading { consistency, max_staleness: ms.map(Duration::from_millis) })
        };
        assert_eq!(read("", &[]), said(None, None));
        assert_eq!(read("", &[header]), said(Some(Consistency::Stale), None));
        assert_eq!(read("consistency=strong", &[header]), said(Some(Consistency::Strong), None));
        assert_eq!(
            read("consistency=LEASE&max_staleness=500ms", &[age]),
            said(Some(Consistency::Lease), Some(500))
        );
        assert_eq!(read("max_staleness=", &[age]), said(None, Some(10_000)));
        assert_eq!(read("consistency=quorum", &[]), said(None, None), "a write's");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (url, text) in [
            ("consistency=weak", "invalid consistency \"weak\" (use strong, lease or stale)"),
            ("max_staleness=5", "invalid max_staleness \"5\" (a duration, such as 500ms or 10s)"),
            ("max_staleness=-1s", "invalid max_staleness \"-1s\" (a duration, such as 500ms or 10s)"),
        ] {
            assert_eq!(read(url, &[]), Err(text.to_owned()));
        }
    }
}
