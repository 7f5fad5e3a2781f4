//! Points on their way from a fold to an answer: times, values, and the auxiliary columns selected beside them.

use crate::budget::Budget;
use crate::error::QueryError;
use crate::result::Cell;
use crate::window::Window;
use model::time::ShardOrigin;
use std::cmp::Ordering;
use std::mem;
use std::sync::Arc;

/// What output series a point belongs to: measurement and values of the GROUP BY tags, in the order of the tags.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupKey {
    /// Measurement.
    pub(crate) name: Arc<str>,
    /// `""` for a tag that the series lacks.
    pub(crate) tags: Arc<[Arc<str>]>,
}

/// Points of one group or of one series.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Points {
    /// ns.
    pub(crate) times: Vec<i64>,
    /// One value a time; null where a row is led by its auxiliary columns only.
    pub(crate) values: Vec<Cell>,
    /// `width` cells a time.
    pub(crate) aux: Vec<Cell>,
    /// Number of auxiliary columns.
    pub(crate) width: usize,
}

/// One call of a select list evaluated: points by group, groups in order.
pub(crate) type Stream = Vec<(GroupKey, Points)>;

impl Points {
    /// No points, `width` auxiliary columns.
    pub(crate) fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Appends a point.
    pub(crate) fn push(&mut self, time: i64, value: Cell, aux: &[Cell]) {
        self.times.push(time);
        self.values.push(value);
        self.aux.extend_from_slice(aux);
    }

    /// The auxiliary cells of point `i`.
    pub(crate) fn aux_of(&self, i: usize) -> &[Cell] {
        &self.aux[i * self.width..(i + 1) * self.width]
    }

    /// Last first.
    pub(crate) fn reverse(&mut self) {
        self.times.reverse();
        self.values.reverse();
        if self.width > 0 {
            let rows = self.times.len();
            let mut aux = Vec::with_capacity(self.aux.len());
            for row in (0..rows).rev() {
                aux.extend(self.aux[row * self.width..(row + 1) * self.width].iter_mut().map(mem_take));
            }
            self.aux = aux;
        }
    }

    /// Only the points with these positions, which rise.
    pub(crate) fn keep(&mut self, positions: &[usize]) {
        for (to, &from) in positions.iter().enumerate() {
            self.times[to] = self.times[from];
            self.values.swap(to, from);
            for column in 0..self.width {
                self.aux.swap(to * self.width + column, from * self.width + column);
            }
        }
        self.times.truncate(positions.len());
        self.values.truncate(positions.len());
        self.aux.truncate(positions.len() * self.width);
    }

    /// Only the first `n` points.
    pub(crate) fn truncate(&mut self, n: usize) {
        self.times.truncate(n);
        self.values.truncate(n);
        self.aux.truncate(n * self.width);
    }

    /// Only the first `n` points of each shard group.
    pub(crate) fn limit_shards(&mut self, n: usize, shard_ns: i64) {
        let mut kept = Vec::new();
        let (mut bounds, mut taken) = ((0, 0), 0);
        for (i, time) in self.times.iter().enumerate() {
            if !(bounds.0..bounds.1).contains(time) {
                (bounds, taken) = (shard_group(*time, shard_ns), 0);
            }
            if taken < n {
                taken += 1;
                kept.push(i);
            }
        }
        self.keep(&kept);
    }

    /// Approximate bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.times.len() * 8 + (self.values.len() + self.aux.len()) * size_of::<Cell>()
    }

    /// Moves point `i` of `from` to the end.
    fn take(&mut self, from: &mut Self, i: usize) {
        self.times.push(from.times[i]);
        self.values.push(mem_take(&mut from.values[i]));
        let width = self.width;
        self.aux.extend(from.aux[i * width..(i + 1) * width].iter_mut().map(mem_take));
    }
}

fn mem_take(cell: &mut Cell) -> Cell {
    mem::replace(cell, Cell::Null)
}

/// First time of the shard group that a time lies in, and the first time behind it.
pub(crate) fn shard_group(time: i64, duration_ns: i64) -> (i64, i64) {
    if duration_ns <= 0 {
        return (i64::MIN, i64::MAX);
    }
    let (start, end) = ShardOrigin::YearOne.group_of(time, duration_ns);
    let clamp = |t: i128| t.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
    (clamp(start), clamp(end))
}

