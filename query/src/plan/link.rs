//! Levels become stages: types, wildcards, time ranges, what an inner level inherits from the outer.

use super::calls::{CallBuilder, SourceType};
use super::columns::{added_columns, column_names, field_name};
use super::leaves::{self, FieldTypes, LeafSpec};
use super::level::{Level, Source};
use super::technical;
use super::types::{any, data_type, field_type, stronger, type_as_item, type_of, type_of_item};
use super::wildcards::{Names, expand_dimensions, expand_fields, with_types};
use super::{Description, Descriptions};
use crate::budget::QueryLimits;
use crate::cast::{cast, castable};
use crate::error::QueryError;
use crate::influxql::ast::{DataType, Expr, Fill, FillNumber, SelectField, VarRef};
use crate::influxql::regex;
use crate::plan::sources::MeasurementSource;
use crate::result::Cell;
use crate::stage::{Absent, FillKind, InnerColumn, RowLimits, Stage, StageSource};
use crate::window::Window;
use model::FieldType;
use model::time::{TIME_MAX, TIME_MIN};
use std::cell::{Cell as Cell64, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Links levels with what is known of tag keys.
pub(super) struct Linker<'a> {
    pub(super) descriptions: &'a Descriptions,
    pub(super) now_ns: i64,
    pub(super) limits: QueryLimits,
    /// Bytes that the plan takes so far, about.
    pub(super) planned: Cell64<u64>,
}

/// A level with its select list spelled out and typed.
pub(super) struct Typed<'a> {
    pub(super) level: &'a Level,
    pub(super) fields: Vec<SelectField>,
    /// Own GROUP BY tags, in the order written.
    pub(super) dimensions: Vec<String>,
    pub(super) sources: Vec<TypedSource<'a>>,
    /// Tags that are asked for with `::field`: nothing on this level, but tags to an outer one.
    tags_as_fields: BTreeSet<String>,
    /// Names that have no type because a source has something of that name whose parts do not go together.
    unsound: BTreeSet<String>,
}

