//! Matchers → InfluxQL. A label is a tag and never a field, even where one has its name; a label that is missing is an
//! empty one, in both languages.

use super::messages::Query;
use ::regex::Regex;
use model::time::{TIME_MAX, TIME_MIN};
use query::influxql::ast::{
    BinaryExpr, BinaryOp, DataType, Expr, Fill, MeasurementName, SelectField, SelectStatement,
    ShowMeasurements, Source, Statement, VarRef, WildcardKind,
};
use query::influxql::regex;
use query::result::{Cell, StatementResult};

/// ns in the unit of Prometheus' times.
const MILLISECOND_NS: i64 = 1_000_000;

/// Matchers of a query; a selector has a handful, and a condition is as deep as it has matchers.
const MATCHERS_MAX: usize = 100;

/// What a remote read asks.
#[derive(Debug)]
pub(super) struct Question {
    start_ns: i64,
    /// Included.
    end_ns: i64,
    /// On `__name__`, so on the measurement.
    names: Vec<NameMatcher>,
    /// On the other labels.
    tags: Option<Expr>,
}

/// A matcher on the measurement.
#[derive(Debug)]
enum NameMatcher {
    Equal(String),
    NotEqual(String),
    Regex(Regex),
    NotRegex(Regex),
}

impl Question {
    /// Reads a query; the error is a text for the client.
    pub(super) fn new(query: Query) -> Result<Self, String> {
        if query.matchers.is_empty() {
            return Err("expected matcher".to_owned());
        }
        if query.matchers.len() > MATCHERS_MAX {
            return Err(format!("{} matchers, at most {MATCHERS_MAX} are read", query.matchers.len()));
        }
        let time = |ms: i64| ms.saturating_mul(MILLISECOND_NS).clamp(TIME_MIN, TIME_MAX);
        let mut names = Vec::new();
        let mut tags: Option<Expr> = None;
        for matcher in query.matchers {
            let op = match matcher.kind {
                0 => BinaryOp::Eq,
                1 => BinaryOp::NotEq,
                2 => BinaryOp::EqRegex,
                3 => BinaryOp::NotEqRegex,
                kind => return Err(format!("unknown match type {kind}")),
            };
            let is_regex = matches!(op, BinaryOp::EqRegex | BinaryOp::NotEqRegex);
            let pattern = if is_regex { anchored(&matcher.value) } else { String::new() };
            let compiled = is_regex.then(|| regex::compile(&pattern)).transpose();
            let compiled = compiled.map_err(|error| error.to_string())?;
            if matcher.name == "__name__" {
                names.push(match (op, compiled) {
                    (BinaryOp::EqRegex, Some(regex)) => NameMatcher::Regex(regex),
                    (_, Some(regex)) => NameMatcher::NotRegex(regex),
                    (BinaryOp::Eq, None) => NameMatcher::Equal(matcher.value),
                    (_, None) => NameMatcher::NotEqual(matcher.value),
                });
                continue;
            }
            let lhs = reference(matcher.name, DataType::Tag);
            let rhs = if is_regex { Expr::Regex(pattern) } else { Expr::String(matcher.value) };
            tags = Some(both(tags, binary(op, lhs, rhs)));
        }
        let (start_ns, end_ns) = (time(query.start_timestamp_ms), time(query.end_timestamp_ms));
        Ok(Self { start_ns, end_ns, names, tags })
    }

    /// The measurement, if only one can fit.
    pub(super) fn name(&self) -> Option<&str> {
        self.names.iter().find_map(|matcher| match matcher {
            NameMatcher::Equal(name) => Some(name.as_str()),
            NameMatcher::NotEqual(_) | NameMatcher::Regex(_) | NameMatcher::NotRegex(_) => None,
        })
    }

    /// Whether a measurement fits.
    pub(super) fn wants(&self, name: &str) -> bool {
        !name.is_empty()
            && self.names.iter().all(|matcher| match matcher {
                NameMatcher::Equal(wanted) => name == wanted,
                NameMatcher::NotEqual(unwanted) => name != unwanted,
                NameMatcher::Regex(regex) => regex.is_match(name),
                NameMatcher::NotRegex(regex) => !regex.is_match(name),
            })
    }

