//! Bind parameters: values for `$name` in a query text.

use super::duration;
use super::token::Token;
use std::collections::HashMap;

/// Values for the bind parameters of a query, by name (without `$`).
#[derive(Debug, Clone, Default)]
pub struct Params {
    values: HashMap<String, ParamValue>,
}

impl Params {
    /// No parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value; an earlier one of this name is lost.
    pub fn insert(&mut self, name: impl Into<String>, value: ParamValue) {
        self.values.insert(name.into(), value);
    }

    pub(super) fn get(&self, name: &str) -> Option<&ParamValue> {
        self.values.get(name)
    }
}

/// What stands in the place of a bind parameter: a token, so that a value can never become syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamValue {
    pub(super) token: Token,
    pub(super) text: String,
}

impl ParamValue {
    /// `'text'`
    pub fn string(text: impl Into<String>) -> Self {
        Self { token: Token::String, text: text.into() }
    }

    /// A number with a point.
    pub fn float(value: f64) -> Self {
        Self { token: Token::Number, text: value.to_string() }
    }

    /// A whole number.
    pub fn integer(value: i64) -> Self {
        Self { token: Token::Integer, text: value.to_string() }
    }

    /// `true` or `false`
    pub fn boolean(value: bool) -> Self {
        Self { token: if value { Token::True } else { Token::False }, text: String::new() }
    }

    /// The name of a field, tag, measurement, …
    pub fn identifier(name: impl Into<String>) -> Self {
        Self { token: Token::Ident, text: name.into() }
    }

    /// A regular expression, without slashes.
    pub fn regex(pattern: impl Into<String>) -> Self {
        Self { token: Token::Regex, text: pattern.into() }
    }

    /// A duration as InfluxQL writes it (`5m`); an error where it is used if it is none.
    pub fn duration(text: impl Into<String>) -> Self {
        Self { token: Token::Duration, text: text.into() }
    }

    /// A duration in ns.
    pub fn duration_ns(ns: i64) -> Self {
        Self::duration(duration::format(ns))
    }

    /// A value that cannot be bound: an error `missing parameter: reason` where it is used.
    pub fn unbindable(reason: impl Into<String>) -> Self {
        Self { token: Token::BoundParam, text: reason.into() }
    }
}