/// A source of a typed level.
pub(super) enum TypedSource<'a> {
    Measurement(&'a MeasurementSource),
    Subquery(Box<Typed<'a>>),
}

/// The parts of something do not go together.
struct Unsound;

/// What a level inherits.
#[derive(Debug)]
pub(super) struct Outer {
    /// Inclusive; `None` at the top.
    pub(super) range: Option<(i64, i64)>,
    pub(super) dimensions: Vec<Arc<str>>,
    pub(super) window: Window,
    pub(super) slimit: usize,
    pub(super) soffset: usize,
    /// Nothing before it is read, where no lower bound was written.
    pub(super) read_from: i64,
    /// What the outermost level reads, inclusive: no subquery looks back beyond it.
    pub(super) reads: (i64, i64),
}

impl Outer {
    /// At the top.
    pub(super) fn none() -> Self {
        Self {
            range: None,
            dimensions: Vec::new(),
            window: Window::default(),
            slimit: 0,
            soffset: 0,
            read_from: TIME_MIN,
            reads: (TIME_MIN, TIME_MAX),
        }
    }
}

impl<'a> Linker<'a> {
    /// Types and expands a level and its subqueries.
    pub(super) fn typed(&self, level: &'a Level) -> Result<Typed<'a>, QueryError> {
        let sources = level
            .sources
            .iter()
            .map(|source| {
                Ok(match source {
                    Source::Measurement(measurement) => TypedSource::Measurement(measurement),
                    Source::Subquery(inner) => TypedSource::Subquery(Box::new(self.typed(inner)?)),
                })
            })
            .collect::<Result<Vec<_>, QueryError>>()?;
        if level.fields.len() > COLUMNS_MAX {
            let count = level.fields.len();
            return Err(QueryError::Statement(format!("too many columns: ({count}/{COLUMNS_MAX})")));
        }
        // Every name is looked up in every source.
        self.charge(
            (level.fields.len() as u64).saturating_mul(sources.len() as u64).saturating_mul(LOOKUP_BYTES),
        )?;
        let mut typed = Typed {
            level,
            fields: Vec::new(),
            dimensions: Vec::new(),
            sources,
            tags_as_fields: BTreeSet::new(),
            unsound: BTreeSet::new(),
        };
        let names = self.names(&typed);
        let unsound = RefCell::new(BTreeSet::new());
        let type_of_name = |name: &str| {
            self.type_of_name(&typed, name).unwrap_or_else(|Unsound| {
                unsound.borrow_mut().insert(name.to_owned());
                None
            })
        };
        let fields: Vec<SelectField> = level
            .fields
            .iter()
            .map(|f| SelectField { expr: with_types(&f.expr, &type_of_name), alias: f.alias.clone() })
            .collect();
        let as_field = |field: &SelectField| match &field.expr {
            Expr::VarRef(VarRef { name, data_type: Some(DataType::AnyField) }) => Some(name.clone()),
            _ => None,
        };
        let as_fields = level.fields.iter().filter_map(as_field);
        let tags_as_fields = as_fields.filter(|name| type_of_name(name) == Some(DataType::Tag)).collect();
        typed.tags_as_fields = tags_as_fields;
        typed.unsound = unsound.into_inner();
        typed.fields = expand_fields(&fields, &level.dimensions, &names)?;
        if typed.fields.len() > COLUMNS_MAX {
            let count = typed.fields.len();
            return Err(QueryError::Statement(format!("too many columns: ({count}/{COLUMNS_MAX})")));
        }
        typed.dimensions = expand_dimensions(&level.dimensions, &names)?;
        Ok(typed)
    }

    fn description(&self, measurement: &MeasurementSource) -> Option<&Description> {
        self.descriptions.get(&(measurement.policy, Arc::clone(&measurement.name)))
    }

    /// Fields and tags for wildcards.
    fn names(&self, typed: &Typed<'_>) -> Names {
        let mut names = Names::default();
        for source in &typed.sources {
            match source {
                TypedSource::Measurement(measurement) => {
                    let Some(description) = self.description(measurement) else { continue };
                    names.tags.extend(description.tag_keys.iter().map(ToString::to_string));
                    let table = measurement.database.fields.measurements.get(&measurement.name);
                    for (name, def) in table.into_iter().flat_map(|t| &t.fields) {
                        if description.fields.contains(&def.id) {
                            let entry = names.fields.entry(name.to_string()).or_default();
                            *entry = stronger(*entry, Some(data_type(def.field_type)));
                        }
                    }
                }
                TypedSource::Subquery(inner) => {
                    names.tags.extend(inner.dimensions.iter().cloned());
                    for field in &inner.fields {
                        let entry = names.fields.entry(field_name(field)).or_default();
                        *entry = stronger(*entry, inner.type_of_field(field).unwrap_or(None));
                    }
                }
            }
        }
        names
    }

    /// What a name is in the sources of a level. What does not go together in one of them is nothing in all of them.
    fn type_of_name(&self, typed: &Typed<'_>, name: &str) -> Result<Option<DataType>, Unsound> {
        let mut found = None;
        for source in &typed.sources {
            let here = match source {
                TypedSource::Measurement(measurement) => self.type_in_measurement(measurement, name),
                TypedSource::Subquery(inner) => inner.type_of_column(name)?,
            };
            found = stronger(found, here);
        }
        Ok(found)
    }

    /// What each source has for the column that leads a call.
    fn source_types(&self, typed: &Typed<'_>, driver: &VarRef) -> Vec<SourceType> {
        let wanted = field_type(driver.data_type);
        let in_measurement = |measurement: &MeasurementSource| {
            let own = field_type(self.type_in_measurement(measurement, &driver.name));
            match own.filter(|_| driver.data_type != Some(DataType::Tag)) {
                Some(own) if wanted.is_none_or(|wanted| castable(own, wanted)) => {
                    SourceType::Of(wanted.unwrap_or(own))
                }
                _ => SourceType::Lacks,
            }
        };
        let in_subquery = |inner: &Typed<'_>| match (inner.column(&driver.name), wanted) {
            (None, _) => SourceType::SubqueryLacks,
            // A tag is text, whatever is asked for.
            (Some(InnerColumn::Tag(_)), _) => SourceType::Of(FieldType::String),
            (Some(_), Some(wanted)) => SourceType::Of(wanted),
            (Some(_), None) if driver.data_type == Some(DataType::Tag) => SourceType::Of(FieldType::String),
            (Some(_), None) => SourceType::Untyped,
        };
        let of = |source: &TypedSource<'_>| match source {
            TypedSource::Measurement(measurement) => in_measurement(measurement),
            TypedSource::Subquery(inner) => in_subquery(inner),
        };
        typed.sources.iter().map(of).collect()
    }

    fn type_in_measurement(&self, measurement: &MeasurementSource, name: &str) -> Option<DataType> {
        let description = self.description(measurement);
        let field = measurement.field(name);
        // A field without points in the policy is not known there.
        match field.filter(|def| description.is_none_or(|d| d.fields.contains(&def.id))) {
            Some(def) => Some(data_type(def.field_type)),
            None => description.is_some_and(|d| d.tag_keys.contains(name)).then_some(DataType::Tag),
        }
    }

    /// Makes the stage of a level.
    pub(super) fn stage(&self, typed: &Typed<'_>, outer: &Outer) -> Result<Stage, QueryError> {
        let level = typed.level;
        let window = if level.window.is_none() && outer.range.is_some() {
            Window { zone: level.window.zone.clone(), ..outer.window.clone() }
        } else {
            level.window.clone()
        };
        let range = self.range(level, outer);
        let all: BTreeSet<Arc<str>> = typed
            .dimensions
            .iter()
            .map(|d| Arc::from(d.as_str()))
            .chain(outer.dimensions.iter().cloned())
            .collect();
        let dimensions: Arc<[Arc<str>]> = all.into_iter().collect();
        if range.0 > TIME_MIN
            // As 1.x counts: the last bucket is that of the time before the end.
            && let Some(buckets) = window.count((range.0, range.1.saturating_sub(1)))
        {
            self.check_buckets(buckets)?;
        }
        let rows = RowLimits {
            limit: level.limit,
            offset: level.offset,
            slimit: level.slimit.saturating_add(outer.slimit),
            soffset: level.soffset.saturating_add(outer.soffset),
        };
        let fill = fill_of(level, &window);
        let mut builder = CallBuilder {
            window: &window,
            ascending: level.ascending,
            range,
            dimensions: &dimensions,
            fill: fill.as_ref(),
            rows,
            seed: self.now_ns as u64,
            leaves: Vec::new(),
            built: false,
            faults: Vec::new(),
            sources: &|driver| self.source_types(typed, driver),
        };
        let list = builder.select_list(&typed.fields)?;
        let (mut specs, faults) = (builder.leaves, builder.faults);
        let read_from = outer.read_from.max(self.first_bucket(&window, range, fill.is_some()));
        for spec in &mut specs {
            if spec.leaf.range.0 <= TIME_MIN {
                spec.leaf.range.0 = read_from;
            }
        }
        self.charge(STAGE_BYTES + specs.iter().map(spec_bytes).sum::<u64>())?;
        let filled = fill.as_ref().and_then(|_| window.count(range)).filter(|_| range.0 > TIME_MIN);
        let reads = match outer.range {
            Some(_) => outer.reads,
            None => {
                let before = looks_back(&typed.fields).saturating_mul(window.interval);
                if level.ascending {
                    (range.0.saturating_sub(before).max(TIME_MIN), range.1)
                } else {
                    (range.0, range.1.saturating_add(before).min(TIME_MAX))
                }
            }
        };
        let sources = self.sources(typed, &specs, (&window, rows, read_from, filled), level, reads)?;
        Ok(Stage {
            sources,
            dimensions,
            window,
            ascending: level.ascending,
            leaves: specs.into_iter().map(|s| s.leaf).collect(),
            calls: list.calls,
            outputs: list.outputs,
            slots: list.slots,
            absent: absent_of(level),
            rows,
            faults,
        })
    }

    fn check_buckets(&self, buckets: u64) -> Result<(), QueryError> {
        let limit = self.limits.buckets_max;
        if limit > 0 && buckets > limit {
            let text = format!("max-select-buckets limit exceeded: ({buckets}/{limit})");
            return Err(QueryError::LimitExceeded(text));
        }
        Ok(())
    }

    /// Where the last so many buckets begin that a series may have. 1.x silently reads nothing before it when buckets are
    /// filled and the statement has no lower bound.
    fn first_bucket(&self, window: &Window, range: (i64, i64), fills: bool) -> i64 {
        let limit = self.limits.buckets_max;
        if range.0 > TIME_MIN || window.is_none() || !fills || limit == 0 {
            return TIME_MIN;
        }
        let last = window.start(range.1.saturating_sub(1), range);
        let before = i64::try_from(limit - 1).unwrap_or(i64::MAX).saturating_mul(window.interval);
        last.saturating_sub(before).max(TIME_MIN)
    }

    /// Takes memory for the plan itself: a statement over many measurements with many columns, or with subqueries that
    /// are read several times on each level, must not take the node's.
    fn charge(&self, bytes: u64) -> Result<(), QueryError> {
        let planned = self.planned.get().saturating_add(bytes);
        self.planned.set(planned);
        let limit = (self.limits.memory_bytes / PLAN_SHARE).max(PLAN_BYTES_MIN);
        if planned > limit {
            return Err(QueryError::MemoryExceeded(format!(
                "max-query-memory limit exceeded: the plan takes more than {limit} bytes; ask for fewer measurements, columns or subqueries, or raise query.memory_per_query"
            )));
        }
        Ok(())
    }

    /// The inclusive time range of a level. A statement with GROUP BY time ends now if it does not say when.
    fn range(&self, level: &Level, outer: &Outer) -> (i64, i64) {
        let bounds = level.condition.bounds;
        let mut start = bounds.min.unwrap_or(TIME_MIN);
        let mut end = bounds.max.unwrap_or(TIME_MAX);
        if let Some((outer_start, outer_end)) = outer.range {
            start = start.max(outer_start);
            end = end.min(outer_end);
        }
        if !level.window.is_none() && end == TIME_MAX {
            end = self.now_ns;
        }
        (start, end)
    }

    fn sources(
        &self,
        typed: &Typed<'_>,
        specs: &[LeafSpec],
        (window, rows, read_from, filled): (&Window, RowLimits, i64, Option<u64>),
        level: &Level,
        reads: (i64, i64),
    ) -> Result<Vec<StageSource>, QueryError> {
        // Of several sources, the strongest type of a name is what all of them compare.
        let typed_condition =
            level.condition.residual.as_ref().filter(|_| typed.sources.len() > 1).map(|expr| {
                let field =
                    |name: &str| field_type(self.type_of_name(typed, name).unwrap_or(None)).map(data_type);
                with_types(expr, &field)
            });
        let residual = typed_condition.as_ref().or(level.condition.residual.as_ref());
        let condition_bytes = residual.map_or(0, |expr| NODE_BYTES * nodes(expr));
        let fragment_bytes = FRAGMENT_BYTES + condition_bytes + specs.iter().map(spec_bytes).sum::<u64>();
        let mut sources = Vec::with_capacity(typed.sources.len());
        for source in &typed.sources {
            match source {
                TypedSource::Measurement(measurement) => {
                    self.charge(fragment_bytes)?;
                    let order = (window, level.ascending);
                    let elsewhere = |name: &str| field_type(self.type_of_name(typed, name).unwrap_or(None));
                    let residual = (residual, &elsewhere as FieldTypes<'_>);
                    let mut specs = specs.to_vec();
                    for (from, to) in
                        specs.iter_mut().map(|spec| (&mut spec.leaf.range.0, &mut spec.leaf.range.1))
                    {
                        (*from, *to) = ((*from).max(reads.0), (*to).min(reads.1));
                    }
                    let fragment =
                        leaves::fragment(measurement, residual, &specs, order, (rows, filled, reads))?;
                    sources.push(StageSource::Measurement(fragment));
                }
                TypedSource::Subquery(inner) => {
                    let mut subquery = leaves::subquery(inner, residual, specs)?;
                    let mut ranges: Vec<(i64, i64)> = specs.iter().map(|s| s.leaf.range).collect();
                    ranges.sort_unstable();
                    ranges.dedup();
                    for range in ranges {
                        // What was cut off is no bound that the subquery inherits.
                        let start = if range.0 == read_from { TIME_MIN } else { range.0 };
                        let outer = Outer {
                            range: Some((start, range.1)),
                            read_from,
                            reads,
                            dimensions: specs.first().map(|s| s.leaf.dimensions.to_vec()).unwrap_or_default(),
                            window: window.clone(),
                            slimit: rows.slimit,
                            soffset: rows.soffset,
                        };
                        subquery.stages.push((range, self.stage(inner, &outer)?));
                    }
                    sources.push(StageSource::Subquery(subquery));
                }
            }
        }
        Ok(sources)
    }
}

impl Typed<'_> {
    /// Checks the types of the select list. 1.x does so for the outermost one only; what does not go together in a subquery
    /// is null.
    pub(super) fn check_types(&self) -> Result<(), QueryError> {
        self.fields.iter().try_for_each(|field| type_of(&field.expr).map(drop))
    }

    /// The type of a column as an outer level sees it: a select item, else a GROUP BY tag.
    ///
    /// # Errors
    ///
    /// When the item's parts do not go together.
    fn type_of_column(&self, name: &str) -> Result<Option<DataType>, Unsound> {
        let mut found = None;
        for field in &self.fields {
            if field_name(field) == name {
                // What does not go together is nothing, whatever else has that name.
                found = match &field.expr {
                    Expr::VarRef(reference) if self.tags_as_fields.contains(&reference.name) => {
                        Some(DataType::Tag)
                    }
                    _ => self.type_of_field(field)?,
                };
                break;
            }
            let tag = |added: &SelectField| match &added.expr {
                Expr::VarRef(reference) if reference.name == name => reference.data_type,
                _ => None,
            };
            if let Some(tag) = added_columns(&field.expr).iter().find_map(tag) {
                found = Some(tag);
                break;
            }
        }
        Ok(found.or_else(|| self.dimensions.iter().any(|d| d == name).then_some(DataType::Tag)))
    }

    /// The type of a select item as an outer level sees it. 1.x looks through all levels again, so what does not go together
    /// on one of them has no type on any.
    ///
    /// # Errors
    ///
    /// When parts do not go together.
    fn type_of_field(&self, field: &SelectField) -> Result<Option<DataType>, Unsound> {
        let unsound = |expr: &Expr| match expr {
            Expr::VarRef(VarRef { name, data_type: None | Some(DataType::AnyField) }) => {
                self.unsound.contains(name)
            }
            _ => false,
        };
        if any(&field.expr, &mut |expr| unsound(expr)) {
            return Err(Unsound);
        }
        type_as_item(&field.expr).map_err(|_| Unsound)
    }

    /// Where WHERE of an outer level finds a name: among the columns by their final names, else it is taken for a tag.
    pub(super) fn condition_column(&self, name: &str) -> Option<InnerColumn> {
        let names = column_names("time", &self.fields);
        let index = names.iter().skip(1).position(|column| column == name)?;
        let types = self.fields.iter().flat_map(|field| {
            let added = added_columns(&field.expr).len();
            let own = field_type(type_of_item(&field.expr));
            std::iter::once(own).chain(std::iter::repeat_n(Some(FieldType::String), added))
        });
        Some(InnerColumn::Field(index, types.into_iter().nth(index).flatten()))
    }

    /// Where a column is in the rows of this level: an output with its type, or a GROUP BY tag.
    pub(super) fn column(&self, name: &str) -> Option<InnerColumn> {
        let mut index = 0;
        for field in &self.fields {
            if field_name(field) == name {
                let own = type_of_item(&field.expr);
                return Some(InnerColumn::Field(index, field_type(own)));
            }
            let added = added_columns(&field.expr);
            for (i, column) in added.iter().enumerate() {
                if matches!(&column.expr, Expr::VarRef(reference) if reference.name == name) {
                    return Some(InnerColumn::Field(index + i + 1, Some(FieldType::String)));
                }
            }
            index += 1 + added.len();
        }
        self.dimensions.iter().find(|d| *d == name).map(|d| InnerColumn::Tag(Arc::from(d.as_str())))
    }
}

