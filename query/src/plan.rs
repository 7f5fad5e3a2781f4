//! SELECT: statement and catalog to plan.
//!
//! [`plan_select`] resolves sources, checks what can be checked and links levels into stages. What only the index
//! knows (tag keys, for wildcards) is asked for when the plan runs, with fragments like any other.

mod calls;
mod columns;
mod dimensions;
mod functions;
mod leaves;
mod level;
mod link;
mod sources;
mod symbols;
mod technical;
mod types;
mod validate;
mod wildcards;

use crate::budget::QueryLimits;
use crate::condition::Environment;
use crate::error::QueryError;
use crate::fragment::{Fragment, FragmentWork};
use crate::influxql::ast::{Expr, SelectStatement};
use crate::select::Scatter;
use crate::stage::Stage;
use crate::window::Window;
use jiff::tz::TimeZone;
pub(crate) use level::validate_condition;
use level::{Level, Source};
use link::{Linker, Outer};
use model::catalog::Catalog;
use model::time::{TIME_MAX, TIME_MIN};
use model::{FieldId, RetentionPolicyId, TagPredicate};
use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What a statement is planned in.
#[derive(Debug, Clone, Copy)]
pub struct PlanContext<'a> {
    /// Databases, policies, field types.
    pub catalog: &'a Catalog,
    /// `db` of the request; may be empty.
    pub database: &'a str,
    /// `rp` of the request; empty is the default policy.
    pub policy: &'a str,
    /// What `now()` is, ns.
    pub now_ns: i64,
    /// Checked as far as the statement alone can break them.
    pub limits: QueryLimits,
}

/// A SELECT ready to run.
#[derive(Debug)]
pub struct SelectPlan {
    level: Level,
    now_ns: i64,
    limits: QueryLimits,
    /// INTO was said: the rows are to become points.
    is_into: bool,
    /// The stages, unless tag keys are needed to make them.
    pub(crate) linked: Option<Linked>,
    /// `tz()`.
    pub(crate) time_zone: Option<Arc<TimeZone>>,
}

/// The outermost stage and the names of its columns, time first.
#[derive(Debug)]
pub(crate) struct Linked {
    pub(crate) stage: Stage,
    pub(crate) columns: Arc<[Arc<str>]>,
    /// Which columns are tags of the points that INTO makes of the rows.
    pub(crate) tag_columns: Vec<usize>,
}

/// Tag keys and fields of a measurement that have points in a policy.
#[derive(Debug, Default)]
struct Description {
    tag_keys: BTreeSet<Arc<str>>,
    fields: BTreeSet<FieldId>,
    /// Whether the policy has a shard group in the range of time, of whatever measurement.
    reads_shards: bool,
}

/// By policy and measurement.
type Descriptions = HashMap<(RetentionPolicyId, Arc<str>), Description>;

/// Plans a SELECT.
///
/// Cost: small; nothing is read but the catalog.
///
/// # Errors
///
/// [`QueryError::Statement`] with InfluxDB 1.x's text, or [`QueryError::LimitExceeded`] for too many buckets.
pub fn plan_select(statement: &SelectStatement, context: &PlanContext<'_>) -> Result<SelectPlan, QueryError> {
    let level = Level::compile(statement, context)?;
    let mut plan = SelectPlan {
        time_zone: level.window.zone.clone(),
        now_ns: context.now_ns,
        limits: context.limits,
        is_into: statement.target.is_some(),
        linked: None,
        level,
    };
    if !plan.level.needs_description() {
        match plan.link(&Descriptions::new()) {
            Ok(linked) if !linked.stage.has_fault() => plan.linked = Some(linked),
            Ok(_) => {}
            // It may be about a field that has no points here: seen again when that is known.
            Err(QueryError::Statement(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(plan)
}

/// The GROUP BY time of a statement, without its zone; no interval if it has none.
pub(crate) fn group_by_window(dimensions: &[Expr], environment: &Environment) -> Result<Window, QueryError> {
    Ok(dimensions::compile_dimensions(dimensions, environment)?.window)
}

impl SelectPlan {
    /// Asks all groups for tag keys and fields, then links.
    pub(crate) fn describe_and_link(&self, scatter: &dyn Scatter) -> Result<Linked, QueryError> {
        let mut descriptions = Descriptions::new();
        let bounds = self.level.condition.bounds;
        let mut range = (bounds.min.unwrap_or(TIME_MIN), bounds.max.unwrap_or(TIME_MAX));
        let before = self.level.windows_before().saturating_mul(self.level.window.interval);
        if self.level.ascending {
            range.0 = range.0.saturating_sub(before).max(TIME_MIN);
        } else {
            range.1 = range.1.saturating_add(before).min(TIME_MAX);
        }
        describe(&self.level, range, scatter, &mut descriptions)?;
        // Where no shard is read, not even tags are known.
        for description in descriptions.values_mut().filter(|description| !description.reads_shards) {
            description.tag_keys.clear();
        }
        self.link(&descriptions)
    }

    fn link(&self, descriptions: &Descriptions) -> Result<Linked, QueryError> {
        let linker = Linker { descriptions, now_ns: self.now_ns, limits: self.limits, planned: Cell::new(0) };
        let typed = linker.typed(&self.level)?;
        typed.check_types()?;
        let stage = linker.stage(&typed, &Outer::none())?;
        let (names, tag_columns) = if self.is_into {
            columns::names_of_points(&self.level.time_column, &typed.fields)
        } else {
            (columns::column_names(&self.level.time_column, &typed.fields), Vec::new())
        };
        Ok(Linked { stage, columns: names.into_iter().map(Arc::from).collect(), tag_columns })
    }
}

/// Describes the measurements of a level and its subqueries, as far as they lie in the shard groups of an inclusive range.
/// 1.x knows no others: a field without points there has no type, is in no wildcard, and can be of no wrong type.
fn describe(
    level: &Level,
    range: (i64, i64),
    scatter: &dyn Scatter,
    descriptions: &mut Descriptions,
) -> Result<(), QueryError> {
    for source in &level.sources {
        match source {
            Source::Subquery(inner) => describe(inner, range, scatter, descriptions)?,
            Source::Measurement(measurement) => {
                let key = (measurement.policy, Arc::clone(&measurement.name));
                if descriptions.contains_key(&key) {
                    continue;
                }
                let fragment = Fragment {
                    database: measurement.database.id,
                    policy: measurement.policy,
                    shard_ns: measurement.shard_duration_ns(),
                    measurement: Arc::clone(&measurement.name),
                    predicate: TagPredicate::All,
                    work: FragmentWork::Describe(measurement.shard_groups(range)),
                };
                let entry = descriptions.entry(key).or_default();
                for partial in scatter.scatter(&fragment)? {
                    entry.tag_keys.extend(partial.tag_keys);
                    entry.fields.extend(partial.fields);
                    entry.reads_shards |= partial.reads_shards;
                }
            }
        }
    }
    Ok(())
}
