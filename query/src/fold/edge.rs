//! Which point first() and last() name without windows, where several series have one at the same time.
//!
//! 1.x merges the series of a shard group by time, in a binary heap, reads two points, and prefers the larger value of
//! those if their times are equal. Which series those two are of follows from the sift order of the heap.

use super::Closing;
use super::accumulate::Scalar;
use crate::fragment::TagSet;
use crate::points::shard_group;

/// The outermost point of each series that has one in the outermost shard group.
#[derive(Debug, Clone)]
pub(crate) struct Heads<T> {
    /// Where the shard group starts, ns.
    shard: i64,
    points: Vec<(TagSet, i64, T)>,
}

impl<T: Scalar> Heads<T> {
    /// Of one series.
    pub(super) fn of_one(closing: Closing<'_>, time: i64, value: T) -> Self {
        let shard = shard_group(time, closing.shard_ns).0;
        Self { shard, points: vec![(TagSet::clone(closing.tags), time, value)] }
    }

    /// Adds other series.
    pub(super) fn merge(&mut self, other: Self, last: bool) {
        if self.shard == other.shard {
            self.points.extend(other.points);
        } else if (other.shard > self.shard) == last {
            *self = other;
        }
    }

    /// Bytes that the points take.
    pub(super) fn bytes(&self) -> usize {
        // With what it takes to put them in order at the end.
        self.points.len() * (size_of::<(TagSet, i64, T)>() + size_of::<usize>())
    }

    /// The point that is named.
    pub(super) fn finish(mut self, last: bool) -> Option<(i64, T)> {
        self.points.sort_by(|(a, ..), (b, ..)| if last { b.cmp(a) } else { a.cmp(b) });
        let mut order: Vec<usize> = (0..self.points.len()).collect();
        for root in (0..order.len() / 2).rev() {
            self.sift(&mut order, root, last);
        }
        let first = *order.first()?;
        let len = order.len();
        order.swap(0, len - 1);
        order.pop();
        self.sift(&mut order, 0, last);
        let (_, time, value) = &self.points[first];
        let other = order.first().map(|second| &self.points[*second]);
        Some(match other {
            Some((_, tied, larger)) if tied == time && larger.wins_tie(value, last) => {
                (*time, larger.clone())
            }
            _ => (*time, value.clone()),
        })
    }

    /// Moves the series at `parent` down to its place, as Go's `container/heap` does.
    fn sift(&self, order: &mut [usize], mut parent: usize, last: bool) {
        let before = |a: usize, b: usize| {
            let (a, b) = (self.points[a].1, self.points[b].1);
            if last { a > b } else { a < b }
        };
        loop {
            let left = 2 * parent + 1;
            if left >= order.len() {
                return;
            }
            let right = left + 1;
            let child = if right < order.len() && before(order[right], order[left]) { right } else { left };
            if !before(order[child], order[parent]) {
                return;
            }
            order.swap(parent, child);
            parent = child;
        }
    }
}
