//! Functions from points to points of one output group: derivative, difference, cumulative_sum, moving_average,
//! elapsed, holt_winters, technical analysis. Null points are passed over.

mod holt_winters;
mod rate;
mod running;
mod technical;

pub(crate) use holt_winters::HoltWinters;
pub(crate) use technical::{Indicator, Technical, WarmUp};

use crate::budget::Budget;
use crate::error::QueryError;
use crate::points::Points;

/// A transformation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Transform {
    /// Change per unit (ns).
    Derivative {
        unit: i64,
        non_negative: bool,
    },
    Difference {
        non_negative: bool,
    },
    /// Time between points in units (ns).
    Elapsed {
        unit: i64,
    },
    CumulativeSum,
    MovingAverage {
        points: usize,
    },
    HoltWinters(HoltWinters),
    Technical(Technical),
}

impl Transform {
    /// Transforms the points of a group, which are in the order of the query.
    ///
    /// # Errors
    ///
    /// Those of the budget.
    pub(crate) fn apply(
        self,
        points: &Points,
        ascending: bool,
        budget: &Budget,
    ) -> Result<Points, QueryError> {
        budget.check()?;
        Ok(match self {
            Self::Derivative { unit, non_negative } => {
                rate::derivative(points, unit, non_negative, ascending)
            }
            Self::Difference { non_negative } => rate::difference(points, non_negative),
            Self::Elapsed { unit } => rate::elapsed(points, unit),
            Self::CumulativeSum => running::cumulative_sum(points),
            Self::MovingAverage { points: n } => running::moving_average(points, n),
            Self::HoltWinters(forecast) => forecast.apply(points, budget)?,
            Self::Technical(technical) => technical.apply(points),
        })
    }
}
