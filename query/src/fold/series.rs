//! One field of one series folded, with or without a row filter: what a fragment does for aggregates.

use super::columns::{Input, cell, push_value};
use super::filter::{Comparison, comparisons, keep};
use super::stream::{Place, Stream, Tester};
use super::{FoldState, Span};
use crate::budget::Budget;
use crate::condition::{RowExpr, SeriesFilter};
use crate::error::QueryError;
use crate::window::Window;
use model::TimeRange;
use model::scan::{Bounds, ChunkStats, EvenWindows, Order, PolicyReader};
use model::value::Values;

/// Which points of a series can matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All of them.
    All,
    /// The first in the range.
    First,
    /// The last in the range.
    Last,
}

impl Reach {
    fn order(self) -> Order {
        match self {
            Self::All | Self::First => Order::Ascending,
            Self::Last => Order::Descending,
        }
    }
}

/// Chunks between two looks at deadline and cancellation: some tens of microseconds.
const CHUNKS_PER_CHECK: u32 = 32;

/// Rows between two looks where each is tested by itself.
const ROWS_PER_CHECK: usize = 16;

/// What folds one field of a series after the other.
pub(crate) struct FieldFold<'a> {
    lead: Stream<'a>,
    tester: Tester<'a>,
    /// Points of a chunk that passed the filter.
    kept: (Vec<i64>, Values),
    chunks: u32,
}

/// The windows of a fold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows<'a> {
    pub(crate) window: &'a Window,
    /// Inclusive.
    pub(crate) range: (i64, i64),
    pub(crate) reach: Reach,
}

impl<'a> FieldFold<'a> {
    /// `tested` are the fields of the condition.
    pub(crate) fn open(policy: &'a dyn PolicyReader, input: Input, tested: &[Option<Input>]) -> Self {
        Self {
            lead: Stream::open(policy, input),
            tester: Tester::open(policy, tested, Some(input)),
            kept: (Vec::new(), Values::new(input.wanted)),
            chunks: 0,
        }
    }

    /// Tells that summaries of chunks in one of these windows will do.
    pub(crate) fn expect_windows(&mut self, windows: EvenWindows) {
        self.lead.expect_windows(windows);
    }

    /// Folds a series into all the states that want it. Windows are charged as they are made.
    pub(crate) fn fold(
        &mut self,
        series: model::SeriesId,
        filter: &SeriesFilter,
        windows: Windows<'_>,
        states: &mut [Box<dyn FoldState>],
        budget: &Budget,
    ) -> Result<(), QueryError> {
        let place = Place { series, range: half_open(windows.range), order: windows.reach.order() };
        self.lead.seek(place)?;
        if let SeriesFilter::Rows(_) = filter {
            self.tester.seek(place)?;
        }
        let simple = match filter {
            // The newest point that passes is looked for from behind, row by row.
            SeriesFilter::Rows(expr) if windows.reach != Reach::Last => {
                comparisons(expr, &|field| self.tester.is_lead(field))
            }
            _ => None,
        };
        let filtered = matches!(filter, SeriesFilter::Rows(_));
        while let Some(bounds) = self.lead.next_chunk()? {
            self.chunks = self.chunks.wrapping_add(1);
            // A condition may take long for a chunk.
            if filtered || self.chunks.is_multiple_of(CHUNKS_PER_CHECK) {
                budget.check()?;
            }
            let before: usize = states.iter().map(|s| s.bytes()).sum();
            let some = match filter {
                SeriesFilter::Rows(expr) => {
                    self.keep_passing(expr, simple.as_deref(), windows.reach, budget)?;
                    let (times, values) = &self.kept;
                    let span = Span { times, values, from: 0, to: times.len() };
                    for state in &mut *states {
                        state.push(span, windows.window, windows.range);
                    }
                    !times.is_empty()
                }
                SeriesFilter::All | SeriesFilter::Nothing => {
                    self.fold_chunk(bounds, windows, states, budget)?
                }
            };
            budget.charge(states.iter().map(|s| s.bytes()).sum::<usize>().saturating_sub(before))?;
            if some && windows.reach != Reach::All {
                break;
            }
        }
        Ok(())
    }

    /// Folds the chunk, by its summary if that will do; answers whether it had a point in the range.
    fn fold_chunk(
        &mut self,
        bounds: Bounds,
        windows: Windows<'_>,
        states: &mut [Box<dyn FoldState>],
        budget: &Budget,
    ) -> Result<bool, QueryError> {
        if let Some((start, stats)) = self.summary(bounds, windows)
            && states.iter().all(|s| s.takes_stats(&stats))
        {
            for state in states {
                state.push_stats(start, &stats);
            }
            budget.charge_points(stats.count)?;
            return Ok(true);
        }
        let span = self.lead.load()?;
        budget.charge_points((span.to - span.from) as u64)?;
        for state in states {
            state.push(span, windows.window, windows.range);
        }
        Ok(span.from < span.to)
    }

    /// The summary of a chunk that lies in one window, and where the window starts.
    fn summary(&self, bounds: Bounds, windows: Windows<'_>) -> Option<(i64, ChunkStats)> {
        let (first, last) = windows.range;
        if bounds.first < first || last < bounds.last {
            return None;
        }
        let (start, end) = windows.window.bounds(bounds.first, windows.range);
        if bounds.last < end { Some((start, self.lead.stats()?)) } else { None }
    }

    /// Keeps the points of the chunk that pass.
    fn keep_passing(
        &mut self,
        expr: &RowExpr,
        simple: Option<&[Comparison]>,
        reach: Reach,
        budget: &Budget,
    ) -> Result<(), QueryError> {
        let span = self.lead.load()?;
        budget.charge_points((span.to - span.from) as u64)?;
        let (times, values) = &mut self.kept;
        times.clear();
        *values = Values::new(span.values.field_type());
        if simple.is_some_and(|simple| keep(simple, span, (times, values))) {
            return Ok(());
        }
        let tester = &mut self.tester;
        let mut test = |place: usize| -> Result<bool, QueryError> {
            if place.is_multiple_of(ROWS_PER_CHECK) {
                budget.check()?;
            }
            let time = span.times[place];
            let passes = tester.passes(expr, time, || cell(span.values, place))?;
            if passes {
                times.push(time);
                push_value(values, span.values, place);
            }
            Ok(passes)
        };
        if reach == Reach::Last {
            // The newest one that passes is all that is wanted.
            for place in (span.from..span.to).rev() {
                if test(place)? {
                    break;
                }
            }
        } else {
            for place in span.from..span.to {
                test(place)?;
            }
        }
        Ok(())
    }
}

/// Folds a whole column.
pub(crate) fn push(
    state: &mut dyn FoldState,
    times: &[i64],
    values: &Values,
    (window, range): (&Window, (i64, i64)),
) {
    state.push(Span { times, values, from: 0, to: times.len() }, window, range);
}

/// An inclusive range as a half-open one.
pub(crate) fn half_open(range: (i64, i64)) -> TimeRange {
    TimeRange::new(range.0, range.1.saturating_add(1)).intersect(&TimeRange::ALL)
}
