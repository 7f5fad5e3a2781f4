//! Some series of a group read for all ops of a fragment: one pass over the series, one reader a field.

use super::{
    FragmentOp, FragmentOpKind, OpPartial, OpState, Partial, ReadWork, TagValues, group_bytes, group_key,
};
use crate::budget::Budget;
use crate::condition::SeriesFilter;
use crate::error::QueryError;
use crate::fold::rows::RowReader;
use crate::fold::series::{FieldFold, Reach, Windows};
use crate::fold::{Closing, FoldKind, FoldState, fold_state};
use crate::window::Window;
use model::FieldType;
use model::scan::{EvenWindows, PolicyReader, SeriesRef};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Bytes that the rows of a series take besides their points.
const SERIES_BYTES: usize = 128;

/// Reads the series for every op.
pub(super) fn read(
    (work, shard_ns): (&ReadWork, i64),
    policy: &dyn PolicyReader,
    series: &[SeriesRef],
    budget: &Budget,
) -> Result<Partial, QueryError> {
    let mut folds = open_folds(work, policy);
    let mut rows = open_rows(work, policy);
    let mut done = Done { limit: work.series_limit, keys: BTreeSet::new() };
    for series in series {
        // Each: to bind a long condition to a series takes a while.
        budget.check()?;
        if done.before(work, series) {
            break;
        }
        let filter = work.condition.bind(&|key: &str| series.tag(key));
        if matches!(filter, SeriesFilter::Nothing) {
            continue;
        }
        for fold in &mut folds {
            let some = fold.fold((series, shard_ns), &filter, budget)?;
            done.add(some);
        }
        for reader in &mut rows {
            let some = reader.read(series, &filter, budget)?;
            done.add(some);
        }
    }
    let mut partial = Partial::default();
    partial.ops.resize_with(work.ops.len(), OpPartial::new);
    for fold in folds {
        fold.finish(&mut partial.ops);
    }
    for reader in rows {
        partial.ops[reader.place] = reader.groups;
    }
    Ok(partial)
}

/// Output series that have a point, where only the first so many are wanted. Series come in the order of their keys.
struct Done {
    limit: Option<usize>,
    keys: BTreeSet<TagValues>,
}

impl Done {
    /// Whether nothing of this series and of those behind it is wanted.
    fn before(&self, work: &ReadWork, series: &SeriesRef) -> bool {
        let Some(limit) = self.limit else { return false };
        let key = |op: &FragmentOp| group_key(series, &op.dimensions);
        self.keys.len() >= limit && work.ops.first().is_none_or(|op| !self.keys.contains(&key(op)))
    }

    fn add(&mut self, key: Option<TagValues>) {
        if self.limit.is_some() {
            self.keys.extend(key);
        }
    }
}

/// Ops that fold the same field over the same windows: they share one scan.
struct SharedFold<'a> {
    op: &'a FragmentOp,
    /// Place and kind of each.
    members: Vec<(usize, FoldKind)>,
    wanted: FieldType,
    reach: Reach,
    field: FieldFold<'a>,
    /// One state a member.
    groups: BTreeMap<TagValues, Vec<Box<dyn FoldState>>>,
}

fn open_folds<'a>(work: &'a ReadWork, policy: &'a dyn PolicyReader) -> Vec<SharedFold<'a>> {
    let mut folds: Vec<SharedFold<'a>> = Vec::new();
    for (place, op) in work.ops.iter().enumerate() {
        let FragmentOpKind::Fold(kind, input) = op.kind else { continue };
        // An aggregate that the type does not have gives nothing.
        if fold_state(kind, input.wanted).is_none() {
            continue;
        }
        let same = |fold: &&mut SharedFold<'_>| {
            fold.op.range == op.range
                && fold.op.dimensions == op.dimensions
                && matches!(fold.op.kind, FragmentOpKind::Fold(_, other) if other == input)
        };
        if let Some(fold) = folds.iter_mut().find(same) {
            fold.members.push((place, kind));
            continue;
        }
        folds.push(SharedFold {
            op,
            members: vec![(place, kind)],
            wanted: input.wanted,
            reach: Reach::All,
            field: FieldFold::open(policy, input, &work.condition_inputs),
            groups: BTreeMap::new(),
        });
    }
    for fold in &mut folds {
        fold.reach = reach(&fold.members, &fold.op.window);
        if let Some(windows) = summarised(work, fold) {
            fold.field.expect_windows(windows);
        }
    }
    folds
}

