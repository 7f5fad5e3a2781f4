//! Counting over the series that FROM and WHERE select, in the groups that GROUP BY makes.

use super::condition::Filter;
use super::sources::{compile, locate};
use super::tag_values::{KEY, KeyFilter};
use super::{Readers, ShowContext};
use crate::condition::{FieldKind, RowCondition, SeriesFilter};
use crate::error::QueryError;
use crate::fold::columns::cell;
use crate::influxql::ast::{DataType, Expr, Source, VarRef, WildcardKind};
use crate::result::Cell;
use model::catalog::{Database, RetentionPolicy};
use model::scan::{ColumnBatch, GroupReader, Order, SeriesRef};
use model::{FieldId, FieldType, RetentionPolicyId, TagPredicate, TimeRange};
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

/// The clauses of a statement that 1.x answers by a SELECT of names instead of points, resolved.
#[derive(Debug)]
pub(super) struct Selection<'a> {
    /// Measurement → where it is looked for.
    measurements: BTreeMap<Arc<str>, Vec<(&'a Arc<Database>, &'a RetentionPolicy)>>,
    filter: Filter,
    /// GROUP BY tag keys, sorted.
    dimensions: BTreeSet<Arc<str>>,
    known: Known,
}

/// What names in WHERE are known as, in any of the measurements.
#[derive(Debug, Default)]
struct Known {
    /// Fields that have points in the policies.
    fields: BTreeSet<Arc<str>>,
    /// Tag keys.
    tags: BTreeSet<Arc<str>>,
}

impl<'a> Selection<'a> {
    /// `clauses` are FROM and WHERE, `dimensions` are those of GROUP BY.
    pub(super) fn of(
        clauses: (&[Source], Option<&Expr>),
        dimensions: &[Expr],
        context: &ShowContext<'a>,
        readers: &Readers<'_>,
    ) -> Result<Self, QueryError> {
        let filter = Filter::of(clauses.1, context)?;
        let mut measurements: BTreeMap<Arc<str>, Vec<_>> = BTreeMap::new();
        for source in locate(clauses.0, context)? {
            for name in readers.measurements(source.database.id) {
                readers.check()?;
                if source.names.contains(&name) {
                    measurements.entry(name).or_default().push((source.database, source.policy));
                }
            }
        }
        let mut selection =
            Self { measurements, filter, dimensions: BTreeSet::new(), known: Known::default() };
        selection.dimensions = selection.expand(dimensions, readers)?;
        if selection.filter.residual().is_some() {
            selection.known = selection.known(readers);
        }
        Ok(selection)
    }

    /// The time bounds.
    pub(super) fn range(&self) -> TimeRange {
        self.filter.range.unwrap_or(TimeRange::ALL)
    }

