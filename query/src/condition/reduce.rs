//! Constant folding: arithmetic on literals, `now()`, times and durations, TRUE and FALSE under AND and OR.

use super::literal::{looks_like_time, parse_time_literal};
use crate::influxql::ast::{BinaryExpr, BinaryOp, Call, Expr};
use crate::math::{self, Division};
use crate::result::Cell;
use jiff::tz::TimeZone;

/// What folding may use: the default folds no `now()`.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// ns since the epoch; what `now()` is.
    pub now_ns: Option<i64>,
    /// Zone of time strings; `None` is UTC.
    pub zone: Option<TimeZone>,
    /// Calls of functions stay, whatever their arguments are: they are checked later.
    pub keeps_functions: bool,
}

static UTC: TimeZone = TimeZone::UTC;

impl Environment {
    /// The same, but it folds no functions.
    #[must_use]
    pub fn keeping_functions(self) -> Self {
        Self { keeps_functions: true, ..self }
    }

    /// The zone of time strings.
    pub fn zone(&self) -> &TimeZone {
        self.zone.as_ref().unwrap_or(&UTC)
    }
}

/// Folds what can be folded; everything else stays as written.
pub fn reduce(expr: &Expr, environment: &Environment) -> Expr {
    match expr {
        Expr::Binary(binary) => {
            let lhs = reduce(&binary.lhs, environment);
            let rhs = reduce(&binary.rhs, environment);
            reduce_binary(binary.op, lhs, rhs, environment.zone())
        }
        Expr::Call(call) => reduce_call(call, environment),
        Expr::Paren(inner) => match reduce(inner, environment) {
            binary @ Expr::Binary(_) => Expr::Paren(Box::new(binary)),
            other => other,
        },
        Expr::VarRef(_)
        | Expr::Wildcard(_)
        | Expr::Regex(_)
        | Expr::Distinct(_)
        | Expr::Integer(_)
        | Expr::Unsigned(_)
        | Expr::Number(_)
        | Expr::String(_)
        | Expr::Boolean(_)
        | Expr::Duration(_)
        | Expr::Time(_)
        | Expr::List(_)
        | Expr::BoundParameter(_) => expr.clone(),
    }
}

fn reduce_call(call: &Call, environment: &Environment) -> Expr {
    if call.name == "now"
        && call.args.is_empty()
        && let Some(now) = environment.now_ns
    {
        return Expr::Time(now);
    }
    let args: Vec<Expr> = call.args.iter().map(|a| reduce(a, environment)).collect();
    if let Some(function) = math::Function::by_name(&call.name).filter(|_| !environment.keeps_functions) {
        let cells: Option<Vec<Cell>> = args.iter().map(scalar).collect();
        let value = cells.map(|cells| function.apply(&cells));
        if let Some(folded) = value.and_then(literal) {
            return folded;
        }
    }
    Expr::Call(Call { name: call.name.clone(), args })
}

fn reduce_binary(op: BinaryOp, lhs: Expr, rhs: Expr, zone: &TimeZone) -> Expr {
    match (op, &lhs, &rhs) {
        (BinaryOp::And, Expr::Boolean(false), _) | (BinaryOp::And, _, Expr::Boolean(false)) => {
            return Expr::Boolean(false);
        }
        (BinaryOp::Or, Expr::Boolean(true), _) | (BinaryOp::Or, _, Expr::Boolean(true)) => {
            return Expr::Boolean(true);
        }
        (BinaryOp::And, Expr::Boolean(true), _) | (BinaryOp::Or, Expr::Boolean(false), _) => return rhs,
        (BinaryOp::And, _, Expr::Boolean(true)) | (BinaryOp::Or, _, Expr::Boolean(false)) => return lhs,
        _ => {}
    }
    fold(op, &lhs, &rhs, zone).unwrap_or_else(|| Expr::Binary(Box::new(BinaryExpr { op, lhs, rhs })))
}

/// The value of `lhs op rhs` if both are literals that go together.
fn fold(op: BinaryOp, lhs: &Expr, rhs: &Expr, zone: &TimeZone) -> Option<Expr> {
    match (lhs, rhs) {
        (Expr::Boolean(_), Expr::Boolean(_)) => fold_scalars(op, lhs, rhs),
        (
            Expr::Integer(_) | Expr::Unsigned(_) | Expr::Number(_),
            Expr::Integer(_) | Expr::Unsigned(_) | Expr::Number(_),
        ) => fold_scalars(op, lhs, rhs),
        (Expr::Duration(a), Expr::Duration(b)) => fold_durations(op, *a, *b),
        (Expr::Duration(a), Expr::Number(b)) => scale_duration(op, *a, *b as i64),
        (Expr::Duration(a), Expr::Integer(b)) => scale_duration(op, *a, *b),
        (Expr::Duration(a) | Expr::Integer(a), Expr::Time(b)) => {
            (op == BinaryOp::Add).then(|| Expr::Time(b.saturating_add(*a)))
        }
        (Expr::Integer(a), Expr::Duration(b)) => shift(op, *a, *b),
        (Expr::Duration(a) | Expr::Integer(a), Expr::String(text)) => {
            let time = parse_time_literal(text, zone)?;
            (op == BinaryOp::Add).then(|| Expr::Time(time.saturating_add(*a)))
        }
        (Expr::Time(a), Expr::Duration(b) | Expr::Integer(b)) => shift(op, *a, *b),
        (Expr::Time(a), Expr::Time(b)) => fold_times(op, *a, *b),
        (Expr::Time(a), Expr::String(text)) => fold_times(op, *a, parse_time_literal(text, zone)?),
        (Expr::String(a), Expr::String(b)) => fold_strings(op, a, b, zone),
        (Expr::String(text), Expr::Duration(_) | Expr::Time(_) | Expr::Integer(_)) => {
            fold(op, &Expr::Time(parse_time_literal(text, zone)?), rhs, zone)
        }
        _ => None,
    }
}

