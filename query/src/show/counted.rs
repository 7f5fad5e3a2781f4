//! Counting over the series that FROM and WHERE select, in the groups that GROUP BY makes.

use super::condition::Filter;
use super::readers::has_field;
use super::sources::{compile, locate};
use super::tag_values::KeyFilter;
use super::{Readers, ShowContext};
use crate::condition::{FieldKind, RowCondition, SeriesFilter};
use crate::error::QueryError;
use crate::influxql::ast::{Cardinality, Expr, WildcardKind};
use crate::result::Cell;
use model::catalog::{Database, RetentionPolicy};
use model::scan::{GroupReader, SeriesRef};
use model::{FieldId, TagPredicate};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is counted.
#[derive(Debug)]
pub(super) enum Counted<'a> {
    /// Series.
    Series,
    /// Measurements, over all of them.
    Measurements,
    /// Tag keys.
    TagKeys,
    /// Values of some tag keys.
    TagValues(KeyFilter<'a>),
    /// Fields.
    FieldKeys,
}

/// What a count is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    /// Empty when measurements are counted.
    pub(super) measurement: Arc<str>,
    /// The GROUP BY tags, sorted by key.
    pub(super) tags: Vec<(Arc<str>, Arc<str>)>,
}

/// One thing that is counted once in its group.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Series(usize, Arc<[(Arc<str>, Arc<str>)]>),
    Name(Arc<str>),
    Field(FieldId),
}

/// The clauses of a CARDINALITY statement, resolved.
#[derive(Debug)]
pub(super) struct Selection<'a> {
    /// Measurement → where it is looked for.
    measurements: BTreeMap<Arc<str>, Vec<(&'a Arc<Database>, &'a RetentionPolicy)>>,
    filter: Filter,
    /// GROUP BY tag keys, sorted.
    dimensions: BTreeSet<Arc<str>>,
}

impl<'a> Selection<'a> {
    pub(super) fn of(
        statement: &Cardinality,
        context: &ShowContext<'a>,
        readers: &Readers<'_>,
    ) -> Result<Self, QueryError> {
        let filter = Filter::of(statement.condition.as_ref(), context)?;
        let mut measurements: BTreeMap<Arc<str>, Vec<_>> = BTreeMap::new();
        for source in locate(&statement.sources, context)? {
            for name in readers.measurements(source.database.id) {
                readers.check()?;
                if source.names.contains(&name) {
                    measurements.entry(name).or_default().push((source.database, source.policy));
                }
            }
        }
        let mut selection = Self { measurements, filter, dimensions: BTreeSet::new() };
        selection.dimensions = selection.expand(&statement.dimensions, readers)?;
        Ok(selection)
    }

    /// The tag keys of GROUP BY: names as they are, patterns over all tag keys of the measurements.
    fn expand(&self, dimensions: &[Expr], readers: &Readers<'_>) -> Result<BTreeSet<Arc<str>>, QueryError> {
        let mut keys = BTreeSet::new();
        for dimension in dimensions {
            let regex = match dimension {
                Expr::VarRef(name) => {
                    keys.insert(Arc::from(&*name.name));
                    continue;
                }
                Expr::Wildcard(WildcardKind::All | WildcardKind::Tag) => None,
                Expr::Regex(pattern) => Some(compile(pattern)?),
                _ => return Err(QueryError::statement("only time and tag dimensions allowed")),
            };
            for (measurement, places) in &self.measurements {
                for (database, _) in places {
                    let all = readers.tag_keys(database.id, measurement, &TagPredicate::All, None);
                    keys.extend(all.into_iter().filter(|k| regex.as_ref().is_none_or(|r| r.is_match(k))));
                }
            }
        }
        Ok(keys)
    }

    /// WHERE as a SELECT from the measurement reads it.
    fn condition(&self, database: &Database, measurement: &str) -> Result<RowCondition, QueryError> {
        let own = |name: &str| database.fields.get(measurement, name);
        // A field of another measurement is a field that no point here has.
        let elsewhere = |name: &str| self.measurements.keys().find_map(|m| database.fields.get(m, name));
        let kind = |name: &str| match own(name).or_else(|| elsewhere(name)) {
            Some(def) => FieldKind::Field(def.field_type),
            None => FieldKind::Tag,
        };
        RowCondition::compile(self.filter.residual(), &kind)
    }

