//! What one measurement contributes to a SELECT, and how one replica of one group computes it.
//!
//! A [`Fragment`] is made by the plan and folded once for each group, or part by part on several threads; the
//! [`Partial`]s merge in any order of groups. It holds ids and compiled conditions only, so it may be sent to threads.

mod read;

use crate::budget::Budget;
use crate::condition::{RowCondition, SeriesFilter};
use crate::error::QueryError;
use crate::fill::BYTES_PER_POINT;
use crate::fold::columns::Input;
use crate::fold::rows::RowsOp;
use crate::fold::series::half_open;
use crate::fold::{FoldKind, FoldState};
use crate::points::{Points, shard_group};
use crate::window::Window;
use model::scan::{ColumnBatch, GroupReader, Order, ScanError, SeriesRef};
use model::{DatabaseId, FieldId, RetentionPolicyId, TagPredicate, TimeRange};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
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
    /// Duration of the policy's shard groups: 1.x merges the series of each by itself.
    pub(crate) shard_ns: i64,
    pub(crate) measurement: Arc<str>,
    pub(crate) predicate: TagPredicate,
    pub(crate) work: FragmentWork,
}

/// What to do with the measurement.
#[derive(Debug, Clone)]
pub(crate) enum FragmentWork {
    /// List tag keys and the fields that have points in shard groups of a range: what 1.x knows when it reads that range.
    Describe(TimeRange),
    /// See in which shard groups of 1.x more output series than so many are selected, and in which the measurement has the
    /// field of an op.
    Probe(Arc<ReadWork>, usize, usize),
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
    /// Output series that are wanted at most, in order of their tags.
    pub(crate) series_limit: Option<usize>,
    /// Windows that each output series gets of each op, whatever it holds, because they are filled.
    pub(crate) filled_windows: Option<u64>,
    /// What the outermost level reads, inclusive: 1.x opens the shard groups of that, whatever a subquery reads of them.
    pub(crate) opened: (i64, i64),
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
    /// The measurement lacks what is asked for, or has it in a field that is not taken.
    Nothing(Option<FieldId>),
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
    /// Answer to [`FragmentWork::Describe`].
    pub(crate) reads_shards: bool,
    /// Answer to [`FragmentWork::Probe`].
    pub(crate) probed: Probed,
}

/// Shard groups, by where they start.
#[derive(Debug, Default)]
pub(crate) struct Probed {
    /// Output series that are selected: no more of them than have to be told apart.
    series: BTreeMap<i64, BTreeSet<TagValues>>,
    /// Those where a series of the measurement has the field.
    field: BTreeSet<i64>,
}

impl Probed {
    /// Adds what another group found.
    pub(crate) fn extend(&mut self, other: Self) {
        for (start, series) in other.series {
            self.series.entry(start).or_default().extend(series);
        }
        self.field.extend(other.field);
    }

    /// Whether 1.x has a series to read behind so many that it skips, with points or without.
    pub(crate) fn selects(&self, skipped: usize) -> bool {
        let mut found = self.series.iter().filter(|(start, _)| self.field.contains(start));
        found.any(|(_, series)| series.len() > skipped)
    }
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

/// Series that a part has at least, and parts that a group has at most. Both are fixed, so that sums are added up in the
/// same order on every machine.
const PART_SERIES_MIN: usize = 256;
const PARTS_MAX: usize = 16;
/// Bytes of a point that fill() makes.
const FILLED_POINT_BYTES: u64 = BYTES_PER_POINT as u64;
/// Times a group is read again because a snapshot took the place of its state.
const REPLACED_MAX: usize = 3;

/// The series of one group that a fragment reads.
#[derive(Debug)]
pub struct Selection {
    series: Vec<SeriesRef>,
    part_series: usize,
}

impl Selection {
    /// Pieces of work that may run on different threads, at least one.
    pub fn parts(&self) -> usize {
        self.series.len().div_ceil(self.part_series).max(1)
    }

    fn part(&self, part: usize) -> &[SeriesRef] {
        let from = (part * self.part_series).min(self.series.len());
        let range: Range<usize> = from..(from + self.part_series).min(self.series.len());
        &self.series[range]
    }
}

impl Fragment {
    /// Computes the fragment over one replica.
    ///
    /// # Errors
    ///
    /// [`QueryError::Scan`] when the replica cannot be read, else what the budget says.
    pub fn fold(&self, reader: &dyn GroupReader, budget: &Budget) -> Result<Partial, QueryError> {
        let mut selection = self.select(reader, budget)?;
        selection.part_series = selection.series.len().max(1);
        self.fold_part(reader, &selection, 0, budget)
    }

