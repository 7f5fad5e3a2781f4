//! Runs a planned SELECT: scatters its fragments, merges what comes back, finishes calls, joins rows, names series.

use crate::aggregate::{Pick, integral, pick_in_windows};
use crate::budget::Budget;
use crate::error::QueryError;
use crate::fill::fill;
use crate::fold::{FoldState, PointTime};
use crate::fragment::{Fragment, OpPartial, OpState, Partial, Probed, series_order};
use crate::into::columns_as_tags;
use crate::merge::{finish, in_order, merge_partials};
use crate::plan::SelectPlan;
use crate::points::{GroupKey, Points, Stream, merge_by_time, merge_by_window};
use crate::result::{Cell, Series};
use crate::rows::{RowBuilder, RowGroup};
use crate::stage::{
    Aggregate, AggregateKind, Call, InnerLeaf, Leaf, LeafKind, RowLimits, Stage, StageSource, SubquerySource,
};
use crate::subquery::{Contribution, contribution, outer_key, passing_rows};
use model::time::TIME_MIN;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Who folds a fragment over all groups. `node` implements it with threads.
pub trait Scatter {
    /// The partial of every group, in the order of the groups.
    ///
    /// # Errors
    ///
    /// The first error of any group; nothing is left running.
    fn scatter(&self, fragment: &Fragment) -> Result<Vec<Partial>, QueryError>;
}

/// Runs a plan to its answer.
///
/// # Errors
///
/// [`QueryError::Statement`] for what only the data could tell to be wrong, else what scatter and budget say.
pub fn execute_select(
    plan: &SelectPlan,
    scatter: &dyn Scatter,
    budget: &Budget,
) -> Result<Vec<Series>, QueryError> {
    let described;
    let linked = match &plan.linked {
        Some(linked) => linked,
        None => {
            described = plan.describe_and_link(scatter)?;
            &described
        }
    };
    let stage = &linked.stage;
    let runner = Runner { scatter, budget };
    if stage.has_fault()
        && let Some(fault) = runner.fault(stage)?
    {
        return Err(QueryError::Statement(fault));
    }
    let mut groups = runner.run(stage)?;
    if !stage.ascending {
        groups.reverse();
    }
    let mut answer = Vec::with_capacity(groups.len());
    for group in groups {
        if group.times.is_empty() {
            continue;
        }
        let series = series(plan, &linked.columns, stage, group);
        if linked.tag_columns.is_empty() {
            answer.push(series);
        } else {
            answer.extend(columns_as_tags(series, &linked.tag_columns));
        }
    }
    // A reader that was told to stop has left something out, and cannot say so.
    budget.check()?;
    Ok(answer)
}

fn series(plan: &SelectPlan, columns: &Arc<[Arc<str>]>, stage: &Stage, group: RowGroup) -> Series {
    let mut cells = Vec::with_capacity(group.times.len() * columns.len());
    let mut row = group.cells.into_iter();
    for time in group.times {
        cells.push(Cell::Time(time));
        cells.extend(row.by_ref().take(columns.len() - 1));
    }
    let tags = (!stage.dimensions.is_empty())
        .then(|| stage.dimensions.iter().cloned().zip(group.key.tags.iter().cloned()).collect());
    Series {
        name: group.key.name,
        tags,
        columns: Arc::clone(columns),
        cells,
        time_zone: plan.time_zone.clone(),
    }
}

/// What a leaf has read for one output series.
#[derive(Default)]
struct LeafState {
    fold: Option<Box<dyn FoldState>>,
    /// One a source.
    parts: Vec<Points>,
}

type LeafStates = Vec<BTreeMap<GroupKey, LeafState>>;

struct Runner<'a> {
    scatter: &'a dyn Scatter,
    budget: &'a Budget,
}

