//! A retention policy's slices of time. Which slice a point goes to is part of the replicated state, so that a changed
//! shard duration never puts the same time into two slices.

use super::erase::SeriesErasure;
use super::head::{ColumnKey, Head, Pushed as PushedPoint};
use hashbrown::{HashMap, HashSet};
use model::time::{ShardOrigin, TimeRange};
use model::value::ValueRef;
use model::{DatabaseId, FieldId};
use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A retention policy as far as it has points.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) database: DatabaseId,
    /// By first time; they never overlap.
    pub(super) partitions: BTreeMap<i64, Partition>,
}

impl Policy {
    pub(super) fn new(database: DatabaseId) -> Self {
        Self { database, partitions: BTreeMap::new() }
    }

    /// The partition that `time` lies in, created if there is none: a shard group of the duration, but cut so that it
    /// overlaps none that exists. `incarnation` numbers those that are created.
    pub(super) fn partition_at(
        &mut self,
        time: i64,
        (duration_ns, origin): (i64, ShardOrigin),
        incarnation: &mut u64,
    ) -> (i64, &mut Partition) {
        let before = self.partitions.range(..=time).next_back().map(|(start, p)| (*start, p.end));
        let start = match before {
            Some((start, end)) if time < end => start,
            _ => {
                let range = self.free_range(time, (duration_ns, origin), before.map(|(_, end)| end));
                *incarnation += 1;
                self.partitions.insert(range.start, Partition::new(range, *incarnation));
                range.start
            }
        };
        // The entry exists: it was found or inserted just now.
        let found = self.partitions.entry(start);
        (start, found.or_insert_with(|| Partition::new(TimeRange::new(start, start), 0)))
    }

    fn free_range(
        &self,
        time: i64,
        (duration_ns, origin): (i64, ShardOrigin),
        end_before: Option<i64>,
    ) -> TimeRange {
        let (start, end) = origin.group_of(time, duration_ns.max(1));
        let clamp = |t: i128| t.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
        let start_after = self.partitions.range(time..).next().map(|(start, _)| *start);
        TimeRange {
            start: clamp(start).max(end_before.unwrap_or(i64::MIN)),
            end: clamp(end).min(start_after.unwrap_or(i64::MAX)),
        }
    }

    /// The partitions that share a time with `range`, in order.
    pub(super) fn overlapping(&self, range: TimeRange) -> impl DoubleEndedIterator<Item = (i64, &Partition)> {
        // Partitions do not overlap, so only the last one that starts before the range can reach into it.
        let first =
            self.partitions.range(..=range.start).next_back().map_or(range.start, |(start, _)| *start);
        let end = if range.is_empty() { first } else { range.end.max(first) };
        self.partitions.range(first..end).filter(move |(_, p)| p.end > range.start).map(|(s, p)| (*s, p))
    }
}

/// One slice of time of a retention policy.
#[derive(Debug)]
pub(super) struct Partition {
    /// First time after it.
    pub(super) end: i64,
    /// Tells a partition from an earlier one of the same start that was dropped.
    pub(super) incarnation: u64,
    /// Its record is on disk or on its way there.
    pub(super) recorded: bool,
    /// It has chunks on disk.
    pub(super) sealed: bool,
    /// Series that have a point of a field, sealed or not.
    pub(super) columns: HashMap<FieldId, RoaringBitmap>,
    /// Fields whose series changed since the last freeze.
    pub(super) changed: HashSet<FieldId>,
    /// Series that have a point of any field.
    pub(super) series: RoaringBitmap,
    /// Points that are not sealed.
    pub(super) head: Head,
    /// Deletes since the last freeze, of what is older than `head`.
    pub(super) erasures: Vec<Arc<SeriesErasure>>,
    /// Points that a running flush is sealing; older than `head`.
    pub(super) frozen: Option<Arc<Head>>,
    /// Deletes that a running flush writes, of what is on disk; older than `frozen`.
    pub(super) frozen_erasures: Vec<Arc<SeriesErasure>>,
}

/// What a point changed besides itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// Nothing.
    Point,
    /// The series has its first point in the partition.
    FirstOfSeries,
}

impl Partition {
    pub(super) fn new(range: TimeRange, incarnation: u64) -> Self {
        Self {
            end: range.end,
            incarnation,
            recorded: false,
            sealed: false,
            columns: HashMap::new(),
            changed: HashSet::new(),
            series: RoaringBitmap::new(),
            head: Head::default(),
            erasures: Vec::new(),
            frozen: None,
            frozen_erasures: Vec::new(),
        }
    }

