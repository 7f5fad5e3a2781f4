//! SHOW SERIES.
//!
//! 1.x answers it in two ways. Without time bounds, from the index of the whole database: the policy in FROM must exist,
//! but does not narrow the answer (1.x has none at all for a policy that nobody ever wrote to). With time bounds, by a SELECT from the policy: the series of the shard groups
//! in the range, each a row at time 0, sorted by their text.

use super::condition::{Filter, Subject, check_operators, mentions_time};
use super::counted::{Selection, each_series};
use super::sources::{Located, locate};
use super::{Readers, ShowContext, limited, table};
use crate::error::QueryError;
use crate::influxql::ast::ShowSeries;
use crate::plan::validate_condition;
use crate::result::{Cell, Series};
use model::SeriesKey;
use model::catalog::Database;
use model::scan::SeriesRef;
use model::series::text;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Answers the statement.
pub(super) fn show(
    statement: &ShowSeries,
    context: &ShowContext<'_>,
    readers: &Readers<'_>,
) -> Result<Vec<Series>, QueryError> {
    if statement.sources.is_empty() {
        context.required_database()?;
    }
    let filter = Filter::of(statement.condition.as_ref(), context)?;
    let in_time = statement.condition.as_ref().is_some_and(mentions_time);
    // With FROM and without time, 1.x puts the clause into parentheses, and does not look into those.
    if let (Some(expr), true) = (filter.residual(), in_time || statement.sources.is_empty()) {
        validate_condition(expr)?;
    }
    if in_time {
        return in_range(statement, context, readers);
    }
    let located = located_with_points(statement, context, readers)?;
    if let (Some(expr), false) = (filter.residual(), located.is_empty()) {
        check_operators(expr)?;
    }
    let measurements: BTreeSet<(Arc<str>, &str)> = located
        .iter()
        .flat_map(|source| {
            let names = readers.measurements(source.database.id).into_iter();
            names.filter(|name| source.names.contains(name)).map(|name| (name, &*source.database.name))
        })
        .collect();
    let wanted =
        if statement.limit == 0 { u64::MAX } else { statement.offset.saturating_add(statement.limit) };
    let mut keys = Vec::new();
    for (measurement, database) in measurements {
        // Measurements come in order, so what is beyond the limit now stays beyond it.
        if keys.len() as u64 >= wanted {
            break;
        }
        readers.check()?;
        let database = context.database_named(database)?;
        keys.extend(measurement_keys(database, &measurement, &filter, readers)?);
    }
    let cells: Vec<Cell> =
        limited(keys, statement.limit, statement.offset).map(|key| Cell::String(text(&key.0))).collect();
    Ok(answer(cells))
}

fn answer(cells: Vec<Cell>) -> Vec<Series> {
    if cells.is_empty() { Vec::new() } else { vec![table("", &["key"], cells)] }
}

/// The items of FROM whose database has points; of patterns those that match a measurement.
fn located_with_points<'a>(
    statement: &ShowSeries,
    context: &ShowContext<'a>,
    readers: &Readers<'_>,
) -> Result<Vec<Located<'a>>, QueryError> {
    let mut located = locate(&statement.sources, context)?;
    located.retain(|source| {
        let mut names = readers.measurements(source.database.id).into_iter();
        readers.has_slice(source.database, None)
            && (!source.names.is_pattern() || names.any(|name| source.names.contains(&name)))
    });
    Ok(located)
}

/// The statement with time bounds.
fn in_range(
    statement: &ShowSeries,
    context: &ShowContext<'_>,
    readers: &Readers<'_>,
) -> Result<Vec<Series>, QueryError> {
    let clauses = (&statement.sources[..], statement.condition.as_ref());
    let selection = Selection::of(clauses, &[], context, readers)?;
    let descending = statement.order.iter().any(|field| !field.ascending);
    // Rows are read from one end of the range until one lies beyond the other; all of them have time 0.
    let range = selection.range();
    if (descending && range.start > 0) || (!descending && range.end <= 0) {
        return Ok(Vec::new());
    }
    let mut keys = BTreeSet::new();
    each_series(&selection, readers, &mut |measurement, series| {
        let key = text(&key_of(measurement, series).0);
        readers.budget.charge(2 * key.len() + KEY_BYTES)?;
        keys.insert(key);
        Ok(())
    })?;
    let mut keys: Vec<Arc<str>> = keys.into_iter().collect();
    if descending {
        keys.reverse();
    }
    Ok(answer(limited(keys, statement.limit, statement.offset).map(Cell::String).collect()))
}

/// Bytes of a key besides its text.
const KEY_BYTES: usize = 64;
/// Series between two looks at whether to go on.
const SERIES_PER_CHECK: usize = 1_024;

/// Keys of a measurement's series, in the order of their tags.
fn measurement_keys(
    database: &Database,
    measurement: &str,
    filter: &Filter,
    readers: &Readers<'_>,
) -> Result<Vec<SeriesKey>, QueryError> {
    let predicate = filter.predicate(Subject { measurement, database: Some(database) })?;
    let series = readers.series(database.id, measurement, &predicate, None);
    let mut keys = BTreeMap::new();
    for (n, (_, series)) in series.enumerate() {
        if n.is_multiple_of(SERIES_PER_CHECK) {
            readers.check()?;
        }
        let key = key_of(measurement, &series);
        // Here, in the text of the answer, and in between.
        readers.budget.charge(2 * key.0.len() + KEY_BYTES)?;
        keys.insert(series.tags, key);
    }
    Ok(keys.into_values().collect())
}

fn key_of(measurement: &str, series: &SeriesRef) -> SeriesKey {
    let tags: Vec<(&[u8], &[u8])> = series.tags.iter().map(|(k, v)| (k.as_bytes(), v.as_bytes())).collect();
    SeriesKey::from_parts(measurement.as_bytes(), &tags)
}
