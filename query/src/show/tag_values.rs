//! SHOW TAG VALUES.

use super::condition::{Filter, Subject, Wanted, is_inclusive, no_condition};
use super::sources::{Names, compile};
use super::{Readers, ShowContext, limited, table};
use crate::error::QueryError;
use crate::influxql::ast::{BinaryExpr, BinaryOp, Expr, ShowTagValues, TagKeyMatch};
use crate::result::{Cell, Series};
use model::TagPredicate;
use regex::Regex;
use std::sync::Arc;

/// Bytes of a key and a value here and in the answer; their text is shared with the index.
const PAIR_BYTES: usize = 96;
/// Stands for the value itself in the WHERE clause, as from 1.7 on.
const VALUE: &str = "value";
/// Stands for the tag key in the WHERE clause.
pub(super) const KEY: &str = "_tagKey";

/// Databases and policies in FROM do not count: 1.x reads and forgets them.
pub(super) fn show(
    statement: &ShowTagValues,
    context: &ShowContext<'_>,
    readers: &Readers<'_>,
) -> Result<Vec<Series>, QueryError> {
    let database = context.required_database()?;
    let mut filter = Filter::of(statement.condition.as_ref(), context)?;
    let mut values = Filter::of(statement.condition.as_ref(), context)?;
    filter.retain(&|comparison| !is_about_value(comparison));
    values.retain(&is_about_value);
    // What is wrong with the clause is told also where no measurement is looked at.
    filter.names("")?;
    if !readers.has_slice(database, filter.range) {
        return Ok(Vec::new());
    }
    let of_series = filter.without_system_names();
    let names = Names::of(&statement.sources)?;
    let wanted_keys = KeyFilter::of(&statement.key)?;
    let wanted_values = value_predicate(&values)?;
    let mut series = Vec::new();
    for measurement in readers.measurements(database.id) {
        readers.check()?;
        if !names.contains(&measurement) || !filter.names(&measurement)? {
            continue;
        }
        // The clause is read for tag keys also where there are none.
        filter.residual().map_or(Ok(None), |expr| of_keys(expr, ""))?;
        let subject = Subject { measurement: &measurement, database: Some(database) };
        let predicate = of_series.predicate(subject)?;
        let mut pairs = Vec::new();
        // Which keys exist costs nothing; only the values are looked up by predicate and time.
        for key in readers.tag_keys(database.id, &measurement, &TagPredicate::All, None) {
            let admitted = filter.residual().map_or(Ok(None), |expr| of_keys(expr, &key))?;
            if !wanted_keys.contains(&key) || admitted == Some(false) {
                continue;
            }
            let found = readers.tag_values(database.id, &measurement, &key, &predicate, filter.range);
            for value in found {
                // Each: an expression may take a while.
                readers.check()?;
                if wanted_values.matches(&|_| &*value) {
                    readers.budget.charge(PAIR_BYTES)?;
                    pairs.push((Arc::clone(&key), value));
                }
            }
        }
        let cells: Vec<Cell> = limited(pairs, statement.limit, statement.offset)
            .flat_map(|(key, value)| [Cell::String(key), Cell::String(value)])
            .collect();
        if !cells.is_empty() {
            series.push(table(&measurement, &["key", "value"], cells));
        }
    }
    Ok(series)
}

/// What a clause says about a tag key by the name `_tagKey`; `None` if nothing. Everything in it must compare a name.
fn of_keys(expr: &Expr, key: &str) -> Result<Option<bool>, QueryError> {
    match expr {
        Expr::Paren(inner) => of_keys(inner, key),
        Expr::Binary(binary) if matches!(binary.op, BinaryOp::And | BinaryOp::Or) => {
            let sides = (of_keys(&binary.lhs, key)?, of_keys(&binary.rhs, key)?);
            Ok(match sides {
                (Some(lhs), Some(rhs)) if binary.op == BinaryOp::And => Some(lhs && rhs),
                (Some(lhs), Some(rhs)) => Some(lhs || rhs),
                (one, other) => one.or(other),
            })
        }
        Expr::Binary(binary) => match &binary.lhs {
            Expr::VarRef(name) if name.name == KEY => {
                Ok(Some(Wanted::of(binary)?.is(key) == is_inclusive(binary.op)))
            }
            Expr::VarRef(_) => Ok(None),
            _ => Err(QueryError::Statement(format!("left side of '{}' must be a tag key", binary.op))),
        },
        other => Err(no_condition(other)),
    }
}

fn is_about_value(comparison: &BinaryExpr) -> bool {
    matches!(&comparison.lhs, Expr::VarRef(name) if name.name == VALUE)
}

/// A predicate for the values: the comparisons with `value`, of which those with something else than text never hold.
fn value_predicate(filter: &Filter) -> Result<TagPredicate, QueryError> {
    let mut only_text = true;
    if let Some(residual) = filter.residual() {
        walk(residual, &mut |comparison| {
            only_text &= matches!(comparison.rhs, Expr::String(_) | Expr::Regex(_));
        });
    }
    if only_text {
        filter.predicate(Subject { measurement: "", database: None })
    } else {
        Ok(TagPredicate::Nothing)
    }
}

/// Calls `visit` for every comparison.
fn walk(expr: &Expr, visit: &mut impl FnMut(&BinaryExpr)) {
    match expr {
        Expr::Paren(inner) => walk(inner, visit),
        Expr::Binary(binary) if matches!(binary.op, BinaryOp::And | BinaryOp::Or) => {
            walk(&binary.lhs, visit);
            walk(&binary.rhs, visit);
        }
        Expr::Binary(binary) => visit(binary),
        _ => {}
    }
}

/// `WITH KEY`, ready to run.
#[derive(Debug)]
pub(super) enum KeyFilter<'a> {
    Equal(&'a str),
    NotEqual(&'a str),
    Match(Regex),
    NotMatch(Regex),
    In(&'a [String]),
}

impl<'a> KeyFilter<'a> {
    pub(super) fn of(key: &'a TagKeyMatch) -> Result<Self, QueryError> {
        Ok(match key {
            TagKeyMatch::Equal(key) => Self::Equal(key),
            TagKeyMatch::NotEqual(key) => Self::NotEqual(key),
            TagKeyMatch::Match(pattern) => Self::Match(compile(pattern)?),
            TagKeyMatch::NotMatch(pattern) => Self::NotMatch(compile(pattern)?),
            TagKeyMatch::In(keys) => Self::In(keys),
        })
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        match self {
            Self::Equal(wanted) => *wanted == key,
            Self::NotEqual(unwanted) => *unwanted != key,
            Self::Match(regex) => regex.is_match(key),
            Self::NotMatch(regex) => !regex.is_match(key),
            Self::In(keys) => keys.iter().any(|wanted| wanted == key),
        }
    }
}
