//! FROM: names and patterns resolved to databases, policies and measurements of the catalog.

use super::PlanContext;
use crate::condition::compile_regex;
use crate::error::QueryError;
use crate::influxql::ast::{MeasurementName, Source};
use model::RetentionPolicyId;
use model::catalog::{Database, FieldDef};
use std::sync::Arc;

/// A measurement to read.
#[derive(Debug, Clone)]
pub(crate) struct MeasurementSource {
    pub(crate) database: Arc<Database>,
    pub(crate) policy: RetentionPolicyId,
    pub(crate) name: Arc<str>,
}

impl MeasurementSource {
    /// A field of the measurement.
    pub(crate) fn field(&self, name: &str) -> Option<FieldDef> {
        self.database.fields.get(&self.name, name)
    }
}

/// Names that 1.x keeps for itself, and the statements to use in their place.
const SYSTEM_SOURCES: [(&str, &str); 5] = [
    ("_fieldKeys", "SHOW FIELD KEYS"),
    ("_measurements", "SHOW MEASUREMENTS"),
    ("_series", "SHOW SERIES"),
    ("_tagKeys", "SHOW TAG KEYS"),
    ("_tags", "SHOW TAG VALUES"),
];

/// The measurements of each source; none for subqueries.
pub(super) fn resolve(
    sources: &[Source],
    context: &PlanContext<'_>,
) -> Result<Vec<Vec<MeasurementSource>>, QueryError> {
    sources
        .iter()
        .map(|source| match source {
            Source::Subquery(_) => Ok(Vec::new()),
            Source::Measurement(name) => resolve_name(name, context),
        })
        .collect()
}

fn resolve_name(
    name: &MeasurementName,
    context: &PlanContext<'_>,
) -> Result<Vec<MeasurementSource>, QueryError> {
    let database = if name.database.is_empty() { context.database } else { &name.database };
    if database.is_empty() {
        return Err(QueryError::statement("database name required"));
    }
    let database = context
        .catalog
        .database(database)
        .ok_or_else(|| QueryError::Statement(format!("database not found: {database}")))?;
    let wanted = if name.policy.is_empty() { context.policy } else { &name.policy };
    let policy = if wanted.is_empty() {
        database.default_policy().ok_or_else(|| {
            QueryError::Statement(format!("default retention policy not set for: {}", database.name))
        })?
    } else {
        database
            .policy(wanted)
            .ok_or_else(|| QueryError::Statement(format!("retention policy not found: {wanted}")))?
    };
    let source = |name: &Arc<str>| MeasurementSource {
        database: Arc::clone(database),
        policy: policy.id,
        name: Arc::clone(name),
    };
    if let Some(pattern) = &name.regex {
        let regex = compile_regex(pattern)?;
        let names = database.fields.measurements.keys();
        let system = |name: &str| SYSTEM_SOURCES.iter().any(|(system, _)| *system == name);
        return Ok(names.filter(|n| regex.is_match(n) && !system(n)).map(source).collect());
    }
    if let Some((system, instead)) = SYSTEM_SOURCES.iter().find(|(system, _)| *system == name.name) {
        return Err(QueryError::Statement(format!(
            "unable to use system source '{system}': use {instead} instead"
        )));
    }
    Ok(match database.fields.measurements.get_key_value(name.name.as_str()) {
        Some((known, _)) => vec![source(known)],
        None => Vec::new(),
    })
}
