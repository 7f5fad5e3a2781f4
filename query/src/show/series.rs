//! SHOW SERIES.

use super::condition::Filter;
use super::sources::locate;
use super::{Readers, ShowContext, limited, table};
use crate::error::QueryError;
use crate::influxql::ast::ShowSeries;
use crate::result::{Cell, Series};
use model::SeriesKey;
use model::catalog::Database;
use model::scan::SeriesRef;
use model::series::text;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The index is of the whole database: the policy in FROM must exist, but does not narrow the answer.
pub(super) fn show(
    statement: &ShowSeries,
    context: &ShowContext<'_>,
    readers: &Readers<'_>,
) -> Result<Vec<Series>, QueryError> {
    let located = locate(&statement.sources, context)?;
    let filter = Filter::of(statement.condition.as_ref(), context)?;
    // What is wrong with the clause is told also where no measurement is looked at.
    filter.predicate("")?;
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
    Ok(if cells.is_empty() { Vec::new() } else { vec![table("", &["key"], cells)] })
}

/// Bytes of a key besides its text.
const KEY_BYTES: usize = 64;
/// Series between two looks at whether to go on.
const SERIES_PER_CHECK: usize = 1_024;

/// Keys of a measurement's series, in order of their bytes.
fn measurement_keys(
    database: &Database,
    measurement: &str,
    filter: &Filter,
    readers: &Readers<'_>,
) -> Result<BTreeSet<SeriesKey>, QueryError> {
    let predicate = filter.predicate(measurement)?;
    let series = readers.series(database.id, measurement, &predicate, filter.range);
    let mut keys = BTreeSet::new();
    for (n, (_, series)) in series.enumerate() {
        if n.is_multiple_of(SERIES_PER_CHECK) {
            readers.check()?;
        }
        let key = key_of(measurement, &series);
        // Here, in the text of the answer, and in between.
        readers.budget.charge(2 * key.0.len() + KEY_BYTES)?;
        keys.insert(key);
    }
    Ok(keys)
}

fn key_of(measurement: &str, series: &SeriesRef) -> SeriesKey {
    let tags: Vec<(&[u8], &[u8])> = series.tags.iter().map(|(k, v)| (k.as_bytes(), v.as_bytes())).collect();
    SeriesKey::from_parts(measurement.as_bytes(), &tags)
}
