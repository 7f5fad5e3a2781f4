//! WHERE of a SHOW statement: a time range, and what is said about measurements, tag keys and series.
//!
//! InfluxDB 1.x reads one clause up to three times here: for the names of measurements (comparisons with `_name`), for
//! tag keys (`_tagKey`), and for series. Each reading knows which comparisons are not its own and drops them; what is
//! said about fields lets every series of a measurement pass that has the field, because SHOW reads no points.

use super::ShowContext;
use super::sources::compile;
use crate::condition::{Condition, Environment};
use crate::error::QueryError;
use crate::influxql::ast::{BinaryExpr, BinaryOp, DataType, Expr, VarRef};
use model::catalog::Database;
use model::time::{TIME_MAX, TIME_MIN};
use model::{TagPredicate, TimeRange};
use std::sync::Arc;

/// Stands for the measurement's name in a condition.
pub(crate) const NAME: &str = "_name";
/// Names that 1.x keeps for itself besides [`NAME`].
const SYSTEM: [&str; 6] = ["_fieldKeys", "_measurements", "_series", "_tagKey", "_tagKeys", "_tags"];

/// A WHERE clause.
#[derive(Debug)]
pub(crate) struct Filter {
    /// The time bounds; `None` if there were none.
    pub(crate) range: Option<TimeRange>,
    residual: Option<Expr>,
}

/// A measurement that a clause is applied to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) measurement: &'a str,
    /// Where its fields are looked up; without it no name is a field.
    pub(crate) database: Option<&'a Database>,
}

impl Subject<'_> {
    fn is_field(&self, name: &VarRef) -> bool {
        match name.data_type {
            Some(data_type) => data_type != DataType::Tag,
            None => self.database.is_some_and(|d| d.fields.get(self.measurement, &name.name).is_some()),
        }
    }
}

impl Filter {
    pub(crate) fn of(condition: Option<&Expr>, context: &ShowContext<'_>) -> Result<Self, QueryError> {
        let environment =
            Environment { now_ns: Some(context.now_ns), ..Environment::default() }.keeping_functions();
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

    /// Which series of a measurement pass. Which operators may be used, others have checked.
    pub(crate) fn predicate(&self, subject: Subject<'_>) -> Result<TagPredicate, QueryError> {
        match &self.residual {
            None => Ok(TagPredicate::All),
            Some(expr) => predicate(expr, subject),
        }
    }

    /// The clause as SHOW TAG KEYS and SHOW TAG VALUES read it for measurements: what it says about names; `false` if
    /// it leaves this one out.
    ///
    /// # Errors
    ///
    /// What is wrong with the clause, whatever the measurement is.
    pub(super) fn names(&self, measurement: &str) -> Result<bool, QueryError> {
        let said = self.residual.as_ref().map_or(Ok(None), |expr| of_names(expr, measurement))?;
        Ok(said.unwrap_or(true))
    }

    /// The same clause without what is said about names that 1.x keeps for itself, and without what compares no name:
    /// as it is read for series.
    pub(super) fn without_system_names(&self) -> Self {
        let residual = self.residual.clone();
        let residual = residual.and_then(|expr| {
            retained(expr, &|c| {
                !is_equality(c.op) || matches!(&c.lhs, Expr::VarRef(n) if !is_system(&n.name))
            })
        });
        Self { range: self.range, residual }
    }
}

/// Whether a clause compares time with something. 1.x looks for it on the left side only.
pub(crate) fn mentions_time(expr: &Expr) -> bool {
    let is_time = |e: &Expr| matches!(e, Expr::VarRef(name) if name.name.eq_ignore_ascii_case("time"));
    match expr {
        Expr::Binary(binary) if matches!(binary.op, BinaryOp::And | BinaryOp::Or) => {
            mentions_time(&binary.lhs) || mentions_time(&binary.rhs)
        }
        Expr::Binary(binary) => is_time(&binary.lhs),
        Expr::Paren(inner) => mentions_time(inner),
        _ => false,
    }
}

/// Whether 1.x keeps the name for itself.
pub(crate) fn is_system(name: &str) -> bool {
    name == NAME || SYSTEM.contains(&name)
}

/// The operators that compare for equality, of text or by pattern.
pub(super) fn is_equality(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Eq | BinaryOp::NotEq | BinaryOp::EqRegex | BinaryOp::NotEqRegex)
}

