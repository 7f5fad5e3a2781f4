//! Exponential smoothing, in one to three stages.

use super::{Gauge, WarmUp};

/// One stage: each value moves the average by a share of its distance.
#[derive(Debug, Clone)]
pub(super) struct Smoother {
    period: usize,
    share: f64,
    warm_up: WarmUp,
    count: usize,
    last: f64,
}

impl Smoother {
    pub(super) fn new(period: usize, warm_up: WarmUp) -> Self {
        Self::with_share(period, 2.0 / (period as f64 + 1.0), warm_up)
    }

    pub(super) fn with_share(period: usize, share: f64, warm_up: WarmUp) -> Self {
        Self { period, share, warm_up, count: 0, last: 0.0 }
    }

    fn is_warm(&self) -> bool {
        self.count == self.period
    }

    /// Whether the next stage may build on this one.
    fn feeds_next(&self) -> bool {
        self.is_warm() || self.warm_up == WarmUp::Exponential
    }
}

impl Gauge for Smoother {
    fn add(&mut self, value: f64) -> f64 {
        let count = self.count as f64;
        self.last = match (self.count, self.warm_up) {
            (0, _) => value,
            _ if self.is_warm() => (value - self.last) * self.share + self.last,
            (_, WarmUp::Simple) => (self.last * count + value) / (count + 1.0),
            (_, WarmUp::Exponential) => (value - self.last) * (2.0 / (count + 2.0)) + self.last,
        };
        if !self.is_warm() {
            self.count += 1;
        }
        self.last
    }
}

/// `exponential_moving_average` and its double and triple forms, which take away the lag of the first stage.
#[derive(Debug)]
pub(super) struct Average {
    stages: Vec<Smoother>,
}

impl Average {
    pub(super) fn new(stages: usize, period: usize, warm_up: WarmUp) -> Self {
        Self { stages: vec![Smoother::new(period, warm_up); stages] }
    }
}

impl Gauge for Average {
    fn add(&mut self, value: f64) -> f64 {
        let mut averages = [value; 3];
        let mut input = value;
        let mut open = true;
        for (stage, average) in self.stages.iter_mut().zip(&mut averages) {
            // A stage whose input is not warm passes it on.
            if open {
                input = stage.add(input);
            }
            open = stage.feeds_next();
            *average = input;
        }
        let [first, second, third] = averages;
        match self.stages.len() {
            1 => first,
            2 => 2.0 * first - second,
            _ => 3.0 * first - 3.0 * second + third,
        }
    }
}

/// `triple_exponential_derivative`: the change of a threefold average, in percent.
#[derive(Debug)]
pub(super) struct Derivative {
    stages: [Smoother; 3],
    last: f64,
}

impl Derivative {
    pub(super) fn new(period: usize, warm_up: WarmUp) -> Self {
        let stage = Smoother::new(period, warm_up);
        Self { stages: [stage.clone(), stage.clone(), stage], last: 0.0 }
    }
}

impl Gauge for Derivative {
    fn add(&mut self, value: f64) -> f64 {
        let mut now = value;
        for stage in &mut self.stages {
            now = stage.add(now);
            if !stage.feeds_next() {
                break;
            }
        }
        let percent = ((now / self.last) - 1.0) * 100.0;
        self.last = now;
        percent
    }
}
