//! What users send.

pub mod heapster;
pub mod paced;
pub mod queries;
pub mod random;
pub mod recorded;

use crate::client::{Client, percent_encode};

/// Most lines of one write request: what Heapster sends at once.
const LINES_PER_REQUEST: usize = 10_000;

/// Creates `database` with the default policy `default`, as Heapster does.
///
/// Panics on any refusal.
pub fn create_database(client: &mut Client, database: &str) {
    let q = format!("CREATE DATABASE {database} WITH NAME \"default\"");
    let answer = client.get(&format!("/query?db=&q={}", percent_encode(&q)));
    let created = answer.as_ref().is_ok_and(|a| a.status == 200 && !a.text().contains("\"error\""));
    assert!(created, "{q} at {}: {answer:?}", client.address());
}

/// Writes `lines` in requests of at most 10,000 lines, and panics unless each is answered 204.
pub fn load(client: &mut Client, database: &str, lines: &[String]) {
    let target = format!("/write?consistency=&db={database}&precision=&rp=default");
    for part in lines.chunks(LINES_PER_REQUEST) {
        let answer = client.post(&target, part.join("\n").as_bytes());
        let written = answer.as_ref().is_ok_and(|a| a.status == 204);
        assert!(written, "writing {} lines to {}: {answer:?}", part.len(), client.address());
    }
}