/// Refuses what an index cannot compare, wherever in the clause it is.
pub(super) fn check_operators(expr: &Expr) -> Result<(), QueryError> {
    match expr {
        Expr::Paren(inner) => check_operators(inner),
        Expr::Binary(binary) => {
            if !is_equality(binary.op) && !matches!(binary.op, BinaryOp::And | BinaryOp::Or) {
                return Err(invalid_operator());
            }
            check_operators(&binary.lhs)?;
            check_operators(&binary.rhs)
        }
        Expr::Call(call) => call.args.iter().try_for_each(check_operators),
        _ => Ok(()),
    }
}

pub(super) fn invalid_operator() -> QueryError {
    QueryError::statement("invalid tag comparison operator")
}

/// An expression that is no condition. 1.x prints what Go prints of its tree.
pub(super) fn no_condition(expr: &Expr) -> QueryError {
    let text = match expr {
        Expr::Boolean(value) => format!("&influxql.BooleanLiteral{{Val:{value}}}"),
        Expr::Integer(value) => format!("&influxql.IntegerLiteral{{Val:{value}}}"),
        Expr::Number(value) => format!("&influxql.NumberLiteral{{Val:{value}}}"),
        Expr::String(value) => format!("&influxql.StringLiteral{{Val:{value:?}}}"),
        Expr::Duration(value) => format!("&influxql.DurationLiteral{{Val:{value}}}"),
        Expr::VarRef(name) => {
            format!("&influxql.VarRef{{Val:{:?}, Type:{}}}", name.name, DataType::number(name.data_type))
        }
        other => format!("invalid condition expression: {other}"),
    };
    QueryError::Statement(text)
}

/// What a comparison has on its right side, where 1.x insists on it.
pub(super) enum Wanted<'a> {
    Text(&'a str),
    Pattern(regex::Regex),
}

impl Wanted<'_> {
    pub(super) fn of(binary: &BinaryExpr) -> Result<Wanted<'_>, QueryError> {
        let op = binary.op;
        match (op, &binary.rhs) {
            (BinaryOp::EqRegex | BinaryOp::NotEqRegex, Expr::Regex(pattern)) => {
                compile(pattern).map(Wanted::Pattern)
            }
            (BinaryOp::EqRegex | BinaryOp::NotEqRegex, _) => {
                Err(QueryError::Statement(format!("right side of '{op}' must be a regular expression")))
            }
            (_, Expr::String(text)) => Ok(Wanted::Text(text)),
            _ => Err(QueryError::Statement(format!("right side of '{op}' must be a tag value string"))),
        }
    }

    pub(super) fn is(&self, text: &str) -> bool {
        match self {
            Wanted::Text(wanted) => *wanted == text,
            Wanted::Pattern(regex) => regex.is_match(text),
        }
    }
}

/// Whether an operator asks for equality, not for its opposite.
pub(super) fn is_inclusive(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Eq | BinaryOp::EqRegex)
}