    /// Looks up which series of a group are read.
    ///
    /// # Errors
    ///
    /// What the budget says.
    pub fn select(&self, reader: &dyn GroupReader, budget: &Budget) -> Result<Selection, QueryError> {
        budget.check()?;
        let FragmentWork::Read(work) = &self.work else {
            return Ok(Selection { series: Vec::new(), part_series: 1 });
        };
        let mut series = reader.series(self.database, &self.measurement, &self.predicate);
        // The reader stops early when the query is cancelled.
        budget.check()?;
        budget.charge_series(series.len())?;
        budget.charge(series.len() * size_of::<SeriesRef>())?;
        estimate(work, reader, &series, budget)?;
        let mut part_series = series.len().div_ceil(PARTS_MAX).max(PART_SERIES_MIN);
        if work.series_limit.is_some() {
            let dimensions = work.ops.first().map_or(0, |op| op.dimensions.len());
            budget.charge(series.len() * dimensions * size_of::<Arc<str>>())?;
            // Output series one after the other, so that the reader knows when it has enough of them.
            let order = |op: &FragmentOp, series: &SeriesRef| {
                series_order(&op.dimensions, &group_key(series, &op.dimensions))
            };
            series.sort_by_cached_key(|series| work.ops.first().map(|op| order(op, series)));
            part_series = series.len().max(1);
        }
        Ok(Selection { series, part_series })
    }

    /// Computes one part of a selection.
    ///
    /// # Errors
    ///
    /// As [`Fragment::fold`].
    pub fn fold_part(
        &self,
        reader: &dyn GroupReader,
        selection: &Selection,
        part: usize,
        budget: &Budget,
    ) -> Result<Partial, QueryError> {
        budget.check()?;
        let work = match &self.work {
            FragmentWork::Describe(range) => return self.describe(reader, *range, budget),
            FragmentWork::Probe(work, op, skipped) => return Ok(self.probe((work, *op, *skipped), reader)),
            FragmentWork::Read(work) => work,
        };
        let mut replaced = 0;
        loop {
            let policy = reader.open(self.policy);
            policy.announce(selection.part(part));
            match read::read((work, self.shard_ns), &*policy, selection.part(part), budget) {
                Err(QueryError::Scan(ScanError::Replaced)) if replaced < REPLACED_MAX => replaced += 1,
                read => return read,
            }
        }
    }

    /// Slices of storage may begin elsewhere than the shard groups of 1.x that `range` is made of: where one of them lies in
    /// the range in part only, points are looked for.
    fn describe(
        &self,
        reader: &dyn GroupReader,
        range: TimeRange,
        budget: &Budget,
    ) -> Result<Partial, QueryError> {
        if range.is_empty() {
            return Ok(Partial::default());
        }
        let known = |measurement: &str, range| reader.fields(self.database, self.policy, measurement, range);
        let slices = reader.slices(self.policy);
        let mut whole = TimeRange::new(range.end, range.start);
        for slice in slices.iter().filter(|slice| range.start <= slice.start && slice.end <= range.end) {
            whole = TimeRange::new(whole.start.min(slice.start), whole.end.max(slice.end));
        }
        let certain = if whole.is_empty() { BTreeMap::new() } else { known(&self.measurement, whole) };
        let mut fields = BTreeSet::new();
        for field in known(&self.measurement, range).into_keys() {
            if certain.contains_key(&field)
                || self.has_point(reader, (&self.measurement, field), range, budget)?
            {
                fields.insert(field);
            }
        }
        let mut reads_shards = !fields.is_empty() || !whole.is_empty();
        if !reads_shards && slices.iter().any(|slice| slice.overlaps(&range)) {
            for measurement in reader.measurements(self.database) {
                for field in known(&measurement, range).into_keys() {
                    reads_shards =
                        reads_shards || self.has_point(reader, (&measurement, field), range, budget)?;
                }
            }
        }
        let tag_keys = reader.tag_keys(self.database, &self.measurement, &TagPredicate::All);
        Ok(Partial { tag_keys, fields, reads_shards, ..Partial::default() })
    }

