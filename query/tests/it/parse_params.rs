//! Bind parameters: values take the place of tokens and never become syntax.

use query::influxql::{ParamValue, Params, parse_query_with};

#[track_caller]
fn check(text: &str, value: ParamValue, expected: &str) {
    let mut params = Params::new();
    params.insert("p", value);
    let found = match parse_query_with(text, &params) {
        Ok(statements) => statements[0].to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected);
}

#[test]
fn literals() {
    const TEXT: &str = "SELECT v FROM m WHERE a = $p";
    check(TEXT, ParamValue::string("x' OR 'a"), r"SELECT v FROM m WHERE a = 'x\' OR \'a'");
    check(TEXT, ParamValue::float(1.5), "SELECT v FROM m WHERE a = 1.500");
    check(TEXT, ParamValue::integer(-7), "SELECT v FROM m WHERE a = -7");
    check(TEXT, ParamValue::boolean(true), "SELECT v FROM m WHERE a = true");
    check(TEXT, ParamValue::identifier("b c"), r#"SELECT v FROM m WHERE a = "b c""#);
    check(TEXT, ParamValue::duration("1h30m"), "SELECT v FROM m WHERE a = 90m");
    check(TEXT, ParamValue::duration_ns(5_000), "SELECT v FROM m WHERE a = 5u");
    check(TEXT, ParamValue::duration("x"), "invalid duration");
}

#[test]
fn names_limits_and_patterns() {
    check("SELECT v FROM $p", ParamValue::identifier("m;n"), r#"SELECT v FROM "m;n""#);
    check("SELECT v FROM $p", ParamValue::regex("a/b"), r"SELECT v FROM /a\/b/");
    check("SELECT v FROM m WHERE a =~ $p", ParamValue::regex("a|b"), "SELECT v FROM m WHERE a =~ /a|b/");
    check("SELECT v FROM m LIMIT $p", ParamValue::integer(3), "SELECT v FROM m LIMIT 3");
    check("SELECT v FROM m LIMIT $p", ParamValue::integer(-3), "LIMIT must be >= 0 at line 1, char 23");
    check(
        "SELECT v FROM m WHERE a =~ $p",
        ParamValue::string("a"),
        "found a, expected regex at line 1, char 28",
    );
}

#[test]
fn names_of_parameters_may_be_quoted() {
    let mut params = Params::new();
    params.insert("my value", ParamValue::integer(1));
    let statements = parse_query_with("SELECT v FROM m WHERE a = $\"my value\"", &params).unwrap();
    assert_eq!(statements[0].to_string(), "SELECT v FROM m WHERE a = 1");
}

#[test]
fn missing_and_unbindable() {
    check("SELECT v FROM m WHERE a = $q", ParamValue::integer(1), "missing parameter: q");
    check("SELECT v FROM m WHERE a = $$", ParamValue::integer(1), "empty bound parameter");
    check("SELECT v FROM $q", ParamValue::integer(1), "found $q, expected identifier at line 1, char 15");
    let nil = ParamValue::unbindable("unable to bind parameter with type <nil>");
    check("SELECT v FROM m WHERE a = $p", nil, "missing parameter: unable to bind parameter with type <nil>");
}