/// What a clause says about the name of a measurement; `None` if nothing.
fn of_names(expr: &Expr, measurement: &str) -> Result<Option<bool>, QueryError> {
    match expr {
        Expr::Paren(inner) => of_names(inner, measurement),
        Expr::Binary(binary) if matches!(binary.op, BinaryOp::And | BinaryOp::Or) => {
            let sides = (of_names(&binary.lhs, measurement)?, of_names(&binary.rhs, measurement)?);
            Ok(match sides {
                (Some(lhs), Some(rhs)) if binary.op == BinaryOp::And => Some(lhs && rhs),
                (Some(lhs), Some(rhs)) => Some(lhs || rhs),
                (one, other) => one.or(other),
            })
        }
        Expr::Binary(binary) if is_equality(binary.op) => match &binary.lhs {
            Expr::VarRef(name) if name.name == NAME => {
                Ok(Some(Wanted::of(binary)?.is(measurement) == is_inclusive(binary.op)))
            }
            _ => Ok(None),
        },
        Expr::Binary(_) => Err(invalid_operator()),
        other => Err(no_condition(other)),
    }
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

fn predicate(expr: &Expr, subject: Subject<'_>) -> Result<TagPredicate, QueryError> {
    match expr {
        Expr::Paren(inner) => predicate(inner, subject),
        Expr::Boolean(true) => Ok(TagPredicate::All),
        Expr::Binary(binary) => match binary.op {
            BinaryOp::And => {
                let sides = (predicate(&binary.lhs, subject)?, predicate(&binary.rhs, subject)?);
                Ok(match sides {
                    (TagPredicate::All, other) | (other, TagPredicate::All) => other,
                    (TagPredicate::Nothing, _) | (_, TagPredicate::Nothing) => TagPredicate::Nothing,
                    (lhs, rhs) => TagPredicate::And(vec![lhs, rhs]),
                })
            }
            BinaryOp::Or => {
                let sides = (predicate(&binary.lhs, subject)?, predicate(&binary.rhs, subject)?);
                Ok(match sides {
                    (TagPredicate::All, _) | (_, TagPredicate::All) => TagPredicate::All,
                    (TagPredicate::Nothing, other) | (other, TagPredicate::Nothing) => other,
                    (lhs, rhs) => TagPredicate::Or(vec![lhs, rhs]),
                })
            }
            _ => comparison(binary, subject),
        },
        _ => Ok(TagPredicate::Nothing),
    }
}

fn comparison(binary: &BinaryExpr, subject: Subject<'_>) -> Result<TagPredicate, QueryError> {
    let (name, value) = match (&binary.lhs, &binary.rhs) {
        (Expr::Binary(_), _) | (_, Expr::Binary(_)) => return Ok(TagPredicate::All),
        (Expr::VarRef(name), value) | (value, Expr::VarRef(name)) => (name, value),
        _ => return Ok(TagPredicate::All),
    };
    let is_field = |name: &VarRef| name.name != NAME && subject.is_field(name);
    if is_field(name) {
        return Ok(TagPredicate::All);
    }
    let inclusive = is_inclusive(binary.op);
    let key: Arc<str> = Arc::from(&*name.name);
    let predicate = match value {
        Expr::String(value) if inclusive => TagPredicate::Equal(key, Arc::from(&**value)),
        Expr::String(value) => TagPredicate::NotEqual(key, Arc::from(&**value)),
        Expr::Regex(pattern) if inclusive => TagPredicate::Match(key, compile(pattern)?),
        Expr::Regex(pattern) => TagPredicate::NotMatch(key, compile(pattern)?),
        Expr::VarRef(other) if !is_field(other) => {
            return Ok(both_tags(inclusive, key, Arc::from(&*other.name)));
        }
        _ => return Ok(TagPredicate::All),
    };
    if name.name == NAME {
        let passes = predicate.matches(&|_| subject.measurement);
        return Ok(if passes { TagPredicate::All } else { TagPredicate::Nothing });
    }
    Ok(predicate)
}

/// Two tags compared with each other: in SHOW, 1.x looks only at whether series have them.
fn both_tags(inclusive: bool, lhs: Arc<str>, rhs: Arc<str>) -> TagPredicate {
    let present = |key| TagPredicate::NotEqual(key, Arc::from(""));
    let other = if inclusive { present(rhs) } else { TagPredicate::Equal(rhs, Arc::from("")) };
    TagPredicate::And(vec![present(lhs), other])
}
