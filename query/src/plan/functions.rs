//! The arguments of each function, checked with InfluxDB 1.x's texts.

use super::technical;
use super::validate::{Validator, arity, fail};
use crate::condition::type_name;
use crate::error::QueryError;
use crate::influxql::ast::{Call, Expr};
use crate::influxql::duration;

/// Checks a call that is no math function.
pub(super) fn check(validator: &mut Validator, call: &Call) -> Result<(), QueryError> {
    match call.name.as_str() {
        "percentile" => percentile(validator, call),
        "sample" => sample(validator, call),
        "distinct" => validator.distinct_item(&call.args),
        "top" | "bottom" => validator.top(call),
        "derivative" | "non_negative_derivative" | "elapsed" => with_unit(validator, call),
        "difference" | "non_negative_difference" | "cumulative_sum" => {
            arity(call, 1)?;
            validator.only_selectors = false;
            transformed(validator, call)
        }
        "moving_average" => moving_average(validator, call),
        "integral" => integral(validator, call),
        "holt_winters" | "holt_winters_with_fit" => holt_winters(validator, call),
        "max" | "min" | "first" | "last" => plain(validator, call),
        "count" | "sum" | "mean" | "median" | "mode" | "stddev" | "spread" => {
            validator.only_selectors = false;
            plain(validator, call)
        }
        "exponential_moving_average"
        | "double_exponential_moving_average"
        | "triple_exponential_moving_average"
        | "relative_strength_index"
        | "triple_exponential_derivative"
        | "kaufmans_efficiency_ratio"
        | "kaufmans_adaptive_moving_average"
        | "chande_momentum_oscillator" => {
            technical::check(call)?;
            validator.only_selectors = false;
            transformed(validator, call)
        }
        name => fail(format!("undefined function {name}()")),
    }
}

fn plain(validator: &mut Validator, call: &Call) -> Result<(), QueryError> {
    arity(call, 1)?;
    let arg = &call.args[0];
    if call.name == "count" {
        match arg {
            Expr::Call(inner) if inner.name == "distinct" => return validator.distinct_args(&inner.args),
            Expr::Distinct(_) => return validator.nested(arg),
            _ => {}
        }
    }
    validator.symbol(&call.name, arg)
}

fn percentile(validator: &mut Validator, call: &Call) -> Result<(), QueryError> {
    arity(call, 2)?;
    match call.args[1] {
        Expr::Integer(_) | Expr::Number(_) => validator.symbol("percentile", &call.args[0]),
        _ => fail("expected float argument in percentile()"),
    }
}

fn sample(validator: &mut Validator, call: &Call) -> Result<(), QueryError> {
    arity(call, 2)?;
    match call.args[1] {
        Expr::Integer(n) if n <= 0 => fail(format!("sample window must be greater than 1, got {n}")),
        Expr::Integer(_) => validator.symbol("sample", &call.args[0]),
        _ => fail("expected integer argument in sample()"),
    }
}

fn unit_arity(call: &Call) -> Result<(), QueryError> {
    let got = call.args.len();
    if (1..=2).contains(&got) {
        return Ok(());
    }
    fail(format!(
        "invalid number of arguments for {}, expected at least 1 but no more than 2, got {got}",
        call.name
    ))
}

fn positive(ns: i64) -> Result<(), QueryError> {
    if ns > 0 {
        return Ok(());
    }
    fail(format!("duration argument must be positive, got {}", duration::format(ns)))
}

fn with_unit(validator: &mut Validator, call: &Call) -> Result<(), QueryError> {
    unit_arity(call)?;
    match call.args.get(1) {
        None => {}
        Some(Expr::Duration(ns)) => positive(*ns)?,
        Some(other) => {
            return fail(format!(
                "second argument to {} must be a duration, got {}",
                call.name,
                type_name(other)
            ));
        }
    }
    validator.only_selectors = false;
    transformed(validator, call)
}

fn moving_average(validator: &mut Validator, call: &Call) -> Result<(), QueryError> {
    if call.args.len() != 2 {
        let got = call.args.len();
        return fail(format!("invalid number of arguments for moving_average, expected 2, got {got}"));
    }
    match &call.args[1] {
        Expr::Integer(n) if *n <= 1 => {
            return fail(format!("moving_average window must be greater than 1, got {n}"));
        }
        Expr::Integer(_) => {}
        other => {
            return fail(format!(
                "second argument for moving_average must be an integer, got {}",
                type_name(other)
            ));
        }
    }
    validator.only_selectors = false;
    transformed(validator, call)
}

/// A transformation takes an aggregate under GROUP BY time, else a field.
fn transformed(validator: &mut Validator, call: &Call) -> Result<(), QueryError> {
    let name = &call.name;
    match &call.args[0] {
        nested @ Expr::Call(_) => {
            if !validator.has_interval {
                return fail(format!("{name} aggregate requires a GROUP BY interval"));
            }
            validator.nested(nested)
        }
        other => {
            if validator.has_own_interval() {
                return fail(format!("aggregate function required inside the call to {name}"));
            }
            validator.symbol(name, other)
        }
    }
}

fn integral(validator: &mut Validator, call: &Call) -> Result<(), QueryError> {
    unit_arity(call)?;
    match call.args.get(1) {
        None => {}
        Some(Expr::Duration(ns)) => positive(*ns)?,
        Some(_) => return fail("second argument must be a duration"),
    }
    validator.only_selectors = false;
    validator.symbol("integral", &call.args[0])
}

fn holt_winters(validator: &mut Validator, call: &Call) -> Result<(), QueryError> {
    let name = &call.name;
    arity(call, 3)?;
    match call.args[1] {
        Expr::Integer(n) if n <= 0 => {
            return fail(format!("second arg to {name} must be greater than 0, got {n}"));
        }
        Expr::Integer(_) => {}
        _ => return fail(format!("expected integer argument as second arg in {name}")),
    }
    match call.args[2] {
        Expr::Integer(n) if n < 0 => {
            return fail(format!("third arg to {name} cannot be negative, got {n}"));
        }
        Expr::Integer(_) => {}
        _ => return fail(format!("expected integer argument as third arg in {name}")),
    }
    validator.only_selectors = false;
    let nested @ Expr::Call(_) = &call.args[0] else {
        return fail(format!("must use aggregate function with {name}"));
    };
    if !validator.has_interval {
        return fail(format!("{name} aggregate requires a GROUP BY interval"));
    }
    validator.nested(nested)
}