impl SharedFold<'_> {
    /// Folds a series; answers its output series if that has a point now.
    fn fold(
        &mut self,
        (series, shard_ns): (&SeriesRef, i64),
        filter: &SeriesFilter,
        budget: &Budget,
    ) -> Result<Option<TagValues>, QueryError> {
        let key = group_key(series, &self.op.dimensions);
        let (members, wanted) = (&self.members, self.wanted);
        let mut fresh = false;
        let states = self.groups.entry(Arc::clone(&key)).or_insert_with(|| {
            fresh = true;
            members.iter().filter_map(|(_, kind)| fold_state(*kind, wanted)).collect()
        });
        if fresh {
            budget.charge(group_bytes(self.op.dimensions.len()))?;
        }
        let windows = Windows { window: &self.op.window, range: self.op.range, reach: self.reach };
        self.field.fold(series.id, filter, windows, states, budget)?;
        // 1.x prefers the larger value among points of one time in a window; where there is none it goes by series.
        let closing = Closing { tags: &series.tags, shard_ns };
        let closing = self.op.window.is_none().then_some(closing);
        for state in &mut *states {
            let open = state.bytes();
            state.end_series(closing);
            let closed = state.bytes();
            budget.release(open.saturating_sub(closed));
            // first() and last() keep a point of each series where there are no windows.
            budget.charge(closed.saturating_sub(open))?;
        }
        Ok(states.iter().any(|state| !state.is_empty()).then_some(key))
    }

    fn finish(self, ops: &mut [OpPartial]) {
        for (key, states) in self.groups {
            for ((place, _), state) in self.members.iter().zip(states) {
                if !state.is_empty() {
                    ops[*place].insert(Arc::clone(&key), OpState::Fold(state));
                }
            }
        }
    }
}

/// An op that carries rows.
struct CarriedRows<'a> {
    op: &'a FragmentOp,
    place: usize,
    reader: RowReader<'a>,
    groups: OpPartial,
}

fn open_rows<'a>(work: &'a ReadWork, policy: &'a dyn PolicyReader) -> Vec<CarriedRows<'a>> {
    let carried = |(place, op): (usize, &'a FragmentOp)| {
        let FragmentOpKind::Rows(rows) = &op.kind else { return None };
        let reader = RowReader::open(policy, rows, &work.condition_inputs);
        Some(CarriedRows { op, place, reader, groups: OpPartial::new() })
    };
    work.ops.iter().enumerate().filter_map(carried).collect()
}

impl CarriedRows<'_> {
    /// Reads the rows of a series; answers its output series if there are some.
    fn read(
        &mut self,
        series: &SeriesRef,
        filter: &SeriesFilter,
        budget: &Budget,
    ) -> Result<Option<TagValues>, QueryError> {
        let points = self.reader.read(series, filter, (&self.op.window, self.op.range), budget)?;
        if points.is_empty() {
            return Ok(None);
        }
        let key = group_key(series, &self.op.dimensions);
        budget.charge(SERIES_BYTES)?;
        let entry = self.groups.entry(Arc::clone(&key));
        if let Entry::Vacant(_) = entry {
            budget.charge(group_bytes(self.op.dimensions.len()))?;
        }
        if let OpState::Rows(rows) = entry.or_insert_with(|| OpState::Rows(Vec::new())) {
            rows.push((Arc::clone(&series.tags), points));
        }
        Ok(Some(key))
    }
}

/// The windows of a fold for which summaries of chunks will do.
fn summarised(work: &ReadWork, fold: &SharedFold<'_>) -> Option<EvenWindows> {
    let FragmentOpKind::Fold(_, input) = fold.op.kind else { return None };
    let is_number = matches!(fold.wanted, FieldType::Float | FieldType::Integer | FieldType::Unsigned);
    let takes = |kind: FoldKind| is_number || kind == FoldKind::Count;
    let window = &fold.op.window;
    let will_do = work.condition_inputs.is_empty()
        && input.stored == input.wanted
        && window.zone.is_none()
        && fold.members.iter().all(|(_, kind)| takes(*kind));
    will_do.then_some(EvenWindows { length: window.interval.unsigned_abs(), offset: window.offset })
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
