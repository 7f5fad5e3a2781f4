//! One accumulator for each foldable aggregate. Tie rules are those of InfluxDB 1.x: first and last prefer the larger
//! value at one time (false for first; without windows see [`edge`](super::edge)), min and max the earlier time at one value.

use super::edge::Heads;
use super::{Accumulator, Closing};
use crate::result::Cell;
use model::FieldValue;
use model::scan::ChunkStats;
use model::value::Values;
use std::cmp::Ordering;
use std::fmt::Debug;
use std::sync::Arc;

/// A type of column values.
pub(crate) trait Scalar: Clone + PartialOrd + Send + Debug + 'static {
    /// The values, if the column has this type.
    fn column(values: &Values) -> Option<&[Self]>;
    fn of_field(value: &FieldValue) -> Option<Self>;
    fn cell(self) -> Cell;
    /// Which of two values of one time first() takes, or last().
    fn wins_tie(&self, other: &Self, _last: bool) -> bool {
        self > other
    }
}

/// A type that can be summed up.
pub(crate) trait Number: Scalar + Copy + Default {
    /// Integers wrap.
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn float(self) -> f64;
}

macro_rules! scalar {
    ($type:ty, $variant:ident, $value:ident => $cell:expr) => {
        impl Scalar for $type {
            fn column(values: &Values) -> Option<&[Self]> {
                if let Values::$variant(values) = values { Some(values) } else { None }
            }

            fn of_field(value: &FieldValue) -> Option<Self> {
                if let FieldValue::$variant(value) = value { Some(*value) } else { None }
            }

            fn cell(self) -> Cell {
                let $value = self;
                $cell
            }
        }
    };
}

scalar!(f64, Float, value => Cell::Float(value));
scalar!(i64, Integer, value => Cell::Integer(value));
scalar!(u64, Unsigned, value => Cell::Unsigned(value));

impl Scalar for bool {
    fn column(values: &Values) -> Option<&[Self]> {
        if let Values::Boolean(values) = values { Some(values) } else { None }
    }

    fn of_field(value: &FieldValue) -> Option<Self> {
        if let FieldValue::Boolean(value) = value { Some(*value) } else { None }
    }

    fn cell(self) -> Cell {
        Cell::Boolean(self)
    }

    fn wins_tie(&self, other: &Self, last: bool) -> bool {
        *self != *other && *self == last
    }
}

impl Scalar for Arc<str> {
    fn column(values: &Values) -> Option<&[Self]> {
        if let Values::String(values) = values { Some(values) } else { None }
    }

    fn of_field(value: &FieldValue) -> Option<Self> {
        if let FieldValue::String(bytes) = value {
            Some(String::from_utf8_lossy(bytes).as_ref().into())
        } else {
            None
        }
    }

    fn cell(self) -> Cell {
        Cell::String(self)
    }
}

impl Number for f64 {
    fn plus(self, other: Self) -> Self {
        self + other
    }

    fn minus(self, other: Self) -> Self {
        self - other
    }

    fn float(self) -> f64 {
        self
    }
}

impl Number for i64 {
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    fn float(self) -> f64 {
        self as f64
    }
}

impl Number for u64 {
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    fn float(self) -> f64 {
        self as f64
    }
}

/// The sum in the order of the values.
fn total<T: Number>(sum: T, values: &[T]) -> T {
    values.iter().fold(sum, |sum, value| sum.plus(*value))
}

/// count()
#[derive(Debug, Clone)]
pub(crate) struct Count(u64);

impl<T: Scalar> Accumulator<T> for Count {
    fn of_run(times: &[i64], _: &[T]) -> Self {
        Self(times.len() as u64)
    }

    fn of_stats(stats: &ChunkStats) -> Option<Self> {
        Some(Self(stats.count))
    }

    fn extend(&mut self, later: Self) {
        self.0 += later.0;
    }

    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }

    fn finish(self) -> (Option<i64>, Cell) {
        (None, Cell::Integer(self.0 as i64))
    }
}

