//! All groups as one index.

use crate::budget::Budget;
use crate::error::QueryError;
use model::catalog::Database;
use model::scan::{GroupReader, SeriesRef};
use model::{DatabaseId, FieldId, RetentionPolicyId, TagPredicate, TimeRange};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The readers of all groups.
#[derive(Debug, Clone, Copy)]
pub(super) struct Readers<'a> {
    pub(super) groups: &'a [&'a dyn GroupReader],
    pub(super) budget: &'a Budget,
}

impl<'a> Readers<'a> {
    /// Whether to go on.
    ///
    /// # Errors
    ///
    /// Those of the budget.
    pub(super) fn check(&self) -> Result<(), QueryError> {
        self.budget.check()
    }

    /// Whether a policy of the database has points in a slice of time that overlaps the range.
    pub(super) fn has_slice(&self, database: &Database, range: Option<TimeRange>) -> bool {
        let range = range.unwrap_or(TimeRange::ALL);
        let overlaps = |slice: &TimeRange| slice.start < range.end && range.start < slice.end;
        let has = |policy: RetentionPolicyId| {
            self.groups.iter().any(|reader| reader.slices(policy).iter().any(overlaps))
        };
        database.policies.iter().any(|policy| has(policy.id))
    }

    pub(super) fn measurements(&self, database: DatabaseId) -> BTreeSet<Arc<str>> {
        self.groups.iter().flat_map(|reader| reader.measurements(database)).collect()
    }

    /// Tag keys of the series that satisfy the predicate and, if a range is given, have a point in it.
    pub(super) fn tag_keys(
        &self,
        database: DatabaseId,
        measurement: &str,
        predicate: &TagPredicate,
        range: Option<TimeRange>,
    ) -> BTreeSet<Arc<str>> {
        match range {
            None => self.groups.iter().flat_map(|r| r.tag_keys(database, measurement, predicate)).collect(),
            Some(_) => self
                .series(database, measurement, predicate, range)
                .flat_map(|(_, series)| {
                    series.tags.iter().map(|(key, _)| Arc::clone(key)).collect::<Vec<_>>()
                })
                .collect(),
        }
    }

    /// Values of a tag key over the series that satisfy the predicate and, if a range is given, have a point in it.
    pub(super) fn tag_values(
        &self,
        database: DatabaseId,
        measurement: &str,
        key: &str,
        predicate: &TagPredicate,
        range: Option<TimeRange>,
    ) -> BTreeSet<Arc<str>> {
        match range {
            None => {
                self.groups.iter().flat_map(|r| r.tag_values(database, measurement, key, predicate)).collect()
            }
            Some(_) => self
                .series(database, measurement, predicate, range)
                .filter_map(|(_, series)| {
                    series.tags.iter().find(|(k, _)| **k == *key).map(|(_, value)| Arc::clone(value))
                })
                .collect(),
        }
    }

    /// The series that satisfy the predicate and, if a range is given, have a point in it; group by group.
    pub(super) fn series<'s>(
        &'s self,
        database: DatabaseId,
        measurement: &'s str,
        predicate: &'s TagPredicate,
        range: Option<TimeRange>,
    ) -> impl Iterator<Item = (&'a dyn GroupReader, SeriesRef)> + 's {
        self.groups.iter().flat_map(move |reader| {
            reader
                .series(database, measurement, predicate)
                .into_iter()
                .filter(move |series| range.is_none_or(|range| reader.is_active(series.id, None, range)))
                .map(move |series| (*reader, series))
        })
    }

    /// As [`Self::series`], with points in one policy.
    pub(super) fn series_in<'s>(
        &'s self,
        place: (DatabaseId, RetentionPolicyId),
        measurement: &'s str,
        predicate: &'s TagPredicate,
        range: TimeRange,
    ) -> impl Iterator<Item = (&'a dyn GroupReader, SeriesRef)> + 's {
        let (database, policy) = place;
        self.series(database, measurement, predicate, None)
            .filter(move |(reader, series)| reader.is_active(series.id, Some(policy), range))
    }

    /// Fields that have a point in a policy, in a slice of time that overlaps the range.
    pub(super) fn fields(
        &self,
        database: DatabaseId,
        policy: RetentionPolicyId,
        measurement: &str,
        range: TimeRange,
    ) -> BTreeSet<FieldId> {
        self.groups
            .iter()
            .flat_map(|reader| reader.fields(database, policy, measurement, range).into_keys())
            .collect()
    }
}
