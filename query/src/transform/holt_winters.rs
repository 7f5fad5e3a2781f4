//! holt_winters: damped trend with multiplicative seasons, its parameters fitted by the Nelder-Mead simplex method.
//!
//! The start values, the grid of first guesses and the constants of the simplex are those of InfluxDB 1.x: a forecast
//! that panels show must not change with the server.

use crate::budget::Budget;
use crate::error::QueryError;
use crate::points::Points;
use crate::result::Cell;

/// Weight of the first values in the start level and the start trend without seasons.
const START_WEIGHT: f64 = 0.5;
/// First guesses of each smoothing parameter.
const GUESSES: [f64; 2] = [0.3, 0.7];
/// The simplex has converged when the spread of its values is less.
const EPSILON: f64 = 1.0e-4;
/// Steps of one fit.
const STEPS_MAX: usize = 1_000;
/// Smoothing parameters, level and trend.
const PARAMETERS: usize = 6;

/// A forecast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct HoltWinters {
    /// Points to forecast.
    pub(crate) horizon: usize,
    /// Points a season has; less than 2 is none.
    pub(crate) season: usize,
    /// Whether the fitted past is given too.
    pub(crate) with_fit: bool,
    /// ns between points.
    pub(crate) interval: i64,
}

impl HoltWinters {
    /// Forecasts from the points of a group.
    ///
    /// # Errors
    ///
    /// Those of the budget.
    pub(super) fn apply(self, points: &Points, budget: &Budget) -> Result<Points, QueryError> {
        let seen: Vec<(i64, f64)> = points
            .times
            .iter()
            .zip(&points.values)
            .filter_map(|(t, v)| crate::aggregate::float(v).map(|v| (*t, v)))
            .collect();
        let mut out = Points::new(0);
        let (Some(first), Some(last)) = (seen.first(), seen.last()) else { return Ok(out) };
        if seen.len() < 2 || (self.season >= 2 && seen.len() < self.season) || self.interval <= 0 {
            return Ok(out);
        }
        let count = (self.rounded(last.0) - self.rounded(first.0)) / self.interval;
        if count <= 0 {
            return Ok(out);
        }
        let total = (count as u64).saturating_add(self.horizon as u64);
        budget.check_buckets(total)?;
        budget.charge(usize::try_from(total.saturating_mul(64)).unwrap_or(usize::MAX))?;
        let season = if self.season < 2 { 0 } else { self.season as u64 };
        // The simplex has as many corners as there are parameters, and each has all of them.
        let parameters = season.saturating_add(PARAMETERS as u64 + 1);
        let simplex = parameters.saturating_mul(parameters).saturating_mul(8);
        budget.charge(usize::try_from(simplex.saturating_mul(2)).unwrap_or(usize::MAX))?;
        let history = self.evenly_spaced(&seen);
        let model = Model { history: &history, season: if self.season < 2 { 0 } else { self.season } };
        let best = model.fit(budget)?;
        let forecast = model.forecast(self.horizon, &mut best.clone());
        let (from, start) =
            if self.with_fit { (0, first.0) } else { (history.len(), last.0 + self.interval) };
        for (i, value) in forecast[from..].iter().enumerate() {
            if !value.is_nan() {
                out.push(start + self.interval * i as i64, Cell::Float(*value), &[]);
            }
        }
        Ok(out)
    }

    fn rounded(self, t: i64) -> i64 {
        let whole = t / self.interval;
        let up = t % self.interval > self.interval / 2;
        (whole + i64::from(up)) * self.interval
    }

    /// One value an interval, NaN where there is none.
    fn evenly_spaced(self, seen: &[(i64, f64)]) -> Vec<f64> {
        let mut history = vec![seen[0].1];
        let mut t = self.rounded(seen[0].0);
        for (time, value) in &seen[1..] {
            let time = self.rounded(*time);
            if time <= t {
                continue;
            }
            t += self.interval;
            while t < time {
                history.push(f64::NAN);
                t += self.interval;
            }
            history.push(*value);
        }
        history
    }
}

struct Model<'a> {
    history: &'a [f64],
    /// 0 without seasons.
    season: usize,
}

