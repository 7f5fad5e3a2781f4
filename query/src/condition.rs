//! WHERE: what of it bounds time, what the index can answer, and what is left for each series and each row.
//!
//! [`Condition::split`] takes the time bounds out of the tree (all of them are intersected, also those under OR, as
//! InfluxDB 1.x does) and folds constants. [`RowCondition::compile`] then decides leaf by leaf whether a comparison is
//! about tags (decided once a series) or about fields (decided once a row). SELECT, SHOW and DELETE use it; it knows
//! nothing of them.

mod literal;
mod reduce;
mod rows;
mod time;

pub use literal::{parse_time_literal, zone};
pub(crate) use reduce::scalar;
pub use reduce::{Environment, reduce};
pub(crate) use rows::compile_regex;
pub use rows::{FieldKind, RowCondition, RowExpr, SeriesFilter};
pub use time::TimeBounds;
pub(crate) use time::type_name;

use crate::error::QueryError;
use crate::influxql::ast::{BinaryExpr, BinaryOp, Expr};

/// A WHERE clause with its time bounds taken out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Condition {
    /// Intersection of all time comparisons.
    pub bounds: TimeBounds,
    /// What is left; `None` when everything passes.
    pub residual: Option<Expr>,
}

impl Condition {
    /// Splits a WHERE clause. `environment` gives `now()` and the zone of time strings.
    ///
    /// # Errors
    ///
    /// [`QueryError::Statement`] with InfluxDB 1.x's text for time comparisons that make no sense.
    pub fn split(condition: Option<&Expr>, environment: &Environment) -> Result<Self, QueryError> {
        let Some(condition) = condition else { return Ok(Self::default()) };
        let (residual, bounds) = split_expr(condition, environment)?;
        let residual = match residual {
            Some(Expr::Paren(inner)) => Some(*inner),
            other => other,
        };
        let residual = residual.filter(|e| !matches!(e, Expr::Boolean(true)));
        Ok(Self { bounds, residual })
    }
}

/// The tree without time comparisons, and their intersection.
fn split_expr(expr: &Expr, environment: &Environment) -> Result<(Option<Expr>, TimeBounds), QueryError> {
    match expr {
        Expr::Binary(binary) if matches!(binary.op, BinaryOp::And | BinaryOp::Or) => {
            let (lhs, left) = split_expr(&binary.lhs, environment)?;
            let (rhs, right) = split_expr(&binary.rhs, environment)?;
            let bounds = left.intersect(&right);
            let residual = match (lhs, rhs) {
                (lhs, None) => lhs,
                (None, rhs) => rhs,
                (Some(lhs), Some(rhs)) => {
                    let joined = Expr::Binary(Box::new(BinaryExpr { op: binary.op, lhs, rhs }));
                    Some(reduce(&joined, &Environment::default().keeping_functions()))
                }
            };
            Ok((residual, bounds))
        }
        Expr::Binary(binary) => {
            if is_time(&binary.lhs) {
                return Ok((None, time::bounds_of(binary.op, &binary.rhs, environment)?));
            }
            if is_time(&binary.rhs) {
                return Ok((None, time::bounds_of(mirrored(binary.op), &binary.lhs, environment)?));
            }
            Ok((Some(reduce(expr, &environment.clone().keeping_functions())), TimeBounds::default()))
        }
        Expr::Paren(inner) => {
            let (residual, bounds) = split_expr(inner, environment)?;
            let kept = Environment::default().keeping_functions();
            let residual = residual.map(|e| reduce(&Expr::Paren(Box::new(e)), &kept));
            Ok((residual, bounds))
        }
        Expr::Boolean(_) => Ok((Some(expr.clone()), TimeBounds::default())),
        Expr::VarRef(_)
        | Expr::Call(_)
        | Expr::Wildcard(_)
        | Expr::Regex(_)
        | Expr::Distinct(_)
        | Expr::Integer(_)
        | Expr::Unsigned(_)
        | Expr::Number(_)
        | Expr::String(_)
        | Expr::Duration(_)
        | Expr::Time(_)
        | Expr::List(_)
        | Expr::BoundParameter(_) => {
            Err(QueryError::Statement(format!("invalid condition expression: {expr}")))
        }
    }
}

fn is_time(expr: &Expr) -> bool {
    matches!(expr, Expr::VarRef(reference) if reference.name.eq_ignore_ascii_case("time"))
}

/// The operator for swapped sides.
fn mirrored(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Gt => BinaryOp::Lt,
        BinaryOp::Lt => BinaryOp::Gt,
        BinaryOp::GtEq => BinaryOp::LtEq,
        BinaryOp::LtEq => BinaryOp::GtEq,
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::Mod
        | BinaryOp::BitAnd
        | BinaryOp::BitOr
        | BinaryOp::BitXor
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Eq
        | BinaryOp::NotEq
        | BinaryOp::EqRegex
        | BinaryOp::NotEqRegex => op,
    }
}
