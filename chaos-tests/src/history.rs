//! What the users of a load were told, and whether it holds.
//!
//! A batch is a fixed function of its number, so the history keeps one byte a batch and can still say what each node has
//! to answer: every point of an acknowledged batch with its value, and no point of a batch that was never sent.

use crate::client::Client;
use crate::report::{Failures, shorten};
use serde_json::Value;
use std::time::Duration;

/// Database of the load.
pub const DATABASE: &str = "chaos";
/// Hosts a batch writes a point of each measurement for.
pub const HOSTS: u64 = 40;
/// Time of batch 0, in seconds since 1970; each batch is one second later.
const FIRST_S: u64 = 1_750_000_000;

/// What is known of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Not sent.
    Unsent,
    /// Sent, and no answer said that it is stored: it may be there or not.
    Unknown,
    /// Answered 204.
    Acknowledged,
}

/// The outcome of all batches of a load, and how it was served.
#[derive(Debug, Default)]
pub struct History {
    outcomes: Vec<Outcome>,
    /// Whether more may have been sent than is known here.
    goes_on: bool,
    /// Answers other than 204, and batches given up.
    pub refusals: Vec<String>,
    /// Requests sent again to another node because their connection died.
    pub resent: u64,
    /// The longest time from a request to its answer.
    pub slowest: Duration,
    /// The longest time from the first sending of a batch to its 204, since somebody looked.
    pub longest: Duration,
}

impl History {
    /// A history of this many batches that were all acknowledged: what is known of a load that goes on.
    pub fn first(batches: u64) -> Self {
        Self { outcomes: vec![Outcome::Acknowledged; batches as usize], goes_on: true, ..Self::default() }
    }

    /// Notes the outcome of a batch.
    pub fn set(&mut self, batch: u64, outcome: Outcome) {
        let at = batch as usize;
        if self.outcomes.len() <= at {
            self.outcomes.resize(at + 1, Outcome::Unsent);
        }
        self.outcomes[at] = outcome;
    }

    /// How many batches were sent.
    pub fn batches(&self) -> u64 {
        self.outcomes.len() as u64
    }

    /// How many batches were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.outcomes.iter().filter(|outcome| **outcome == Outcome::Acknowledged).count()
    }

    /// One line for the report.
    pub fn summary(&self) -> String {
        format!(
            "{} of {} batches acknowledged ({} points each), {} resent, {} refused, slowest request {:.2} s",
            self.acknowledged(),
            self.outcomes.len(),
            2 * HOSTS,
            self.resent,
            self.refusals.len(),
            self.slowest.as_secs_f64()
        )
    }

    /// Reads everything back from one node and compares.
    pub fn check(&self, client: &mut Client, failures: &mut Failures) {
        for host in 0..HOSTS {
            self.check_series(client, "load", host, failures);
            self.check_series(client, "rate", host, failures);
        }
    }

    fn check_series(&self, client: &mut Client, measurement: &str, host: u64, failures: &mut Failures) {
        let q = format!("SELECT value FROM {measurement} WHERE host = 'h{host:02}'");
        let place = format!("{measurement} of host {host} at {}", client.address());
        let answer = match client.query(DATABASE, &q) {
            Ok(answer) if answer.status == 200 => answer.json(),
            other => return failures.add(format!("{place}: {}", shorten(&format!("{other:?}")))),
        };
        let empty = Vec::new();
        let rows = answer["results"][0]["series"][0]["values"].as_array().unwrap_or(&empty);
        if answer["results"][0].get("error").is_some() || answer["results"][0].get("partial").is_some() {
            return failures.add(format!("{place}: {}", shorten(&answer.to_string())));
        }
        failures.checked(rows.len() as u64);
        let mut seen = vec![false; self.outcomes.len()];
        for row in rows {
            match self.check_row(measurement, host, row) {
                Ok(batch) => {
                    seen.get_mut(batch).into_iter().for_each(|seen| *seen = true);
                }
                Err(what) => failures.add(format!("{place}: {what}: {row}")),
            }
        }
        let lost: Vec<usize> = (0..seen.len())
            .filter(|batch| !seen[*batch] && self.outcomes[*batch] == Outcome::Acknowledged)
            .collect();
        if let (Some(first), Some(last)) = (lost.first(), lost.last()) {
            failures
                .add(format!("{place}: {} acknowledged points lost, batches {first}..={last}", lost.len()));
        }
    }

    /// The batch a row belongs to, or what is wrong with it.
    fn check_row(&self, measurement: &str, host: u64, row: &Value) -> Result<usize, &'static str> {
        let second = row[0].as_u64().unwrap_or(0) / 1_000_000_000;
        let batch = second.checked_sub(FIRST_S).ok_or("a time nobody wrote")?;
        match self.outcomes.get(batch as usize) {
            None if self.goes_on => {}
            None | Some(Outcome::Unsent) => return Err("a point of a batch that was never sent"),
            Some(Outcome::Unknown | Outcome::Acknowledged) => {}
        }
        let right = match measurement {
            "load" => row[1].as_u64() == Some(load_value(batch, host)),
            _ => row[1].as_f64() == Some(rate_value(batch, host)),
        };
        if right { Ok(batch as usize) } else { Err("another value than written") }
    }
}

fn load_value(batch: u64, host: u64) -> u64 {
    batch * 1_000 + host
}

fn rate_value(batch: u64, host: u64) -> f64 {
    batch as f64 / 8.0 + host as f64
}

/// The line protocol of a batch: 80 points of 80 series.
pub fn batch_lines(batch: u64) -> String {
    let time = FIRST_S + batch;
    let line = |host: u64| {
        let (load, rate) = (load_value(batch, host), rate_value(batch, host));
        format!(
            "load,host=h{host:02} value={load}i {time}000000000\nrate,host=h{host:02} value={rate} {time}000000000\n"
        )
    };
    (0..HOSTS).map(line).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_is_judged_by_its_batch() {
        let mut history = History::default();
        history.set(0, Outcome::Acknowledged);
        history.set(2, Outcome::Unknown);
        let row = |batch: u64, value: u64| json!([(FIRST_S + batch) * 1_000_000_000, value]);
        assert_eq!(history.check_row("load", 3, &row(0, 3)), Ok(0));
        assert_eq!(history.check_row("load", 3, &row(2, 2_003)), Ok(2));
        assert!(history.check_row("load", 3, &row(1, 1_003)).is_err(), "never sent");
        assert!(history.check_row("load", 3, &row(0, 4)).is_err(), "another value");
        assert_eq!(history.acknowledged(), 1);
        assert!(
            batch_lines(1)
                .starts_with("load,host=h00 value=1000i 1750000001000000000\nrate,host=h00 value=0.125 ")
        );
    }
}
