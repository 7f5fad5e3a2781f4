//! Leaves bound to their sources: ids of fields in a measurement, columns in a subquery.

use super::link::Typed;
use super::sources::MeasurementSource;
use super::types::field_type;
use crate::condition::{FieldKind, RowCondition};
use crate::error::QueryError;
use crate::fold::columns::Input;
use crate::fold::rows::{AuxInput, RowsOp};
use crate::fragment::{Fragment, FragmentOp, FragmentOpKind, FragmentWork, ReadWork};
use crate::influxql::ast::{DataType, Expr, VarRef};
use crate::stage::{InnerColumn, InnerLeaf, Leaf, LeafKind, RowLimits, SubquerySource};
use crate::window::Window;
use model::FieldType;
use std::sync::Arc;

/// A leaf and the names it reads.
#[derive(Debug, Clone)]
pub(super) struct LeafSpec {
    pub(super) leaf: Leaf,
    pub(super) driver: Option<VarRef>,
    pub(super) aux: Vec<VarRef>,
}

/// The type of a field that a source has, by its name.
pub(super) type FieldTypes<'a> = &'a dyn Fn(&str) -> Option<FieldType>;

/// The fragment of one measurement. A name in WHERE that is a field of `elsewhere`, another source, is a field here, too:
/// one that no point has.
pub(super) fn fragment(
    measurement: &MeasurementSource,
    (residual, elsewhere): (Option<&Expr>, FieldTypes<'_>),
    specs: &[LeafSpec],
    (window, ascending): (&Window, bool),
    (rows, filled_windows, opened): (RowLimits, Option<u64>, (i64, i64)),
) -> Result<Fragment, QueryError> {
    let kind = |name: &str| match measurement.field(name) {
        Some(def) => FieldKind::Field(def.field_type),
        None => elsewhere(name).map_or(FieldKind::Tag, FieldKind::Field),
    };
    let condition = RowCondition::compile(residual, &kind)?;
    let condition_inputs = condition.fields.iter().map(|f| input(measurement, f)).collect();
    // SLIMIT and SOFFSET count output series of a measurement, which all leaves have in common.
    let same_series = specs.windows(2).all(|s| s[0].leaf.dimensions == s[1].leaf.dimensions);
    let series_limit = (rows.slimit > 0 && same_series).then(|| rows.slimit.saturating_add(rows.soffset));
    let ops = specs
        .iter()
        .map(|spec| FragmentOp {
            dimensions: Arc::clone(&spec.leaf.dimensions),
            range: spec.leaf.range,
            window: window.clone(),
            kind: op(measurement, spec, ascending),
        })
        .collect();
    Ok(Fragment {
        database: measurement.database.id,
        policy: measurement.policy,
        shard_ns: measurement.shard_duration_ns(),
        measurement: Arc::clone(&measurement.name),
        predicate: condition.tag_predicate(),
        work: FragmentWork::Read(Arc::new(ReadWork {
            condition,
            condition_inputs,
            ops,
            series_limit,
            filled_windows,
            opened,
        })),
    })
}

fn op(measurement: &MeasurementSource, spec: &LeafSpec, ascending: bool) -> FragmentOpKind {
    let driver = spec.driver.as_ref().and_then(|d| input(measurement, d));
    let rows = |driver, pick| {
        FragmentOpKind::Rows(RowsOp {
            driver,
            aux: spec.aux.iter().map(|a| aux(measurement, a)).collect(),
            limit: spec.leaf.row_limit,
            ascending,
            pick,
        })
    };
    match (spec.leaf.kind, driver) {
        (LeafKind::Nothing, _) | (LeafKind::Fold(..) | LeafKind::Points(..), None) => {
            FragmentOpKind::Nothing(driver.map(|driver| driver.field))
        }
        (LeafKind::Fold(kind, _), Some(driver)) => FragmentOpKind::Fold(kind, driver),
        (LeafKind::Points(_, pick), Some(driver)) => rows(Some(driver), pick),
        (LeafKind::Raw, _) => rows(None, None),
    }
}

/// A field of the measurement read as the reference wants it.
fn input(measurement: &MeasurementSource, reference: &VarRef) -> Option<Input> {
    if reference.data_type == Some(DataType::Tag) {
        return None;
    }
    let def = measurement.field(&reference.name)?;
    let wanted = field_type(reference.data_type).unwrap_or(def.field_type);
    Input::new(def.id, def.field_type, wanted)
}

fn aux(measurement: &MeasurementSource, reference: &VarRef) -> AuxInput {
    if let Some(input) = input(measurement, reference) {
        return AuxInput::Field(input);
    }
    match reference.data_type {
        // A field was asked for, so a tag of its name does not do.
        Some(
            DataType::Float
            | DataType::Integer
            | DataType::Unsigned
            | DataType::String
            | DataType::Boolean
            | DataType::AnyField,
        ) => AuxInput::Nothing,
        Some(DataType::Tag) | None => AuxInput::Tag(Arc::from(reference.name.as_str())),
    }
}

/// The binding of a subquery, without its stages.
pub(super) fn subquery(
    inner: &Typed<'_>,
    residual: Option<&Expr>,
    specs: &[LeafSpec],
) -> Result<SubquerySource, QueryError> {
    let kind = |name: &str| match inner.condition_column(name) {
        Some(InnerColumn::Field(_, Some(known))) => FieldKind::Field(known),
        // A tag in the select list is a column of strings.
        Some(InnerColumn::Field(_, None)) => FieldKind::Field(FieldType::String),
        Some(InnerColumn::Tag(_) | InnerColumn::Nothing) | None => FieldKind::Tag,
    };
    // A column of the select list is what its name means, also where the clause says that it is a tag: then it is text or nothing.
    let residual = residual.map(|expr| {
        expr.map_references(&mut |name| match inner.condition_column(&name.name) {
            Some(InnerColumn::Field(..)) if name.data_type == Some(DataType::Tag) => {
                VarRef { name: name.name.clone(), data_type: Some(DataType::String) }
            }
            _ => name.clone(),
        })
    });
    let condition = RowCondition::compile(residual.as_ref(), &kind)?;
    let condition_column = |field: &VarRef| match inner.condition_column(&field.name) {
        Some(InnerColumn::Field(i, own)) => InnerColumn::Field(i, field_type(field.data_type).or(own)),
        _ => InnerColumn::Tag(Arc::from(field.name.as_str())),
    };
    let condition_columns = condition.fields.iter().map(condition_column).collect();
    let leaves = specs
        .iter()
        .map(|spec| InnerLeaf {
            driver: spec.driver.as_ref().and_then(|d| driving_column(inner, d)),
            aux: spec.aux.iter().map(|a| column(inner, a)).collect(),
        })
        .collect();
    Ok(SubquerySource { stages: Vec::new(), condition, condition_columns, leaves })
}

/// Where the column that leads a call is. One of no type is there, but has no points.
fn driving_column(inner: &Typed<'_>, driver: &VarRef) -> Option<InnerColumn> {
    let column = column(inner, driver);
    let untyped = field_type(driver.data_type).is_none() && driver.data_type != Some(DataType::Tag);
    match column {
        InnerColumn::Nothing => None,
        InnerColumn::Field(..) if untyped => Some(InnerColumn::Nothing),
        found => Some(found),
    }
}

fn column(inner: &Typed<'_>, reference: &VarRef) -> InnerColumn {
    match inner.column(&reference.name) {
        Some(InnerColumn::Field(i, own)) => InnerColumn::Field(i, field_type(reference.data_type).or(own)),
        Some(other) => other,
        None => InnerColumn::Nothing,
    }
}
