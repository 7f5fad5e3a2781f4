//! Any text against the parser: no panic, what it takes prints to what it takes, and the time it needs is bounded. Runs for a
//! bounded time under plain `cargo test`; `BOLERO_RANDOM_TEST_TIME_MS=600000` drives it longer.

use query::influxql::ast::Statement;
use query::influxql::parse_query;
use std::time::{Duration, Instant};

/// How long each target runs if nobody says otherwise.
const TIME: Duration = Duration::from_millis(600);
/// Far above what any text below takes, far below what it would take if the cost were not linear.
const PATIENCE: Duration = Duration::from_secs(20);

fn check(text: &str) {
    let print =
        |statements: &[Statement]| statements.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let Ok(statements) = parse_query(text) else { return };
    // Its durations are printed in Go's way, as by InfluxDB 1.x, and `5µs` is none of InfluxQL's.
    if statements.iter().any(|statement| matches!(statement, Statement::CreateDatabase(_))) {
        return;
    }
    let printed = print(&statements);
    let again = parse_query(&printed);
    if again.as_ref() == Ok(&statements) {
        return;
    }
    // A sign before an operand is a factor, printed without parentheses as by InfluxDB 1.x: `a / -b` prints as
    // `a / -1 * b`, which is another tree with the same text.
    let text_again = again.as_deref().map(print);
    assert!(
        text.contains(['+', '-']) && text_again.as_ref() == Ok(&printed),
        "{text:?} prints as {printed:?}, and that as {text_again:?}"
    );
}

#[test]
fn fuzz_texts() {
    bolero::check!().with_type::<Vec<u8>>().with_test_time(TIME).for_each(|bytes| {
        check(&String::from_utf8_lossy(bytes));
    });
}

/// Words of the language in any order: they go deeper than bytes.
#[test]
fn fuzz_words() {
    let input = bolero::check!().with_type::<(u8, Vec<u8>)>();
    input.with_test_time(TIME).for_each(|(head, choices)| {
        let head = HEADS[usize::from(*head) % HEADS.len()];
        let words = choices.iter().map(|c| WORDS[usize::from(*c) % WORDS.len()]);
        check(&std::iter::once(head).chain(words).collect::<Vec<_>>().join(" "));
    });
}

const HEADS: [&str; 12] = [
    "",
    "SELECT v FROM m",
    "SELECT v FROM m WHERE",
    "SELECT",
    "SHOW TAG VALUES WITH KEY",
    "SHOW SERIES",
    "DELETE FROM m WHERE",
    "CREATE CONTINUOUS QUERY c ON d BEGIN SELECT mean(v) INTO x FROM m GROUP BY time(1m)",
    "CREATE DATABASE d WITH",
    "CREATE RETENTION POLICY p ON d DURATION",
    "GRANT",
    "EXPLAIN SELECT mean(v) FROM m GROUP BY",
];

#[rustfmt::skip]
const WORDS: [&str; 96] = [
    "SELECT", "FROM", "WHERE", "GROUP", "BY", "time", "(", ")", ",", ";", "*", "/", "+", "-", "%", "^", "&", "|", "=", "!=",
    "<>", "<", "<=", ">", ">=", "=~", "!~", "AND", "OR", "::", "::tag", "::field", "::float", ".", "..", ":", "/x/", "/a\\/b/",
    "'x'", "'2020-01-01'", "\"q\"", "\"a.b\"", "v", "m", "host", "mean", "count(", "distinct", "top(v, 3)", "fill(", "none",
    "previous", "linear", "1", "-1", "1.5", "1e3", "9223372036854775808", "10m", "1w2d", "5u", "now()", "tz('UTC')", "LIMIT",
    "OFFSET", "SLIMIT", "SOFFSET", "ORDER", "DESC", "ASC", "INTO", "AS", "ON", "true", "false", "$p", "SHOW", "MEASUREMENTS",
    "KEY", "IN", "CARDINALITY", "EXACT", "DURATION", "INF", "REPLICATION", "SHARD", "DEFAULT", "NAME", "EVERY", "FOR",
    "RESAMPLE", "END", "--", "/*", "*/", "ALL",
];

#[test]
fn a_text_costs_no_more_than_its_bytes() {
    const BYTES: usize = 1 << 20;
    for part in [
        "(",
        ")",
        "-",
        "+",
        "'",
        "\"",
        "/",
        "\\",
        ",",
        ";",
        ".",
        ":",
        "=~/a/",
        "/*",
        "--",
        "a.",
        "a,",
        "f(",
        "a+",
        "a AND ",
        "1",
        "1s",
        "$",
        "SELECT ",
        "SELECT v FROM m;",
        "FROM (SELECT v ",
        "\n",
        "é",
        "a OR b = 'x' AND ",
        "::",
    ] {
        for head in [
            "",
            "SELECT ",
            "SELECT v FROM ",
            "SELECT v FROM m WHERE ",
            "SELECT v FROM m WHERE a =~ /",
            "SELECT '",
        ] {
            let text = [head, &part.repeat(BYTES / part.len())].concat();
            let begun = Instant::now();
            drop(parse_query(&text));
            assert!(begun.elapsed() < PATIENCE, "{head:?} and many {part:?}");
        }
    }
}
