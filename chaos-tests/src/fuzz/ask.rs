//! One request to `/query` in all its forms.

use crate::client::{Client, ClientError, Request, Response, percent_encode};
use crate::workload::random::Random;

/// A request, without the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// The statements.
    pub q: String,
    /// GET, or POST with an empty body.
    pub method: &'static str,
    /// Parameters beside `q`.
    pub parameters: Vec<(&'static str, String)>,
    /// The form of the answer that is asked for.
    pub accept: &'static str,
}

impl Ask {
    /// The plainest form.
    pub fn plain(database: &str, q: &str) -> Self {
        let parameters = vec![("db", database.to_owned()), ("epoch", "ns".to_owned())];
        Self { q: q.to_owned(), method: "POST", parameters, accept: "" }
    }

    /// The same question, answered in one piece of JSON with times in nanoseconds.
    pub fn as_json(&self) -> Self {
        let shaping = ["epoch", "chunked", "chunk_size", "pretty"];
        let kept = self.parameters.iter().filter(|(name, _)| !shaping.contains(name)).cloned();
        let parameters = std::iter::once(("epoch", "ns".to_owned())).chain(kept).collect();
        Self { q: self.q.clone(), method: "POST", parameters, accept: "" }
    }

    /// Any form, the plain one more often than others.
    pub fn random(random: &mut Random, database: &str, policy: &str, q: &str) -> Self {
        let mut ask = Self::plain(database, q);
        if random.chance(60) {
            return ask;
        }
        ask.parameters.clear();
        if random.chance(97) {
            let known = if random.chance(98) { database } else { "nope" };
            ask.parameters.push(("db", known.to_owned()));
        }
        if random.chance(70) {
            let epoch = random.pick(&["", "ns", "u", "ms", "s", "m", "h", "x"]);
            ask.parameters.push(("epoch", epoch.to_owned()));
        }
        if random.chance(8) {
            let known = if random.chance(90) { policy } else { "nope" };
            ask.parameters.push(("rp", known.to_owned()));
        }
        if random.chance(10) {
            ask.parameters.push(("pretty", "true".to_owned()));
        }
        if random.chance(20) {
            ask.parameters.push(("chunked", "true".to_owned()));
            if random.chance(80) {
                ask.parameters
                    .push(("chunk_size", random.pick(&["1", "2", "5", "7", "100", "x", "0"]).to_owned()));
            }
        }
        ask.method = random.pick(&["GET", "POST"]);
        ask.accept = random.pick(&[
            "",
            "",
            "application/csv",
            "text/csv",
            "application/x-msgpack",
            "application/json",
        ]);
        ask
    }

    /// The path with its query string.
    pub fn target(&self) -> String {
        let mut target = format!("/query?q={}", percent_encode(&self.q));
        for (name, value) in &self.parameters {
            target.extend(["&", name, "=", &percent_encode(value)]);
        }
        target
    }

    /// Sends it.
    pub fn send(&self, client: &mut Client) -> Result<Response, ClientError> {
        let headers: &[(&str, &str)] = if self.accept.is_empty() { &[] } else { &[("Accept", self.accept)] };
        let body: Option<&[u8]> = (self.method == "POST").then_some(b"");
        client.send(&Request { method: self.method, target: &self.target(), headers, body })
    }

    /// As a person reads it.
    pub fn text(&self) -> String {
        let parameters: Vec<String> =
            self.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let accept = if self.accept.is_empty() { String::new() } else { format!(" Accept: {}", self.accept) };
        format!("{} [{}]{accept}\n      {}", self.method, parameters.join(" "), self.q)
    }
}