    /// Adds a point.
    pub(super) fn push(&mut self, key: ColumnKey, time: i64, value: &ValueRef<'_>) -> Pushed {
        if self.head.push(key, time, value) == PushedPoint::Point {
            return Pushed::Point;
        }
        if self.columns.entry(key.field()).or_default().insert(key.series().0) {
            self.head.mark_fresh();
            self.changed.insert(key.field());
            if self.series.insert(key.series().0) {
                return Pushed::FirstOfSeries;
            }
        }
        Pushed::Point
    }

    /// The series that have a point of a field, in runs where that is smaller: neighbours appear together, so a
    /// partition that is over keeps some bits a series.
    pub(super) fn packed(&mut self, field: FieldId) -> RoaringBitmap {
        self.series.optimize();
        let Some(series) = self.columns.get_mut(&field) else { return RoaringBitmap::new() };
        series.optimize();
        series.clone()
    }

    /// Bytes that the next freeze takes.
    pub(super) fn open_bytes(&self) -> usize {
        self.head.bytes() + self.erasures.iter().map(|erasure| erasure.bytes()).sum::<usize>()
    }

    /// Notes that the series have no point of the field any more; answers those that have none of any field.
    pub(super) fn forget(&mut self, field: FieldId, gone: &RoaringBitmap) -> RoaringBitmap {
        let Some(series) = self.columns.get_mut(&field) else { return RoaringBitmap::new() };
        *series -= gone;
        if series.is_empty() {
            self.columns.remove(&field);
        }
        self.changed.insert(field);
        let mut orphans = gone.clone();
        for series in self.columns.values() {
            orphans -= series;
        }
        self.series -= &orphans;
        orphans
    }

    /// Whether the series has a point of the field here.
    pub(super) fn has(&self, key: ColumnKey) -> bool {
        self.columns.get(&key.field()).is_some_and(|series| series.contains(key.series().0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_changed_duration_never_overlaps() {
        let mut policy = Policy::new(DatabaseId(1));
        let mut n = 0;
        let epoch = |duration| (duration, ShardOrigin::Epoch);
        policy.partition_at(105, epoch(10), &mut n);
        assert_eq!(policy.partition_at(99, epoch(100), &mut n).1.end, 100);
        assert_eq!(policy.partition_at(112, epoch(100), &mut n).1.end, 200);
        assert_eq!(policy.partition_at(109, epoch(7), &mut n).1.end, 110);
        let starts: Vec<_> = policy.partitions.keys().copied().collect();
        assert_eq!((starts, n), (vec![0, 100, 110], 3));
    }

    #[test]
    fn a_changed_origin_never_overlaps() {
        use model::time::DAY_NS;
        const MONDAY: i64 = 1_600_041_600_000_000_000;
        let (mut policy, mut n) = (Policy::new(DatabaseId(1)), 0);
        let week = 7 * DAY_NS;
        policy.partition_at(MONDAY, (week, ShardOrigin::Epoch), &mut n);
        for day in [-5, 0, 4] {
            policy.partition_at(MONDAY + day * DAY_NS, (week, ShardOrigin::YearOne), &mut n);
        }
        let days = |(start, end): (i64, i64)| ((start - MONDAY) / DAY_NS, (end - MONDAY) / DAY_NS);
        let bounds: Vec<_> = policy.partitions.iter().map(|(start, p)| days((*start, p.end))).collect();
        assert_eq!(bounds, [(-7, -4), (-4, 3), (3, 7)]);
    }

    proptest! {
        #[test]
        fn partitions_hold_their_times(points: Vec<(i64, u64)>, from: i64, to: i64) {
            let mut policy = Policy::new(DatabaseId(1));
            let mut n = 0;
            for (time, duration) in points {
                let time = time.clamp(model::time::TIME_MIN, model::time::TIME_MAX);
                let duration = i64::try_from(duration).unwrap_or(1);
                let origin = if time % 2 == 0 { ShardOrigin::YearOne } else { ShardOrigin::Epoch };
                let (start, partition) = policy.partition_at(time, (duration, origin), &mut n);
                prop_assert!(start <= time && time < partition.end);
            }
            let range = TimeRange::new(from, to);
            let all = policy.partitions.iter();
            let expected: Vec<i64> =
                all.filter(|(s, p)| range.overlaps(&TimeRange::new(**s, p.end))).map(|(s, _)| *s).collect();
            let found: Vec<i64> = policy.overlapping(range).map(|(s, _)| s).collect();
            prop_assert_eq!(found, if range.is_empty() { vec![] } else { expected });
            let bounds: Vec<_> = policy.partitions.iter().map(|(s, p)| (*s, p.end)).collect();
            prop_assert!(bounds.windows(2).all(|w| w[0].1 <= w[1].0));
        }
    }
}
