//! The tree that EXPLAIN ANALYZE prints.

use super::{Cursor, Step, TYPES, Timing};
use std::time::Duration;

/// A line and what hangs from it.
struct Node {
    text: String,
    children: Vec<Node>,
}

impl Node {
    fn leaf(text: String) -> Self {
        Self { text, children: Vec::new() }
    }

    fn new(text: &str, children: Vec<Self>) -> Self {
        Self { text: text.to_owned(), children }
    }

    /// Adds the lines of the children; `indent` stands before each.
    fn print(&self, indent: &str, lines: &mut Vec<String>) {
        for (i, child) in self.children.iter().enumerate() {
            let is_last = i + 1 == self.children.len();
            let (branch, below) = if is_last { ("└── ", "    ") } else { ("├── ", "│   ") };
            lines.push(format!("{indent}{branch}{}", child.text));
            child.print(&format!("{indent}{below}"), lines);
        }
    }
}

/// The lines, with an empty one at the end as in 1.x.
pub(super) fn lines(cursor: &Cursor, timing: Timing) -> Vec<String> {
    let select = Node::new(
        "select",
        vec![
            Node::leaf(format!("execution_time: {}", duration(timing.execution))),
            Node::leaf(format!("planning_time: {}", duration(timing.planning))),
            Node::leaf(format!("total_time: {}", duration(timing.planning + timing.execution))),
            build_cursor(cursor),
        ],
    );
    let mut lines = vec![".".to_owned()];
    Node::new("", vec![select]).print("", &mut lines);
    lines.push(String::new());
    lines
}

fn build_cursor(cursor: &Cursor) -> Node {
    let statement = Node::leaf(format!("statement: {}", cursor.statement));
    let mut children = vec![Node::new("labels", vec![statement])];
    for step in &cursor.steps {
        let mut labels = Vec::new();
        if let Some(expression) = &step.expression {
            labels.push(Node::leaf(format!("expr: {expression}")));
        }
        if !step.columns.is_empty() {
            labels.push(Node::leaf(format!("auxiliary_fields: {}", step.columns.join(", "))));
        }
        let scanner = vec![Node::new("labels", labels), create_iterator(step)];
        children.push(Node::new("iterator_scanner", scanner));
    }
    for inner in &cursor.inner {
        children.push(Node::new("iterator_scanner", vec![build_cursor(inner)]));
    }
    Node::new("build_cursor", children)
}

fn create_iterator(step: &Step) -> Node {
    let labels = vec![
        Node::leaf(format!("measurement: {}", step.measurement)),
        Node::leaf(format!("shards: {}", step.shards)),
    ];
    let led = usize::from(step.expression.is_some());
    let mut children = vec![
        Node::new("labels", labels),
        Node::leaf(format!("cursors_ref: {}", step.series * led)),
        Node::leaf(format!("cursors_aux: {}", step.series * step.columns.len())),
        Node::leaf(format!("cursors_cond: {}", step.series * step.conditions)),
        Node::leaf(format!("cached_values: {}", step.cost.cached)),
    ];
    for field_type in TYPES {
        let name = field_type.name();
        let (blocks, bytes) = step.blocks.get(name).copied().unwrap_or_default();
        children.push(Node::leaf(format!("{name}_blocks_decoded: {blocks}")));
        children.push(Node::leaf(format!("{name}_blocks_size_bytes: {bytes}")));
    }
    Node::new("create_iterator", children)
}

/// As Go prints it.
fn duration(duration: Duration) -> String {
    let decimals = |value: f64| {
        let text = format!("{value:.6}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let ns = duration.as_nanos() as f64;
    match duration.as_nanos() {
        0..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => format!("{}µs", decimals(ns / 1e3)),
        1_000_000..1_000_000_000 => format!("{}ms", decimals(ns / 1e6)),
        _ => format!("{}s", decimals(ns / 1e9)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_drawn() {
        let tree =
            Node::new("", vec![Node::new("a", vec![Node::leaf("b".to_owned())]), Node::leaf("c".to_owned())]);
        let mut lines = Vec::new();
        tree.print("", &mut lines);
        assert_eq!(lines, ["├── a", "│   └── b", "└── c"]);
        assert_eq!(duration(Duration::from_nanos(58_417)), "58.417µs");
        assert_eq!(duration(Duration::from_millis(1_500)), "1.5s");
    }
}
