//! The rows of one series: a leading field or all of them, auxiliary columns beside it, filtered, limited.
//!
//! Rows are made in the order of reading, so a limit stops at the row that reaches it.

use super::columns::{Input, extend_cells};
use super::series::half_open;
use super::stream::{Place, Stream, Tester};
use crate::aggregate::{Pick, pick_in_windows};
use crate::budget::Budget;
use crate::condition::SeriesFilter;
use crate::error::QueryError;
use crate::points::Points;
use crate::result::Cell;
use crate::window::Window;
use model::scan::{Order, PolicyReader, SeriesRef};
use model::value::Values;
use std::sync::Arc;

/// A column selected beside the value.
#[derive(Debug, Clone)]
pub(crate) enum AuxInput {
    /// A field.
    Field(Input),
    /// A tag.
    Tag(Arc<str>),
    /// Nothing that this measurement has.
    Nothing,
}

/// What a statement reads as rows of a series.
#[derive(Debug, Clone)]
pub(crate) struct RowsOp {
    /// The field whose points make rows; `None` when every auxiliary field does.
    pub(crate) driver: Option<Input>,
    /// Columns beside it.
    pub(crate) aux: Vec<AuxInput>,
    /// Rows a series need not give more of.
    pub(crate) limit: Option<usize>,
    /// Which end the limit counts from.
    pub(crate) ascending: bool,
    /// Keeps one row a window only.
    pub(crate) pick: Option<Pick>,
}

/// Rows between two looks at deadline, cancellation and memory.
const ROWS_PER_CHECK: usize = 4_096;

/// Rows between two looks where each is tested.
const TESTS_PER_CHECK: usize = 16;

/// What reads the rows of one series after the other.
pub(crate) struct RowReader<'a> {
    op: &'a RowsOp,
    driver: Option<Stream<'a>>,
    aux: Vec<Aux<'a>>,
    tester: Tester<'a>,
}

enum Aux<'a> {
    Field(Stream<'a>),
    /// The same for all rows of a series.
    Constant(Cell),
}

impl<'a> RowReader<'a> {
    /// `tested` are the fields of the condition.
    pub(crate) fn open(policy: &'a dyn PolicyReader, op: &'a RowsOp, tested: &[Option<Input>]) -> Self {
        let aux = |aux: &AuxInput| match aux {
            AuxInput::Field(input) => Aux::Field(Stream::open(policy, *input)),
            AuxInput::Tag(_) | AuxInput::Nothing => Aux::Constant(Cell::Null),
        };
        Self {
            op,
            driver: op.driver.map(|input| Stream::open(policy, input)),
            aux: op.aux.iter().map(aux).collect(),
            tester: Tester::open(policy, tested, op.driver),
        }
    }

    /// The rows of a series, times rising. Memory is charged as rows are made.
    pub(crate) fn read(
        &mut self,
        series: &SeriesRef,
        filter: &SeriesFilter,
        (window, range): (&Window, (i64, i64)),
        budget: &Budget,
    ) -> Result<Points, QueryError> {
        let backwards = self.op.limit.is_some() && !self.op.ascending;
        let order = if backwards { Order::Descending } else { Order::Ascending };
        self.seek(series, Place { series: series.id, range: half_open(range), order }, filter)?;
        // A pick keeps one row a window, so it is the last one to know when there are enough.
        let limit = self.op.limit.filter(|_| self.op.pick.is_none());
        let mut rows = Rows { points: Points::new(self.aux.len()), charged: 0, text: 0, budget, limit };
        let plain = self.aux.is_empty() && matches!(filter, SeriesFilter::All);
        match &mut self.driver {
            Some(driver) if plain && !backwards => rows.take_chunks(driver)?,
            _ => self.take_rows(filter, (window, range), &mut rows)?,
        }
        let mut points = std::mem::take(&mut rows.points);
        if backwards {
            points.reverse();
        }
        if let Some(pick) = self.op.pick {
            points = pick_in_windows(pick, points, window, range);
        }
        budget.release(rows.charged.saturating_sub(points.bytes() + rows.text));
        Ok(points)
    }

    fn seek(&mut self, series: &SeriesRef, place: Place, filter: &SeriesFilter) -> Result<(), QueryError> {
        if let Some(driver) = &mut self.driver {
            driver.seek(place)?;
        }
        for (aux, input) in self.aux.iter_mut().zip(&self.op.aux) {
            match (aux, input) {
                (Aux::Field(stream), _) => stream.seek(place)?,
                (Aux::Constant(cell), AuxInput::Tag(key)) => {
                    *cell = match series.tag(key) {
                        "" => Cell::Null,
                        value => Cell::String(value.into()),
                    };
                }
                (Aux::Constant(_), AuxInput::Field(_) | AuxInput::Nothing) => {}
            }
        }
        if let SeriesFilter::Rows(_) = filter { self.tester.seek(place) } else { Ok(()) }
    }

