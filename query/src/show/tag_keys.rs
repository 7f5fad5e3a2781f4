//! SHOW TAG KEYS.

use super::condition::{Filter, Subject};
use super::sources::Names;
use super::{Readers, ShowContext, limited, table};
use crate::error::QueryError;
use crate::influxql::ast::ShowTagKeys;
use crate::result::{Cell, Series};

/// Databases and policies in FROM do not count, nor do SLIMIT and SOFFSET: 1.x reads and forgets them.
pub(super) fn show(
    statement: &ShowTagKeys,
    context: &ShowContext<'_>,
    readers: &Readers<'_>,
) -> Result<Vec<Series>, QueryError> {
    let database = context.required_database()?;
    let filter = Filter::of(statement.condition.as_ref(), context)?;
    // 1.x looks at the rest of the clause for shards only.
    if !readers.has_slice(database, filter.range) {
        return Ok(Vec::new());
    }
    // What is wrong with the clause is told also where no measurement is looked at.
    filter.names("")?;
    let of_series = filter.without_system_names();
    let names = Names::of(&statement.sources)?;
    let mut series = Vec::new();
    for measurement in readers.measurements(database.id) {
        readers.check()?;
        if !names.contains(&measurement) || !filter.names(&measurement)? {
            continue;
        }
        let subject = Subject { measurement: &measurement, database: Some(database) };
        let predicate = of_series.predicate(subject)?;
        let keys = readers.tag_keys(database.id, &measurement, &predicate, filter.range);
        let cells: Vec<Cell> = limited(keys, statement.limit, statement.offset).map(Cell::String).collect();
        if !cells.is_empty() {
            series.push(table(&measurement, &["tagKey"], cells));
        }
    }
    Ok(series)
}
