//! Answers of the admin API as tables for people.

use super::CtlOrder;
use serde_json::Value;

pub(super) fn render(order: &CtlOrder, answer: &Value) -> String {
    match order {
        CtlOrder::Nodes => nodes(answer),
        CtlOrder::Drain { .. } | CtlOrder::Undrain { .. } => node_rows(std::slice::from_ref(answer)),
        CtlOrder::Groups => groups(answer),
        CtlOrder::Rebalance { cancel: false, .. } | CtlOrder::Moves | CtlOrder::ReplicationFactor { .. } => {
            moves(answer)
        }
        CtlOrder::Events => events(answer),
        CtlOrder::Checksum => checksums(answer),
        CtlOrder::Add { .. }
        | CtlOrder::Withdraw { .. }
        | CtlOrder::Remove { .. }
        | CtlOrder::Transfer { .. }
        | CtlOrder::Move { .. }
        | CtlOrder::Rebalance { .. } => fields(answer),
    }
}

fn list<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A value without quotes; what is missing is a dash.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(text).collect::<Vec<_>>().join(","),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

fn fields(answer: &Value) -> String {
    let pairs = answer.as_object().into_iter().flatten();
    let lines: Vec<String> = pairs.map(|(name, value)| format!("{name}: {}", text(value))).collect();
    lines.join("\n")
}

fn nodes(answer: &Value) -> String {
    let mut out = node_rows(list(answer, "nodes"));
    for address in list(answer, "announced") {
        out.extend(["announced, not joined yet: ", &text(address), "\n"]);
    }
    out
}

fn node_rows(nodes: &[Value]) -> String {
    let mut rows =
        vec![["NODE", "PEER", "DUTY", "STATE", "LEADS", "REPLICAS", "DISK FREE"].map(str::to_owned)];
    for node in nodes {
        let state = match (&node["reachable"], &node["drained"]) {
            (Value::Bool(false), _) => "unreachable",
            (_, Value::Bool(true)) => "drained",
            _ => "up",
        };
        let replicas = format!("{}/{}", text(&node["replicas"]), text(&node["replicas_wished"]));
        let disk = node["disk"]["free_bytes"].as_u64().map_or_else(|| "-".to_owned(), gibibytes);
        rows.push([
            text(&node["id"]),
            text(&node["peer"]),
            text(&node["duty"]),
            state.to_owned(),
            text(&node["leads"]),
            replicas,
            disk,
        ]);
    }
    aligned(&rows)
}

fn gibibytes(bytes: u64) -> String {
    let tenths = bytes / ((1 << 30) / 10);
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

fn groups(answer: &Value) -> String {
    let mut rows = vec![["GROUP", "LEADER", "TERM", "VOTERS", "LEARNERS", "LARGEST LAG"].map(str::to_owned)];
    for group in list(answer, "groups") {
        let lag = list(group, "replicas").iter().filter_map(|replica| replica["lag"].as_u64()).max();
        rows.push([
            text(&group["id"]),
            text(&group["leader"]),
            text(&group["term"]),
            text(&group["voters"]),
            text(&group["learners"]),
            lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string()),
        ]);
    }
    aligned(&rows)
}

fn moves(answer: &Value) -> String {
    let moves = list(answer, "moves");
    let on_their_way = list(answer, "on_their_way");
    if moves.is_empty() && on_their_way.is_empty() {
        return "nothing to move\n".to_owned();
    }
    let mut out = String::new();
    if !on_their_way.is_empty() {
        out.extend(["on their way: groups ", &text(&answer["on_their_way"]), "\n"]);
    }
    if !moves.is_empty() {
        let mut rows = vec![["GROUP", "FROM", "TO"].map(str::to_owned)];
        rows.extend(moves.iter().map(|m| [text(&m["group"]), text(&m["from"]), text(&m["to"])]));
        out.push_str(&aligned(&rows));
    }
    out
}

fn events(answer: &Value) -> String {
    let events = list(answer, "events").iter();
    let line = |event: &Value| format!("{}  {}", text(&event["time"]), text(&event["event"]));
    events.map(line).collect::<Vec<_>>().join("\n")
}

fn checksums(answer: &Value) -> String {
    let mut rows = vec![["GROUP", "EQUAL", "REPLICAS"].map(str::to_owned)];
    for group in list(answer, "groups") {
        let replicas = list(group, "replicas").len().to_string();
        rows.push([text(&group["group"]), text(&group["equal"]), replicas]);
    }
    aligned(&rows)
}

/// Columns as wide as their widest cell.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nodes_are_a_table() {
        let answer = json!({
            "nodes": [
                {"id": 1, "peer": "a:8088", "duty": "full", "reachable": true, "drained": false, "leads": 4,
                 "replicas": 8, "replicas_wished": 8, "disk": {"free_bytes": 5_368_709_120_u64}},
                {"id": 12, "peer": "bcd:8088", "duty": "draining", "reachable": false, "leads": 0,
                 "replicas": 1, "replicas_wished": 0, "disk": null},
            ],
            "announced": ["e:8088"],
        });
        let expected = "NODE  PEER      DUTY      STATE        LEADS  REPLICAS  DISK FREE\n\
                        1     a:8088    full      up           4      8/8       5.0 GiB\n\
                        12    bcd:8088  draining  unreachable  0      1/0       -\n\
                        announced, not joined yet: e:8088\n";
        assert_eq!(render(&CtlOrder::Nodes, &answer), expected);
    }

    #[test]
    fn what_moves_is_a_table() {
        let answer = json!({"moves": [{"group": 2, "from": 1, "to": null}], "on_their_way": [3, 4]});
        let expected = "on their way: groups 3,4\nGROUP  FROM  TO\n2      1     -\n";
        assert_eq!(render(&CtlOrder::Moves, &answer), expected);
        assert_eq!(render(&CtlOrder::Moves, &json!({"moves": []})), "nothing to move\n");
    }
}
