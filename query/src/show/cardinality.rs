//! SHOW … CARDINALITY: how many there are.
//!
//! Plain SERIES and MEASUREMENT CARDINALITY answer for the whole database from the index; 1.x estimates here, we
//! count. All others count what has points in the retention policy, measurement by measurement.

use super::condition::{Filter, mentions_time};
use super::counted::{Counted, Selection, count};
use super::tag_values::KeyFilter;
use super::{Readers, ShowContext, table};
use crate::error::QueryError;
use crate::influxql::ast::{Cardinality, ShowTagValuesCardinality};
use crate::plan::validate_condition;
use crate::result::{Cell, Series};
use model::{DatabaseId, TagPredicate};

/// SHOW SERIES CARDINALITY
pub(super) fn series(
    statement: &Cardinality,
    context: &ShowContext<'_>,
    readers: &Readers<'_>,
) -> Result<Vec<Series>, QueryError> {
    if is_plain(statement) {
        return estimation(context, |database| {
            let names = readers.measurements(database);
            names.iter().map(|name| readers.series(database, name, &TagPredicate::All, None).count()).sum()
        });
    }
    check(statement, "SHOW SERIES EXACT CARDINALITY", context)?;
    per_measurement(statement, &Counted::Series, context, readers)
}

/// SHOW MEASUREMENT CARDINALITY
pub(super) fn measurements(
    statement: &Cardinality,
    context: &ShowContext<'_>,
    readers: &Readers<'_>,
) -> Result<Vec<Series>, QueryError> {
    if is_plain(statement) {
        return estimation(context, |database| readers.measurements(database).len());
    }
    check(statement, "SHOW MEASUREMENT EXACT CARDINALITY", context)?;
    per_measurement(statement, &Counted::Measurements, context, readers)
}

/// SHOW TAG KEY CARDINALITY
pub(super) fn tag_keys(
    statement: &Cardinality,
    context: &ShowContext<'_>,
    readers: &Readers<'_>,
) -> Result<Vec<Series>, QueryError> {
    check(statement, "SHOW TAG KEY EXACT CARDINALITY", context)?;
    per_measurement(statement, &Counted::TagKeys, context, readers)
}

/// SHOW TAG VALUES CARDINALITY
pub(super) fn tag_values(
    statement: &ShowTagValuesCardinality,
    context: &ShowContext<'_>,
    readers: &Readers<'_>,
) -> Result<Vec<Series>, QueryError> {
    let counted = Counted::TagValues(KeyFilter::of(&statement.key)?);
    per_measurement(&statement.cardinality, &counted, context, readers)
}

/// SHOW FIELD KEY CARDINALITY
pub(super) fn field_keys(
    statement: &Cardinality,
    context: &ShowContext<'_>,
    readers: &Readers<'_>,
) -> Result<Vec<Series>, QueryError> {
    check(statement, "SHOW FIELD KEY CARDINALITY", context)?;
    per_measurement(statement, &Counted::FieldKeys, context, readers)
}

/// Whether nothing narrows the statement down.
fn is_plain(statement: &Cardinality) -> bool {
    let Cardinality { exact, database: _, sources, condition, dimensions, limit, offset } = statement;
    !exact
        && sources.is_empty()
        && condition.is_none()
        && dimensions.is_empty()
        && *limit == 0
        && *offset == 0
}

/// Refuses what 1.x refuses before it selects names: time, and functions that a SELECT may not call in WHERE.
fn check(statement: &Cardinality, name: &str, context: &ShowContext<'_>) -> Result<(), QueryError> {
    if statement.condition.as_ref().is_some_and(mentions_time) {
        return Err(QueryError::Statement(format!("{name} doesn't support time in WHERE clause")));
    }
    if statement.sources.is_empty() {
        context.required_database()?;
    }
    let filter = Filter::of(statement.condition.as_ref(), context)?;
    filter.residual().map_or(Ok(()), validate_condition)
}

/// A count over the whole database; 0 for one that does not exist.
fn estimation(
    context: &ShowContext<'_>,
    count: impl FnOnce(DatabaseId) -> usize,
) -> Result<Vec<Series>, QueryError> {
    if context.database.is_empty() {
        return Err(QueryError::statement("database name required"));
    }
    let n = context.catalog.database(context.database).map_or(0, |database| count(database.id));
    Ok(vec![table("", &["cardinality estimation"], vec![Cell::Integer(n as i64)])])
}

fn per_measurement(
    statement: &Cardinality,
    counted: &Counted<'_>,
    context: &ShowContext<'_>,
    readers: &Readers<'_>,
) -> Result<Vec<Series>, QueryError> {
    let clauses = (&statement.sources[..], statement.condition.as_ref());
    let selection = Selection::of(clauses, &statement.dimensions, context, readers)?;
    // 1.x counts rows of time 0, and ends at the first one outside of the range.
    if selection.range().start > 0 {
        return Ok(Vec::new());
    }
    let counts = count(&selection, counted, readers)?;
    // Each series has one row, which an offset skips and no limit cuts.
    if statement.offset > 0 {
        return Ok(Vec::new());
    }
    let series = counts.into_iter().map(|(group, n)| {
        let tags = (!statement.dimensions.is_empty()).then_some(group.tags);
        Series { tags, ..table(&group.measurement, &["count"], vec![Cell::Integer(n as i64)]) }
    });
    Ok(series.collect())
}