    fn take_rows(
        &mut self,
        filter: &SeriesFilter,
        (window, range): (&Window, (i64, i64)),
        rows: &mut Rows<'_>,
    ) -> Result<(), QueryError> {
        let mut seen = 0_usize;
        let per_check = (ROWS_PER_CHECK / (1 + self.aux.len())).max(1);
        let filtered = matches!(filter, SeriesFilter::Rows(_));
        while let Some(time) = self.next_time()? {
            seen += 1;
            if filtered && seen.is_multiple_of(TESTS_PER_CHECK) {
                rows.budget.check()?;
            }
            if seen.is_multiple_of(per_check) {
                rows.budget.charge_points(per_check as u64)?;
                rows.settle(self.op.pick, (window, range))?;
            }
            let lead = self.driver.as_ref().map_or(Cell::Null, Stream::value);
            let passes = match filter {
                SeriesFilter::Rows(expr) => self.tester.passes(expr, time, || lead.clone())?,
                SeriesFilter::All | SeriesFilter::Nothing => true,
            };
            if passes {
                rows.points.times.push(time);
                rows.text += text_bytes(&lead);
                rows.points.values.push(lead);
                for aux in &mut self.aux {
                    rows.points.aux.push(match aux {
                        Aux::Field(stream) => {
                            let cell = stream.at(time)?;
                            rows.text += text_bytes(&cell);
                            cell
                        }
                        Aux::Constant(cell) => cell.clone(),
                    });
                }
            }
            self.pass(time)?;
            if rows.is_full() {
                break;
            }
        }
        rows.budget.charge_points((seen % per_check) as u64)?;
        rows.charge()
    }

    /// When the next row is: where the driver has a point, or where any of the auxiliary fields has one.
    fn next_time(&mut self) -> Result<Option<i64>, QueryError> {
        if let Some(driver) = &mut self.driver {
            return driver.peek();
        }
        let mut next: Option<i64> = None;
        for aux in &mut self.aux {
            let Aux::Field(stream) = aux else { continue };
            let Some(time) = stream.peek()? else { continue };
            next = Some(next.map_or(time, |next| match stream.order() {
                Order::Ascending => next.min(time),
                Order::Descending => next.max(time),
            }));
        }
        Ok(next)
    }

    /// Leaves the row at `time` behind.
    fn pass(&mut self, time: i64) -> Result<(), QueryError> {
        if let Some(driver) = &mut self.driver {
            driver.pass();
            return Ok(());
        }
        for aux in &mut self.aux {
            if let Aux::Field(stream) = aux
                && stream.peek()? == Some(time)
            {
                stream.pass();
            }
        }
        Ok(())
    }
}

/// Bytes of a string besides its text.
const TEXT_BYTES: usize = 16;

fn text_bytes(cell: &Cell) -> usize {
    if let Cell::String(text) = cell { TEXT_BYTES + text.len() } else { 0 }
}

/// Rows that were made, in the order of reading.
struct Rows<'a> {
    points: Points,
    charged: usize,
    /// Bytes of the strings of fields; those of tags are shared with the index.
    text: usize,
    budget: &'a Budget,
    limit: Option<usize>,
}

impl Rows<'_> {
    fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.points.len() >= limit)
    }

    /// Charges what was added since.
    fn charge(&mut self) -> Result<(), QueryError> {
        let bytes = self.points.bytes() + self.text;
        if bytes > self.charged {
            self.budget.charge(bytes - self.charged)?;
            self.charged = bytes;
        }
        Ok(())
    }

    /// Keeps little of many rows, where one a window is wanted.
    fn settle(&mut self, pick: Option<Pick>, place: (&Window, (i64, i64))) -> Result<(), QueryError> {
        self.budget.check()?;
        if let Some(pick) = pick {
            self.points = pick_in_windows(pick, std::mem::take(&mut self.points), place.0, place.1);
            self.text = self.points.values.iter().chain(&self.points.aux).map(text_bytes).sum();
        }
        self.charge()
    }

    /// All points of a field from the start, chunk by chunk, up to the limit.
    fn take_chunks(&mut self, stream: &mut Stream<'_>) -> Result<(), QueryError> {
        while !self.is_full() && stream.next_chunk()?.is_some() {
            self.budget.check()?;
            let span = stream.load()?;
            self.budget.charge_points((span.to - span.from) as u64)?;
            let room = self.limit.map_or(usize::MAX, |limit| limit - self.points.len());
            let to = span.to.min(span.from.saturating_add(room));
            self.points.times.extend_from_slice(&span.times[span.from..to]);
            extend_cells(&mut self.points.values, span.values, span.from..to);
            if let Values::String(texts) = span.values {
                self.text += texts[span.from..to].iter().map(|text| TEXT_BYTES + text.len()).sum::<usize>();
            }
            self.charge()?;
        }
        Ok(())
    }
}
