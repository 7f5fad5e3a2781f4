//! EXPLAIN and EXPLAIN ANALYZE: what a SELECT reads, in the shape of InfluxDB 1.x.
//!
//! A step is one expression over one measurement. Its costs are counted by walking the headers of the chunks that it
//! would read; nothing is decoded. Shards are slices of time, files those of them that have chunks on disk.

mod tree;

use crate::aggregate::Pick;
use crate::budget::Budget;
use crate::error::QueryError;
use crate::fold::FoldKind;
use crate::fold::columns::Input;
use crate::fold::rows::AuxInput;
use crate::fold::series::half_open;
use crate::fragment::{Fragment, FragmentOp, FragmentOpKind, FragmentWork, Partial};
use crate::influxql::ast::SelectStatement;
use crate::plan::{PlanContext, plan_select};
use crate::result::{Cell, Series};
use crate::select::Scatter;
use crate::stage::{Stage, StageSource};
use model::catalog::Catalog;
use model::scan::{ChunkCost, GroupReader, Order};
use model::{FieldId, FieldType, TimeRange};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long the parts of a SELECT took, for EXPLAIN ANALYZE.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timing {
    /// Until the statement was planned.
    pub planning: Duration,
    /// Until its answer was there.
    pub execution: Duration,
}

/// Answers EXPLAIN, or EXPLAIN ANALYZE where the statement was run and took some time.
///
/// # Errors
///
/// Those of the SELECT.
pub fn explain(
    statement: &SelectStatement,
    context: &PlanContext<'_>,
    readers: &[&dyn GroupReader],
    budget: &Budget,
    timing: Option<Timing>,
) -> Result<Vec<Series>, QueryError> {
    // What is written into does not change what is read.
    let statement = SelectStatement { target: None, ..statement.clone() };
    let plan = plan_select(&statement, context)?;
    let described;
    let linked = match &plan.linked {
        Some(linked) => linked,
        None => {
            described = plan.describe_and_link(&InOrder { readers, budget })?;
            &described
        }
    };
    let explainer = Explainer { catalog: context.catalog, readers, budget };
    let cursor = explainer.cursor(&linked.stage, statement.to_string())?;
    let (column, lines) = match timing {
        None => ("QUERY PLAN", cursor.plan_lines()),
        Some(timing) => ("EXPLAIN ANALYZE", tree::lines(&cursor, timing)),
    };
    Ok(vec![Series {
        columns: [Arc::from(column)].into(),
        cells: lines.into_iter().map(|line| Cell::String(line.into())).collect(),
        ..Series::default()
    }])
}

/// A level of the SELECT.
struct Cursor {
    statement: String,
    steps: Vec<Step>,
    inner: Vec<Cursor>,
}

/// One expression over one measurement.
struct Step {
    measurement: Arc<str>,
    /// `None` where a row is led by its columns.
    expression: Option<String>,
    columns: Vec<String>,
    conditions: usize,
    shards: usize,
    files: usize,
    series: usize,
    cost: ChunkCost,
    /// Blocks and their bytes by type of the field.
    blocks: BTreeMap<&'static str, (u64, u64)>,
}

impl Cursor {
    /// The lines of EXPLAIN: a paragraph a step.
    fn plan_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.add_plan_lines(&mut lines);
        if lines.is_empty() {
            // 1.x has one empty line for nothing.
            lines.push(String::new());
        }
        lines
    }

    fn add_plan_lines(&self, lines: &mut Vec<String>) {
        for step in &self.steps {
            if !lines.is_empty() {
                lines.push(String::new());
            }
            lines.push(format!("EXPRESSION: {}", step.expression.as_deref().unwrap_or("<nil>")));
            if !step.columns.is_empty() {
                lines.push(format!("AUXILIARY FIELDS: {}", step.columns.join(", ")));
            }
            lines.push(format!("NUMBER OF SHARDS: {}", step.shards));
            lines.push(format!("NUMBER OF SERIES: {}", step.series));
            lines.push(format!("CACHED VALUES: {}", step.cost.cached));
            lines.push(format!("NUMBER OF FILES: {}", step.files));
            lines.push(format!("NUMBER OF BLOCKS: {}", step.cost.blocks));
            lines.push(format!("SIZE OF BLOCKS: {}", step.cost.block_bytes));
        }
        for inner in &self.inner {
            inner.add_plan_lines(lines);
        }
    }
}

struct Explainer<'a> {
    catalog: &'a Catalog,
    readers: &'a [&'a dyn GroupReader],
    budget: &'a Budget,
}

