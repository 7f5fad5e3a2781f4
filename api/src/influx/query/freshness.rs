//! How old and how complete an answer is: headers for machines, a message in the result for people.

use crate::coordinator::{StaleCause, Staleness, StatementResponse};
use crate::headers::{PARTIAL, STALE_MS};
use axum::http::{HeaderMap, HeaderValue};
use query::result::Message;
use std::collections::BTreeSet;

/// The worst over the statements of a request.
#[derive(Debug, Default)]
pub(crate) struct Freshness {
    stale: Option<Staleness>,
    missing_groups: BTreeSet<u32>,
}

impl Freshness {
    /// Takes a statement's freshness into account, and says it in the statement's messages.
    pub(crate) fn observe(&mut self, response: &mut StatementResponse) {
        if let Some(stale) = response.stale {
            self.stale = Some(self.stale.map_or(stale, |before| before.or(stale)));
            let cause = match stale.cause {
                StaleCause::NoQuorum => "a group without quorum answered",
                StaleCause::AskedFor => "read as it was asked for,",
            };
            let or_more = if stale.at_least { " or more" } else { "" };
            let ms = stale.age.as_millis();
            let text = format!("stale answer: {cause} as of {ms} ms{or_more} ago");
            response.result.messages.push(Message { level: "warning", text });
        }
        if !response.missing_groups.is_empty() {
            self.missing_groups.extend(&response.missing_groups);
            let groups = list(response.missing_groups.iter());
            let text = format!("partial answer: groups that could not answer: {groups}");
            response.result.messages.push(Message { level: "warning", text });
        }
    }

    pub(crate) fn headers(&self, headers: &mut HeaderMap) {
        if let Some(stale) = self.stale {
            headers.insert(STALE_MS, HeaderValue::from(stale.age.as_millis() as u64));
        }
        if !self.missing_groups.is_empty()
            && let Ok(value) = HeaderValue::from_str(&list(self.missing_groups.iter()))
        {
            headers.insert(PARTIAL, value);
        }
    }
}

fn list<'a>(groups: impl Iterator<Item = &'a u32>) -> String {
    groups.map(u32::to_string).collect::<Vec<_>>().join(",")
}
