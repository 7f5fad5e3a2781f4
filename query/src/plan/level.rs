//! One SELECT level after the checks that need no data: what InfluxDB 1.x calls compiling.

use super::PlanContext;
use super::dimensions::{Dimensions, compile_dimensions};
use super::sources::{MeasurementSource, check_names, refuse_system_sources, resolve};
use super::validate::Validator;
use crate::condition::{Condition, Environment, reduce, zone};
use crate::error::QueryError;
use crate::influxql::ast::{self, Call, Expr, Fill, SelectField, SelectStatement};
use crate::math;
use crate::window::Window;

/// A compiled level.
#[derive(Debug)]
pub(super) struct Level {
    /// Folded, without `time`, DISTINCT as a call.
    pub(super) fields: Vec<SelectField>,
    /// Name of the time column.
    pub(super) time_column: String,
    /// Tags, wildcards and patterns of GROUP BY.
    pub(super) dimensions: Vec<Expr>,
    /// GROUP BY time of this level; no interval if it has none itself.
    pub(super) window: Window,
    pub(super) condition: Condition,
    pub(super) ascending: bool,
    pub(super) fill: Fill,
    pub(super) limit: usize,
    pub(super) offset: usize,
    pub(super) slimit: usize,
    pub(super) soffset: usize,
    pub(super) sources: Vec<Source>,
}

/// Where a level reads.
#[derive(Debug)]
pub(super) enum Source {
    Measurement(MeasurementSource),
    Subquery(Box<Level>),
}

/// What a subquery inherits while it is checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parent {
    pub(super) ascending: bool,
    pub(super) has_interval: bool,
}

impl Level {
    /// Compiles a statement and its subqueries. Faults are told in the order of 1.x: databases, clauses, policies.
    pub(super) fn compile(
        statement: &SelectStatement,
        context: &PlanContext<'_>,
    ) -> Result<Self, QueryError> {
        refuse_system_sources(&statement.sources)?;
        check_names(&statement.sources, context)?;
        let mut level = Self::compile_clauses(statement, context, None)?;
        level.resolve_sources(statement, context)?;
        Ok(level)
    }

    /// Puts the measurements beside the subqueries, which are there already.
    fn resolve_sources(
        &mut self,
        statement: &SelectStatement,
        context: &PlanContext<'_>,
    ) -> Result<(), QueryError> {
        let mut subqueries = std::mem::take(&mut self.sources).into_iter();
        for source in &statement.sources {
            match source {
                ast::Source::Subquery(inner) => {
                    if let Some(Source::Subquery(mut level)) = subqueries.next() {
                        level.resolve_sources(inner, context)?;
                        self.sources.push(Source::Subquery(level));
                    }
                }
                ast::Source::Measurement(name) => {
                    self.sources.extend(resolve(name, context)?.into_iter().map(Source::Measurement));
                }
            }
        }
        Ok(())
    }

    /// Compiles the clauses; of the sources only subqueries.
    fn compile_clauses(
        statement: &SelectStatement,
        context: &PlanContext<'_>,
        parent: Option<Parent>,
    ) -> Result<Self, QueryError> {
        let zone = statement.time_zone.as_deref().map(zone).transpose()?;
        let environment =
            Environment { now_ns: Some(context.now_ns), zone: zone.clone(), ..Environment::default() };
        // 1.x folds the clause of a subquery before it takes the time out, once it has seen that nothing is wrong with it.
        Condition::split(statement.condition.as_ref(), &environment)?;
        let folded = parent
            .and(statement.condition.as_ref())
            .map(|condition| reduce(condition, &environment.clone().keeping_functions()));
        let condition = Condition::split(folded.as_ref().or(statement.condition.as_ref()), &environment)?;
        if let Some(residual) = &condition.residual {
            validate_condition(residual)?;
        }
        let Dimensions { mut window, tags } = compile_dimensions(&statement.dimensions, &environment)?;
        window.zone = zone.map(std::sync::Arc::new);
        let ascending = order(statement, parent)?;
        let inherited = parent.is_some_and(|p| p.has_interval) && window.is_none();
        let mut fill = statement.fill;
        if parent.is_some() && !window.is_none() && fill == Fill::Null {
            fill = Fill::None;
        }
        let has_interval = !window.is_none() || inherited;
        let mut validator = Validator::new(statement.limit, has_interval, inherited, fill);
        let (fields, time_column) = compile_fields(&statement.fields, &mut validator)?;
        validator.finish()?;
        let is_raw = validator.calls == 0;
        // Nothing becomes of a null in an outer level, nor in a target; there, count() must not make zeros of windows
        // without points.
        if (parent.is_some() || statement.target.is_some()) && !is_raw && fill == Fill::Null {
            fill = Fill::None;
        }
        let mut level = Self {
            fields,
            time_column,
            dimensions: tags,
            window,
            condition,
            ascending,
            fill,
            limit: statement.limit as usize,
            offset: statement.offset as usize,
            slimit: statement.slimit as usize,
            soffset: statement.soffset as usize,
            sources: Vec::new(),
        };
        let own = Parent { ascending, has_interval };
        for source in &statement.sources {
            if let ast::Source::Subquery(inner) = source {
                let inner = Self::compile_clauses(inner, context, Some(own))?;
                level.sources.push(Source::Subquery(Box::new(inner)));
            }
        }
        Ok(level)
    }

