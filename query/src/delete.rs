//! DELETE, DROP SERIES and DROP MEASUREMENT, as what storage is to delete.
//!
//! The node proposes each to every data group. They reach all retention policies of the database. What InfluxDB 1.x
//! cannot decide by tags and time it refuses, and so does this; what 1.x decides wrongly is refused as well: a
//! statement must never delete more than it says.

use crate::error::QueryError;
use crate::influxql::ast::{BinaryExpr, BinaryOp, DataType, Expr, Source, Statement};
use crate::show::ShowContext;
use crate::show::condition::{Filter, NAME, Subject, is_system, mentions_time};
use crate::show::sources::Name;
use model::catalog::Database;
use model::delete::Measurements;
use model::{Delete, TagPredicate, TimeRange};
use std::sync::Arc;

/// Whether a statement deletes points.
pub fn is_delete(statement: &Statement) -> bool {
    matches!(statement, Statement::Delete(_) | Statement::DropSeries(_) | Statement::DropMeasurement(_))
}

/// What such a statement deletes: nothing that the catalog does not know, and nothing for any other statement.
///
/// # Errors
///
/// [`QueryError::Statement`] with the text of InfluxDB 1.x.
pub fn deletes(statement: &Statement, context: &ShowContext<'_>) -> Result<Vec<Delete>, QueryError> {
    let (sources, condition) = match statement {
        Statement::Delete(s) => (&s.sources[..], s.condition.as_ref()),
        Statement::DropSeries(s) => {
            if s.condition.as_ref().is_some_and(mentions_time) {
                return Err(QueryError::statement("DROP SERIES doesn't support time in WHERE clause"));
            }
            (&s.sources[..], s.condition.as_ref())
        }
        Statement::DropMeasurement(s) => {
            let database = database(context)?;
            let measurements = Measurements::Named(Arc::from(&*s.name));
            let known = database.fields.measurements.contains_key(&*s.name);
            let all = (TagPredicate::All, TimeRange::ALL);
            return Ok(known.then(|| delete(database, measurements, all)).into_iter().collect());
        }
        _ => return Ok(Vec::new()),
    };
    let database = database(context)?;
    // Where patterns match nothing, 1.x does not look at the clause.
    if !sources.is_empty() && sources.iter().all(is_pattern) {
        let known = database.fields.measurements.keys();
        let named = known.map(|name| contains(sources, name)).collect::<Result<Vec<_>, _>>()?;
        if !named.contains(&true) {
            return Ok(Vec::new());
        }
    }
    let filter = Filter::of(condition, context)?;
    let range = filter.range.unwrap_or(TimeRange::ALL);
    let mut deletes = Vec::new();
    for (name, fields) in &database.fields.measurements {
        if !contains(sources, name)? {
            continue;
        }
        if let Some(expr) = filter.residual() {
            check(expr, &|field| fields.fields.contains_key(field))?;
        }
        match filter.predicate(Subject { measurement: name, database: Some(database) })? {
            TagPredicate::Nothing => {}
            predicate => {
                deletes.push(delete(database, Measurements::Named(Arc::clone(name)), (predicate, range)));
            }
        }
    }
    Ok(deletes)
}

fn database<'a>(context: &ShowContext<'a>) -> Result<&'a Arc<Database>, QueryError> {
    let missing = || QueryError::Statement(format!("database not found: {}", context.database));
    context.catalog.database(context.database).ok_or_else(missing)
}

fn delete(
    database: &Database,
    measurements: Measurements,
    (predicate, range): (TagPredicate, TimeRange),
) -> Delete {
    Delete { database: database.id, policy: None, measurements, predicate, range }
}

fn is_pattern(source: &Source) -> bool {
    matches!(source, Source::Measurement(name) if name.regex.is_some())
}

/// Whether a measurement is one of FROM's; all are if there is none.
fn contains(sources: &[Source], measurement: &str) -> Result<bool, QueryError> {
    let mut is_named = sources.is_empty();
    for source in sources {
        if let Source::Measurement(name) = source {
            is_named |= Name::of(name)?.contains(measurement);
        }
    }
    Ok(is_named)
}

/// Refuses what tags cannot decide.
fn check(expr: &Expr, is_field: &impl Fn(&str) -> bool) -> Result<(), QueryError> {
    match expr {
        Expr::Paren(inner) => check(inner, is_field),
        Expr::Binary(binary) if matches!(binary.op, BinaryOp::And | BinaryOp::Or) => {
            check(&binary.lhs, is_field)?;
            check(&binary.rhs, is_field)
        }
        Expr::Binary(binary) => check_comparison(binary, is_field),
        Expr::Boolean(_) => Ok(()),
        other => Err(QueryError::Statement(format!("invalid condition expression: {other}"))),
    }
}

