//! `*`, `*::field`, `*::tag` and patterns in the select list and in GROUP BY, spelled out.

use super::columns::field_name;
use super::types::any;
use super::validate::fail;
use crate::condition::compile_regex;
use crate::error::QueryError;
use crate::influxql::ast::{Call, DataType, Expr, SelectField, VarRef, WildcardKind};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};

/// What the sources of a level have.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Fields with the strongest type they have anywhere.
    pub(super) fields: BTreeMap<String, Option<DataType>>,
    pub(super) tags: BTreeSet<String>,
}

/// Spells out GROUP BY: names in the order written, each once.
pub(super) fn expand_dimensions(dimensions: &[Expr], names: &Names) -> Result<Vec<String>, QueryError> {
    let mut expanded: Vec<String> = Vec::new();
    for dimension in dimensions {
        match dimension {
            Expr::VarRef(reference) => expanded.push(reference.name.clone()),
            Expr::Wildcard(_) => expanded.extend(names.tags.iter().cloned()),
            Expr::Regex(pattern) => {
                let regex = compile_regex(pattern)?;
                expanded.extend(names.tags.iter().filter(|t| regex.is_match(t)).cloned());
            }
            _ => {}
        }
    }
    Ok(expanded)
}

/// Spells out the select list. `dimensions` are those of GROUP BY as written.
pub(super) fn expand_fields(
    fields: &[SelectField],
    dimensions: &[Expr],
    names: &Names,
) -> Result<Vec<SelectField>, QueryError> {
    let wild = |e: &Expr| matches!(e, Expr::Wildcard(_) | Expr::Regex(_));
    if !fields.iter().any(|f| any(&f.expr, &mut |e| wild(e))) {
        return Ok(fields.to_vec());
    }
    let columns = columns(dimensions, names);
    let mut expanded = Vec::new();
    for field in fields {
        match &field.expr {
            Expr::Wildcard(kind) => expanded.extend(
                columns
                    .iter()
                    .filter(|c| match kind {
                        WildcardKind::All => true,
                        WildcardKind::Field => c.data_type != Some(DataType::Tag),
                        WildcardKind::Tag => c.data_type == Some(DataType::Tag),
                    })
                    .map(|c| SelectField { expr: Expr::VarRef(c.clone()), alias: None }),
            ),
            Expr::Regex(pattern) => {
                let regex = compile_regex(pattern)?;
                let matching = columns.iter().filter(|c| regex.is_match(&c.name));
                expanded.extend(matching.map(|c| SelectField { expr: Expr::VarRef(c.clone()), alias: None }));
            }
            Expr::Call(call) => expand_call(field, call, &columns, &mut expanded)?,
            Expr::Binary(_) => {
                if any(&field.expr, &mut |e| matches!(e, Expr::Wildcard(_))) {
                    return fail(format!("unsupported expression with wildcard: {}", field.expr));
                }
                if any(&field.expr, &mut |e| matches!(e, Expr::Regex(_))) {
                    return fail(format!("unsupported expression with regex field: {}", field.expr));
                }
                expanded.push(field.clone());
            }
            _ => expanded.push(field.clone()),
        }
    }
    Ok(expanded)
}

/// Fields and tags that a wildcard stands for, by name; grouped tags are left out.
fn columns(dimensions: &[Expr], names: &Names) -> Vec<VarRef> {
    if names.fields.is_empty() {
        return Vec::new();
    }
    let mut columns: Vec<VarRef> =
        names.fields.iter().map(|(name, t)| VarRef { name: name.clone(), data_type: *t }).collect();
    let by_pattern = dimensions.iter().any(|d| matches!(d, Expr::Wildcard(_) | Expr::Regex(_)));
    if !by_pattern {
        let grouped = |tag: &str| {
            dimensions.iter().any(|d| matches!(d, Expr::VarRef(reference) if reference.name == tag))
        };
        let tags = names.tags.iter().filter(|t| !grouped(t));
        columns.extend(tags.map(|t| VarRef { name: t.clone(), data_type: Some(DataType::Tag) }));
    }
    // Fields come before tags of the same name.
    columns.sort_by(|a, b| a.name.cmp(&b.name));
    columns
}

/// `f(*)` and `f(/pattern/)`, also innermost in nested calls: one call for each field of a type that `f` takes.
fn expand_call(
    field: &SelectField,
    call: &Call,
    columns: &[VarRef],
    expanded: &mut Vec<SelectField>,
) -> Result<(), QueryError> {
    let innermost = innermost(call);
    let regex: Option<Regex> = match innermost.args.first() {
        Some(Expr::Wildcard(WildcardKind::Tag)) => {
            return fail(format!("unable to use tag wildcard in {}()", innermost.name));
        }
        Some(Expr::Wildcard(_)) => None,
        Some(Expr::Regex(pattern)) => Some(compile_regex(pattern)?),
        _ => {
            expanded.push(field.clone());
            return Ok(());
        }
    };
    for column in columns {
        let Some(data_type) = column.data_type else { continue };
        let matches = regex.as_ref().is_none_or(|r| r.is_match(&column.name));
        if matches && takes(&innermost.name, data_type) {
            expanded.push(SelectField {
                expr: Expr::Call(with_innermost(call, column)),
                alias: Some(format!("{}_{}", field_name(field), column.name)),
            });
        }
    }
    Ok(())
}

fn innermost(call: &Call) -> &Call {
    match call.args.first() {
        Some(Expr::Call(inner)) => innermost(inner),
        _ => call,
    }
}

fn with_innermost(call: &Call, column: &VarRef) -> Call {
    let mut copy = call.clone();
    if let Some(first) = copy.args.first_mut() {
        *first = match &*first {
            Expr::Call(inner) => Expr::Call(with_innermost(inner, column)),
            _ => Expr::VarRef(column.clone()),
        };
    }
    copy
}

/// Whether a wildcard in a function stands for fields of this type.
fn takes(function: &str, data_type: DataType) -> bool {
    match data_type {
        DataType::Float | DataType::Integer => true,
        DataType::Unsigned => !matches!(function, "holt_winters" | "holt_winters_with_fit"),
        DataType::String => {
            matches!(function, "count" | "first" | "last" | "distinct" | "elapsed" | "mode" | "sample")
        }
        DataType::Boolean => matches!(
            function,
            "count" | "first" | "last" | "distinct" | "elapsed" | "mode" | "sample" | "min" | "max"
        ),
        DataType::Tag | DataType::AnyField => false,
    }
}

/// The expression with the types of its references filled in.
pub(super) fn with_types(expr: &Expr, type_of: &impl Fn(&str) -> Option<DataType>) -> Expr {
    expr.map_references(&mut |reference| {
        let data_type = match reference.data_type {
            None => type_of(&reference.name),
            // `::field` of what is no field stays as it is: nothing.
            Some(DataType::AnyField) => {
                type_of(&reference.name).filter(|t| *t != DataType::Tag).or(Some(DataType::AnyField))
            }
            written => written,
        };
        VarRef { name: reference.name.clone(), data_type }
    })
}