    /// Whether tag keys are needed to link it: for wildcards and patterns, to tell a tag from nothing in arithmetic, and for
    /// the columns of subqueries.
    pub(super) fn needs_description(&self) -> bool {
        let wild = |e: &Expr| matches!(e, Expr::Wildcard(_) | Expr::Regex(_));
        self.dimensions.iter().any(wild)
            || self.fields.iter().any(|f| {
                super::types::any(&f.expr, &mut |e| {
                    wild(e)
                        || matches!(e, Expr::Binary(_))
                        || matches!(e, Expr::Call(c) if math::Function::by_name(&c.name).is_some())
                })
            })
            // A field of another type in one source may be one that has no points there.
            || self.has_field_of_two_types()
            // A field without points has no type, so that nothing is filled in for it.
            || (self.fields.len() > 1 && matches!(self.fill, Fill::Number(_)))
            // A name in WHERE may be a field of one source and nothing in the other.
            || (self.sources.len() > 1 && self.condition.residual.is_some())
            // What an outer level sees of a subquery depends on the types of its columns.
            || self.sources.iter().any(|s| matches!(s, Source::Subquery(_)))
    }
}

impl Level {
    /// Windows before the first one whose shard groups 1.x knows, too, because functions look back to them.
    pub(super) fn windows_before(&self) -> i64 {
        let of_call = |call: &Call| match (call.name.as_str(), call.args.get(1)) {
            ("moving_average", Some(Expr::Integer(points))) => *points,
            (
                "derivative"
                | "non_negative_derivative"
                | "difference"
                | "non_negative_difference"
                | "elapsed"
                | "moving_average",
                _,
            ) => 1,
            _ => 0,
        };
        let mut most = 0;
        for field in &self.fields {
            super::types::any(&field.expr, &mut |expr| {
                if let Expr::Call(call) = expr {
                    most = most.max(of_call(call));
                }
                false
            });
        }
        most
    }

    /// Whether a name in the select list has different types in different measurements.
    fn has_field_of_two_types(&self) -> bool {
        let type_in = |source: &Source, name: &str| match source {
            Source::Measurement(measurement) => measurement.field(name).map(|def| def.field_type),
            Source::Subquery(_) => None,
        };
        let differs = |expr: &Expr| {
            let Expr::VarRef(reference) = expr else { return false };
            let mut types = self.sources.iter().filter_map(|source| type_in(source, &reference.name));
            let first = types.next();
            types.any(|other| Some(other) != first)
        };
        self.sources.len() > 1
            && self.fields.iter().any(|field| super::types::any(&field.expr, &mut |e| differs(e)))
    }
}

/// Whether rows are given in rising order of time.
fn order(statement: &SelectStatement, parent: Option<Parent>) -> Result<bool, QueryError> {
    let own = statement.order.first().is_none_or(|o| o.ascending);
    let Some(parent) = parent else { return Ok(own) };
    if !statement.order.is_empty() && own != parent.ascending {
        return Err(QueryError::statement(
            "subqueries must be ordered in the same direction as the query itself",
        ));
    }
    Ok(parent.ascending)
}

/// Folds and checks the select list, and takes `time` out of it.
fn compile_fields(
    fields: &[SelectField],
    validator: &mut Validator,
) -> Result<(Vec<SelectField>, String), QueryError> {
    let mut time_column = "time".to_owned();
    let mut compiled = Vec::with_capacity(fields.len());
    let mut after_time = false;
    for field in fields {
        let is_time = matches!(&field.expr, Expr::VarRef(reference) if reference.name == "time");
        if is_time && !after_time {
            after_time = true;
            if let Some(alias) = &field.alias {
                time_column.clone_from(alias);
            }
            continue;
        }
        after_time = false;
        let expr = reduce(&field.expr, &Environment::default());
        if is_time {
            // 1.x takes an item away while it walks over them, and does not see the next one.
            validator.expr(&expr)?;
        } else {
            validator.field(&expr)?;
        }
        compiled.push(SelectField { expr: distinct_as_call(expr), alias: field.alias.clone() });
    }
    Ok((compiled, time_column))
}

/// `DISTINCT v` as `distinct(v)`, also inside calls.
fn distinct_as_call(expr: Expr) -> Expr {
    match expr {
        Expr::Distinct(name) => {
            let arg = Expr::VarRef(ast::VarRef { name, data_type: None });
            Expr::Call(Call { name: "distinct".to_owned(), args: vec![arg] })
        }
        Expr::Call(call) => {
            Expr::Call(Call { name: call.name, args: call.args.into_iter().map(distinct_as_call).collect() })
        }
        other => other,
    }
}

/// Only math functions may be called in WHERE. 1.x does not look into parentheses.
pub(crate) fn validate_condition(expr: &Expr) -> Result<(), QueryError> {
    match expr {
        Expr::Binary(binary) => {
            validate_condition(&binary.lhs)?;
            validate_condition(&binary.rhs)
        }
        Expr::Call(call) if call.name == "now" && call.args.is_empty() => Ok(()),
        Expr::Call(call) => {
            let Some(function) = math::Function::by_name(&call.name) else {
                return Err(QueryError::Statement(format!("invalid function call in condition: {expr}")));
            };
            // In a condition 1.x takes log() for a function of one argument.
            let arity = if call.name == "log" { 1 } else { function.arity() };
            super::validate::arity(call, arity)?;
            call.args.iter().try_for_each(validate_condition)
        }
        _ => Ok(()),
    }
}
