//! What one measurement contributes to a SELECT, and how one replica of one group computes it.
//!
//! A [`Fragment`] is made by the plan and folded once for each group; the [`Partial`]s merge in any order of groups.
//! It holds ids and compiled conditions only, so it may be sent to threads.

use crate::budget::Budget;
use crate::condition::{RowCondition, SeriesFilter};
use crate::error::QueryError;
use crate::fold::columns::{Input, SeriesAt};
use crate::fold::rows::{RowsOp, rows_of_series};
use crate::fold::series::{Filter, Reach, fold_series};
use crate::fold::{FoldKind, FoldState, fold_state};
use crate::points::Points;
use crate::window::Window;
use model::scan::{GroupReader, SeriesRef};
use model::{DatabaseId, FieldId, RetentionPolicyId, TagPredicate};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The values of the GROUP BY tags.
pub(crate) type TagValues = Arc<[Arc<str>]>;
/// The whole tag set of a series.
pub(crate) type TagSet = Arc<[(Arc<str>, Arc<str>)]>;

/// The part of a statement that reads one measurement.
#[derive(Debug, Clone)]
pub struct Fragment {
    pub(crate) database: DatabaseId,
    pub(crate) policy: RetentionPolicyId,
    pub(crate) measurement: Arc<str>,
    pub(crate) predicate: TagPredicate,
    pub(crate) work: FragmentWork,
}

/// What to do with the measurement.
#[derive(Debug, Clone)]
pub(crate) enum FragmentWork {
    /// List tag keys and fields, for wildcards.
    Describe,
    /// Read points.
    Read(Arc<ReadWork>),
}

/// How points are read.
#[derive(Debug)]
pub(crate) struct ReadWork {
    pub(crate) condition: RowCondition,
    /// The condition's fields as this measurement has them.
    pub(crate) condition_inputs: Vec<Option<Input>>,
    pub(crate) ops: Vec<FragmentOp>,
}

/// One thing to compute from a series.
#[derive(Debug, Clone)]
pub(crate) struct FragmentOp {
    /// GROUP BY tags, sorted.
    pub(crate) dimensions: Arc<[Arc<str>]>,
    /// Inclusive.
    pub(crate) range: (i64, i64),
    pub(crate) window: Window,
    pub(crate) kind: FragmentOpKind,
}

#[derive(Debug, Clone)]
pub(crate) enum FragmentOpKind {
    /// Fold a field.
    Fold(FoldKind, Input),
    /// Carry rows.
    Rows(RowsOp),
    /// The measurement lacks what is asked for.
    Nothing,
}

/// The answer of one group to one fragment.
#[derive(Debug, Default)]
pub struct Partial {
    /// One map an op.
    pub(crate) ops: Vec<OpPartial>,
    /// Answer to [`FragmentWork::Describe`].
    pub(crate) tag_keys: BTreeSet<Arc<str>>,
    /// Answer to [`FragmentWork::Describe`].
    pub(crate) fields: BTreeSet<FieldId>,
}

/// What an op made, by output group.
pub(crate) type OpPartial = BTreeMap<TagValues, OpState>;

/// What an op made for one output group.
#[derive(Debug)]
pub(crate) enum OpState {
    /// Windows folded.
    Fold(Box<dyn FoldState>),
    /// Rows of each series.
    Rows(Vec<(TagSet, Points)>),
}

impl OpState {
    /// Adds what another group made of the same op.
    pub(crate) fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Fold(mine), Self::Fold(theirs)) => mine.merge(theirs),
            (Self::Rows(mine), Self::Rows(theirs)) => mine.extend(theirs),
            // One op is of one kind in every group.
            (Self::Fold(_), Self::Rows(_)) | (Self::Rows(_), Self::Fold(_)) => {}
        }
    }
}

/// Series between two looks at deadline and cancellation.
const SERIES_PER_CHECK: usize = 16;

impl Fragment {
    /// Computes the fragment over one replica.
    ///
    /// # Errors
    ///
    /// [`QueryError::Scan`] when the replica cannot be read, else what the budget says.
    pub fn fold(&self, reader: &dyn GroupReader, budget: &Budget) -> Result<Partial, QueryError> {
        budget.check()?;
        match &self.work {
            FragmentWork::Describe => Ok(self.describe(reader)),
            FragmentWork::Read(work) => self.read(work, reader, budget),
        }
    }

    fn describe(&self, reader: &dyn GroupReader) -> Partial {
        Partial {
            ops: Vec::new(),
            tag_keys: reader.tag_keys(self.database, &self.measurement, &TagPredicate::All),
            fields: reader.fields(self.database, self.policy, &self.measurement).into_keys().collect(),
        }
    }

