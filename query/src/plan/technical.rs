//! The technical-analysis functions of a select list: `name(field, period[, hold[, 'warm-up']])`, checked with InfluxDB
//! 1.x's texts.

use super::validate::fail;
use crate::error::QueryError;
use crate::influxql::ast::{Call, Expr};
use crate::transform::{Indicator, Technical, WarmUp};

/// Whether it is one of them.
pub(super) fn is_technical(name: &str) -> bool {
    indicator(name, None).is_some()
}

/// The function of a checked call; `None` for a call of another kind.
pub(super) fn of(call: &Call) -> Option<Technical> {
    let warm_up = match call.args.get(3) {
        Some(Expr::String(name)) => warm_up(name),
        _ => None,
    };
    let indicator = indicator(&call.name, warm_up)?;
    let Some(Expr::Integer(period)) = call.args.get(1) else { return None };
    let hold = match call.args.get(2) {
        // 1.x keeps 32 bits.
        Some(Expr::Integer(hold)) if *hold >= 0 => Some(*hold as u32),
        _ => None,
    };
    Some(Technical { indicator, period: usize::try_from(*period).unwrap_or(1).max(1), hold })
}

fn indicator(name: &str, warm_up: Option<WarmUp>) -> Option<Indicator> {
    let begins = warm_up.unwrap_or(WarmUp::Exponential);
    Some(match name {
        "exponential_moving_average" => Indicator::MovingAverage(1, begins),
        "double_exponential_moving_average" => Indicator::MovingAverage(2, begins),
        "triple_exponential_moving_average" => Indicator::MovingAverage(3, begins),
        "triple_exponential_derivative" => Indicator::Derivative(begins),
        "relative_strength_index" => Indicator::RelativeStrength(begins),
        "kaufmans_efficiency_ratio" => Indicator::EfficiencyRatio,
        "kaufmans_adaptive_moving_average" => Indicator::AdaptiveAverage,
        "chande_momentum_oscillator" => Indicator::Momentum(warm_up),
        _ => return None,
    })
}

fn warm_up(name: &str) -> Option<WarmUp> {
    match name {
        "exponential" => Some(WarmUp::Exponential),
        "simple" => Some(WarmUp::Simple),
        _ => None,
    }
}

/// Checks the arguments behind the field.
pub(super) fn check(call: &Call) -> Result<(), QueryError> {
    let name = &call.name;
    let most = if name.starts_with("kaufmans_") { 3 } else { 4 };
    let got = call.args.len();
    if !(2..=most).contains(&got) {
        return fail(format!(
            "invalid number of arguments for {name}, expected at least 2 but no more than {most}, got {got}"
        ));
    }
    match &call.args[1] {
        Expr::Integer(period) if *period < 1 => {
            return fail(format!("{name} period must be greater than or equal to 1"));
        }
        // A window of one point has no change in it; 1.x stops with a run-time error.
        Expr::Integer(1) if name == "chande_momentum_oscillator" && plain_momentum(call) => {
            return fail(format!("{name} period must be greater than 1"));
        }
        Expr::Integer(_) => {}
        _ => return fail(format!("{name} period must be an integer")),
    }
    let least = i64::from(name == "triple_exponential_derivative");
    match call.args.get(2) {
        None => {}
        Some(Expr::Integer(hold)) if *hold < least && *hold != -1 => {
            return fail(format!("{name} hold period must be greater than or equal to {least}"));
        }
        Some(Expr::Integer(_)) => {}
        Some(_) => return fail(format!("{name} hold period must be an integer")),
    }
    match call.args.get(3) {
        None => Ok(()),
        Some(Expr::String(kind)) if warm_up(kind).is_some() => Ok(()),
        Some(Expr::String(kind)) if name == "chande_momentum_oscillator" => {
            if kind == "none" {
                return Ok(());
            }
            fail(format!("{name} warmup type must be one of: 'none' 'exponential' 'simple'"))
        }
        Some(Expr::String(_)) => fail(format!("{name} warmup type must be one of: 'exponential' 'simple'")),
        Some(_) => fail(format!("{name} warmup type must be a string")),
    }
}

fn plain_momentum(call: &Call) -> bool {
    !matches!(call.args.get(3), Some(Expr::String(kind)) if warm_up(kind).is_some())
}
