//! GROUP BY: time(interval, offset) apart from tags.

use crate::condition::{Environment, parse_time_literal, reduce};
use crate::error::QueryError;
use crate::influxql::ast::{Call, Expr};
use crate::window::Window;
use model::time::floor_to;

/// A GROUP BY clause taken apart.
#[derive(Debug)]
pub(super) struct Dimensions {
    /// Without zone.
    pub(super) window: Window,
    /// Names, wildcards, patterns, in order.
    pub(super) tags: Vec<Expr>,
}

/// Checks GROUP BY.
pub(super) fn compile_dimensions(
    dimensions: &[Expr],
    environment: &Environment,
) -> Result<Dimensions, QueryError> {
    let mut window = Window::default();
    let mut tags = Vec::new();
    for dimension in dimensions {
        match reduce(dimension, &Environment::default()) {
            Expr::VarRef(reference) if reference.name.eq_ignore_ascii_case("time") => {
                return Err(QueryError::statement("time() is a function and expects at least one argument"));
            }
            Expr::Call(call) => {
                if window.interval != 0 && call.name == "time" {
                    check_time(&call)?;
                    return Err(QueryError::statement("multiple time dimensions not allowed"));
                }
                window = time(&call, environment)?;
            }
            tag @ (Expr::VarRef(_) | Expr::Wildcard(_) | Expr::Regex(_)) => tags.push(tag),
            _ => return Err(QueryError::statement("only time and tag dimensions allowed")),
        }
    }
    // An interval of nothing or less groups nothing.
    if window.interval <= 0 {
        window = Window::default();
    }
    Ok(Dimensions { window, tags })
}

/// The interval of a `time()` call.
fn check_time(call: &Call) -> Result<i64, QueryError> {
    if call.name != "time" {
        return Err(QueryError::statement("only time() calls allowed in dimensions"));
    }
    match call.args.as_slice() {
        [Expr::Duration(interval)] | [Expr::Duration(interval), _] => Ok(*interval),
        [_] | [_, _] => Err(QueryError::statement("time dimension must have duration argument")),
        _ => Err(QueryError::statement("time dimension expected 1 or 2 arguments")),
    }
}

fn time(call: &Call, environment: &Environment) -> Result<Window, QueryError> {
    let interval = check_time(call)?;
    let bad_offset = || QueryError::statement("time dimension offset must be duration or now()");
    let into = |t: i64| if interval > 0 { t - floor_to(t, interval) } else { 0 };
    let offset = match call.args.get(1) {
        None => 0,
        Some(Expr::Duration(offset)) => offset.checked_rem(interval).unwrap_or(0),
        Some(Expr::Time(t)) => into(*t),
        Some(Expr::Call(now)) if now.name != "now" => {
            return Err(QueryError::statement("time dimension offset function must be now()"));
        }
        Some(Expr::Call(now)) if !now.args.is_empty() => {
            return Err(QueryError::statement("time dimension offset now() function requires no arguments"));
        }
        Some(Expr::Call(_)) => into(environment.now_ns.unwrap_or(0)),
        // A time in a string passes the first check of 1.x and fails at the second.
        Some(offset @ Expr::String(text)) => {
            parse_time_literal(text, environment.zone()).ok_or_else(bad_offset)?;
            return Err(QueryError::Statement(format!("invalid time dimension offset: {offset}")));
        }
        Some(_) => return Err(bad_offset()),
    };
    Ok(Window { interval, offset, zone: None })
}
