//! What looks at the change from value to value: strength, momentum, efficiency.

use super::{Gauge, Smoother, WarmUp};
use std::collections::VecDeque;

/// The last values and their changes. Grows with the points it is given, not with the period it is asked for.
#[derive(Debug)]
struct Recent {
    kept: VecDeque<(f64, f64)>,
    most: usize,
}

impl Recent {
    fn new(most: usize) -> Self {
        Self { kept: VecDeque::new(), most }
    }

    /// Value and change of the newest; 0 before the first.
    fn newest(&self) -> (f64, f64) {
        self.kept.back().copied().unwrap_or_default()
    }

    /// The one that the next will push out; 0 while there is room.
    fn oldest(&self) -> (f64, f64) {
        if self.kept.len() < self.most { (0.0, 0.0) } else { self.kept.front().copied().unwrap_or_default() }
    }

    fn push(&mut self, value: f64, change: f64) {
        if self.kept.len() >= self.most {
            self.kept.pop_front();
        }
        self.kept.push_back((value, change));
    }
}

/// `chande_momentum_oscillator`: ups against downs of a period, in percent.
#[derive(Debug)]
pub(super) struct Momentum {
    recent: Recent,
    is_first: bool,
    up: f64,
    down: f64,
}

impl Momentum {
    pub(super) fn new(period: usize) -> Self {
        Self { recent: Recent::new(period.saturating_sub(1)), is_first: true, up: 0.0, down: 0.0 }
    }
}

impl Gauge for Momentum {
    fn add(&mut self, value: f64) -> f64 {
        let change = if self.is_first { 0.0 } else { value - self.recent.newest().0 };
        self.is_first = false;
        if change > 0.0 {
            self.up += change;
        } else if change < 0.0 {
            self.down -= change;
        }
        let none = self.up == 0.0 && self.down == 0.0;
        let momentum = if none { 0.0 } else { 100.0 * ((self.up - self.down) / (self.up + self.down)) };
        // The sums are kept up, not made anew, because that is how 1.x rounds.
        let (_, gone) = self.recent.oldest();
        if gone > 0.0 {
            self.up -= gone;
        } else if gone < 0.0 {
            self.down += gone;
        }
        self.recent.push(value, change);
        momentum
    }
}

/// The same of smoothed ups and downs.
#[derive(Debug)]
pub(super) struct SmoothedMomentum {
    up: Smoother,
    down: Smoother,
    last: f64,
}

impl SmoothedMomentum {
    pub(super) fn new(period: usize, warm_up: WarmUp) -> Self {
        let smoother = Smoother::with_share(period.saturating_add(1), 1.0 / period as f64, warm_up);
        Self { up: smoother.clone(), down: smoother, last: 0.0 }
    }

    /// Smoothed ups and downs.
    fn both(&mut self, value: f64) -> (f64, f64) {
        let (mut up, mut down) = (0.0, 0.0);
        if value > self.last {
            up = value - self.last;
        } else if value < self.last {
            down = self.last - value;
        }
        self.last = value;
        (self.up.add(up), self.down.add(down))
    }
}

impl Gauge for SmoothedMomentum {
    fn add(&mut self, value: f64) -> f64 {
        let (up, down) = self.both(value);
        100.0 * ((up - down) / (up + down))
    }
}

/// `relative_strength_index`: the share of the ups.
#[derive(Debug)]
pub(super) struct Strength(pub(super) SmoothedMomentum);

impl Gauge for Strength {
    fn add(&mut self, value: f64) -> f64 {
        let (up, down) = self.0.both(value);
        100.0 - (100.0 / (1.0 + up / down))
    }
}

/// `kaufmans_efficiency_ratio`: the way made against the way gone.
#[derive(Debug)]
pub(super) struct EfficiencyRatio {
    recent: Recent,
    /// Sum of the changes of a period.
    noise: f64,
}

impl EfficiencyRatio {
    pub(super) fn new(period: usize) -> Self {
        Self { recent: Recent::new(period), noise: 0.0 }
    }
}

impl Gauge for EfficiencyRatio {
    fn add(&mut self, value: f64) -> f64 {
        let (oldest, gone) = self.recent.oldest();
        let signal = (value - oldest).abs();
        let change = (value - self.recent.newest().0).abs();
        self.noise -= gone;
        self.noise += change;
        self.recent.push(value, change);
        if signal == 0.0 || self.noise == 0.0 { 0.0 } else { signal / self.noise }
    }
}

/// `kaufmans_adaptive_moving_average`: follows fast where the ratio is high, slowly where it is low.
#[derive(Debug)]
pub(super) struct AdaptiveAverage {
    ratio: EfficiencyRatio,
    period: usize,
    count: usize,
    last: f64,
}

impl AdaptiveAverage {
    pub(super) fn new(period: usize) -> Self {
        Self { ratio: EfficiencyRatio::new(period), period, count: 0, last: 0.0 }
    }
}

impl Gauge for AdaptiveAverage {
    fn add(&mut self, value: f64) -> f64 {
        /// The weights of averages over 2 and over 30 points: 2/3 less 2/31, and 2/31.
        const SPAN: f64 = 56.0 / 93.0;
        const SLOWEST: f64 = 2.0 / 31.0;
        if self.count <= self.period {
            // Not warm: begins at the value before.
            self.last = self.ratio.recent.newest().0;
            self.count += 1;
        }
        let weight = self.ratio.add(value) * SPAN + SLOWEST;
        self.last += weight * weight * (value - self.last);
        self.last
    }
}