impl Runner<'_> {
    /// Rows of a stage; groups in ascending order, rows in the order of the query.
    fn run(&self, stage: &Stage) -> Result<Vec<RowGroup>, QueryError> {
        let mut states = LeafStates::new();
        states.resize_with(stage.leaves.len(), BTreeMap::new);
        let taken = self.taken(stage)?;
        for (n, source) in stage.sources.iter().enumerate() {
            let reads = |leaf: usize| taken.get(leaf).is_none_or(|sources| sources.is_empty() || sources[n]);
            match source {
                StageSource::Measurement(fragment) => {
                    self.read_measurement((stage, &reads), fragment, &mut states)?;
                }
                StageSource::Subquery(subquery) => {
                    self.read_subquery((stage, n, &reads), subquery, &mut states)?;
                }
            }
        }
        let builder = RowBuilder {
            outputs: &stage.outputs,
            slots: &stage.slots,
            calls: stage.calls.len(),
            absent: &stage.absent,
            ascending: stage.ascending,
            budget: self.budget,
        };
        if stage.calls.is_empty() {
            let (Some(states), Some(leaf)) = (states.pop(), stage.leaves.last()) else {
                return Ok(Vec::new());
            };
            let mut stream = self.leaf_stream((stage, leaf), states, PointTime::Selected)?;
            limit_rows(&mut stream, stage.rows);
            return builder.of_one(stream, false);
        }
        let mut streams = Vec::with_capacity(stage.calls.len());
        for call in &stage.calls {
            let mut stream = self.evaluate(stage, call, &mut states)?;
            limit_rows(&mut stream, stage.rows);
            streams.push(stream);
        }
        if streams.len() == 1 {
            return builder.of_one(streams.pop().unwrap_or_default(), true);
        }
        builder.of_many(streams)
    }

    /// What 1.x finds to be wrong while it prepares to read: leaf by leaf, subqueries first.
    fn fault(&self, stage: &Stage) -> Result<Option<String>, QueryError> {
        for (i, leaf) in stage.leaves.iter().enumerate().filter(|(_, leaf)| leaf.built) {
            let own = stage.faults.iter().find(|fault| fault.leaf == i);
            let mut first_met = false;
            let mut told = None;
            for (n, source) in stage.sources.iter().enumerate() {
                if let StageSource::Subquery(subquery) = source
                    && subquery.prepares(i, leaf)
                    && let Some((_, inner)) = subquery.stages.iter().find(|(range, _)| *range == leaf.range)
                    && let Some(fault) = self.fault(inner)?
                {
                    return Ok(Some(fault));
                }
                let Some(own) = own else { continue };
                let given = leaf.given.get(n).is_some_and(|given| given.joined.is_some());
                if !given || (first_met && !own.each) || !self.gives_series((stage, i), source)? {
                    continue;
                }
                first_met = true;
                told = told.or_else(|| own.texts.get(n).cloned().flatten());
                if own.each && told.is_some() {
                    break;
                }
            }
            if told.is_some() {
                return Ok(told);
            }
        }
        Ok(None)
    }

    /// Whether a source has a series to read for leaf `i`, with or without points. A subquery is read before that is
    /// known.
    fn gives_series(&self, (stage, i): (&Stage, usize), source: &StageSource) -> Result<bool, QueryError> {
        match source {
            StageSource::Subquery(_) => Ok(true),
            StageSource::Measurement(_) if stage.rows.soffset > 0 && stage.rows.slimit == 0 => Ok(false),
            StageSource::Measurement(fragment) => {
                let Some(probe) = fragment.as_probe(i, stage.rows.soffset) else { return Ok(false) };
                let mut probed = Probed::default();
                for partial in self.scatter.scatter(&probe)? {
                    probed.extend(partial.probed);
                }
                Ok(probed.selects(stage.rows.soffset))
            }
        }
    }

    /// Which sources each leaf takes, where those are not all of them: 1.x joins points of one type only, that of the first
    /// source that gives some.
    fn taken(&self, stage: &Stage) -> Result<Vec<Vec<bool>>, QueryError> {
        let mut taken = vec![Vec::new(); stage.leaves.len()];
        for (i, leaf) in stage.leaves.iter().enumerate().filter(|(_, leaf)| leaf.is_mixed()) {
            let mut joined = None;
            for (source, given) in stage.sources.iter().zip(leaf.given.iter()) {
                if joined.is_none() && given.joined.is_some() && self.gives_series((stage, i), source)? {
                    joined = given.joined;
                }
            }
            taken[i] = leaf.given.iter().map(|given| given.joined == joined).collect();
        }
        Ok(taken)
    }

    fn read_measurement(
        &self,
        (stage, reads): (&Stage, &dyn Fn(usize) -> bool),
        fragment: &Fragment,
        states: &mut LeafStates,
    ) -> Result<(), QueryError> {
        let mut merged = merge_partials(self.scatter.scatter(fragment)?, stage.leaves.len());
        limit_series(&mut merged, stage);
        for ((i, leaf), ops) in stage.leaves.iter().enumerate().zip(merged) {
            if !reads(i) {
                continue;
            }
            for (tags, state) in ops {
                let key = GroupKey { name: Arc::clone(&fragment.measurement), tags };
                let entry = states[i].entry(key).or_default();
                match state {
                    OpState::Fold(state) => entry.absorb(state),
                    OpState::Rows(rows) => {
                        // first() and last() without windows look at two rows, from their own end.
                        let edge = leaf.edge().filter(|_| stage.window.is_none());
                        let ascending = edge.map_or(stage.ascending, |pick| pick == Pick::First);
                        let mut points = in_order(rows, (ascending, fragment.shard_ns), self.budget)?;
                        if edge.is_some() {
                            points.truncate(2);
                        }
                        if let Some(limit) = leaf.shard_limit {
                            points.limit_shards(limit, fragment.shard_ns);
                        }
                        entry.parts.push(picked(stage, leaf, points));
                    }
                }
            }
        }
        Ok(())
    }

    fn read_subquery(
        &self,
        (stage, n, taken): (&Stage, usize, &dyn Fn(usize) -> bool),
        source: &SubquerySource,
        states: &mut LeafStates,
    ) -> Result<(), QueryError> {
        for (range, inner) in &source.stages {
            let reads = |(leaf, columns): (&Leaf, &InnerLeaf)| match leaf.kind {
                LeafKind::Nothing => false,
                LeafKind::Fold(..) | LeafKind::Points(..) => columns.driver.is_some(),
                LeafKind::Raw => true,
            };
            let mut leaves = stage.leaves.iter().zip(&source.leaves).filter(|(leaf, _)| leaf.range == *range);
            if !leaves.any(reads) {
                // Nor is told what is wrong with it.
                continue;
            }
            let groups = self.run(inner)?;
            let leaves = stage.leaves.iter().enumerate().filter(|(_, leaf)| leaf.range == *range);
            for (i, leaf) in leaves.filter(|(i, _)| taken(*i)) {
                let mut parts: BTreeMap<GroupKey, Vec<Points>> = BTreeMap::new();
                for group in &groups {
                    let rows = passing_rows(source, inner, group, self.budget)?;
                    let key = outer_key(leaf, inner, &group.key);
                    let columns = (leaf, &source.leaves[i], n);
                    match contribution(
                        columns,
                        (inner, group),
                        &rows,
                        (&stage.window, stage.ascending),
                        self.budget,
                    )? {
                        Contribution::Nothing => {}
                        Contribution::Fold(state) => states[i].entry(key).or_default().absorb(state),
                        Contribution::Rows(points) => parts.entry(key).or_default().push(points),
                    }
                }
                for (key, mut parts) in parts {
                    let points = if inner.gives_windows() {
                        merge_by_window(parts, (&inner.window, *range), stage.ascending, self.budget)?
                    } else {
                        if !stage.ascending {
                            parts.reverse();
                        }
                        merge_by_time(parts, (stage.ascending, inner.shard_ns()), self.budget)?
                    };
                    if !points.is_empty() {
                        states[i].entry(key).or_default().parts.push(picked(stage, leaf, points));
                    }
                }
            }
        }
        Ok(())
    }

    /// The points of a leaf by output series of the stage.
    fn leaf_stream(
        &self,
        (stage, leaf): (&Stage, &Leaf),
        states: BTreeMap<GroupKey, LeafState>,
        time: PointTime,
    ) -> Result<Stream, QueryError> {
        let mut stream = Stream::with_capacity(states.len());
        for (key, state) in states {
            self.budget.check()?;
            let points = match state.fold {
                Some(fold) => finish(OpState::Fold(fold), time, stage.ascending, self.budget)?,
                // A raw SELECT has its sources in order of time, a call has one after the other in each window.
                None if leaf.kind == LeafKind::Raw => {
                    merge_by_time(state.parts, (stage.ascending, 0), self.budget)?
                }
                None => {
                    let windows = (&stage.window, leaf.range);
                    let joined = state.parts.len() > 1;
                    let points = merge_by_window(state.parts, windows, stage.ascending, self.budget)?;
                    // A measurement that is named twice: of its picks one is picked again.
                    if joined { picked(stage, leaf, points) } else { points }
                }
            };
            if !points.is_empty() {
                stream.push((key, points));
            }
        }
        Ok(stream)
    }

    fn evaluate(&self, stage: &Stage, call: &Call, states: &mut LeafStates) -> Result<Stream, QueryError> {
        match call {
            Call::Leaf(leaf) => self.evaluate_leaf(stage, *leaf, states, PointTime::Selected),
            Call::Transform(input, transform) => {
                let mut stream = self.evaluate(stage, input, states)?;
                for (_, points) in &mut stream {
                    *points = transform.apply(points, stage.ascending, self.budget)?;
                }
                stream.retain(|(_, points)| !points.is_empty());
                Ok(stream)
            }
            Call::Aggregate(aggregate) => self.aggregate(stage, aggregate, states),
        }
    }

    fn evaluate_leaf(
        &self,
        stage: &Stage,
        leaf: usize,
        states: &mut LeafStates,
        time: PointTime,
    ) -> Result<Stream, QueryError> {
        let states = std::mem::take(&mut states[leaf]);
        let leaf = &stage.leaves[leaf];
        let stream = self.leaf_stream((stage, leaf), states, time)?;
        let dimensions = &leaf.dimensions;
        if *dimensions == stage.dimensions {
            return Ok(stream);
        }
        // top() and bottom() with tags: one point a combination of tags so far, now joined by the GROUP BY tags.
        let kept: Vec<usize> =
            stage.dimensions.iter().filter_map(|d| dimensions.iter().position(|x| x == d)).collect();
        let mut joined: BTreeMap<GroupKey, Vec<Points>> = BTreeMap::new();
        for (key, points) in stream {
            let tags = kept.iter().map(|i| Arc::clone(&key.tags[*i])).collect();
            joined.entry(GroupKey { name: key.name, tags }).or_default().push(points);
        }
        let merge = |(key, mut parts): (GroupKey, Vec<Points>)| {
            if !stage.ascending {
                parts.reverse();
            }
            Ok((key, merge_by_time(parts, (stage.ascending, 0), self.budget)?))
        };
        joined.into_iter().map(merge).collect()
    }

    fn aggregate(
        &self,
        stage: &Stage,
        aggregate: &Aggregate,
        states: &mut LeafStates,
    ) -> Result<Stream, QueryError> {
        let time = if aggregate.at_window_start { PointTime::Window } else { PointTime::Selected };
        let input = match &aggregate.input {
            Call::Leaf(leaf) => self.evaluate_leaf(stage, *leaf, states, time)?,
            nested => self.evaluate(stage, nested, states)?,
        };
        let (window, range) = (&stage.window, aggregate.range);
        let mut stream = Stream::with_capacity(input.len());
        for (key, points) in input {
            self.budget.check()?;
            let mut points = match aggregate.kind {
                AggregateKind::Folded => points,
                AggregateKind::Reduce(reducer) => reducer.reduce(&points, (window, range), self.budget)?,
                AggregateKind::Integral { unit } => integral(&points, window, range, unit, stage.ascending),
            };
            if aggregate.at_window_start {
                for time in &mut points.times {
                    *time = window.start(*time, range);
                    // A range without a start is shown as the epoch.
                    if *time <= TIME_MIN {
                        *time = 0;
                    }
                }
            }
            if let Some((kind, _)) = &aggregate.fill {
                points = fill(points, kind, (window, range), stage.ascending, self.budget)?;
            } else if !window.is_none() && range.0 <= TIME_MIN {
                // How many there are could not be foretold.
                self.budget.check_buckets(points.len() as u64)?;
            }
            if !points.is_empty() {
                stream.push((key, points));
            }
        }
        Ok(stream)
    }
}

