//! SHOW: what is stored, by names. Answered from the catalog and the index of every group.
//!
//! The node calls [`execute_show`] on a blocking thread with a reader of each group, after the read barrier. Unlike
//! SELECT there is nothing to split: names are few, so each reader is asked and the answers are united here. Which
//! clause counts and which is read and ignored follows InfluxDB 1.x, statement by statement.

mod cardinality;
mod catalog;
pub(crate) mod condition;
mod counted;
mod field_keys;
mod measurements;
mod readers;
mod series;
pub(crate) mod sources;
mod tag_keys;
mod tag_values;

use crate::budget::Budget;
use crate::error::QueryError;
use crate::influxql::ast::Statement;
use crate::result::{Cell, Series, StatementResult};
use model::catalog::{Catalog, Database};
use model::scan::GroupReader;
use readers::Readers;
use std::sync::Arc;

/// What surrounds a SHOW statement.
#[derive(Debug, Clone, Copy)]
pub struct ShowContext<'a> {
    /// Databases, policies, fields.
    pub catalog: &'a Catalog,
    /// `db` of the request; may be empty. ON in the statement goes before it.
    pub database: &'a str,
    /// `rp` of the request: the policy of FROM where the statement names none; empty is the default one.
    pub policy: &'a str,
    /// What `now()` is, ns since the epoch.
    pub now_ns: i64,
}

/// Answers a SHOW statement. `readers` holds one reader of every data group.
///
/// SHOW QUERIES, SHARDS, SHARD GROUPS, STATS and DIAGNOSTICS are about a node, not about what is stored, and are
/// refused here, as is every statement that is not SHOW.
///
/// # Errors
///
/// [`QueryError::Statement`] with the text of InfluxDB 1.x, or that the statement is not supported;
/// [`QueryError::Scan`] when a replica cannot be read, else what the budget says.
pub fn execute_show(
    statement: &Statement,
    context: &ShowContext<'_>,
    readers: &[&dyn GroupReader],
    budget: &Budget,
) -> Result<StatementResult, QueryError> {
    let on = statement.default_database();
    let context = ShowContext { database: if on.is_empty() { context.database } else { on }, ..*context };
    let readers = Readers { groups: readers, budget };
    let series = match statement {
        Statement::ShowDatabases => catalog::databases(&context),
        Statement::ShowRetentionPolicies(_) => catalog::retention_policies(&context)?,
        Statement::ShowContinuousQueries => catalog::continuous_queries(&context),
        Statement::ShowSubscriptions => catalog::subscriptions(&context),
        Statement::ShowUsers => catalog::users(&context),
        Statement::ShowGrants(s) => catalog::grants(&s.user, &context)?,
        Statement::ShowMeasurements(s) => measurements::show(s, &context, &readers)?,
        Statement::ShowSeries(s) => series::show(s, &context, &readers)?,
        Statement::ShowTagKeys(s) => tag_keys::show(s, &context, &readers)?,
        Statement::ShowTagValues(s) => tag_values::show(s, &context, &readers)?,
        Statement::ShowFieldKeys(s) => field_keys::show(s, &context, &readers)?,
        Statement::ShowMeasurementCardinality(s) => cardinality::measurements(s, &context, &readers)?,
        Statement::ShowSeriesCardinality(s) => cardinality::series(s, &context, &readers)?,
        Statement::ShowTagKeyCardinality(s) => cardinality::tag_keys(s, &context, &readers)?,
        Statement::ShowTagValuesCardinality(s) => cardinality::tag_values(s, &context, &readers)?,
        Statement::ShowFieldKeyCardinality(s) => cardinality::field_keys(s, &context, &readers)?,
        other => return Err(QueryError::Statement(format!("statement is not supported: {other}"))),
    };
    // A reader that was told to stop has left something out, and cannot say so.
    budget.check()?;
    Ok(StatementResult { series, messages: Vec::new() })
}

impl<'a> ShowContext<'a> {
    /// The database in use.
    fn required_database(&self) -> Result<&'a Arc<Database>, QueryError> {
        if self.database.is_empty() {
            return Err(QueryError::statement("database name required"));
        }
        self.database_named(self.database)
    }

    fn database_named(&self, name: &str) -> Result<&'a Arc<Database>, QueryError> {
        self.catalog
            .database(name)
            .ok_or_else(|| QueryError::Statement(format!("database not found: {name}")))
    }
}

/// A series of an answer; without rows if there are none.
fn table(name: &str, columns: &[&str], cells: Vec<Cell>) -> Series {
    Series {
        name: Arc::from(name),
        tags: None,
        columns: columns.iter().map(|c| Arc::from(*c)).collect(),
        cells,
        time_zone: None,
    }
}

/// LIMIT and OFFSET over some rows; a limit of 0 is none.
fn limited<T>(rows: impl IntoIterator<Item = T>, limit: u64, offset: u64) -> impl Iterator<Item = T> {
    let usize_of = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let limit = if limit == 0 { usize::MAX } else { usize_of(limit) };
    rows.into_iter().skip(usize_of(offset)).take(limit)
}

#[cfg(test)]
mod tests {
    use super::limited;

    #[test]
    fn limits() {
        let rows = |limit, offset| limited(0..5, limit, offset).collect::<Vec<_>>();
        assert_eq!(rows(0, 0), [0, 1, 2, 3, 4]);
        assert_eq!(rows(2, 0), [0, 1]);
        assert_eq!(rows(0, 3), [3, 4]);
        assert_eq!(rows(1, u64::MAX), []);
    }
}