    /// Whether a field has a point in the range.
    fn has_point(
        &self,
        reader: &dyn GroupReader,
        (measurement, field): (&str, FieldId),
        range: TimeRange,
        budget: &Budget,
    ) -> Result<bool, QueryError> {
        let policy = reader.open(self.policy);
        let mut column = policy.column(field);
        let mut batch = ColumnBatch::default();
        for series in reader.series(self.database, measurement, &TagPredicate::All) {
            budget.check()?;
            // One bit, where a seek may read the disk: most series that ever were are of other times.
            if !reader.is_active(series.id, Some(self.policy), range) {
                continue;
            }
            column.seek(series.id, range, Order::Ascending)?;
            while let Some(bounds) = column.next_chunk()? {
                let mut found = range.contains(bounds.first) || range.contains(bounds.last);
                if !found {
                    column.decode(&mut batch)?;
                    found = batch.times.iter().any(|time| range.contains(*time));
                }
                if found {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// In which shard groups a series passes what WHERE says about tags, and in which the field of the op is known.
    fn probe(&self, (work, op, skipped): (&ReadWork, usize, usize), reader: &dyn GroupReader) -> Partial {
        let mut probed = Probed::default();
        let Some(op) = work.ops.get(op) else { return Partial::default() };
        let field = match &op.kind {
            FragmentOpKind::Fold(_, input) => Some(input.field),
            FragmentOpKind::Rows(rows) => rows.driver.map(|input| input.field),
            FragmentOpKind::Nothing(field) => *field,
        };
        let Some(field) = field else { return Partial::default() };
        // Also where the range ends before it begins: 1.x has the shard groups that neither bound excludes.
        let range = TimeRange::new(
            shard_group(work.opened.0, self.shard_ns).0,
            shard_group(work.opened.1, self.shard_ns).1,
        );
        let series = reader.series(self.database, &self.measurement, &self.predicate);
        let passes =
            |s: &&SeriesRef| !matches!(work.condition.bind(&|key| s.tag(key)), SeriesFilter::Nothing);
        let passing: Vec<&SeriesRef> = series.iter().filter(passes).collect();
        for slice in reader.slices(self.policy).into_iter().filter(|slice| slice.overlaps(&range)) {
            let starts = [slice.start.max(range.start), slice.end.saturating_sub(1).min(range.end)];
            let starts = starts.map(|time| shard_group(time, self.shard_ns).0);
            if reader.fields(self.database, self.policy, &self.measurement, slice).contains_key(&field) {
                probed.field.extend(starts);
            }
            let active = |series: &&&SeriesRef| reader.is_active(series.id, Some(self.policy), slice);
            for series in passing.iter().filter(active) {
                let mut enough = true;
                for start in starts {
                    let found = probed.series.entry(start).or_default();
                    found.insert(group_key(series, &op.dimensions));
                    enough &= found.len() > skipped;
                }
                if enough {
                    break;
                }
            }
        }
        Partial { probed, ..Partial::default() }
    }

    /// The same measurement, probed instead of read: whether op `i` has a series to read behind those that are skipped.
    pub(crate) fn as_probe(&self, i: usize, skipped: usize) -> Option<Self> {
        let FragmentWork::Read(work) = &self.work else { return None };
        Some(Self { work: FragmentWork::Probe(Arc::clone(work), i, skipped), ..self.clone() })
    }
}

/// Series × windows × columns, before anything is read: what cannot fit ends here. Only filled windows can be foretold,
/// and only series that have points in the range count.
fn estimate(
    work: &ReadWork,
    reader: &dyn GroupReader,
    series: &[SeriesRef],
    budget: &Budget,
) -> Result<(), QueryError> {
    let (Some(windows), Some(op)) = (work.filled_windows, work.ops.first()) else { return Ok(()) };
    if work.series_limit.is_some() {
        return Ok(());
    }
    let bytes = |groups: usize| {
        let points = windows.saturating_mul(groups as u64).saturating_mul(work.ops.len() as u64);
        points.saturating_mul(FILLED_POINT_BYTES)
    };
    if bytes(series.len()) <= budget.memory_max() {
        return Ok(());
    }
    let range = half_open(op.range);
    let mut groups = BTreeSet::new();
    for (n, series) in series.iter().enumerate() {
        if n.is_multiple_of(1_024) {
            budget.check()?;
        }
        if reader.is_active(series.id, None, range) && groups.insert(group_key(series, &op.dimensions)) {
            budget.expect(bytes(groups.len()))?;
        }
    }
    Ok(())
}

/// Bytes that an output series takes besides its windows.
pub(crate) const GROUP_BYTES: usize = 256;

/// Bytes of an output series with so many GROUP BY tags.
fn group_bytes(dimensions: usize) -> usize {
    // A place here, one in the answer's tags.
    GROUP_BYTES + dimensions * 3 * size_of::<Arc<str>>()
}

/// What output series are ordered by for SLIMIT: the names of the tags that one has, then their values, in one text.
pub(crate) fn series_order(dimensions: &[Arc<str>], values: &[Arc<str>]) -> String {
    let present = || dimensions.iter().zip(values).filter(|(_, value)| !value.is_empty());
    let names = present().map(|(name, _)| &**name);
    names.chain(present().map(|(_, value)| &**value)).collect::<Vec<_>>().join("|")
}

/// The values that a series has for the GROUP BY tags.
fn group_key(series: &SeriesRef, dimensions: &[Arc<str>]) -> TagValues {
    dimensions
        .iter()
        .map(|key| {
            series
                .tags
                .binary_search_by(|(k, _)| k.cmp(key))
                .map_or_else(|_| Arc::default(), |i| Arc::clone(&series.tags[i].1))
        })
        .collect()
}
