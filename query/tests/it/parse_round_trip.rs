//! Printing a tree and parsing it gives the same tree; no text makes the parser panic or overflow the stack.

mod expressions;
mod statements;

use proptest::prelude::*;
use query::influxql::{EXPRESSION_HEIGHT_MAX, NESTING_MAX, parse_expr, parse_query, parse_statement};

proptest! {
    #[test]
    fn expressions_survive_printing(expr in expressions::condition()) {
        let text = expr.to_string();
        prop_assert_eq!(parse_expr(&text), Ok(expr), "{}", text);
    }

    #[test]
    fn statements_survive_printing(statement in statements::any()) {
        let text = statement.to_string();
        prop_assert_eq!(parse_statement(&text), Ok(statement), "{}", text);
    }

    #[test]
    fn several_statements_survive_printing(statements in prop::collection::vec(statements::any(), 0..4)) {
        let text = statements.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        prop_assert_eq!(parse_query(&text), Ok(statements), "{}", text);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _outcome = parse_query(&text);
    }

    #[test]
    fn no_damaged_statement_makes_the_parser_panic(
        statement in statements::any(),
        cut in any::<prop::sample::Index>(),
        junk in r#"[-+*/'"$().,;:=~!<> \\\n\r0-9a-z]{0,4}"#,
    ) {
        let mut chars: Vec<char> = statement.to_string().chars().collect();
        let at = cut.index(chars.len() + 1);
        let tail = chars.split_off(at);
        let text: String = chars.into_iter().chain(junk.chars()).chain(tail.into_iter().skip(1)).collect();
        let _outcome = parse_query(&text);
    }
}

/// Runs in a thread with as little stack as those that serve queries.
fn with_small_stack(run: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(run).expect("a thread");
    thread.join().expect("no panic");
}

#[test]
fn nesting_is_bounded() {
    with_small_stack(|| {
        let nested = |open: &str, close: &str, depth: usize| {
            format!("SELECT {}v{} FROM m", open.repeat(depth), close.repeat(depth))
        };
        for (open, close) in [("(", ")"), ("f(", ")"), ("-(", ")")] {
            let deepest = parse_query(&nested(open, close, NESTING_MAX)).unwrap();
            assert_eq!(deepest[0].to_string(), deepest[0].clone().to_string());
            let error = parse_query(&nested(open, close, NESTING_MAX + 1)).unwrap_err();
            assert!(error.to_string().starts_with("nested too deeply"), "{error}");
            parse_query(&nested(open, close, 100_000)).unwrap_err();
        }
        let subqueries = |depth: usize| format!("{}m{}", "SELECT v FROM (".repeat(depth), ")".repeat(depth));
        parse_query(&subqueries(100_000)).unwrap_err();
    });
}

#[test]
fn expression_height_is_bounded() {
    with_small_stack(|| {
        let chain =
            |operators: usize| format!("SELECT v FROM m WHERE a = 1{}", " OR a = 1".repeat(operators));
        let highest = parse_query(&chain(EXPRESSION_HEIGHT_MAX / 2 - 1)).unwrap();
        assert_eq!(parse_query(&highest[0].to_string()).unwrap(), highest);
        let error = parse_query(&chain(100_000)).unwrap_err();
        assert!(error.to_string().starts_with("expression too large"), "{error}");
    });
}
