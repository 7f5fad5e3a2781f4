//! Statements that the catalog alone answers.

use super::{ShowContext, table};
use crate::error::QueryError;
use crate::influxql::duration;
use crate::result::{Cell, Series};
use model::catalog::Database;
use std::sync::Arc;

/// SHOW DATABASES, in order of creation.
pub(super) fn databases(context: &ShowContext<'_>) -> Vec<Series> {
    let names = context.catalog.databases.iter().map(|database| Cell::String(Arc::clone(&database.name)));
    vec![table("databases", &["name"], names.collect())]
}

/// SHOW RETENTION POLICIES, in order of creation.
pub(super) fn retention_policies(context: &ShowContext<'_>) -> Result<Vec<Series>, QueryError> {
    const COLUMNS: [&str; 5] = ["name", "duration", "shardGroupDuration", "replicaN", "default"];
    let database = context.required_database()?;
    let mut cells = Vec::with_capacity(database.policies.len() * COLUMNS.len());
    for policy in &database.policies {
        cells.push(Cell::String(Arc::clone(&policy.name)));
        cells.push(Cell::String(duration::format_go(policy.duration_ns).into()));
        cells.push(Cell::String(duration::format_go(policy.shard_duration_ns).into()));
        cells.push(Cell::Integer(i64::from(policy.replication)));
        cells.push(Cell::Boolean(Some(policy.id) == database.default_policy));
    }
    Ok(vec![table("", &COLUMNS, cells)])
}

/// SHOW CONTINUOUS QUERIES: every database is listed, whether it has some or not.
pub(super) fn continuous_queries(context: &ShowContext<'_>) -> Vec<Series> {
    let of = |database: &Arc<Database>| {
        let queries = context.catalog.continuous_queries_of(database.id);
        let cells = queries.flat_map(|query| [&query.name, &query.query]).cloned().map(Cell::String);
        table(&database.name, &["name", "query"], cells.collect())
    };
    context.catalog.databases.iter().map(of).collect()
}

/// SHOW USERS: there are none.
pub(super) fn users() -> Vec<Series> {
    vec![table("", &["user", "admin"], Vec::new())]
}