/// Items of a select list, wildcards spelled out.
const COLUMNS_MAX: usize = 10_000;
/// The part of a query's memory that its plan may take.
const PLAN_SHARE: u64 = 4;
const PLAN_BYTES_MIN: u64 = 1 << 20;
/// About what a stage, a fragment, a leaf, one of its columns and a node of a condition take.
const STAGE_BYTES: u64 = 4_096;
const FRAGMENT_BYTES: u64 = 1_024;
const LEAF_BYTES: u64 = 512;
const COLUMN_BYTES: u64 = 128;
const NODE_BYTES: u64 = 160;
/// What looking up a name counts as: it takes no memory, but time.
const LOOKUP_BYTES: u64 = 16;

fn spec_bytes(spec: &LeafSpec) -> u64 {
    LEAF_BYTES + COLUMN_BYTES * spec.aux.len() as u64 + 64 * spec.leaf.dimensions.len() as u64
}

/// Nodes of an expression.
fn nodes(expr: &Expr) -> u64 {
    match expr {
        Expr::Binary(binary) => 1 + nodes(&binary.lhs) + nodes(&binary.rhs),
        Expr::Paren(inner) => nodes(inner),
        Expr::Call(call) => 1 + call.args.iter().map(nodes).sum::<u64>(),
        // A state of a regular expression takes a quarter of a node.
        Expr::Regex(pattern) => 1 + regex::check(pattern).unwrap_or(0) / 4,
        _ => 1,
    }
}

