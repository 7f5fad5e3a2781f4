//! SHOW MEASUREMENTS.

use super::condition::{
    NAME, Wanted, invalid_operator, is_inclusive, is_system, mentions_time, no_condition,
};
use super::sources::Name;
use super::{Readers, ShowContext, limited, table};
use crate::error::QueryError;
use crate::influxql::ast::{BinaryExpr, BinaryOp, Expr, ShowMeasurements};
use crate::result::{Cell, Series};
use model::{DatabaseId, TagPredicate};

pub(super) fn show(
    statement: &ShowMeasurements,
    context: &ShowContext<'_>,
    readers: &Readers<'_>,
) -> Result<Vec<Series>, QueryError> {
    if statement.condition.as_ref().is_some_and(mentions_time) {
        return Err(QueryError::statement("SHOW MEASUREMENTS doesn't support time in WHERE clause"));
    }
    if context.database.is_empty() {
        return Err(QueryError::statement("database name required"));
    }
    // An unknown database is no error here, as in 1.x.
    let Some(database) = context.catalog.database(context.database) else { return Ok(Vec::new()) };
    let with = statement.measurement.as_ref().map(Name::of).transpose()?;
    let mut names = Vec::new();
    for name in readers.measurements(database.id) {
        readers.check()?;
        let passes = match &statement.condition {
            None => true,
            Some(condition) => {
                Matcher { database: database.id, measurement: &name, readers }.matches(condition)?
            }
        };
        if passes && with.as_ref().is_none_or(|with| with.contains(&name)) {
            names.push(Cell::String(name));
        }
    }
    let cells: Vec<Cell> = limited(names, statement.limit, statement.offset).collect();
    Ok(if cells.is_empty() { Vec::new() } else { vec![table("measurements", &["name"], cells)] })
}

/// A condition on a measurement as a whole: a comparison with a tag is about all values the tag has there, so
/// `host != 'a'` holds where the tag exists and no series has that value.
struct Matcher<'a> {
    database: DatabaseId,
    measurement: &'a str,
    readers: &'a Readers<'a>,
}

impl Matcher<'_> {
    fn matches(&self, expr: &Expr) -> Result<bool, QueryError> {
        match expr {
            Expr::Paren(inner) => self.matches(inner),
            Expr::Binary(binary) => match binary.op {
                // Both sides are looked at, so that a fault in either is told.
                BinaryOp::And => Ok(self.matches(&binary.lhs)? & self.matches(&binary.rhs)?),
                BinaryOp::Or => Ok(self.matches(&binary.lhs)? | self.matches(&binary.rhs)?),
                BinaryOp::Eq | BinaryOp::NotEq | BinaryOp::EqRegex | BinaryOp::NotEqRegex => {
                    self.compare(binary)
                }
                _ => Err(invalid_operator()),
            },
            other => Err(no_condition(other)),
        }
    }

    fn compare(&self, binary: &BinaryExpr) -> Result<bool, QueryError> {
        let op = binary.op;
        let Expr::VarRef(tag) = &binary.lhs else {
            return Err(QueryError::Statement(format!("left side of '{op}' must be a tag key")));
        };
        let wanted = Wanted::of(binary)?;
        let inclusive = is_inclusive(op);
        if tag.name == NAME {
            return Ok(wanted.is(self.measurement) == inclusive);
        }
        if is_system(&tag.name) {
            return Ok(false);
        }
        let values =
            self.readers.tag_values(self.database, self.measurement, &tag.name, &TagPredicate::All, None);
        let mut found = false;
        for value in &values {
            self.readers.check()?;
            found |= wanted.is(value);
        }
        Ok(!values.is_empty() && found == inclusive)
    }
}
