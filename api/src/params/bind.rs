//! Bind parameters: the JSON object of `params` → values for `$name` in the query.

use super::json::{Json, read};
use query::influxql::{ParamValue, Params};

/// Reads `params`; empty text is no parameters. The error is the whole text for the answer.
pub(crate) fn parse(text: &str) -> Result<Params, String> {
    let mut params = Params::new();
    if text.is_empty() {
        return Ok(params);
    }
    let value = read(text).map_err(|error| format!("error parsing query parameters: {error}"))?;
    let kind = match value {
        Json::Object(object) => {
            for (name, value) in object {
                let value = top_level(value).map_err(|error| format!("error parsing json value: {error}"))?;
                params.insert(name, value);
            }
            return Ok(params);
        }
        Json::Null => return Ok(params),
        Json::Array(_) => "array",
        Json::String(_) => "string",
        Json::Number(_) => "number",
        Json::Boolean(_) => "bool",
    };
    Err(format!(
        "error parsing query parameters: json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
    ))
}

/// A number that is wrong is an error of the request; any other value that cannot be bound is one where it is used.
fn top_level(value: Json) -> Result<ParamValue, String> {
    Ok(match value {
        Json::Number(text) => match number(&text)? {
            Number::Float(value) => ParamValue::float(value),
            Number::Integer(value) => ParamValue::integer(value),
        },
        Json::String(text) => ParamValue::string(text),
        Json::Boolean(value) => ParamValue::boolean(value),
        Json::Null => ParamValue::unbindable("unable to bind parameter with type <nil>"),
        Json::Array(_) => ParamValue::unbindable("unable to bind parameter with type []interface {}"),
        Json::Object(object) => {
            let mut entries = object.into_iter();
            match (entries.next(), entries.next()) {
                (Some((kind, value)), None) => typed(&kind, value).unwrap_or_else(ParamValue::unbindable),
                _ => ParamValue::unbindable("bound object parameter value must have exactly one entry"),
            }
        }
    })
}

/// `{"kind": value}`.
fn typed(kind: &str, value: Json) -> Result<ParamValue, String> {
    let value = match value {
        Json::Number(text) => Typed::Number(number(&text)?),
        Json::String(text) => Typed::Text(text),
        Json::Null | Json::Boolean(_) | Json::Array(_) | Json::Object(_) => Typed::Other,
    };
    match (kind, value) {
        ("ident" | "identifier", Typed::Text(text)) => Ok(ParamValue::identifier(text)),
        ("ident" | "identifier", _) => Err("identifier must be a string value".to_owned()),
        ("regex", Typed::Text(text)) => Ok(ParamValue::regex(text)),
        ("regex", _) => Err("regex literal must be a string value".to_owned()),
        ("string", Typed::Text(text)) => Ok(ParamValue::string(text)),
        ("string", _) => Err("string literal must be a string value".to_owned()),
        ("float" | "number", Typed::Number(Number::Float(value))) => Ok(ParamValue::float(value)),
        ("float" | "number", Typed::Number(Number::Integer(value))) => Ok(ParamValue::float(value as f64)),
        ("float" | "number", _) => Err("number literal must be a float value".to_owned()),
        ("int" | "integer", Typed::Number(Number::Integer(value))) => Ok(ParamValue::integer(value)),
        ("int" | "integer", _) => Err("integer literal must be an integer value".to_owned()),
        ("duration", Typed::Text(text)) => Ok(ParamValue::duration(text)),
        ("duration", Typed::Number(Number::Integer(ns))) => Ok(ParamValue::duration_ns(ns)),
        ("duration", _) => Err("duration literal must be a string or integer value".to_owned()),
        (kind, _) => Err(format!("unknown bind object type: {kind}")),
    }
}

enum Typed {
    Text(String),
    Number(Number),
    Other,
}

enum Number {
    Float(f64),
    Integer(i64),
}

/// A number with a point is a float, any other an integer, so that `1e3` is refused. The error is Go's.
fn number(text: &str) -> Result<Number, String> {
    if text.contains('.') {
        let value = text.parse::<f64>().ok().filter(|value| value.is_finite());
        let value =
            value.ok_or_else(|| format!("strconv.ParseFloat: parsing \"{text}\": value out of range"));
        return value.map(Number::Float);
    }
    text.parse::<i64>().map(Number::Integer).map_err(|_| {
        let digits = text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit());
        let reason = if digits { "value out of range" } else { "invalid syntax" };
        format!("strconv.ParseInt: parsing \"{text}\": {reason}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use query::influxql::parse_query_with;

    /// The statement's canonical text, or the error.
    fn bound(query: &str, params: &str) -> String {
        match parse(params).map(|params| parse_query_with(query, &params)) {
            Ok(Ok(statements)) => statements[0].to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error,
        }
    }

    #[test]
    fn values_stand_in_the_statement() {
        for (params, value) in [
            ("{\"h\":\"it's\"}", "'it\\'s'"),
            ("{\"h\":1.5}", "1.500"),
            ("{\"h\":{\"string\":\"a\"}}", "'a'"),
            ("{\"h\":7}", "7"),
            ("{\"h\":{\"int\":7}}", "7"),
            ("{\"h\":true}", "true"),
            ("{\"h\":{\"identifier\":\"a b\"}}", "\"a b\""),
            ("{\"h\":{\"duration\":\"5m\"}}", "5m"),
            ("{\"h\":{\"duration\":300000000000}}", "5m"),
        ] {
            assert_eq!(
                bound("SELECT v FROM c WHERE v = $h", params),
                format!("SELECT v FROM c WHERE v = {value}")
            );
        }
        assert_eq!(
            bound("SELECT v FROM c WHERE v =~ $h", "{\"h\":{\"regex\":\"a|b\"}}"),
            "SELECT v FROM c WHERE v =~ /a|b/"
        );
    }

    #[test]
    fn errors_are_those_of_1x() {
        for (params, error) in [
            (
                "{h}",
                "error parsing query parameters: invalid character 'h' looking for beginning of object key string",
            ),
            (
                "[1]",
                "error parsing query parameters: json: cannot unmarshal array into Go value of type map[string]interface {}",
            ),
            ("{\"h\":1e3}", "error parsing json value: strconv.ParseInt: parsing \"1e3\": invalid syntax"),
            (
                "{\"h\":99999999999999999999}",
                "error parsing json value: strconv.ParseInt: parsing \"99999999999999999999\": value out of range",
            ),
            (
                "{\"h\":1.5e400}",
                "error parsing json value: strconv.ParseFloat: parsing \"1.5e400\": value out of range",
            ),
            ("null", "missing parameter: h"),
            ("{}", "missing parameter: h"),
            ("{\"h\":null}", "missing parameter: unable to bind parameter with type <nil>"),
            ("{\"h\":[1]}", "missing parameter: unable to bind parameter with type []interface {}"),
            ("{\"h\":{}}", "missing parameter: bound object parameter value must have exactly one entry"),
            ("{\"h\":{\"foo\":1}}", "missing parameter: unknown bind object type: foo"),
            ("{\"h\":{\"int\":1.5}}", "missing parameter: integer literal must be an integer value"),
            (
                "{\"h\":{\"duration\":1.5}}",
                "missing parameter: duration literal must be a string or integer value",
            ),
            ("{\"h\":{\"duration\":\"x\"}}", "invalid duration"),
        ] {
            assert_eq!(bound("SELECT v FROM c WHERE v = $h", params), error, "{params}");
        }
    }
}
