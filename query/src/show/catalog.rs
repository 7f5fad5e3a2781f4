//! Statements that the catalog alone answers.

use super::{ShowContext, table};
use crate::error::QueryError;
use crate::influxql::duration;
use crate::result::{Cell, Series};
use model::catalog::{Access, Database};
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

/// SHOW SUBSCRIPTIONS: the databases that have some.
pub(super) fn subscriptions(context: &ShowContext<'_>) -> Vec<Series> {
    const COLUMNS: [&str; 4] = ["retention_policy", "name", "mode", "destinations"];
    let mut series = Vec::new();
    for database in &context.catalog.databases {
        let mut cells = Vec::new();
        for policy in &database.policies {
            for subscription in &policy.subscriptions {
                cells.push(Cell::String(Arc::clone(&policy.name)));
                cells.push(Cell::String(Arc::clone(&subscription.name)));
                cells.push(Cell::String(subscription.mode.text().into()));
                cells.push(Cell::Strings(Arc::clone(&subscription.destinations)));
            }
        }
        if !cells.is_empty() {
            series.push(table(&database.name, &COLUMNS, cells));
        }
    }
    series
}

/// SHOW USERS, in order of creation.
pub(super) fn users(context: &ShowContext<'_>) -> Vec<Series> {
    let users = context.catalog.users.iter();
    let rows = users.flat_map(|user| [Cell::String(Arc::clone(&user.name)), Cell::Boolean(user.admin)]);
    vec![table("", &["user", "admin"], rows.collect())]
}

/// SHOW GRANTS FOR, in the order of the databases' names (1.x has no order).
pub(super) fn grants(user: &str, context: &ShowContext<'_>) -> Result<Vec<Series>, QueryError> {
    let user = context.catalog.user(user).ok_or_else(|| QueryError::statement("user not found"))?;
    let row = |(database, access): (&Arc<str>, &Access)| {
        [Cell::String(Arc::clone(database)), Cell::String(access.text().into())]
    };
    Ok(vec![table("", &["database", "privilege"], user.access.iter().flat_map(row).collect())])
}