/// Windows before the first that 1.x reads for the functions of the outermost select list, whether they need them or not.
fn looks_back(fields: &[SelectField]) -> i64 {
    let mut windows = 0;
    for field in fields {
        any(&field.expr, &mut |expr| {
            if let Expr::Call(call) = expr {
                windows = windows.max(match (call.name.as_str(), call.args.get(1)) {
                    (
                        "derivative"
                        | "non_negative_derivative"
                        | "difference"
                        | "non_negative_difference"
                        | "elapsed"
                        | "cumulative_sum",
                        _,
                    ) => 1,
                    (name, Some(Expr::Integer(n)))
                        if name == "moving_average" || technical::is_technical(name) =>
                    {
                        *n
                    }
                    _ => 0,
                });
            }
            false
        });
    }
    windows
}

/// What empty windows get; `None` when they are left out.
fn fill_of(level: &Level, window: &Window) -> Option<FillKind> {
    if window.is_none() {
        return None;
    }
    match level.fill {
        Fill::None => None,
        Fill::Null => Some(FillKind::Null),
        Fill::Number(number) => Some(FillKind::Value(number_cell(number))),
        Fill::Previous => Some(FillKind::Previous),
        Fill::Linear => Some(FillKind::Linear),
    }
}

fn absent_of(level: &Level) -> Absent {
    match level.fill {
        Fill::None | Fill::Null | Fill::Linear => Absent::Null,
        Fill::Number(number) => Absent::Value(number_cell(number)),
        Fill::Previous => Absent::Previous,
    }
}

fn number_cell(number: FillNumber) -> Cell {
    match number {
        FillNumber::Integer(i) => Cell::Integer(i),
        FillNumber::Float(f) => Cell::Float(f),
    }
}

/// The number of fill() as a value of a column.
pub(super) fn fill_value(number: &Cell, field_type: Option<FieldType>) -> Cell {
    match field_type {
        None => number.clone(),
        Some(FieldType::String) => Cell::String("".into()),
        Some(FieldType::Boolean) => Cell::Boolean(false),
        Some(number_type) => cast(number.clone(), number_type),
    }
}