/// sum()
#[derive(Debug, Clone)]
pub(crate) struct Sum<T>(T);

impl<T: Number> Accumulator<T> for Sum<T> {
    fn of_run(_: &[i64], values: &[T]) -> Self {
        Self(total(T::default(), values))
    }

    fn of_stats(stats: &ChunkStats) -> Option<Self> {
        stats.sum.as_ref().and_then(T::of_field).map(Self)
    }

    fn extend(&mut self, later: Self) {
        self.0 = self.0.plus(later.0);
    }

    fn extend_run(&mut self, _: &[i64], values: &[T]) {
        self.0 = total(self.0, values);
    }

    fn merge(&mut self, other: Self) {
        self.0 = self.0.plus(other.0);
    }

    fn finish(self) -> (Option<i64>, Cell) {
        (None, self.0.cell())
    }
}

/// mean(). 1.x divides once a series and multiplies again when it joins series, which shows in the last digit.
#[derive(Debug, Clone)]
pub(crate) struct Mean<T> {
    /// Of the open series.
    sum: T,
    /// Of all, once sealed.
    total: f64,
    count: u64,
}

impl<T: Number> Mean<T> {
    fn of(sum: T, count: u64) -> Self {
        Self { sum, total: 0.0, count }
    }
}

fn divided_and_multiplied(sum: f64, count: u64) -> f64 {
    if count >= 2 { sum / count as f64 * count as f64 } else { sum }
}

impl<T: Number> Accumulator<T> for Mean<T> {
    fn of_run(_: &[i64], values: &[T]) -> Self {
        Self::of(total(T::default(), values), values.len() as u64)
    }

    fn of_stats(stats: &ChunkStats) -> Option<Self> {
        stats.sum.as_ref().and_then(T::of_field).map(|sum| Self::of(sum, stats.count))
    }

    fn extend(&mut self, later: Self) {
        self.sum = self.sum.plus(later.sum);
        self.count += later.count;
    }

    fn extend_run(&mut self, _: &[i64], values: &[T]) {
        self.sum = total(self.sum, values);
        self.count += values.len() as u64;
    }

    fn seal(&mut self, _closing: Option<Closing<'_>>) {
        self.total = divided_and_multiplied(self.sum.float(), self.count);
    }

    fn merge(&mut self, other: Self) {
        self.total += other.total;
        self.count += other.count;
    }

    fn finish(self) -> (Option<i64>, Cell) {
        let total = divided_and_multiplied(self.total, self.count);
        (None, Cell::Float(total / self.count as f64))
    }
}

/// min(), and with `MAX` max()
#[derive(Debug, Clone)]
pub(crate) struct Extreme<T, const MAX: bool> {
    time: i64,
    value: T,
}

fn beats<T: PartialOrd, const MAX: bool>(value: &T, best: &T) -> bool {
    if MAX { value > best } else { value < best }
}

impl<T: Scalar, const MAX: bool> Accumulator<T> for Extreme<T, MAX> {
    fn of_run(times: &[i64], values: &[T]) -> Self {
        let mut best = 0;
        for (i, value) in values.iter().enumerate().skip(1) {
            if beats::<T, MAX>(value, &values[best]) {
                best = i;
            }
        }
        Self { time: times[best], value: values[best].clone() }
    }

    fn of_stats(stats: &ChunkStats) -> Option<Self> {
        let (time, value) = if MAX { stats.max.as_ref()? } else { stats.min.as_ref()? };
        Some(Self { time: *time, value: T::of_field(value)? })
    }

    fn extend(&mut self, later: Self) {
        self.merge(later);
    }

    fn merge(&mut self, other: Self) {
        if beats::<T, MAX>(&other.value, &self.value) || (other.value == self.value && other.time < self.time)
        {
            *self = other;
        }
    }

    fn finish(self) -> (Option<i64>, Cell) {
        (Some(self.time), self.value.cell())
    }
}

