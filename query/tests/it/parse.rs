//! The parser against inputs with the canonical text or the error text that InfluxDB 1.x gives for them.

use query::influxql::{ParseError, parse_expr, parse_query};
use serde_json::Value;

/// One case a line: `kind` is query or expr, `input` gives either `text` or `error`.
const CASES: &str = include_str!("testdata/parse.jsonl");

fn canonical(kind: &str, input: &str) -> Result<String, ParseError> {
    if kind == "expr" {
        return parse_expr(input).map(|expr| expr.to_string());
    }
    let statements = parse_query(input)?;
    Ok(statements.iter().map(ToString::to_string).collect::<Vec<_>>().join(";\n"))
}

#[test]
fn texts_and_errors_are_those_of_influxdb() {
    let mut cases = 0;
    let mut failures = Vec::new();
    for line in CASES.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| case[name].as_str();
        let input = field("input").unwrap();
        let expected = field("text").ok_or_else(|| field("error").unwrap_or_default());
        let found = canonical(field("kind").unwrap(), input).map_err(|error| error.to_string());
        cases += 1;
        if found.as_deref().map_err(|e| &**e) != expected {
            failures.push(format!("{input}\n  expected {expected:?}\n  found    {found:?}"));
        }
    }
    assert!(failures.is_empty(), "{} of {cases} fail:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(cases, 452);
}
