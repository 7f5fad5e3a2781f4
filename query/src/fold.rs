//! Aggregates that fold with constant memory a window: count, sum, mean, min, max, first, last, spread.
//!
//! A [`FoldState`] is fed runs of points of one series after the other, merges with the states of other series and
//! other groups, and ends as [`Points`]. It knows windows and values, not where they come from.

mod accumulate;
pub(crate) mod columns;
mod edge;
mod filter;
pub(crate) mod rows;
pub(crate) mod series;
pub(crate) mod stream;

use crate::fragment::TagSet;
use crate::points::Points;
use crate::window::Window;
use accumulate::{Count, Edge, Extreme, Mean, Scalar, Spread, Sum};
use model::FieldType;
use model::scan::ChunkStats;
use model::value::Values;
use std::any::Any;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::mem;
use std::sync::Arc;

/// The foldable aggregates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FoldKind {
    Count,
    Sum,
    Mean,
    Min,
    Max,
    First,
    Last,
    Spread,
}

/// The result of one window of one run of points.
pub(crate) trait Accumulator<T>: Clone + Send + Debug + 'static {
    /// Of at least one point; times rise.
    fn of_run(times: &[i64], values: &[T]) -> Self;
    /// Of a chunk that lies in the window as a whole.
    fn of_stats(stats: &ChunkStats) -> Option<Self>;
    /// Adds what comes later in the same series.
    fn extend(&mut self, later: Self);
    /// Adds at least one point that comes later in the same series; sums go on point by point, as in 1.x.
    fn extend_run(&mut self, times: &[i64], values: &[T]) {
        self.extend(Self::of_run(times, values));
    }
    /// The series has no more points in this window. `closing` as in [`FoldState::end_series`].
    fn seal(&mut self, _closing: Option<Closing<'_>>) {}
    /// Adds another series.
    fn merge(&mut self, other: Self);
    /// Bytes that it keeps beside itself; only where there is one window.
    fn held_bytes(&self) -> usize {
        0
    }
    /// The value, and the time of the point if the aggregate selects one.
    fn finish(self) -> (Option<i64>, crate::result::Cell);
}

/// Points to fold: `from..to` of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span<'a> {
    pub(crate) times: &'a [i64],
    pub(crate) values: &'a Values,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// The series that a state closes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closing<'a> {
    pub(crate) tags: &'a TagSet,
    /// Duration of the policy's shard groups.
    pub(crate) shard_ns: i64,
}

/// What a finished point's time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PointTime {
    /// The start of the window.
    Window,
    /// The time of the selected point.
    Selected,
}

