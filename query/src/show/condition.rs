//! WHERE of a SHOW statement: a time range, and a predicate on the tags of a measurement's series.
//!
//! SHOW reads no points, so what a clause says about fields lets every series pass.

use super::ShowContext;
use super::sources::compile;
use crate::condition::{Condition, Environment};
use crate::error::QueryError;
use crate::influxql::ast::{BinaryExpr, BinaryOp, DataType, Expr, VarRef};
use model::time::{TIME_MAX, TIME_MIN};
use model::{TagPredicate, TimeRange};
use std::sync::Arc;

/// Stands for the measurement's name in a condition.
pub(crate) const NAME: &str = "_name";
/// Names that 1.x keeps for itself; what is said about them lets every series pass.
const SYSTEM: [&str; 6] = ["_fieldKeys", "_measurements", "_series", "_tagKey", "_tagKeys", "_tags"];

/// A WHERE clause.
#[derive(Debug)]
pub(crate) struct Filter {
    /// The time bounds; `None` if there were none.
    pub(crate) range: Option<TimeRange>,
    residual: Option<Expr>,
}

impl Filter {
    pub(crate) fn of(condition: Option<&Expr>, context: &ShowContext<'_>) -> Result<Self, QueryError> {
        let environment = Environment { now_ns: Some(context.now_ns), ..Environment::default() };
        let Condition { bounds, residual } = Condition::split(condition, &environment)?;
        let range = (bounds.min.is_some() || bounds.max.is_some()).then(|| {
            let end = bounds.max.unwrap_or(TIME_MAX).saturating_add(1);
            TimeRange::new(bounds.min.unwrap_or(TIME_MIN), end)
        });
        Ok(Self { range, residual })
    }

    /// Keeps only the comparisons that `wanted` says yes to, as if the others were not there.
    pub(super) fn retain(&mut self, wanted: &impl Fn(&BinaryExpr) -> bool) {
        self.residual = self.residual.take().and_then(|expr| retained(expr, wanted));
    }

    /// What is left of the clause besides time.
    pub(crate) fn residual(&self) -> Option<&Expr> {
        self.residual.as_ref()
    }

    /// Which series of a measurement pass.
    pub(crate) fn predicate(&self, measurement: &str) -> Result<TagPredicate, QueryError> {
        match &self.residual {
            None => Ok(TagPredicate::All),
            Some(expr) => predicate(expr, measurement),
        }
    }
}

/// Whether a clause compares with time.
pub(crate) fn mentions_time(expr: &Expr) -> bool {
    let is_time = |e: &Expr| matches!(e, Expr::VarRef(name) if name.name.eq_ignore_ascii_case("time"));
    match expr {
        Expr::Binary(binary) if matches!(binary.op, BinaryOp::And | BinaryOp::Or) => {
            mentions_time(&binary.lhs) || mentions_time(&binary.rhs)
        }
        Expr::Binary(binary) => is_time(&binary.lhs) || is_time(&binary.rhs),
        Expr::Paren(inner) => mentions_time(inner),
        _ => false,
    }
}

/// Whether 1.x keeps the name for itself.
pub(crate) fn is_system(name: &str) -> bool {
    name == NAME || SYSTEM.contains(&name)
}

fn retained(expr: Expr, wanted: &impl Fn(&BinaryExpr) -> bool) -> Option<Expr> {
    match expr {
        Expr::Paren(inner) => retained(*inner, wanted).map(|inner| Expr::Paren(Box::new(inner))),
        Expr::Binary(binary) if matches!(binary.op, BinaryOp::And | BinaryOp::Or) => {
            let BinaryExpr { op, lhs, rhs } = *binary;
            match (retained(lhs, wanted), retained(rhs, wanted)) {
                (Some(lhs), Some(rhs)) => Some(Expr::Binary(Box::new(BinaryExpr { op, lhs, rhs }))),
                (one, other) => one.or(other),
            }
        }
        Expr::Binary(binary) if !wanted(&binary) => None,
        other => Some(other),
    }
}

fn predicate(expr: &Expr, measurement: &str) -> Result<TagPredicate, QueryError> {
    match expr {
        Expr::Paren(inner) => predicate(inner, measurement),
        Expr::Boolean(true) => Ok(TagPredicate::All),
        Expr::Boolean(false) => Ok(TagPredicate::Nothing),
        Expr::Binary(binary) => match binary.op {
            BinaryOp::And => {
                let sides = (predicate(&binary.lhs, measurement)?, predicate(&binary.rhs, measurement)?);
                Ok(match sides {
                    (TagPredicate::All, other) | (other, TagPredicate::All) => other,
                    (TagPredicate::Nothing, _) | (_, TagPredicate::Nothing) => TagPredicate::Nothing,
                    (lhs, rhs) => TagPredicate::And(vec![lhs, rhs]),
                })
            }
            BinaryOp::Or => {
                let sides = (predicate(&binary.lhs, measurement)?, predicate(&binary.rhs, measurement)?);
                Ok(match sides {
                    (TagPredicate::All, _) | (_, TagPredicate::All) => TagPredicate::All,
                    (TagPredicate::Nothing, other) | (other, TagPredicate::Nothing) => other,
                    (lhs, rhs) => TagPredicate::Or(vec![lhs, rhs]),
                })
            }
            BinaryOp::Eq | BinaryOp::NotEq | BinaryOp::EqRegex | BinaryOp::NotEqRegex => {
                comparison(binary, measurement)
            }
            _ => Err(QueryError::statement("invalid tag comparison operator")),
        },
        other => Err(QueryError::Statement(format!("invalid condition expression: {other}"))),
    }
}

fn comparison(binary: &BinaryExpr, measurement: &str) -> Result<TagPredicate, QueryError> {
    let Expr::VarRef(tag) = &binary.lhs else { return Ok(TagPredicate::All) };
    if is_field(tag) || SYSTEM.contains(&&*tag.name) {
        return Ok(TagPredicate::All);
    }
    let key: Arc<str> = Arc::from(&*tag.name);
    let predicate = match (binary.op, &binary.rhs) {
        (BinaryOp::Eq, Expr::String(value)) => TagPredicate::Equal(key, Arc::from(&**value)),
        (BinaryOp::NotEq, Expr::String(value)) => TagPredicate::NotEqual(key, Arc::from(&**value)),
        (BinaryOp::EqRegex, Expr::Regex(pattern)) => TagPredicate::Match(key, compile(pattern)?),
        (BinaryOp::NotEqRegex, Expr::Regex(pattern)) => TagPredicate::NotMatch(key, compile(pattern)?),
        (BinaryOp::Eq | BinaryOp::NotEq, Expr::VarRef(other)) if !is_field(other) => {
            return Ok(both_tags(binary.op, key, Arc::from(&*other.name)));
        }
        _ => return Ok(TagPredicate::All),
    };
    if &*tag.name == NAME {
        let passes = predicate.matches(&|_| measurement);
        return Ok(if passes { TagPredicate::All } else { TagPredicate::Nothing });
    }
    Ok(predicate)
}

/// Two tags compared with each other: in SHOW, 1.x looks only at whether series have them.
fn both_tags(op: BinaryOp, lhs: Arc<str>, rhs: Arc<str>) -> TagPredicate {
    let present = |key| TagPredicate::NotEqual(key, Arc::from(""));
    let other = if op == BinaryOp::Eq { present(rhs) } else { TagPredicate::Equal(rhs, Arc::from("")) };
    TagPredicate::And(vec![present(lhs), other])
}

fn is_field(name: &VarRef) -> bool {
    name.data_type.is_some_and(|data_type| data_type != DataType::Tag)
}
