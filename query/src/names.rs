//! Database and policy of every measurement a statement names, filled in where they were not written.
//!
//! InfluxDB 1.x does so before it runs a statement (`coordinator.NormalizeStatement`), and it is this form that warnings
//! print and that the catalog keeps of a continuous query. Whether the policies exist is not asked here.

use crate::error::QueryError;
use crate::influxql::ast::{MeasurementName, SelectStatement, Source};
use model::catalog::Catalog;

/// What names without a database or policy mean.
#[derive(Debug, Clone, Copy)]
pub struct NameContext<'a> {
    /// Databases and their default policies.
    pub catalog: &'a Catalog,
    /// `db` of the request; may be empty.
    pub database: &'a str,
    /// `rp` of the request; empty is the default policy.
    pub policy: &'a str,
}

/// Fills in the names of a SELECT, its target and its subqueries.
///
/// # Errors
///
/// [`QueryError::Statement`]: no database is named, it does not exist, or it has no default policy. The statement may be
/// filled in half-way.
pub fn fill_in_names(select: &mut SelectStatement, context: &NameContext<'_>) -> Result<(), QueryError> {
    if let Some(target) = &mut select.target {
        fill_in(target, context)?;
    }
    for source in &mut select.sources {
        match source {
            Source::Measurement(name) => fill_in(name, context)?,
            Source::Subquery(inner) => fill_in_names(inner, context)?,
        }
    }
    Ok(())
}

/// Calls `visit` with every measurement of a SELECT: its target, its sources, those of its subqueries.
pub(crate) fn each_name<E>(
    select: &SelectStatement,
    visit: &mut dyn FnMut(&MeasurementName) -> Result<(), E>,
) -> Result<(), E> {
    select.target.iter().try_for_each(&mut *visit)?;
    select.sources.iter().try_for_each(|source| match source {
        Source::Measurement(name) => visit(name),
        Source::Subquery(inner) => each_name(inner, visit),
    })
}

fn fill_in(name: &mut MeasurementName, context: &NameContext<'_>) -> Result<(), QueryError> {
    if name.database.is_empty() {
        context.database.clone_into(&mut name.database);
    }
    if name.database.is_empty() {
        return Err(QueryError::statement("database name required"));
    }
    let database = context
        .catalog
        .database(&name.database)
        .ok_or_else(|| QueryError::Statement(format!("database not found: {}", name.database)))?;
    if name.policy.is_empty() {
        let policy = match (context.policy, database.default_policy_name()) {
            ("", None) => {
                let text = format!("default retention policy not set for: {}", database.name);
                return Err(QueryError::Statement(text));
            }
            ("", Some(default)) => default,
            (asked, _) => asked,
        };
        policy.clone_into(&mut name.policy);
    }
    Ok(())
}
