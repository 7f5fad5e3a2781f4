//! Who may run what, against the refusals of a real InfluxDB 1.6.7.

use model::catalog::{Access, PasswordHash, User};
use query::influxql::parse_query;
use query::privileges::authorize;
use std::sync::Arc;

/// One case a line: user, `db` of the request, statements, and why they are refused; empty if they are not. The users
/// have on `d`: `u` nothing, `r` READ, `w` WRITE, `x` ALL PRIVILEGES.
const CASES: &str = include_str!("testdata/privileges.jsonl");

fn user(name: &str) -> User {
    let access = match name {
        "r" => Some(Access::Read),
        "w" => Some(Access::Write),
        "x" => Some(Access::All),
        _ => None,
    };
    User {
        name: Arc::from(name),
        hash: PasswordHash::new("none"),
        admin: false,
        access: access.into_iter().map(|access| (Arc::from("d"), access)).collect(),
    }
}

#[test]
fn statements_are_refused_as_by_the_real_one() {
    let mut stricter = 0;
    for line in CASES.lines() {
        let [who, database, text, refusal]: [String; 4] = serde_json::from_str(line).unwrap();
        let statements = parse_query(&text).unwrap();
        let ours = authorize(&user(&who), &statements, &database).err().unwrap_or_default();
        if refusal.is_empty() && !ours.is_empty() {
            // The real one forgets that these tell of a database.
            let forgotten = text.contains("CARDINALITY") || text.contains("FROM e..m");
            assert!(forgotten && text.starts_with("SHOW"), "{line}\n{ours}");
            assert!(ours.contains("requires READ on "), "{line}\n{ours}");
            stricter += 1;
        } else {
            assert_eq!(ours, refusal, "{line}");
        }
    }
    assert_eq!(stricter, 98, "refused here, but not by the real one");
}

#[test]
fn an_admin_may_do_everything() {
    let admin = User { admin: true, ..user("a") };
    for line in CASES.lines() {
        let [_, database, text, _]: [String; 4] = serde_json::from_str(line).unwrap();
        assert_eq!(authorize(&admin, &parse_query(&text).unwrap(), &database), Ok(()), "{text}");
    }
}