impl Model<'_> {
    /// The best parameters from all first guesses.
    fn fit(&self, budget: &Budget) -> Result<Vec<f64>, QueryError> {
        let mut start = self.start();
        let mut best: Option<(f64, Vec<f64>)> = None;
        for alpha in GUESSES {
            for beta in GUESSES {
                for gamma in GUESSES {
                    for phi in GUESSES {
                        start[..4].copy_from_slice(&[alpha, beta, gamma, phi]);
                        let found = minimise(|x| self.squared_error(x), &start, budget)?;
                        if best.as_ref().is_none_or(|(least, _)| found.0 < *least) {
                            best = Some(found);
                        }
                    }
                }
            }
        }
        Ok(best.map_or(start, |(_, parameters)| parameters))
    }

    /// Start level, trend and seasons.
    fn start(&self) -> Vec<f64> {
        let y = self.history;
        let mut parameters = vec![0.0; PARAMETERS + self.season];
        if self.season == 0 {
            parameters[4] = START_WEIGHT * y[0];
            if let Some(second) = y.get(1).filter(|v| !v.is_nan()) {
                parameters[5] = START_WEIGHT * (second - y[0]);
            }
            return parameters;
        }
        let season = self.season as f64;
        for i in 0..self.season {
            let now = y.get(i).copied().unwrap_or(f64::NAN);
            if now.is_nan() {
                continue;
            }
            parameters[4] += 1.0 / season * now;
            if let Some(next) = y.get(self.season + i).filter(|v| !v.is_nan()) {
                parameters[5] += 1.0 / (season * season) * (next - now);
            }
        }
        for i in 0..self.season {
            let now = y.get(i).copied().unwrap_or(f64::NAN);
            parameters[PARAMETERS + i] = if now.is_nan() { 0.0 } else { now / parameters[4] };
        }
        parameters
    }

    /// Fitted values and `horizon` more. Smoothing parameters are clamped and seasons used up in `x`.
    fn forecast(&self, horizon: usize, x: &mut [f64]) -> Vec<f64> {
        for parameter in &mut x[..4] {
            *parameter = parameter.clamp(0.0, 1.0);
        }
        let (alpha, beta, gamma, phi) = (x[0], x[1], x[2], x[3]);
        let (mut level, mut trend, mut damping) = (x[4], x[5], phi);
        let (_, seasons) = x.split_at_mut(PARAMETERS);
        let m = self.season;
        let total = self.history.len() + horizon;
        let mut values = Vec::with_capacity(total);
        let mut value = self.history[0];
        values.push(value);
        for t in 1..total {
            let (mut past, mut coming) = (1.0, 1.0);
            // The ring turns by two a step, as in 1.x: by the time and by its own start.
            let slot = if m > 0 { (2 * t - 2) % m } else { 0 };
            if m > 0 {
                (past, coming) = (seasons[slot], seasons[(slot + t % m) % m]);
            }
            let damped = level + phi * trend;
            let next_level = alpha * (value / past) + (1.0 - alpha) * damped;
            let next_trend = beta * (next_level - level) + (1.0 - beta) * phi * trend;
            let next_season = gamma * (value / damped) + (1.0 - gamma) * past;
            value = (next_level + damping * next_trend) * coming;
            (level, trend) = (next_level, next_trend);
            damping += power(phi, t);
            if m > 0 {
                seasons[slot] = next_season;
            }
            values.push(value);
        }
        values
    }

    fn squared_error(&self, x: &mut [f64]) -> f64 {
        let mut sum = 0.0;
        for (fitted, seen) in self.forecast(0, x).iter().zip(self.history) {
            if seen.is_nan() {
                continue;
            }
            if fitted.is_nan() {
                return f64::INFINITY;
            }
            sum += (fitted - seen) * (fitted - seen);
        }
        sum
    }
}

/// `x` to the power of `n`, by squaring: the simplex magnifies the last digit, so it has to be that of Go's `math.Pow`.
fn power(x: f64, mut n: usize) -> f64 {
    let (mut power, mut square) = (1.0, x);
    while n > 0 {
        if n & 1 == 1 {
            power *= square;
        }
        square *= square;
        n >>= 1;
    }
    power
}

