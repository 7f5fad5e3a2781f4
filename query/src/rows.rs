//! Rows from streams: the calls of a select list joined by series and time, output columns computed.

use crate::budget::Budget;
use crate::cast::cast;
use crate::error::QueryError;
use crate::math::{self, Division};
use crate::points::{GroupKey, Points, Stream};
use crate::result::Cell;
use crate::stage::{Absent, Output};
use model::FieldType;

/// Rows of one output series, in the order of the query.
#[derive(Debug)]
pub(crate) struct RowGroup {
    pub(crate) key: GroupKey,
    pub(crate) times: Vec<i64>,
    /// One cell an output column, row after row.
    pub(crate) cells: Vec<Cell>,
}

/// What a row is made of.
#[derive(Debug)]
pub(crate) struct RowBuilder<'a> {
    pub(crate) outputs: &'a [Output],
    /// Types of the slots.
    pub(crate) slots: &'a [Option<FieldType>],
    /// How many of them are calls.
    pub(crate) calls: usize,
    pub(crate) absent: &'a Absent,
    pub(crate) ascending: bool,
    pub(crate) budget: &'a Budget,
}

/// Rows between two looks at deadline and cancellation.
const ROWS_PER_CHECK: usize = 65_536;

impl RowBuilder<'_> {
    /// Rows of a statement with one stream: its value in slot 0 (if it is a call), its auxiliary columns after it.
    ///
    /// # Errors
    ///
    /// Those of the budget.
    pub(crate) fn of_one(&self, stream: Stream, has_value: bool) -> Result<Vec<RowGroup>, QueryError> {
        let mut groups = Vec::with_capacity(stream.len());
        for (key, mut points) in stream {
            self.charge(points.len())?;
            let mut cells = Vec::with_capacity(points.len() * self.outputs.len());
            let mut slots = vec![Cell::Null; self.slots.len()];
            let first_aux = usize::from(has_value);
            let per_check = (ROWS_PER_CHECK / self.outputs.len().max(1)).max(1);
            for row in 0..points.len() {
                if row % per_check == per_check - 1 {
                    self.budget.check()?;
                }
                if has_value {
                    let value = std::mem::replace(&mut points.values[row], Cell::Null);
                    self.set(&mut slots, 0, value);
                }
                for column in 0..points.width {
                    let value = std::mem::replace(&mut points.aux[row * points.width + column], Cell::Null);
                    self.set(&mut slots, first_aux + column, value);
                }
                self.emit(&slots, &mut cells);
            }
            groups.push(RowGroup { key, times: points.times, cells });
        }
        Ok(groups)
    }

    /// Rows of a statement with several calls: a row for each time that one of them has.
    ///
    /// # Errors
    ///
    /// Those of the budget.
    pub(crate) fn of_many(&self, streams: Vec<Stream>) -> Result<Vec<RowGroup>, QueryError> {
        let mut keys: Vec<GroupKey> = streams.iter().flatten().map(|(key, _)| key.clone()).collect();
        keys.sort();
        keys.dedup();
        let mut waiting: Vec<_> = streams.into_iter().map(|s| s.into_iter().peekable()).collect();
        let mut groups = Vec::with_capacity(keys.len());
        for key in keys {
            let points: Vec<Points> = waiting
                .iter_mut()
                .map(|stream| {
                    stream.next_if(|(k, _)| *k == key).map(|(_, points)| points).unwrap_or_default()
                })
                .collect();
            groups.push(self.join(key, points)?);
        }
        Ok(groups)
    }

    fn join(&self, key: GroupKey, streams: Vec<Points>) -> Result<RowGroup, QueryError> {
        let mut at = vec![0; streams.len()];
        let mut slots = vec![Cell::Null; self.slots.len()];
        let mut group = RowGroup { key, times: Vec::new(), cells: Vec::new() };
        let mut charged = 0;
        let per_check = (ROWS_PER_CHECK / (streams.len() + self.outputs.len()).max(1)).max(1);
        loop {
            let heads = streams.iter().zip(&at).filter_map(|(points, i)| points.times.get(*i).copied());
            let Some(time) = (if self.ascending { heads.min() } else { heads.max() }) else { break };
            for (slot, points) in streams.iter().enumerate() {
                if points.times.get(at[slot]) == Some(&time) {
                    self.set(&mut slots, slot, points.values[at[slot]].clone());
                    at[slot] += 1;
                } else {
                    self.set(&mut slots, slot, Cell::Null);
                }
            }
            group.times.push(time);
            self.emit(&slots, &mut group.cells);
            if group.times.len() - charged == per_check {
                self.budget.check()?;
                self.charge(per_check)?;
                charged = group.times.len();
            }
        }
        self.charge(group.times.len() - charged)?;
        Ok(group)
    }

    fn charge(&self, rows: usize) -> Result<(), QueryError> {
        self.budget.charge(rows * (self.outputs.len() + 1) * size_of::<Cell>())
    }

    fn set(&self, slots: &mut [Cell], slot: usize, value: Cell) {
        slots[slot] = match (value, self.absent) {
            (Cell::Null, Absent::Null) => Cell::Null,
            (Cell::Null, Absent::Previous) => return,
            // A call of something unknown has no value at all.
            (Cell::Null, Absent::Value(_)) if slot < self.calls && self.slots[slot].is_none() => Cell::Null,
            (Cell::Null, Absent::Value(number)) => {
                match self.slots[slot].map(|t| cast(number.clone(), t)) {
                    // A number that the type cannot hold is shown as it is.
                    None | Some(Cell::Null) => number.clone(),
                    Some(fitting) => fitting,
                }
            }
            (value, _) => value,
        };
    }

    fn emit(&self, slots: &[Cell], cells: &mut Vec<Cell>) {
        for output in self.outputs {
            cells.push(evaluate(output, slots));
        }
    }
}

fn evaluate(output: &Output, slots: &[Cell]) -> Cell {
    match output {
        Output::Slot(slot) => slots[*slot].clone(),
        Output::Constant(cell) => cell.clone(),
        Output::Binary(op, sides) => {
            math::binary(*op, &evaluate(&sides.0, slots), &evaluate(&sides.1, slots), Division::Float)
        }
        Output::Math(function, args) => {
            let args: Vec<Cell> = args.iter().map(|a| evaluate(a, slots)).collect();
            function.apply(&args)
        }
    }
}