/// The state of one aggregate for one output group.
pub(crate) trait FoldState: Send + Debug {
    /// Folds points of the current series; later than what was folded of it before.
    fn push(&mut self, span: Span<'_>, window: &Window, range: (i64, i64));
    /// Whether a chunk's summary says all that this aggregate wants to know.
    fn takes_stats(&self, stats: &ChunkStats) -> bool;
    /// Folds a whole chunk by its summary into the window that starts at `start`.
    fn push_stats(&mut self, start: i64, stats: &ChunkStats);
    /// Whether nothing was folded.
    fn is_empty(&self) -> bool;
    /// Closes the current series. With `closing`, which of several points of one time counts is a matter of their series.
    fn end_series(&mut self, closing: Option<Closing<'_>>);
    /// Bytes that the windows and what is kept of each series take.
    fn bytes(&self) -> usize;
    /// Adds the state of the same aggregate from elsewhere; both have closed their series.
    fn merge(&mut self, other: Box<dyn FoldState>);
    /// The points in order of time.
    fn finish(self: Box<Self>, time: PointTime) -> Points;
    /// For [`FoldState::merge`].
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// A state for the aggregate over a column of this type; `None` if the aggregate is not defined for it.
pub(crate) fn fold_state(kind: FoldKind, field_type: FieldType) -> Option<Box<dyn FoldState>> {
    Some(match field_type {
        FieldType::Float => number_state::<f64>(kind),
        FieldType::Integer => number_state::<i64>(kind),
        FieldType::Unsigned => number_state::<u64>(kind),
        FieldType::Boolean => match kind {
            FoldKind::Min => new::<bool, Extreme<bool, false>>(),
            FoldKind::Max => new::<bool, Extreme<bool, true>>(),
            FoldKind::Count | FoldKind::First | FoldKind::Last => any_state::<bool>(kind)?,
            FoldKind::Sum | FoldKind::Mean | FoldKind::Spread => return None,
        },
        FieldType::String => any_state::<Arc<str>>(kind)?,
    })
}

fn number_state<T: accumulate::Number>(kind: FoldKind) -> Box<dyn FoldState> {
    match kind {
        FoldKind::Count => new::<T, Count>(),
        FoldKind::Sum => new::<T, Sum<T>>(),
        FoldKind::Mean => new::<T, Mean<T>>(),
        FoldKind::Min => new::<T, Extreme<T, false>>(),
        FoldKind::Max => new::<T, Extreme<T, true>>(),
        FoldKind::First => new::<T, Edge<T, false>>(),
        FoldKind::Last => new::<T, Edge<T, true>>(),
        FoldKind::Spread => new::<T, Spread<T>>(),
    }
}

fn any_state<T: Scalar>(kind: FoldKind) -> Option<Box<dyn FoldState>> {
    Some(match kind {
        FoldKind::Count => new::<T, Count>(),
        FoldKind::First => new::<T, Edge<T, false>>(),
        FoldKind::Last => new::<T, Edge<T, true>>(),
        FoldKind::Sum | FoldKind::Mean | FoldKind::Min | FoldKind::Max | FoldKind::Spread => return None,
    })
}

fn new<T: Scalar, A: Accumulator<T>>() -> Box<dyn FoldState> {
    Box::new(WindowFold::<T, A> {
        group: Windows::default(),
        series: Windows::default(),
        scalar: PhantomData,
    })
}

/// Accumulators by start of their window, which rises.
#[derive(Debug, Clone)]
struct Windows<A> {
    starts: Vec<i64>,
    accumulators: Vec<A>,
}

impl<A> Default for Windows<A> {
    fn default() -> Self {
        Self { starts: Vec::new(), accumulators: Vec::new() }
    }
}

#[derive(Debug)]
struct WindowFold<T, A> {
    group: Windows<A>,
    series: Windows<A>,
    scalar: PhantomData<fn() -> T>,
}

impl<T: Scalar, A: Accumulator<T>> WindowFold<T, A> {
    fn add(&mut self, start: i64, accumulator: A) {
        match (self.series.starts.last(), self.series.accumulators.last_mut()) {
            (Some(&last), Some(open)) if last == start => open.extend(accumulator),
            _ => {
                self.series.starts.push(start);
                self.series.accumulators.push(accumulator);
            }
        }
    }

    fn add_run(&mut self, start: i64, times: &[i64], values: &[T]) {
        match (self.series.starts.last(), self.series.accumulators.last_mut()) {
            (Some(&last), Some(open)) if last == start => open.extend_run(times, values),
            _ => {
                self.series.starts.push(start);
                self.series.accumulators.push(A::of_run(times, values));
            }
        }
    }

    /// Merges sorted windows into the group's. Most series report in the same windows, so that is done in place; only
    /// windows that are new to the group cost a rebuild.
    fn absorb(&mut self, mut other: Windows<A>) -> Windows<A> {
        if self.group.starts.is_empty() {
            return mem::replace(&mut self.group, other);
        }
        let mut fresh = Windows::default();
        let mut at = 0;
        for (start, accumulator) in other.starts.drain(..).zip(other.accumulators.drain(..)) {
            while at < self.group.starts.len() && self.group.starts[at] < start {
                at += 1;
            }
            if self.group.starts.get(at) == Some(&start) {
                self.group.accumulators[at].merge(accumulator);
            } else {
                fresh.starts.push(start);
                fresh.accumulators.push(accumulator);
            }
        }
        if !fresh.starts.is_empty() {
            self.interleave(fresh);
        }
        other
    }

    /// Merges windows that the group does not have.
    fn interleave(&mut self, fresh: Windows<A>) {
        let old = mem::take(&mut self.group);
        let total = old.starts.len() + fresh.starts.len();
        let mut merged =
            Windows { starts: Vec::with_capacity(total), accumulators: Vec::with_capacity(total) };
        let mut left = old.starts.into_iter().zip(old.accumulators).peekable();
        let mut right = fresh.starts.into_iter().zip(fresh.accumulators).peekable();
        loop {
            let from_left = match (left.peek(), right.peek()) {
                (Some((a, _)), Some((b, _))) => a < b,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            if let Some((start, accumulator)) = if from_left { left.next() } else { right.next() } {
                merged.starts.push(start);
                merged.accumulators.push(accumulator);
            }
        }
        self.group = merged;
    }
}

impl<T: Scalar, A: Accumulator<T>> FoldState for WindowFold<T, A> {
    fn push(&mut self, span: Span<'_>, window: &Window, range: (i64, i64)) {
        let Some(values) = T::column(span.values) else { return };
        let (times, values) = (&span.times[span.from..span.to], &values[span.from..span.to]);
        let Some(&first) = times.first() else { return };
        let mut bounds = window.bounds(first, range);
        let mut at = 0;
        loop {
            let run = run_len(&times[at..], bounds.1);
            self.add_run(bounds.0, &times[at..at + run], &values[at..at + run]);
            at += run;
            let Some(&next) = times.get(at) else { return };
            bounds = window.bounds_after(bounds, next, range);
        }
    }

    fn takes_stats(&self, stats: &ChunkStats) -> bool {
        A::of_stats(stats).is_some()
    }

    fn push_stats(&mut self, start: i64, stats: &ChunkStats) {
        if let Some(accumulator) = A::of_stats(stats) {
            self.add(start, accumulator);
        }
    }

    fn is_empty(&self) -> bool {
        self.group.starts.is_empty()
    }

    fn end_series(&mut self, closing: Option<Closing<'_>>) {
        for accumulator in &mut self.series.accumulators {
            accumulator.seal(closing);
        }
        let series = mem::take(&mut self.series);
        // The emptied vectors serve the next series.
        self.series = self.absorb(series);
    }

    fn bytes(&self) -> usize {
        let held = self.group.accumulators.first().map_or(0, A::held_bytes);
        (self.group.starts.len() + self.series.starts.len()) * (size_of::<i64>() + size_of::<A>()) + held
    }

    fn merge(&mut self, other: Box<dyn FoldState>) {
        if let Ok(other) = other.into_any().downcast::<Self>() {
            self.absorb(other.group);
        }
    }

    fn finish(self: Box<Self>, time: PointTime) -> Points {
        let mut points = Points::new(0);
        points.times.reserve_exact(self.group.starts.len());
        points.values.reserve_exact(self.group.starts.len());
        for (start, accumulator) in self.group.starts.into_iter().zip(self.group.accumulators) {
            let (selected, value) = accumulator.finish();
            points.times.push(match time {
                PointTime::Window => start,
                PointTime::Selected => selected.unwrap_or(start),
            });
            points.values.push(value);
        }
        points
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// How many of the rising times lie before `end`; at least 1, as the caller made `end` from the first.
pub(crate) fn run_len(times: &[i64], end: i64) -> usize {
    // Runs are short in fine windows and whole chunks in coarse ones: gallop, then search.
    let mut reach = 1;
    while reach < times.len() && times[reach] < end {
        reach *= 2;
    }
    let low = reach / 2;
    let high = reach.min(times.len());
    (low + times[low..high].partition_point(|t| *t < end)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Cell;
    use proptest::prelude::*;

    fn fold(kind: FoldKind, parts: &[Vec<(i64, f64)>], interval: i64) -> Box<dyn FoldState> {
        let window = Window { interval, offset: 0, zone: None };
        let mut state = fold_state(kind, FieldType::Float).unwrap();
        for part in parts {
            let times: Vec<i64> = part.iter().map(|p| p.0).collect();
            let values = Values::Float(part.iter().map(|p| p.1).collect());
            let span = Span { times: &times, values: &values, from: 0, to: times.len() };
            state.push(span, &window, (0, 1_000));
            state.end_series(None);
        }
        state
    }

    #[test]
    fn windows_of_series_merge() {
        let parts = [vec![(0, 1.0), (5, 2.0), (12, 3.0)], vec![(7, 4.0), (31, 5.0)], vec![(21, 1.0)]];
        let points = fold(FoldKind::Sum, &parts, 10).finish(PointTime::Window);
        assert_eq!(points.times, [0, 10, 20, 30]);
        assert_eq!(points.values, [7.0, 3.0, 1.0, 5.0].map(Cell::Float));
    }

    #[test]
    fn ties_are_broken_as_in_1_x() {
        let parts = [vec![(3, 1.0), (5, 2.0)], vec![(3, 7.0), (5, 2.0)], vec![(2, 2.0), (5, 1.0)]];
        let of = |kind, parts: &[Vec<(i64, f64)>]| {
            let points = fold(kind, parts, 0).finish(PointTime::Selected);
            (points.times[0], points.values[0].clone())
        };
        assert_eq!(of(FoldKind::First, &parts[..2]), (3, Cell::Float(7.0)));
        assert_eq!(of(FoldKind::Last, &parts), (5, Cell::Float(2.0)));
        assert_eq!(of(FoldKind::Min, &parts), (3, Cell::Float(1.0)));
        assert_eq!(of(FoldKind::Max, &parts[2..]), (2, Cell::Float(2.0)));
    }

    #[test]
    fn without_windows_a_tie_goes_to_the_larger_of_the_two_that_the_heap_gives_first() {
        let tags = |value: &str| -> TagSet { [(Arc::from("host"), Arc::from(value))].into() };
        let window = Window { interval: 0, offset: 0, zone: None };
        for order in [["b", "a", "d", "c"], ["c", "d", "b", "a"], ["a", "d", "c", "b"]] {
            for (kind, expected) in [(FoldKind::First, 1.5), (FoldKind::Last, 1.5)] {
                let mut state = fold_state(kind, FieldType::Float).unwrap();
                for host in order {
                    let value = match host {
                        "a" => 1.5,
                        "b" => 2.5,
                        "c" => 3.5,
                        _ => 0.5,
                    };
                    let values = Values::Float(vec![value]);
                    state.push(Span { times: &[5], values: &values, from: 0, to: 1 }, &window, (0, 1_000));
                    state.end_series(Some(Closing { tags: &tags(host), shard_ns: 0 }));
                }
                assert_eq!(state.finish(PointTime::Selected).values, [Cell::Float(expected)], "{order:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_run_ends_at_the_window(times in prop::collection::btree_set(0_i64..200, 1..60), end in 1_i64..250) {
            let times: Vec<i64> = times.into_iter().collect();
            let expected = times.iter().filter(|t| **t < end).count().max(1);
            prop_assert_eq!(run_len(&times, end), expected);
        }

        #[test]
        fn any_split_into_groups_folds_to_the_same(
            series in prop::collection::vec(prop::collection::btree_map(0_i64..100, -9_i32..9, 0..20), 1..8),
            cut in 0_usize..8,
            interval in prop::sample::select(vec![0_i64, 7, 10, 50]),
        ) {
            let series: Vec<Vec<(i64, f64)>> = series
                .into_iter()
                .map(|s| s.into_iter().map(|(t, v)| (t, f64::from(v))).collect())
                .collect();
            let cut = cut.min(series.len());
            for kind in [FoldKind::Count, FoldKind::Sum, FoldKind::Min, FoldKind::Max, FoldKind::First,
                FoldKind::Last, FoldKind::Spread] {
                let whole = fold(kind, &series, interval).finish(PointTime::Selected);
                let mut left = fold(kind, &series[..cut], interval);
                left.merge(fold(kind, &series[cut..], interval));
                prop_assert_eq!(left.finish(PointTime::Selected), whole);
            }
        }
    }
}
