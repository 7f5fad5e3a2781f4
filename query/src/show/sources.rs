//! FROM of a SHOW statement.

use super::ShowContext;
use crate::error::QueryError;
use crate::influxql::ast::{MeasurementName, Source};
use crate::influxql::regex::compile as compile_pattern;
use model::catalog::{Database, RetentionPolicy};
use regex::Regex;
use std::sync::Arc;

/// Which measurements a FROM clause names.
#[derive(Debug)]
pub(super) enum Names {
    /// All of them: there was no FROM.
    Every,
    /// Those that one of these matches.
    AnyOf(Vec<Name>),
}

/// One name or pattern.
#[derive(Debug)]
pub(crate) enum Name {
    Is(String),
    Matches(Regex),
}

impl Name {
    pub(crate) fn of(measurement: &MeasurementName) -> Result<Self, QueryError> {
        match &measurement.regex {
            None => Ok(Self::Is(measurement.name.clone())),
            Some(pattern) => compile(pattern).map(Self::Matches),
        }
    }

    pub(crate) fn contains(&self, measurement: &str) -> bool {
        match self {
            Self::Is(name) => name == measurement,
            Self::Matches(regex) => regex.is_match(measurement),
        }
    }
}

impl Names {
    /// The names of a FROM clause; databases and policies in it do not count.
    pub(super) fn of(sources: &[Source]) -> Result<Self, QueryError> {
        if sources.is_empty() {
            return Ok(Self::Every);
        }
        measurements(sources).map(Name::of).collect::<Result<_, _>>().map(Self::AnyOf)
    }

    /// Whether a pattern is among them.
    pub(super) fn is_pattern(&self) -> bool {
        matches!(self, Self::AnyOf(names) if names.iter().any(|name| matches!(name, Name::Matches(_))))
    }

    pub(super) fn contains(&self, measurement: &str) -> bool {
        match self {
            Self::Every => true,
            Self::AnyOf(names) => names.iter().any(|name| name.contains(measurement)),
        }
    }
}

/// One item of a FROM clause with its database and policy found in the catalog.
#[derive(Debug)]
pub(super) struct Located<'a> {
    pub(super) database: &'a Arc<Database>,
    pub(super) policy: &'a RetentionPolicy,
    pub(super) names: Names,
}

/// The items of a FROM clause, each in its own database and policy, or in those of the request, or in the default policy.
/// Without FROM: all measurements of such a policy.
pub(super) fn locate<'a>(
    sources: &[Source],
    context: &ShowContext<'a>,
) -> Result<Vec<Located<'a>>, QueryError> {
    if sources.is_empty() {
        let database = context.required_database()?;
        return Ok(vec![Located { database, policy: policy(database, "", context)?, names: Names::Every }]);
    }
    measurements(sources)
        .map(|measurement| {
            let database = match &*measurement.database {
                "" => context.required_database()?,
                name => context.database_named(name)?,
            };
            let names = Names::AnyOf(vec![Name::of(measurement)?]);
            Ok(Located { database, policy: policy(database, &measurement.policy, context)?, names })
        })
        .collect()
}

fn policy<'a>(
    database: &'a Database,
    name: &str,
    context: &ShowContext<'_>,
) -> Result<&'a RetentionPolicy, QueryError> {
    let name = if name.is_empty() { context.policy } else { name };
    let default = || {
        database.default_policy_name().ok_or_else(|| {
            QueryError::Statement(format!("default retention policy not set for: {}", database.name))
        })
    };
    let name = if name.is_empty() { default()? } else { name };
    database.policy(name).ok_or_else(|| QueryError::Statement(format!("retention policy not found: {name}")))
}

/// The parser lets no subquery into SHOW.
fn measurements(sources: &[Source]) -> impl Iterator<Item = &MeasurementName> {
    sources.iter().filter_map(|source| match source {
        Source::Measurement(measurement) => Some(measurement),
        Source::Subquery(_) => None,
    })
}

pub(super) fn compile(pattern: &str) -> Result<Regex, QueryError> {
    compile_pattern(pattern).map_err(|error| QueryError::Statement(error.to_string()))
}
