//! Bodies with a field of another type than it has: what must hold although 1.x fixes types in each shard, we in the
//! database, and although 1.x keeps series and fields of points that it refuses.
//!
//! All points of a fuzzed database lie in one shard, but for those at the ends of time and those without a time. There the
//! same points are refused with the same status, and the same points are stored. Which of several faults the text names,
//! and how many points it counts, is a matter of the order in which 1.x looks for them.

use super::ask::Ask;
use super::campaign::{Answer, Servers};
use super::schema::quoted;
use super::verdict::{Verdict, compare};
use serde_json::Value;
use std::collections::BTreeSet;

/// A database whose points lie in one shard, at least those of the years 1726 to 2013.
pub(super) fn create(database: &str) -> String {
    format!("CREATE DATABASE {database} WITH DURATION INF REPLICATION 1 SHARD DURATION 15000w NAME autogen")
}

const KEPT: &str = "1.x keeps series and fields of refused points";

/// Whether an answer tells of a conflict.
pub(super) fn is_told(answer: &Answer) -> bool {
    answer.as_ref().is_ok_and(|answer| answer.text().contains("field type conflict"))
}

/// What two answers to a body, of which one tells of a conflict, say about each other.
pub(super) fn verdict(
    servers: &mut Servers,
    database: &str,
    (want, got): (&Answer, &Answer),
    turn: u64,
) -> Verdict {
    if shards(servers, database) != 1 {
        return Verdict::Explained("a field's type is fixed in the whole database");
    }
    match (shape(want), shape(got)) {
        (Shape::Partial, Shape::Lost) | (Shape::Lost, Shape::Partial) => {
            return Verdict::Explained("1.x may lose all of a body whose new points disagree");
        }
        (want, got) if want == got && want != Shape::Other => {}
        _ => {
            if let Verdict::Differs(how) = compare("", want, got) {
                return Verdict::Differs(how);
            }
        }
    }
    stored(servers, database, turn)
}

/// What is to be said where both refuse points of a body in other words: 1.x tells what one shard says, and what a shard that it
/// has to try again does not find to be wrong the second time it does not tell at all. `None` if that is not why.
pub(super) fn of_one_shard(
    servers: &mut Servers,
    database: &str,
    (want, got): (&Answer, &Answer),
    turn: u64,
) -> Option<Verdict> {
    if (shape(want), shape(got)) != (Shape::Partial, Shape::Partial) {
        return None;
    }
    if shards(servers, database) != 1 {
        return Some(Verdict::Explained("1.x tells what one of several shards refuses"));
    }
    let forgets = want.as_ref().is_ok_and(|answer| answer.text().ends_with(" dropped=0\"}\n"));
    forgets.then(|| stored(servers, database, turn))
}

/// What an answer says became of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Some points were refused.
    Partial,
    /// All were.
    Lost,
    Other,
}

fn shape(answer: &Answer) -> Shape {
    match answer.as_ref().map(|answer| (answer.status, answer.text())) {
        Ok((400, text)) if text.starts_with("{\"error\":\"partial write: ") => Shape::Partial,
        Ok((400, text)) if text == "{\"error\":\"field type conflict\"}\n" => Shape::Lost,
        _ => Shape::Other,
    }
}

/// How many shards the oracle has for a database.
fn shards(servers: &mut Servers, database: &str) -> usize {
    let answer = servers.oracle.query("", "SHOW SHARDS");
    answer.map_or(0, |answer| answer.text().matches(&format!(",\"{database}\",\"autogen\",")).count())
}

/// Compares the points that are stored, measurement by measurement: 1.x has fields of refused points, and where two
/// measurements have a field of different types, a query for both shows one of them only.
fn stored(servers: &mut Servers, database: &str, turn: u64) -> Verdict {
    let node = turn as usize % servers.nodes.len();
    let shown = Ask::plain(database, "SHOW MEASUREMENTS").send(&mut servers.nodes[node]);
    let names = shown.map(|answer| answer.json()["results"][0]["series"][0]["values"].clone());
    for name in names.ok().as_ref().and_then(Value::as_array).into_iter().flatten() {
        let name = quoted(name[0].as_str().unwrap_or_default());
        let ask = Ask::plain(database, &format!("SELECT * FROM {name} WHERE time < '2013-01-01' GROUP BY *"));
        let (want, got) = (ask.send(&mut servers.oracle), ask.send(&mut servers.nodes[node]));
        let (Ok(want), Ok(got)) = (want, got) else { return Verdict::Differs("no answer".to_owned()) };
        let (want, got) = (points(&want.json()), points(&got.json()));
        if want != got {
            let lost: Vec<_> = want.difference(&got).collect();
            let added: Vec<_> = got.difference(&want).collect();
            return Verdict::Differs(format!("{}: lost {lost:?}, added {added:?}", ask.q));
        }
    }
    Verdict::Explained(KEPT)
}

/// The points of an answer, without the columns and tags that have no value.
fn points(answer: &Value) -> BTreeSet<String> {
    let mut points = BTreeSet::new();
    for series in answer["results"][0]["series"].as_array().into_iter().flatten() {
        let has_value = |value: &&Value| !value.is_null() && *value != "";
        let tags: Vec<_> =
            series["tags"].as_object().into_iter().flatten().filter(|tag| has_value(&tag.1)).collect();
        for row in series["values"].as_array().into_iter().flatten() {
            let columns = series["columns"].as_array().into_iter().flatten();
            let cells = columns.zip(row.as_array().into_iter().flatten());
            let cells: Vec<_> = cells.filter(|cell| !cell.1.is_null()).collect();
            // Only the time: 1.x had a value for a field that it refused.
            if cells.len() > 1 {
                points.insert(format!("{} {tags:?} {cells:?}", series["name"]));
            }
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_has_no_value_does_not_count() {
        let answer = |tags: Value, columns: Value, row: Value| {
            points(
                &json!({"results": [{"series": [{"name": "m", "tags": tags, "columns": columns, "values": [row]}]}]}),
            )
        };
        let plain = answer(json!({}), json!(["time", "v"]), json!([1, 2]));
        assert_eq!(plain.len(), 1);
        assert_eq!(answer(json!({"h": ""}), json!(["time", "v", "w"]), json!([1, 2, null])), plain);
        assert_ne!(answer(json!({"h": "a"}), json!(["time", "v"]), json!([1, 2])), plain);
        assert!(answer(json!({}), json!(["time", "v"]), json!([1, null])).is_empty());
    }
}
