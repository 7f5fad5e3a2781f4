//! Comparisons with `time`.

use super::literal::{looks_like_time, parse_time_literal};
use super::reduce::{Environment, reduce};
use crate::error::QueryError;
use crate::influxql::ast::{BinaryOp, Expr};
use model::TimeRange;
use model::time::{TIME_MAX, TIME_MIN};

/// The bounds that a WHERE clause puts on time, both inclusive. `None` is unbounded, which is not the same as the
/// least or greatest time: windows and the time of aggregate rows depend on whether a bound was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeBounds {
    /// Least time.
    pub min: Option<i64>,
    /// Greatest time.
    pub max: Option<i64>,
}

impl TimeBounds {
    /// What both have in common.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self {
            min: self.min.into_iter().chain(other.min).max(),
            max: self.max.into_iter().chain(other.max).min(),
        }
    }

    /// The half-open range of the times inside; may be empty.
    pub fn range(&self) -> TimeRange {
        let start = self.min.unwrap_or(TIME_MIN).max(TIME_MIN);
        let end = self.max.unwrap_or(TIME_MAX).min(TIME_MAX);
        TimeRange::new(start, end.saturating_add(1))
    }
}

/// The bounds of `time op expr`.
pub(super) fn bounds_of(
    op: BinaryOp,
    expr: &Expr,
    environment: &Environment,
) -> Result<TimeBounds, QueryError> {
    let literal = match expr {
        Expr::String(text) if looks_like_time(text) => Expr::Time(
            parse_time_literal(text, environment.zone())
                .ok_or_else(|| QueryError::statement("invalid timestamp string"))?,
        ),
        other => other.clone(),
    };
    let value = match reduce(&literal, environment) {
        Expr::Time(t) | Expr::Duration(t) | Expr::Integer(t) => t,
        Expr::Number(n) => n as i64,
        other => {
            let other = if let Expr::Paren(inner) = other { *inner } else { other };
            return Err(QueryError::Statement(format!(
                "invalid operation: time and {} are not compatible",
                type_name(&other)
            )));
        }
    };
    let bounds = |min, max| Ok(TimeBounds { min, max });
    match op {
        BinaryOp::Gt => bounds(Some(value.saturating_add(1)), None),
        BinaryOp::GtEq => bounds(Some(value), None),
        BinaryOp::Lt => bounds(None, Some(value.saturating_sub(1))),
        BinaryOp::LtEq => bounds(None, Some(value)),
        BinaryOp::Eq => bounds(Some(value), Some(value)),
        BinaryOp::NotEq
        | BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::Mod
        | BinaryOp::BitAnd
        | BinaryOp::BitOr
        | BinaryOp::BitXor
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::EqRegex
        | BinaryOp::NotEqRegex => {
            Err(QueryError::Statement(format!("invalid time comparison operator: {op}")))
        }
    }
}

/// The name that InfluxDB's error texts have for a kind of expression.
pub(crate) fn type_name(expr: &Expr) -> &'static str {
    match expr {
        Expr::VarRef(_) => "*influxql.VarRef",
        Expr::Call(_) => "*influxql.Call",
        Expr::Binary(_) => "*influxql.BinaryExpr",
        Expr::Paren(_) => "*influxql.ParenExpr",
        Expr::Wildcard(_) => "*influxql.Wildcard",
        Expr::Regex(_) => "*influxql.RegexLiteral",
        Expr::Distinct(_) => "*influxql.Distinct",
        Expr::Integer(_) => "*influxql.IntegerLiteral",
        Expr::Unsigned(_) => "*influxql.UnsignedLiteral",
        Expr::Number(_) => "*influxql.NumberLiteral",
        Expr::String(_) => "*influxql.StringLiteral",
        Expr::Boolean(_) => "*influxql.BooleanLiteral",
        Expr::Duration(_) => "*influxql.DurationLiteral",
        Expr::Time(_) => "*influxql.TimeLiteral",
        Expr::List(_) => "*influxql.ListLiteral",
        Expr::BoundParameter(_) => "*influxql.BoundParameter",
    }
}