impl Explainer<'_> {
    fn cursor(&self, stage: &Stage, statement: String) -> Result<Cursor, QueryError> {
        let mut cursor = Cursor { statement, steps: Vec::new(), inner: Vec::new() };
        for source in &stage.sources {
            match source {
                StageSource::Measurement(fragment) => {
                    let FragmentWork::Read(work) = &fragment.work else { continue };
                    for op in &work.ops {
                        cursor.steps.extend(self.step(fragment, op, work.condition_inputs.len())?);
                    }
                }
                StageSource::Subquery(subquery) => {
                    for (range, inner) in &subquery.stages {
                        let text = format!("subquery from {} to {}", range.0, range.1);
                        cursor.inner.push(self.cursor(inner, text)?);
                    }
                }
            }
        }
        Ok(cursor)
    }

    /// `None` for an expression over nothing.
    fn step(
        &self,
        fragment: &Fragment,
        op: &FragmentOp,
        conditions: usize,
    ) -> Result<Option<Step>, QueryError> {
        let name = |input: &Input| self.typed_name(fragment, *input);
        let mut fields = Vec::new();
        let (expression, columns) = match &op.kind {
            FragmentOpKind::Nothing(_) => return Ok(None),
            FragmentOpKind::Fold(kind, input) => {
                fields.push(*input);
                (Some(format!("{}({})", fold_name(*kind), name(input))), Vec::new())
            }
            FragmentOpKind::Rows(rows) => {
                let mut columns = Vec::new();
                for aux in &rows.aux {
                    match aux {
                        AuxInput::Field(input) => {
                            fields.push(*input);
                            columns.push(name(input));
                        }
                        AuxInput::Tag(tag) => columns.push(format!("{tag}::tag")),
                        AuxInput::Nothing => {}
                    }
                }
                fields.extend(rows.driver);
                let expression = rows.driver.as_ref().map(|driver| match rows.pick {
                    Some(pick) => format!("{}({})", pick_name(pick), name(driver)),
                    None => name(driver),
                });
                (expression, columns)
            }
        };
        let mut step = Step {
            measurement: Arc::clone(&fragment.measurement),
            expression,
            columns,
            conditions,
            shards: 0,
            files: 0,
            series: 0,
            cost: ChunkCost::default(),
            blocks: BTreeMap::new(),
        };
        self.count(fragment, half_open(op.range), &fields, &mut step)?;
        Ok(Some(step))
    }

    /// Walks the chunks that the fields have.
    fn count(
        &self,
        fragment: &Fragment,
        range: TimeRange,
        fields: &[Input],
        step: &mut Step,
    ) -> Result<(), QueryError> {
        let mut shards = BTreeSet::new();
        for reader in self.readers {
            self.budget.check()?;
            let series = reader.series(fragment.database, &fragment.measurement, &fragment.predicate);
            self.budget.check()?;
            step.series += series.len();
            let slices = reader.slices(fragment.policy);
            let mut files = BTreeSet::new();
            let policy = reader.open(fragment.policy);
            policy.announce(&series);
            for input in fields {
                let mut column = policy.column(input.field);
                for series in &series {
                    self.budget.check()?;
                    column.seek(series.id, range, Order::Ascending)?;
                    while let Some(bounds) = column.next_chunk()? {
                        let cost = column.cost();
                        step.cost.add(cost);
                        let blocks = step.blocks.entry(input.stored.name()).or_default();
                        *blocks = (blocks.0 + cost.blocks, blocks.1 + cost.block_bytes);
                        let slice = slices.iter().find(|slice| slice.contains(bounds.first));
                        let start = slice.map_or(i64::MIN, |slice| slice.start);
                        shards.insert(start);
                        if cost.blocks > 0 {
                            files.insert(start);
                        }
                    }
                }
            }
            step.files += files.len();
        }
        step.shards = shards.len();
        Ok(())
    }

    fn typed_name(&self, fragment: &Fragment, input: Input) -> String {
        let name = self.field_name(fragment, input.field).unwrap_or_else(|| input.field.0.to_string());
        format!("{name}::{}", input.stored.name())
    }

    fn field_name(&self, fragment: &Fragment, field: FieldId) -> Option<String> {
        let database = self.catalog.databases.iter().find(|database| database.id == fragment.database)?;
        let table = database.fields.measurements.get(&fragment.measurement)?;
        table.fields.iter().find(|(_, def)| def.id == field).map(|(name, _)| name.to_string())
    }
}

fn fold_name(kind: FoldKind) -> &'static str {
    match kind {
        FoldKind::Count => "count",
        FoldKind::Sum => "sum",
        FoldKind::Mean => "mean",
        FoldKind::Min => "min",
        FoldKind::Max => "max",
        FoldKind::First => "first",
        FoldKind::Last => "last",
        FoldKind::Spread => "spread",
    }
}

fn pick_name(pick: Pick) -> &'static str {
    match pick {
        Pick::Min => "min",
        Pick::Max => "max",
        Pick::First => "first",
        Pick::Last => "last",
    }
}

/// The groups one after the other: enough to ask for tag keys.
struct InOrder<'a> {
    readers: &'a [&'a dyn GroupReader],
    budget: &'a Budget,
}

impl Scatter for InOrder<'_> {
    fn scatter(&self, fragment: &Fragment) -> Result<Vec<Partial>, QueryError> {
        self.readers.iter().map(|reader| fragment.fold(*reader, self.budget)).collect()
    }
}

/// Types in the order in which 1.x lists what was decoded.
const TYPES: [FieldType; 5] =
    [FieldType::Float, FieldType::Integer, FieldType::Unsigned, FieldType::String, FieldType::Boolean];