/// Merges the points of several series into one sequence by time.
///
/// Points of one time are ordered as InfluxDB 1.x orders them: by their auxiliary columns from left to right as long as
/// those are strings, else in the order in which its binary heap happens to give them up. `parts` are in order of
/// series, each sorted in the wanted direction. Shard groups of `shard_ns` are merged one after the other, each with a heap
/// of its own; 0 is one for all time.
///
/// # Errors
///
/// Those of the budget.
pub(crate) fn merge_by_time(
    mut parts: Vec<Points>,
    (ascending, shard_ns): (bool, i64),
    budget: &Budget,
) -> Result<Points, QueryError> {
    parts.retain(|p| !p.is_empty());
    if parts.len() <= 1 {
        return Ok(parts.pop().unwrap_or_default());
    }
    let total = parts.iter().map(Points::len).sum();
    let mut merged = Points::new(parts[0].width);
    merged.times.reserve_exact(total);
    merged.values.reserve_exact(total);
    merged.aux.reserve_exact(total * merged.width);
    let mut heap = Heap { parts, next: Vec::new(), items: Vec::new(), ascending };
    heap.next = vec![0; heap.parts.len()];
    let mut steps = 0_u32;
    while let Some(bounds) = heap.next_shard_group(shard_ns) {
        heap.items = (0..heap.parts.len()).filter(|part| heap.has_next(*part, bounds)).collect();
        heap.init();
        while let Some(part) = heap.pop() {
            let at = heap.next[part];
            merged.take(&mut heap.parts[part], at);
            heap.next[part] += 1;
            if heap.has_next(part, bounds) {
                heap.push(part);
            }
            steps = steps.wrapping_add(1);
            if steps.is_multiple_of(65_536) {
                budget.check()?;
            }
        }
    }
    Ok(merged)
}

/// Merges the rows of several groups of a subquery whose calls make points a window: 1.x gives window after window,
/// and in each of them group after group, whatever the times of selected points are.
///
/// # Errors
///
/// Those of the budget.
pub(crate) fn merge_by_window(
    mut parts: Vec<Points>,
    (window, range): (&Window, (i64, i64)),
    ascending: bool,
    budget: &Budget,
) -> Result<Points, QueryError> {
    if parts.len() <= 1 {
        return Ok(parts.pop().unwrap_or_default());
    }
    let total: usize = parts.iter().map(Points::len).sum();
    budget.charge(total * size_of::<(i64, usize, usize)>())?;
    let mut order: Vec<(i64, usize, usize)> = Vec::new();
    for (part, points) in parts.iter().enumerate() {
        budget.check()?;
        order.extend(points.times.iter().enumerate().map(|(i, t)| (window.start(*t, range), part, i)));
    }
    order.sort_by(|a, b| {
        let windows = a.0.cmp(&b.0);
        if ascending { windows } else { windows.reverse() }
    });
    budget.check()?;
    let mut merged = Points::new(parts[0].width);
    for (_, part, i) in order {
        merged.take(&mut parts[part], i);
    }
    budget.release(total * size_of::<(i64, usize, usize)>());
    Ok(merged)
}

/// A binary heap with the sift order of Go's `container/heap`, because the order of equal items shows in answers.
struct Heap {
    parts: Vec<Points>,
    /// Next point of each part.
    next: Vec<usize>,
    /// Parts with points left.
    items: Vec<usize>,
    ascending: bool,
}

impl Heap {
    fn init(&mut self) {
        for i in (0..self.items.len() / 2).rev() {
            self.down(i, self.items.len());
        }
    }

    /// The bounds of the shard group that the next point lies in.
    fn next_shard_group(&self, shard_ns: i64) -> Option<(i64, i64)> {
        let heads = self.parts.iter().zip(&self.next).filter_map(|(part, at)| part.times.get(*at));
        let next = if self.ascending { heads.min() } else { heads.max() };
        next.map(|time| shard_group(*time, shard_ns))
    }

    /// Whether a part has a point left between the bounds.
    fn has_next(&self, part: usize, (from, to): (i64, i64)) -> bool {
        self.parts[part]
            .times
            .get(self.next[part])
            .is_some_and(|time| (from..to).contains(time) || to == i64::MAX)
    }

    fn push(&mut self, part: usize) {
        self.items.push(part);
        let mut child = self.items.len() - 1;
        while child > 0 {
            let parent = (child - 1) / 2;
            if !self.less(child, parent) {
                break;
            }
            self.items.swap(parent, child);
            child = parent;
        }
    }

    fn pop(&mut self) -> Option<usize> {
        let last = self.items.len().checked_sub(1)?;
        self.items.swap(0, last);
        self.down(0, last);
        self.items.pop()
    }

    fn down(&mut self, mut parent: usize, len: usize) {
        loop {
            let left = 2 * parent + 1;
            if left >= len {
                return;
            }
            let right = left + 1;
            let child = if right < len && self.less(right, left) { right } else { left };
            if !self.less(child, parent) {
                return;
            }
            self.items.swap(parent, child);
            parent = child;
        }
    }

    /// The next point of the part at place `i` of the heap.
    fn head(&self, i: usize) -> (&Points, usize) {
        let part = self.items[i];
        (&self.parts[part], self.next[part])
    }

    fn less(&self, i: usize, j: usize) -> bool {
        let ((left, l), (right, r)) = (self.head(i), self.head(j));
        let order = left.times[l].cmp(&right.times[r]).then_with(|| {
            for (mine, theirs) in left.aux_of(l).iter().zip(right.aux_of(r)) {
                let (Cell::String(mine), Cell::String(theirs)) = (mine, theirs) else {
                    return Ordering::Equal;
                };
                if mine != theirs {
                    return mine.cmp(theirs);
                }
            }
            Ordering::Equal
        });
        if self.ascending { order == Ordering::Less } else { order == Ordering::Greater }
    }
}