fn fold_scalars(op: BinaryOp, lhs: &Expr, rhs: &Expr) -> Option<Expr> {
    literal(math::binary(op, &scalar(lhs)?, &scalar(rhs)?, Division::Float))
}

fn fold_durations(op: BinaryOp, a: i64, b: i64) -> Option<Expr> {
    match op {
        BinaryOp::Add => Some(Expr::Duration(a.wrapping_add(b))),
        BinaryOp::Sub => Some(Expr::Duration(a.wrapping_sub(b))),
        _ => compare(op, a, b),
    }
}

fn scale_duration(op: BinaryOp, duration: i64, by: i64) -> Option<Expr> {
    match op {
        BinaryOp::Mul => Some(Expr::Duration(duration.wrapping_mul(by))),
        BinaryOp::Div if by == 0 => Some(Expr::Duration(0)),
        BinaryOp::Div => Some(Expr::Duration(duration.wrapping_div(by))),
        _ => None,
    }
}

fn shift(op: BinaryOp, time: i64, by: i64) -> Option<Expr> {
    match op {
        BinaryOp::Add => Some(Expr::Time(time.saturating_add(by))),
        BinaryOp::Sub => Some(Expr::Time(time.saturating_sub(by))),
        _ => None,
    }
}

fn fold_times(op: BinaryOp, a: i64, b: i64) -> Option<Expr> {
    if op == BinaryOp::Sub {
        return Some(Expr::Duration(a.saturating_sub(b)));
    }
    compare(op, a, b)
}

fn fold_strings(op: BinaryOp, a: &str, b: &str, zone: &TimeZone) -> Option<Expr> {
    // Two spellings of one time are equal.
    let times = || Some((parse_time_literal(a, zone)?, parse_time_literal(b, zone)?));
    match op {
        BinaryOp::Eq | BinaryOp::NotEq if looks_like_time(a) && looks_like_time(b) => match times() {
            Some((a, b)) => fold_times(op, a, b),
            None => Some(Expr::Boolean((a == b) == (op == BinaryOp::Eq))),
        },
        BinaryOp::Eq => Some(Expr::Boolean(a == b)),
        BinaryOp::NotEq => Some(Expr::Boolean(a != b)),
        BinaryOp::Add => Some(Expr::String(format!("{a}{b}"))),
        _ => times().and_then(|(a, b)| fold_times(op, a, b)),
    }
}

fn compare(op: BinaryOp, a: i64, b: i64) -> Option<Expr> {
    Some(Expr::Boolean(match op {
        BinaryOp::Eq => a == b,
        BinaryOp::NotEq => a != b,
        BinaryOp::Lt => a < b,
        BinaryOp::LtEq => a <= b,
        BinaryOp::Gt => a > b,
        BinaryOp::GtEq => a >= b,
        _ => return None,
    }))
}

/// A literal as a value to compute with.
pub(crate) fn scalar(expr: &Expr) -> Option<Cell> {
    match expr {
        Expr::Integer(i) => Some(Cell::Integer(*i)),
        Expr::Unsigned(u) => Some(Cell::Unsigned(*u)),
        Expr::Number(n) => Some(Cell::Float(*n)),
        Expr::Boolean(b) => Some(Cell::Boolean(*b)),
        Expr::String(s) => Some(Cell::String(s.as_str().into())),
        _ => None,
    }
}

/// A computed value as a literal.
fn literal(cell: Cell) -> Option<Expr> {
    match cell {
        Cell::Float(f) => Some(Expr::Number(f)),
        Cell::Integer(i) => Some(Expr::Integer(i)),
        Cell::Unsigned(u) => Some(Expr::Unsigned(u)),
        Cell::Boolean(b) => Some(Expr::Boolean(b)),
        Cell::String(s) => Some(Expr::String(s.to_string())),
        Cell::Time(t) => Some(Expr::Time(t)),
        Cell::Null | Cell::Strings(_) => None,
    }
}