    fn read(
        &self,
        work: &ReadWork,
        reader: &dyn GroupReader,
        budget: &Budget,
    ) -> Result<Partial, QueryError> {
        let series = reader.series(self.database, &self.measurement, &self.predicate);
        budget.charge_series(series.len())?;
        let mut partial = Partial::default();
        partial.ops.resize_with(work.ops.len(), OpPartial::new);
        for (n, series) in series.iter().enumerate() {
            if n % SERIES_PER_CHECK == 0 {
                budget.check()?;
            }
            let filter = work.condition.bind(&|key: &str| series.tag(key));
            if matches!(filter, SeriesFilter::Nothing) {
                continue;
            }
            let at = SeriesAt { reader, policy: self.policy, series: series.id };
            let filter = Filter { series: &filter, inputs: &work.condition_inputs };
            let mut job = SeriesJob { work, at, series, filter, budget, partial: &mut partial };
            job.fold()?;
            job.rows()?;
        }
        Ok(partial)
    }
}

/// One series on its way through all ops.
struct SeriesJob<'a> {
    work: &'a ReadWork,
    at: SeriesAt<'a>,
    series: &'a SeriesRef,
    filter: Filter<'a>,
    budget: &'a Budget,
    partial: &'a mut Partial,
}

impl SeriesJob<'_> {
    /// Ops that fold the same field over the same windows share one scan.
    fn fold(&mut self) -> Result<(), QueryError> {
        let mut done = vec![false; self.work.ops.len()];
        for first in 0..done.len() {
            let op = &self.work.ops[first];
            let FragmentOpKind::Fold(kind, input) = op.kind else { continue };
            if done[first] {
                continue;
            }
            let mut sharing = vec![(first, kind)];
            for (i, other) in self.work.ops.iter().enumerate().skip(first + 1) {
                if let FragmentOpKind::Fold(kind, same) = other.kind
                    && same == input
                    && other.range == op.range
                {
                    sharing.push((i, kind));
                    done[i] = true;
                }
            }
            self.fold_sharing(op, input, &sharing)?;
        }
        Ok(())
    }

    fn fold_sharing(
        &mut self,
        op: &FragmentOp,
        input: Input,
        sharing: &[(usize, FoldKind)],
    ) -> Result<(), QueryError> {
        let key = group_key(self.series, &op.dimensions);
        let mut states = Vec::with_capacity(sharing.len());
        for (i, kind) in sharing {
            let state = match self.partial.ops[*i].remove(&key) {
                Some(OpState::Fold(state)) => Some(state),
                Some(OpState::Rows(_)) | None => fold_state(*kind, input.wanted),
            };
            let Some(state) = state else { return Ok(()) };
            states.push(state);
        }
        let mut borrowed: Vec<&mut Box<dyn FoldState>> = states.iter_mut().collect();
        let reach = reach(sharing, &op.window);
        fold_series(self.at, input, &self.filter, (&op.window, op.range), (&mut borrowed, reach))?;
        // 1.x prefers the larger value among points of one time in a window, but the first series where there is none.
        let tags = op.window.is_none().then_some(&self.series.tags);
        for ((i, _), mut state) in sharing.iter().zip(states) {
            self.budget.charge(state.end_series(tags))?;
            if !state.is_empty() {
                self.partial.ops[*i].insert(Arc::clone(&key), OpState::Fold(state));
            }
        }
        Ok(())
    }

    fn rows(&mut self) -> Result<(), QueryError> {
        for (i, op) in self.work.ops.iter().enumerate() {
            let FragmentOpKind::Rows(rows) = &op.kind else { continue };
            let place = (&op.window, op.range, self.budget);
            let points = rows_of_series(self.at, self.series, rows, &self.filter, place)?;
            if points.is_empty() {
                continue;
            }
            let entry = self.partial.ops[i].entry(group_key(self.series, &op.dimensions));
            if let OpState::Rows(series) = entry.or_insert_with(|| OpState::Rows(Vec::new())) {
                series.push((Arc::clone(&self.series.tags), points));
            }
        }
        Ok(())
    }
}

/// `last()` over years of points needs one of them.
fn reach(sharing: &[(usize, FoldKind)], window: &Window) -> Reach {
    let all = |wanted| window.is_none() && sharing.iter().all(|(_, kind)| *kind == wanted);
    if all(FoldKind::First) {
        Reach::First
    } else if all(FoldKind::Last) {
        Reach::Last
    } else {
        Reach::All
    }
}

/// The values that a series has for the GROUP BY tags.
fn group_key(series: &SeriesRef, dimensions: &[Arc<str>]) -> TagValues {
    let empty = || Arc::from("");
    dimensions
        .iter()
        .map(|key| {
            series
                .tags
                .binary_search_by(|(k, _)| k.cmp(key))
                .map_or_else(|_| empty(), |i| Arc::clone(&series.tags[i].1))
        })
        .collect()
}
