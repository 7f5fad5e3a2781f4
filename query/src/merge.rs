//! Partials of all groups become one: keyed by output series, in any order of arrival to the same result.

use crate::budget::Budget;
use crate::error::QueryError;
use crate::fold::PointTime;
use crate::fragment::{OpPartial, OpState, Partial, TagSet};
use crate::points::{Points, merge_by_time};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Merges what each op made in each group. Partials are taken in the order of their groups.
pub(crate) fn merge_partials(partials: Vec<Partial>, ops: usize) -> Vec<OpPartial> {
    let mut merged: Vec<OpPartial> = Vec::new();
    merged.resize_with(ops, BTreeMap::new);
    for partial in partials {
        for (into, from) in merged.iter_mut().zip(partial.ops) {
            for (key, state) in from {
                match into.entry(key) {
                    Entry::Vacant(entry) => {
                        entry.insert(state);
                    }
                    Entry::Occupied(mut entry) => entry.get_mut().merge(state),
                }
            }
        }
    }
    merged
}

/// The points of one output series in the order of the query.
///
/// # Errors
///
/// Those of the budget.
pub(crate) fn finish(
    state: OpState,
    time: PointTime,
    ascending: bool,
    budget: &Budget,
) -> Result<Points, QueryError> {
    match state {
        OpState::Fold(state) => {
            let mut points = state.finish(time);
            if !ascending {
                points.reverse();
            }
            Ok(points)
        }
        OpState::Rows(rows) => in_order(rows, (ascending, 0), budget),
    }
}

/// Rows of several series as one sequence, shard group after shard group.
pub(crate) fn in_order(
    mut rows: Vec<(TagSet, Points)>,
    (ascending, shard_ns): (bool, i64),
    budget: &Budget,
) -> Result<Points, QueryError> {
    // By tag set, whatever group a series is in, so that ties in time do not depend on placement.
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut parts: Vec<Points> = rows.into_iter().map(|(_, points)| points).collect();
    if !ascending {
        parts.reverse();
        parts.iter_mut().for_each(Points::reverse);
    }
    merge_by_time(parts, (ascending, shard_ns), budget)
}