    /// Reads these measurements; `None` if no time lies between start and end.
    pub(super) fn select(self, measurements: Vec<String>) -> Option<Statement> {
        if self.end_ns < self.start_ns {
            return None;
        }
        let time = || Expr::VarRef(VarRef { name: "time".to_owned(), data_type: None });
        let from = binary(BinaryOp::GtEq, time(), Expr::Integer(self.start_ns));
        let to = binary(BinaryOp::LtEq, time(), Expr::Integer(self.end_ns));
        let source = |name| Source::Measurement(MeasurementName { name, ..MeasurementName::default() });
        Some(Statement::Select(Box::new(SelectStatement {
            fields: vec![SelectField {
                expr: reference("value".to_owned(), DataType::AnyField),
                alias: None,
            }],
            target: None,
            sources: measurements.into_iter().map(source).collect(),
            condition: Some(both(self.tags, both(Some(from), to))),
            dimensions: vec![Expr::Wildcard(WildcardKind::All)],
            fill: Fill::Null,
            order: Vec::new(),
            limit: 0,
            offset: 0,
            slimit: 0,
            soffset: 0,
            time_zone: None,
        })))
    }
}

/// All measurements of the database of the request.
pub(super) fn show_measurements() -> Statement {
    Statement::ShowMeasurements(ShowMeasurements::default())
}

/// The names in the answer to [`show_measurements`].
pub(super) fn names(result: &StatementResult) -> Vec<String> {
    let cells = result.series.iter().flat_map(|series| &series.cells);
    let names =
        cells.filter_map(|cell| if let Cell::String(name) = cell { Some((**name).into()) } else { None });
    names.collect()
}

/// As Prometheus means a pattern: it fits the whole label.
fn anchored(pattern: &str) -> String {
    format!("^(?:{pattern})$")
}

fn reference(name: String, data_type: DataType) -> Expr {
    Expr::VarRef(VarRef { name, data_type: Some(data_type) })
}

fn binary(op: BinaryOp, lhs: Expr, rhs: Expr) -> Expr {
    Expr::Binary(Box::new(BinaryExpr { op, lhs, rhs }))
}

fn both(condition: Option<Expr>, more: Expr) -> Expr {
    match condition {
        None => more,
        Some(condition) => binary(BinaryOp::And, condition, more),
    }
}

#[cfg(test)]
mod tests {
    use super::super::messages::LabelMatcher;
    use super::*;

    fn asked(matchers: &[(i32, &str, &str)], names: &[&str]) -> Result<Option<String>, String> {
        let matcher = |&(kind, name, value): &(i32, &str, &str)| LabelMatcher {
            kind,
            name: name.into(),
            value: value.into(),
        };
        let matchers = matchers.iter().map(matcher).collect();
        let question = Question::new(Query { start_timestamp_ms: 1, end_timestamp_ms: 2, matchers })?;
        let names: Vec<String> =
            names.iter().filter(|name| question.wants(name)).map(|name| (*name).to_owned()).collect();
        Ok(question.select(names).map(|statement| statement.to_string()))
    }

    #[test]
    fn matchers_become_conditions_on_tags() {
        let query =
            [(0, "__name__", "up"), (0, "value", "a'b"), (1, "x", ""), (2, "y", "a|b"), (3, "z", ".*")];
        assert_eq!(
            asked(&query, &["up", "down"]),
            Ok(Some(
                "SELECT value::field FROM up WHERE value::tag = 'a\\'b' AND x::tag != '' AND y::tag =~ /^(?:a|b)$/ AND \
                 z::tag !~ /^(?:.*)$/ AND time >= 1000000 AND time <= 2000000 GROUP BY *"
                    .to_owned()
            ))
        );
        let names = ["go_gc", "go_x", "up", "gone"];
        assert_eq!(
            asked(&[(2, "__name__", "go_.*|up"), (1, "__name__", "go_x")], &names),
            Ok(Some(
                "SELECT value::field FROM go_gc, up WHERE time >= 1000000 AND time <= 2000000 GROUP BY *"
                    .to_owned()
            ))
        );
    }

    #[test]
    fn wrong_queries_are_refused() {
        assert_eq!(asked(&[], &[]), Err("expected matcher".to_owned()));
        assert_eq!(asked(&[(4, "a", "")], &[]), Err("unknown match type 4".to_owned()));
        assert!(asked(&[(0, "a", ""); MATCHERS_MAX], &["m"]).is_ok());
        assert!(asked(&[(0, "a", ""); MATCHERS_MAX + 1], &[]).is_err());
        assert!(asked(&[(2, "a", "(")], &[]).is_err_and(|text| text.starts_with("error parsing regexp")));
        let query =
            Query { start_timestamp_ms: 2, end_timestamp_ms: 1, matchers: vec![LabelMatcher::default()] };
        assert!(Question::new(query).unwrap().select(vec!["m".to_owned()]).is_none());
    }
}
