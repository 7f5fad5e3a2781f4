//! FROM: names and patterns resolved to databases, policies and measurements of the catalog.

use super::PlanContext;
use crate::condition::compile_regex;
use crate::error::QueryError;
use crate::influxql::ast::{MeasurementName, Source};
use crate::points::shard_group;
use model::catalog::{Database, FieldDef};
use model::{RetentionPolicyId, TimeRange};
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

    /// Duration of a shard group, ns.
    pub(crate) fn shard_duration_ns(&self) -> i64 {
        let own = self.database.policies.iter().find(|policy| policy.id == self.policy);
        own.map_or(0, |policy| policy.shard_duration_ns)
    }

    /// An inclusive range, widened to whole shard groups.
    pub(crate) fn shard_groups(&self, (from, to): (i64, i64)) -> TimeRange {
        let duration = self.shard_duration_ns();
        TimeRange::new(shard_group(from, duration).0, shard_group(to, duration).1)
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

/// Checks the names of a statement and its subqueries, which 1.x does before it looks at anything else.
pub(super) fn check_names(sources: &[Source], context: &PlanContext<'_>) -> Result<(), QueryError> {
    for source in sources {
        match source {
            Source::Subquery(inner) => check_names(&inner.sources, context)?,
            Source::Measurement(name) => check_name(name, context)?,
        }
    }
    Ok(())
}

/// Refuses the names that 1.x keeps for itself; in a subquery they are measurements that nobody has.
pub(super) fn refuse_system_sources(sources: &[Source]) -> Result<(), QueryError> {
    for source in sources {
        let Source::Measurement(name) = source else { continue };
        let system = SYSTEM_SOURCES.iter().find(|(system, _)| name.regex.is_none() && *system == name.name);
        if let Some((system, instead)) = system {
            let text = format!("unable to use system source '{system}': use {instead} instead");
            return Err(QueryError::Statement(text));
        }
    }
    Ok(())
}

fn check_name(name: &MeasurementName, context: &PlanContext<'_>) -> Result<(), QueryError> {
    if name.name.is_empty() && name.regex.is_none() {
        return Err(QueryError::statement("invalid measurement"));
    }
    let database = database(name, context)?;
    let unset =
        name.policy.is_empty() && context.policy.is_empty() && database.default_policy_name().is_none();
    if unset {
        return Err(QueryError::Statement(format!(
            "default retention policy not set for: {}",
            database.name
        )));
    }
    Ok(())
}

fn database<'a>(name: &MeasurementName, context: &PlanContext<'a>) -> Result<&'a Arc<Database>, QueryError> {
    let database = if name.database.is_empty() { context.database } else { &name.database };
    if database.is_empty() {
        return Err(QueryError::statement("database name required"));
    }
    let found = context.catalog.database(database);
    found.ok_or_else(|| QueryError::Statement(format!("database not found: {database}")))
}

/// The measurements that a name or pattern stands for.
pub(super) fn resolve(
    name: &MeasurementName,
    context: &PlanContext<'_>,
) -> Result<Vec<MeasurementSource>, QueryError> {
    let database = database(name, context)?;
    let wanted = if name.policy.is_empty() { context.policy } else { &name.policy };
    let wanted = if wanted.is_empty() { database.default_policy_name().unwrap_or_default() } else { wanted };
    let policy = database.policy(wanted);
    let policy =
        policy.ok_or_else(|| QueryError::Statement(format!("retention policy not found: {wanted}")))?;
    let source = |name: &Arc<str>| MeasurementSource {
        database: Arc::clone(database),
        policy: policy.id,
        name: Arc::clone(name),
    };
    if let Some(pattern) = &name.regex {
        let regex = compile_regex(pattern)?;
        let names = database.fields.measurements.keys();
        return Ok(names.filter(|n| regex.is_match(n) && !is_system(n)).map(source).collect());
    }
    if is_system(&name.name) {
        return Ok(Vec::new());
    }
    Ok(match database.fields.measurements.get_key_value(name.name.as_str()) {
        Some((known, _)) => vec![source(known)],
        None => Vec::new(),
    })
}

fn is_system(name: &str) -> bool {
    SYSTEM_SOURCES.iter().any(|(system, _)| *system == name)
}