/// first(), and with `LAST` last()
#[derive(Debug, Clone)]
pub(crate) struct Edge<T, const LAST: bool> {
    time: i64,
    value: T,
    /// Of the series that were closed, where ties go by series.
    heads: Option<Heads<T>>,
}

impl<T: Scalar, const LAST: bool> Accumulator<T> for Edge<T, LAST> {
    fn of_run(times: &[i64], values: &[T]) -> Self {
        let at = if LAST { times.len() - 1 } else { 0 };
        let mut best = &values[at];
        // A series has a time once, rows of a subquery may have it several times.
        let mut other = at;
        loop {
            other = if LAST { other.wrapping_sub(1) } else { other + 1 };
            if times.get(other) != Some(&times[at]) {
                break;
            }
            if values[other].wins_tie(best, LAST) {
                best = &values[other];
            }
        }
        Self { time: times[at], value: best.clone(), heads: None }
    }

    fn of_stats(stats: &ChunkStats) -> Option<Self> {
        let (time, value) = if LAST { &stats.last } else { &stats.first };
        Some(Self { time: *time, value: T::of_field(value)?, heads: None })
    }

    fn extend(&mut self, later: Self) {
        self.merge(later);
    }

    fn seal(&mut self, closing: Option<Closing<'_>>) {
        self.heads = closing.map(|closing| Heads::of_one(closing, self.time, self.value.clone()));
    }

    fn merge(&mut self, mut other: Self) {
        if let (Some(mine), Some(_)) = (&mut self.heads, &other.heads) {
            if let Some(theirs) = other.heads {
                mine.merge(theirs, LAST);
            }
            return;
        }
        // A subquery has no series to tell apart: what was found of those is one point beside its own.
        self.settle();
        other.settle();
        let wins = if LAST { other.time > self.time } else { other.time < self.time };
        if wins || (other.time == self.time && other.value.wins_tie(&self.value, LAST)) {
            (self.time, self.value) = (other.time, other.value);
        }
    }

    fn held_bytes(&self) -> usize {
        self.heads.as_ref().map_or(0, Heads::bytes)
    }

    fn finish(mut self) -> (Option<i64>, Cell) {
        self.settle();
        (Some(self.time), self.value.cell())
    }
}

impl<T: Scalar, const LAST: bool> Edge<T, LAST> {
    /// Names the point among the series that were closed.
    fn settle(&mut self) {
        if let Some((time, value)) = self.heads.take().and_then(|heads| heads.finish(LAST)) {
            (self.time, self.value) = (time, value);
        }
    }
}

/// spread()
#[derive(Debug, Clone)]
pub(crate) struct Spread<T> {
    min: T,
    max: T,
}

impl<T: Number> Spread<T> {
    fn is_nan(&self) -> bool {
        self.min.float().is_nan()
    }
}

impl<T: Number> Accumulator<T> for Spread<T> {
    fn of_run(_: &[i64], values: &[T]) -> Self {
        let mut spread = Self { min: values[0], max: values[0] };
        for &value in values {
            spread.merge(Self { min: value, max: value });
        }
        spread
    }

    fn of_stats(stats: &ChunkStats) -> Option<Self> {
        Some(Self { min: T::of_field(&stats.min.as_ref()?.1)?, max: T::of_field(&stats.max.as_ref()?.1)? })
    }

    fn extend(&mut self, later: Self) {
        self.merge(later);
    }

    fn merge(&mut self, other: Self) {
        // What compares with nothing is NaN, and stays so.
        let takes =
            |order: Option<Ordering>, wanted| order.map_or_else(|| other.is_nan(), |order| order == wanted);
        if takes(other.min.partial_cmp(&self.min), Ordering::Less) {
            self.min = other.min;
        }
        if takes(other.max.partial_cmp(&self.max), Ordering::Greater) {
            self.max = other.max;
        }
    }

    fn finish(self) -> (Option<i64>, Cell) {
        (None, self.max.minus(self.min).cell())
    }
}