/// A point of the simplex.
#[derive(Clone)]
struct Vertex {
    x: Vec<f64>,
    value: f64,
}

/// Nelder-Mead: reflection 1, contraction ½, expansion 2. `f` may move the point into its domain.
fn minimise(
    f: impl Fn(&mut [f64]) -> f64,
    start: &[f64],
    budget: &Budget,
) -> Result<(f64, Vec<f64>), QueryError> {
    let at = |mut x: Vec<f64>| {
        let value = f(&mut x);
        Vertex { x, value }
    };
    let n = start.len() as f64;
    let far = ((n + 1.0).sqrt() - 1.0 + n) / (n * 2.0_f64.sqrt());
    let near = ((n + 1.0).sqrt() - 1.0) / (n * 2.0_f64.sqrt());
    let mut simplex = vec![at(start.to_vec())];
    let origin = start.to_vec();
    for i in 0..start.len() {
        budget.check()?;
        let x = origin.iter().enumerate().map(|(j, x)| x + if i == j { far } else { near }).collect();
        simplex.push(at(x));
    }
    for _ in 0..STEPS_MAX {
        budget.check()?;
        improve(&mut simplex, &at);
        let mean = simplex.iter().map(|v| v.value).sum::<f64>() / (n + 1.0);
        let spread: f64 = simplex.iter().map(|v| (v.value - mean).powi(2) / n).sum();
        if spread.sqrt() < EPSILON {
            break;
        }
    }
    let least = simplex
        .iter()
        .enumerate()
        .fold(0, |best, (i, v)| if v.value < simplex[best].value { i } else { best });
    let x = simplex[least].x.clone();
    let mut used = x.clone();
    Ok((f(&mut used), x))
}

/// One step: replaces the greatest vertex, or shrinks the simplex towards the least.
fn improve(simplex: &mut [Vertex], at: &impl Fn(Vec<f64>) -> Vertex) {
    let (mut greatest, mut least) = (0, 0);
    for (i, vertex) in simplex.iter().enumerate() {
        if vertex.value > simplex[greatest].value {
            greatest = i;
        }
        if vertex.value < simplex[least].value {
            least = i;
        }
    }
    let mut second = least;
    for (i, vertex) in simplex.iter().enumerate() {
        if vertex.value > simplex[second].value && vertex.value < simplex[greatest].value {
            second = i;
        }
    }
    let n = simplex.len() - 1;
    let centre: Vec<f64> = (0..n)
        .map(|i| {
            let others = simplex.iter().enumerate().filter(|(v, _)| *v != greatest);
            others.map(|(_, v)| v.x[i]).sum::<f64>() / n as f64
        })
        .collect();
    let along = |from: &[f64], by: f64| -> Vec<f64> {
        centre.iter().zip(from).map(|(c, x)| c + by * (x - c)).collect()
    };
    let worst = simplex[greatest].x.clone();
    let reflected = at(centre.iter().zip(&worst).map(|(c, x)| c + (c - x)).collect());
    let value = reflected.value;
    if value < simplex[least].value {
        let expanded = at(along(&reflected.x, 2.0));
        simplex[greatest] = if expanded.value < value { expanded } else { reflected };
        return;
    }
    if value < simplex[second].value {
        simplex[greatest] = reflected;
        return;
    }
    let toward = if value < simplex[greatest].value { &reflected.x } else { &worst };
    let contracted = at(along(toward, 0.5));
    if contracted.value < simplex[greatest].value {
        simplex[greatest] = contracted;
        return;
    }
    let best = simplex[least].x.clone();
    for (i, vertex) in simplex.iter_mut().enumerate() {
        if i != least {
            for (x, b) in vertex.x.iter_mut().zip(&best) {
                *x = b + (*x - b) / 2.0;
            }
        }
    }
    // Only these two are valued again, as in 1.x: the others keep the value of the place they left.
    for i in [greatest, second] {
        simplex[i] = at(simplex[i].x.clone());
    }
}