impl LeafState {
    fn absorb(&mut self, state: Box<dyn FoldState>) {
        match &mut self.fold {
            Some(fold) => fold.merge(state),
            None => self.fold = Some(state),
        }
    }
}

fn picked(stage: &Stage, leaf: &Leaf, points: Points) -> Points {
    match leaf.kind {
        LeafKind::Points(_, Some(pick)) => pick_in_windows(pick, points, &stage.window, leaf.range),
        LeafKind::Points(_, None) | LeafKind::Fold(..) | LeafKind::Raw | LeafKind::Nothing => points,
    }
}

/// LIMIT and OFFSET: rows of each series.
fn limit_rows(stream: &mut Stream, limits: RowLimits) {
    if limits.limit == 0 && limits.offset == 0 {
        return;
    }
    for (_, points) in stream.iter_mut() {
        let from = limits.offset.min(points.len());
        let to = if limits.limit == 0 {
            points.len()
        } else {
            from.saturating_add(limits.limit).min(points.len())
        };
        let kept: Vec<usize> = (from..to).collect();
        points.keep(&kept);
    }
    stream.retain(|(_, points)| !points.is_empty());
}

/// SLIMIT and SOFFSET: series of a measurement. SOFFSET alone gives none, as in 1.x.
fn limit_series(ops: &mut [OpPartial], stage: &Stage) {
    let limits = stage.rows;
    if limits.slimit == 0 && limits.soffset == 0 {
        return;
    }
    let keys: BTreeSet<_> = ops.iter().flat_map(|op| op.keys().cloned()).collect();
    let mut keys: Vec<_> = keys.into_iter().collect();
    keys.sort_by_cached_key(|key| series_order(&stage.dimensions, key));
    let kept: BTreeSet<_> = keys.into_iter().skip(limits.soffset).take(limits.slimit).collect();
    for op in ops {
        op.retain(|key, _| kept.contains(key));
    }
}