fn check_comparison(binary: &BinaryExpr, is_field: &impl Fn(&str) -> bool) -> Result<(), QueryError> {
    const FIELDS: &str = "fields not supported in WHERE clause during deletion";
    let ((Expr::VarRef(tag), value) | (value, Expr::VarRef(tag))) = (&binary.lhs, &binary.rhs) else {
        return Err(QueryError::statement(FIELDS));
    };
    let is_tag = tag.data_type == Some(DataType::Tag);
    if tag.data_type.is_some_and(|of| of != DataType::Tag) || !is_tag && is_field(&tag.name) {
        return Err(QueryError::statement(FIELDS));
    }
    if is_system(&tag.name) && &*tag.name != NAME {
        return Err(QueryError::Statement(format!("{} is not supported during deletion", tag.name)));
    }
    match (binary.op, value) {
        (BinaryOp::Eq | BinaryOp::NotEq, Expr::String(_))
        | (BinaryOp::EqRegex | BinaryOp::NotEqRegex, Expr::Regex(_)) => Ok(()),
        (BinaryOp::Eq | BinaryOp::NotEq, Expr::VarRef(_)) => {
            Err(QueryError::statement("tags cannot be compared with each other during deletion"))
        }
        (_, Expr::String(_)) => Err(QueryError::statement("invalid tag comparison operator")),
        _ => Err(QueryError::statement(FIELDS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::influxql::parse_statement;
    use expect_test::{Expect, expect};
    use model::FieldType;
    use model::catalog::{Catalog, CatalogCommand, NewField, PolicySpec};

    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        let create = CatalogCommand::CreateDatabase { name: "d".into(), policy: PolicySpec::default() };
        catalog.apply(&create).unwrap();
        let field = |measurement: &str, field: &str| NewField {
            measurement: measurement.into(),
            field: field.into(),
            field_type: FieldType::Float,
        };
        let fields = vec![field("m", "f"), field("n", "f"), field("o", "g")];
        let database = catalog.database("d").unwrap().id;
        catalog.apply(&CatalogCommand::RegisterFields { database, fields }).unwrap();
        catalog
    }

    #[track_caller]
    fn check(statement: &str, expected: Expect) {
        let catalog = catalog();
        let context = ShowContext { catalog: &catalog, database: "d", policy: "", now_ns: 0 };
        let text = match deletes(&parse_statement(statement).unwrap(), &context) {
            Err(error) => error.to_string(),
            Ok(deletes) => {
                let one = |d: &Delete| {
                    let range = if d.range == TimeRange::ALL {
                        "always".to_owned()
                    } else {
                        format!("[{}, {})", d.range.start, d.range.end)
                    };
                    format!("{:?} {:?} {range}", d.measurements, d.predicate)
                };
                deletes.iter().map(one).collect::<Vec<_>>().join("\n")
            }
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn statements_say_what_goes() {
        check("DELETE FROM m", expect![[r#"Named("m") All always"#]]);
        check(
            "DELETE FROM /[mo]/ WHERE time < 1500",
            expect![[r#"
                Named("m") All [-9223372036854775806, 1500)
                Named("o") All [-9223372036854775806, 1500)"#]],
        );
        check(
            "DELETE FROM m WHERE a='1' AND time = 1000",
            expect![[r#"Named("m") Equal("a", "1") [1000, 1001)"#]],
        );
        check("DELETE WHERE _name = 'n'", expect![[r#"Named("n") All always"#]]);
        check("DELETE FROM m WHERE false", expect![[""]]);
        check("DELETE FROM nope", expect![[""]]);
        check("DROP SERIES FROM m WHERE g = 'x'", expect![[r#"Named("m") Equal("g", "x") always"#]]);
        check("DELETE FROM m WHERE 'x' = g", expect![[r#"Named("m") Equal("g", "x") always"#]]);
        check("DROP MEASUREMENT m", expect![[r#"Named("m") All always"#]]);
        check("DROP MEASUREMENT nope", expect![[""]]);
        check("SELECT f FROM m", expect![[""]]);
    }

    #[test]
    fn a_clause_is_not_looked_at_where_patterns_match_nothing() {
        check("DELETE FROM /nope/ WHERE a", expect![[""]]);
        check("DELETE FROM /nope/, m WHERE a", expect![["invalid condition expression: a"]]);
    }

    #[test]
    fn what_tags_cannot_decide_is_refused() {
        for clause in
            ["f = 1", "f = 'x'", "a = 1", "a = '1' OR b::field = '1'", "1 = a", "1 = 'a'", "'x' = f"]
        {
            let fields = expect![["fields not supported in WHERE clause during deletion"]];
            check(&format!("DELETE FROM m WHERE {clause}"), fields);
        }
        check("DELETE FROM m WHERE a > '1'", expect![["invalid tag comparison operator"]]);
        check(
            "DELETE FROM m WHERE a = b",
            expect![["tags cannot be compared with each other during deletion"]],
        );
        check("DELETE FROM m WHERE _tagKey = 'b'", expect![["_tagKey is not supported during deletion"]]);
        check(
            "DROP SERIES FROM m WHERE time > 5",
            expect![["DROP SERIES doesn't support time in WHERE clause"]],
        );
    }
}
