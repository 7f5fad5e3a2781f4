//! Statements that once differed, replayed before the random ones.
//!
//! A text file: `= name` begins a database, `+ line` is line protocol written to it, `! statement` is carried out on both
//! without a look at the answer, everything else is a statement whose answers are compared; `#` begins a remark.

use super::ask::Ask;
use super::campaign::Servers;
use super::verdict::Verdict;

/// Replays a corpus; the differences.
pub fn replay(corpus: &str, servers: &mut Servers) -> Vec<String> {
    let mut differences = Vec::new();
    let mut database = String::new();
    for (turn, line) in (0..).zip(corpus.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))) {
        if let Some(name) = line.strip_prefix("= ") {
            name.clone_into(&mut database);
            servers.both(&format!("CREATE DATABASE {name}"));
        } else if let Some(points) = line.strip_prefix("+ ") {
            let (want, got) = servers.write(&format!("/write?db={database}"), points.as_bytes(), turn);
            let taken = [want, got].iter().all(|a| a.as_ref().is_ok_and(|a| a.status == 204));
            assert!(taken, "not written: {points}");
        } else if let Some(statement) = line.strip_prefix("! ") {
            servers.both(statement);
        } else if let Verdict::Differs(how) = servers.ask(&Ask::plain(&database, line), turn).0 {
            differences.push(format!("{line}\n      {how}"));
        }
    }
    differences
}
