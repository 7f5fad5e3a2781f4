//! The technical-analysis functions: exponential moving averages of one to three stages, their rate of change, the
//! relative strength index, Kaufman's ratio and average, Chande's momentum oscillator.
//!
//! All of them take point after point and give one number each; the first `hold` numbers are kept back. The formulas are
//! the textbooks'; what is InfluxDB's own is how they begin: ahead of the first point there is one of value 0 for those
//! that look at changes.

mod change;
mod smooth;

use crate::points::Points;
use crate::result::Cell;
use change::{AdaptiveAverage, EfficiencyRatio, Momentum, SmoothedMomentum, Strength};
use smooth::{Average, Derivative, Smoother};

/// How an exponential average begins, before it has seen a whole period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WarmUp {
    /// Exponentially, with the weight that a shorter period has.
    Exponential,
    /// As a plain mean.
    Simple,
}

/// Which function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Indicator {
    /// `exponential_moving_average` and its double and triple forms: so many stages.
    MovingAverage(usize, WarmUp),
    /// `triple_exponential_derivative`.
    Derivative(WarmUp),
    /// `relative_strength_index`.
    RelativeStrength(WarmUp),
    /// `kaufmans_efficiency_ratio`.
    EfficiencyRatio,
    /// `kaufmans_adaptive_moving_average`.
    AdaptiveAverage,
    /// `chande_momentum_oscillator`, plain or smoothed.
    Momentum(Option<WarmUp>),
}

/// A function with its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Technical {
    pub(crate) indicator: Indicator,
    /// At least 1.
    pub(crate) period: usize,
    /// Points to keep back; `None`: until the function is warm.
    pub(crate) hold: Option<u32>,
}

/// Something that makes a number of every value.
trait Gauge {
    fn add(&mut self, value: f64) -> f64;
}

impl Technical {
    /// Transforms the points of a group, which are in the order of the query. Integers count as floats.
    pub(super) fn apply(self, points: &Points) -> Points {
        let mut out = Points::new(0);
        let mut gauge = self.gauge();
        let hold = self.hold.map_or_else(|| self.warm_count(), |hold| hold as usize);
        let skips_infinite = matches!(
            self.indicator,
            Indicator::Derivative(_) | Indicator::EfficiencyRatio | Indicator::AdaptiveAverage
        );
        let mut count = 0;
        for (time, value) in points.times.iter().zip(&points.values) {
            let value = match value {
                Cell::Float(f) => *f,
                Cell::Integer(i) => *i as f64,
                Cell::Unsigned(u) => *u as f64,
                Cell::Null | Cell::Time(_) | Cell::Boolean(_) | Cell::String(_) | Cell::Strings(_) => {
                    continue;
                }
            };
            let number = gauge.add(value);
            count += 1;
            if count > hold && !(skips_infinite && number.is_infinite()) {
                out.push(*time, Cell::Float(number), &[]);
            }
        }
        out
    }

    fn gauge(self) -> Box<dyn Gauge> {
        let period = self.period;
        match self.indicator {
            Indicator::MovingAverage(stages, warm_up) => Box::new(Average::new(stages, period, warm_up)),
            Indicator::Derivative(warm_up) => Box::new(Derivative::new(period, warm_up)),
            Indicator::RelativeStrength(warm_up) => {
                Box::new(Strength(SmoothedMomentum::new(period, warm_up)))
            }
            Indicator::EfficiencyRatio => Box::new(EfficiencyRatio::new(period)),
            Indicator::AdaptiveAverage => Box::new(AdaptiveAverage::new(period)),
            Indicator::Momentum(None) => Box::new(Momentum::new(period)),
            Indicator::Momentum(Some(warm_up)) => Box::new(SmoothedMomentum::new(period, warm_up)),
        }
    }

    /// Values after which the number means what it says.
    fn warm_count(self) -> usize {
        let period = self.period;
        let (before, triple) = (period - 1, (period - 1).saturating_mul(3));
        match self.indicator {
            Indicator::MovingAverage(stages, WarmUp::Simple) => before.saturating_mul(stages),
            Indicator::MovingAverage(_, WarmUp::Exponential) | Indicator::Momentum(None) => before,
            Indicator::Derivative(WarmUp::Simple) => triple.saturating_add(1),
            Indicator::Derivative(WarmUp::Exponential)
            | Indicator::RelativeStrength(_)
            | Indicator::EfficiencyRatio
            | Indicator::AdaptiveAverage
            | Indicator::Momentum(Some(_)) => period,
        }
    }
}
