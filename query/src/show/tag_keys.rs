//! SHOW TAG KEYS.

use super::condition::Filter;
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
    // What is wrong with the clause is told also where no measurement is looked at.
    filter.predicate("")?;
    let names = Names::of(&statement.sources)?;
    let mut series = Vec::new();
    for measurement in readers.measurements(database.id) {
        readers.check()?;
        if !names.contains(&measurement) {
            continue;
        }
        let predicate = filter.predicate(&measurement)?;
        let keys = readers.tag_keys(database.id, &measurement, &predicate, filter.range);
        let cells: Vec<Cell> = limited(keys, statement.limit, statement.offset).map(Cell::String).collect();
        if !cells.is_empty() {
            series.push(table(&measurement, &["tagKey"], cells));
        }
    }
    Ok(series)
}
