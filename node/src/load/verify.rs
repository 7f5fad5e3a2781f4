//! Reads a run back: counts the points of every measurement in the run's time range, on every server, and compares
//! with what was acknowledged.

use super::Run;
use super::metrics::measurements;
use super::report::Report;
use super::sender::form_encoded;
use crate::cli::LoadArgs;
use crate::http_client::{ClientError, Connection};
use serde_json::Value;
use std::time::Duration;

/// How long a server may take to count.
const COUNT_TIMEOUT: Duration = Duration::from_secs(120);
/// Differences that are told; more say no more.
const DIFFERENCES_MAX: usize = 20;
/// Measurements counted by one request.
const STATEMENTS: usize = 10;

/// What the servers hold.
#[derive(Debug)]
pub(super) struct Verification {
    answered: bool,
    /// Points that were acknowledged and must be there, on each server.
    pub(super) points: u64,
    /// What is wrong, one line each.
    pub(super) differences: Vec<String>,
    /// Servers that could not be asked: dead ones are no difference, but somebody must have answered.
    pub(super) unreachable: Vec<String>,
}

impl Verification {
    pub(super) fn is_good(&self) -> bool {
        self.differences.is_empty() && self.answered
    }
}

/// Counts everywhere. A batch that was given up may have been stored all the same; a run with such batches is bad anyway.
pub(super) async fn check(args: &LoadArgs, run: &Run, report: &Report) -> Verification {
    let expected: Vec<(&str, u64)> = measurements().into_iter().zip(report.acked_by_measurement()).collect();
    let (mut differences, mut unreachable) = (Vec::new(), Vec::new());
    'servers: for url in &args.url {
        let mut connection = Connection::new(url);
        for part in expected.chunks(STATEMENTS) {
            let found = match count(&mut connection, args, run, part).await {
                Ok(found) => found,
                Err(error) if error.is::<ClientError>() => {
                    unreachable.push(format!("{error:#}"));
                    continue 'servers;
                }
                Err(error) => {
                    differences.push(format!("{url}: {error:#}"));
                    continue;
                }
            };
            for ((name, expected), found) in part.iter().zip(found) {
                if found != *expected {
                    differences.push(format!("{url} {name}: {expected} acknowledged, {found} found"));
                }
            }
        }
    }
    let answered = unreachable.len() < args.url.len();
    if differences.len() > DIFFERENCES_MAX {
        let more = differences.len() - DIFFERENCES_MAX;
        differences.truncate(DIFFERENCES_MAX);
        differences.push(format!("and {more} more"));
    }
    Verification { points: expected.iter().map(|(_, count)| count).sum(), answered, differences, unreachable }
}

async fn count(
    connection: &mut Connection,
    args: &LoadArgs,
    run: &Run,
    part: &[(&str, u64)],
) -> anyhow::Result<Vec<u64>> {
    let statements: Vec<String> = part
        .iter()
        .map(|(name, _)| {
            format!(
                "SELECT count(\"value\") FROM \"{name}\" WHERE \"cluster_name\" = '{}' AND time >= {} AND time <= {}",
                args.cluster_name.replace('\'', "\\'"),
                run.first_ns,
                run.last_ns
            )
        })
        .collect();
    let target = format!("/query?db={}&q={}", form_encoded(&args.db), form_encoded(&statements.join("; ")));
    let answer = connection.get(&target, COUNT_TIMEOUT).await?;
    let text = answer.text();
    anyhow::ensure!(answer.is_success(), "{} {}", answer.status, text.trim_end());
    counts_of(&serde_json::from_str(&text)?, part.len())
}

/// The counts of an answer; a measurement without points has no series and counts 0.
fn counts_of(answer: &Value, statements: usize) -> anyhow::Result<Vec<u64>> {
    let mut counts = vec![0; statements];
    for result in answer["results"].as_array().into_iter().flatten() {
        if let Some(error) = result["error"].as_str() {
            anyhow::bail!("{error}");
        }
        let statement = result["statement_id"].as_u64().and_then(|id| usize::try_from(id).ok());
        if let Some(count) = statement.and_then(|id| counts.get_mut(id)) {
            *count = result["series"][0]["values"][0][1].as_u64().unwrap_or(0);
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counts_are_found_by_statement() {
        let answer = json!({"results": [
            {"statement_id": 0},
            {"statement_id": 1, "series": [{"name": "m", "columns": ["time", "count"], "values": [[0, 7]]}]},
        ]});
        assert_eq!(counts_of(&answer, 2).unwrap(), [0, 7]);
        let refused = json!({"results": [{"statement_id": 0, "error": "no"}]});
        assert_eq!(counts_of(&refused, 1).unwrap_err().to_string(), "no");
    }
}