    fn known(&self, readers: &Readers<'_>) -> Known {
        let mut known = Known::default();
        for (measurement, places) in &self.measurements {
            for (database, policy) in places {
                let present = readers.fields(database.id, policy.id, measurement, TimeRange::ALL);
                let fields =
                    database.fields.measurements.get(measurement).into_iter().flat_map(|m| &m.fields);
                let fields = fields.filter(|(_, def)| present.contains(&def.id));
                known.fields.extend(fields.map(|(name, _)| Arc::clone(name)));
                known.tags.extend(readers.tag_keys(database.id, measurement, &TagPredicate::All, None));
            }
        }
        known
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

    /// WHERE as a SELECT from the measurements reads it: a name is what it is in any of them within the policies, else a
    /// field of this one that has points elsewhere.
    fn condition(&self, database: &Database, measurement: &str) -> Result<RowCondition, QueryError> {
        let is_field = |name: &str| {
            self.known.fields.contains(name)
                || !self.known.tags.contains(name) && database.fields.get(measurement, name).is_some()
        };
        // Which type it has does not matter: no field has a value here.
        let kind = |name: &str| {
            if is_field(name) { FieldKind::Field(FieldType::String) } else { FieldKind::Tag }
        };
        RowCondition::compile(self.filter.residual(), &kind)
    }

    fn group(&self, measurement: Arc<str>, series: &SeriesRef) -> Group {
        let tags = self.dimensions.iter().map(|key| (Arc::clone(key), Arc::from(series.tag(key)))).collect();
        Group { measurement, tags }
    }
}

/// Whether WHERE lets a series pass. 1.x counts names of series, which have time 0: of a field that is the value that
/// counts.
fn passes(condition: &RowCondition, place: &Place<'_>, found: Found<'_>) -> Result<bool, QueryError> {
    let expr = match condition.bind(&|key| found.1.tag(key)) {
        SeriesFilter::All => return Ok(true),
        SeriesFilter::Nothing => return Ok(false),
        SeriesFilter::Rows(expr) => expr,
    };
    let values: Vec<Cell> = condition
        .fields
        .iter()
        .map(|field| place.value_at_zero(&field.name, found))
        .collect::<Result<_, _>>()?;
    Ok(expr.passes(&|index| values.get(index).cloned().unwrap_or(Cell::Null)))
}

/// Visits the series that FROM and WHERE select, each once for every place it is found in.
pub(super) fn each_series(
    selection: &Selection<'_>,
    readers: &Readers<'_>,
    visit: &mut Visit<'_>,
) -> Result<(), QueryError> {
    each_place(selection, readers, &mut |place, series| visit(&place.measurement, series.1))
}

/// Told of a measurement and one of its series.
pub(super) type Visit<'v> = dyn FnMut(&Arc<str>, &SeriesRef) -> Result<(), QueryError> + 'v;

/// A series and the group that has it.
type Found<'a> = (&'a dyn GroupReader, &'a SeriesRef);

fn each_place(
    selection: &Selection<'_>,
    readers: &Readers<'_>,
    visit: &mut dyn FnMut(&Place<'_>, Found<'_>) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    // Names have no time; 1.x gives them 0, and reads upwards until the end of the range.
    if selection.range().end <= 0 {
        return Ok(());
    }
    for (measurement, places) in &selection.measurements {
        for (number, (database, policy)) in places.iter().enumerate() {
            let condition = selection.condition(database, measurement)?;
            let place = Place { number, database, policy, measurement: Arc::clone(measurement) };
            let predicate = condition.tag_predicate();
            let at = (database.id, policy.id);
            for (reader, series) in readers.series_in(at, measurement, &predicate, selection.range()) {
                readers.check()?;
                if passes(&condition, &place, (reader, &series))? {
                    visit(&place, (reader, &series))?;
                }
            }
        }
    }
    Ok(())
}

/// The counts that are not 0, by group in order.
pub(super) fn count(
    selection: &Selection<'_>,
    counted: &Counted<'_>,
    readers: &Readers<'_>,
) -> Result<BTreeMap<Group, usize>, QueryError> {
    let mut items: BTreeMap<Group, BTreeSet<Item>> = BTreeMap::new();
    let values = ValueCondition::of(selection.filter.residual())?;
    let mut slices = Slices::default();
    each_place(selection, readers, &mut |place, found| {
        let added = match counted {
            Counted::FieldKeys => slices.fields(place, found, readers),
            Counted::TagValues(keys) => values.items(keys, found.1),
            Counted::Series => vec![Item::Series(place.number, Arc::clone(&found.1.tags))],
            Counted::Measurements => vec![Item::Name(Arc::clone(&place.measurement))],
            Counted::TagKeys => found.1.tags.iter().map(|(key, _)| Item::Name(Arc::clone(key))).collect(),
        };
        if !added.is_empty() {
            let name = match counted {
                Counted::Measurements => Arc::from(""),
                _ => Arc::clone(&place.measurement),
            };
            items.entry(selection.group(name, found.1)).or_default().extend(added);
        }
        Ok(())
    })?;
    Ok(items.into_iter().map(|(group, items)| (group, items.len())).collect())
}

/// A measurement in a retention policy.
struct Place<'a> {
    /// Which of the FROM clause: 1.x counts a series once for each.
    number: usize,
    database: &'a Database,
    policy: &'a RetentionPolicy,
    measurement: Arc<str>,
}