    fn group(&self, measurement: Arc<str>, series: &SeriesRef) -> Group {
        let tags = self.dimensions.iter().map(|key| (Arc::clone(key), Arc::from(series.tag(key)))).collect();
        Group { measurement, tags }
    }
}

/// Whether WHERE lets a series pass. 1.x counts names of series, not points: there a field has no value.
fn passes(condition: &RowCondition, series: &SeriesRef) -> bool {
    match condition.bind(&|key| series.tag(key)) {
        SeriesFilter::All => true,
        SeriesFilter::Nothing => false,
        SeriesFilter::Rows(expr) => expr.passes(&|_| Cell::Null),
    }
}

/// The counts that are not 0, by group in order.
pub(super) fn count(
    selection: &Selection<'_>,
    counted: &Counted<'_>,
    readers: &Readers<'_>,
) -> Result<BTreeMap<Group, usize>, QueryError> {
    let mut items: BTreeMap<Group, BTreeSet<Item>> = BTreeMap::new();
    for (measurement, places) in &selection.measurements {
        for (number, (database, policy)) in places.iter().enumerate() {
            let condition = selection.condition(database, measurement)?;
            let fields = readers.fields(database.id, policy.id, measurement);
            let place = Place { number, database, policy, fields };
            let predicate = condition.tag_predicate();
            let series = readers.series(database.id, measurement, &predicate, selection.filter.range);
            for (reader, series) in series {
                readers.check()?;
                if !passes(&condition, &series) {
                    continue;
                }
                let found = place.items(counted, measurement, reader, &series)?;
                if found.is_empty() {
                    continue;
                }
                let name = match counted {
                    Counted::Measurements => Arc::from(""),
                    _ => Arc::clone(measurement),
                };
                items.entry(selection.group(name, &series)).or_default().extend(found);
            }
        }
    }
    Ok(items.into_iter().map(|(group, items)| (group, items.len())).collect())
}

/// A measurement in a retention policy.
struct Place<'a> {
    /// Which of the FROM clause: 1.x counts a series once for each.
    number: usize,
    database: &'a Database,
    policy: &'a RetentionPolicy,
    /// The measurement's fields that have points in the policy.
    fields: BTreeSet<FieldId>,
}

impl Place<'_> {
    /// What a series adds to its group; nothing if it has no point in the policy.
    fn items(
        &self,
        counted: &Counted<'_>,
        measurement: &Arc<str>,
        reader: &dyn GroupReader,
        series: &SeriesRef,
    ) -> Result<Vec<Item>, QueryError> {
        if let Counted::FieldKeys = counted {
            let mut items = Vec::new();
            for field in &self.fields {
                if has_field(reader, self.policy.id, series, *field)? {
                    items.push(Item::Field(*field));
                }
            }
            return Ok(items);
        }
        if !self.holds(reader, series)? {
            return Ok(Vec::new());
        }
        Ok(match counted {
            Counted::Series => vec![Item::Series(self.number, Arc::clone(&series.tags))],
            Counted::Measurements => vec![Item::Name(Arc::clone(measurement))],
            Counted::TagKeys => series.tags.iter().map(|(key, _)| Item::Name(Arc::clone(key))).collect(),
            Counted::TagValues(keys) => series
                .tags
                .iter()
                .filter(|(key, _)| keys.contains(key))
                .map(|(_, value)| Item::Name(Arc::clone(value)))
                .collect(),
            Counted::FieldKeys => Vec::new(),
        })
    }

    fn holds(&self, reader: &dyn GroupReader, series: &SeriesRef) -> Result<bool, QueryError> {
        // With one policy there is nothing to tell apart, and no chunk need be looked for.
        if self.database.policies.len() == 1 {
            return Ok(true);
        }
        for field in &self.fields {
            if has_field(reader, self.policy.id, series, *field)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