impl Place<'_> {
    /// What a field of a series has at time 0.
    fn value_at_zero(&self, field: &str, (reader, series): Found<'_>) -> Result<Cell, QueryError> {
        let Some(field) = self.database.fields.get(&self.measurement, field) else { return Ok(Cell::Null) };
        let policy = reader.open(self.policy.id);
        let mut column = policy.column(field.id);
        column.seek(series.id, TimeRange::new(0, 1), Order::Ascending)?;
        let mut batch = ColumnBatch::default();
        while column.next_chunk()?.is_some() {
            column.decode(&mut batch)?;
            if let Ok(at) = batch.times.binary_search(&0) {
                return Ok(cell(&batch.values, at));
            }
        }
        Ok(Cell::Null)
    }
}

/// The fields that a measurement has in each slice of time of a policy: 1.x knows no field of a series.
#[derive(Debug, Default)]
struct Slices {
    of: Option<(Arc<str>, RetentionPolicyId)>,
    fields: Vec<(TimeRange, BTreeSet<FieldId>)>,
}

impl Slices {
    fn fields(&mut self, place: &Place<'_>, found: Found<'_>, readers: &Readers<'_>) -> Vec<Item> {
        let of = (Arc::clone(&place.measurement), place.policy.id);
        if self.of.as_ref() != Some(&of) {
            let slices: BTreeSet<(i64, i64)> = readers
                .groups
                .iter()
                .flat_map(|reader| reader.slices(place.policy.id))
                .map(|slice| (slice.start, slice.end))
                .collect();
            let ranges = slices.into_iter().map(|(start, end)| TimeRange::new(start, end));
            let fields =
                |range| readers.fields(place.database.id, place.policy.id, &place.measurement, range);
            self.fields = ranges.map(|range| (range, fields(range))).collect();
            self.of = Some(of);
        }
        let (reader, series) = found;
        let active = self
            .fields
            .iter()
            .filter(|(range, _)| reader.is_active(series.id, Some(place.policy.id), *range));
        active.flat_map(|(_, fields)| fields.iter().map(|field| Item::Field(*field))).collect()
    }
}

/// WHERE as 1.x tests it for every tag of a series when it counts values: a tag that the series lacks is null there, and
/// nothing compares with null.
struct ValueCondition(Option<RowCondition>);

impl ValueCondition {
    fn of(residual: Option<&Expr>) -> Result<Self, QueryError> {
        let Some(residual) = residual else { return Ok(Self(None)) };
        let kind = |_: &str| FieldKind::Field(FieldType::String);
        RowCondition::compile(Some(&uncast(residual)), &kind).map(|condition| Self(Some(condition)))
    }

    fn items(&self, keys: &KeyFilter<'_>, series: &SeriesRef) -> Vec<Item> {
        let wanted = series.tags.iter().filter(|(key, _)| keys.contains(key) && self.passes(key, series));
        wanted.map(|(_, value)| Item::Name(Arc::clone(value))).collect()
    }

    fn passes(&self, key: &Arc<str>, series: &SeriesRef) -> bool {
        let Some(condition) = &self.0 else { return true };
        let value = |index: usize| match &*condition.fields[index].name {
            KEY => Cell::String(Arc::clone(key)),
            name => match series.tag(name) {
                "" => Cell::Null,
                value => Cell::String(value.into()),
            },
        };
        match condition.bind(&|_| "") {
            SeriesFilter::All => true,
            SeriesFilter::Nothing => false,
            SeriesFilter::Rows(expr) => expr.passes(&value),
        }
    }
}

/// The same with every name as a field, whatever the clause says it is.
fn uncast(expr: &Expr) -> Expr {
    let mut field = |name: &VarRef| VarRef { name: name.name.clone(), data_type: Some(DataType::AnyField) };
    expr.map_references(&mut field)
}
