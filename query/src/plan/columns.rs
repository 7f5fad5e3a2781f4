//! Names of columns.

use crate::influxql::ast::{Expr, SelectField};
use std::collections::HashMap;

/// What a select item is called if nothing else has that name.
pub(super) fn field_name(field: &SelectField) -> String {
    field.alias.clone().unwrap_or_else(|| expr_name(&field.expr))
}

fn expr_name(expr: &Expr) -> String {
    match expr {
        Expr::Call(call) => call.name.clone(),
        Expr::VarRef(reference) => reference.name.clone(),
        Expr::Paren(inner) => expr_name(inner),
        Expr::Binary(_) => {
            let mut names = Vec::new();
            operands(expr, &mut names);
            names.join("_")
        }
        _ => String::new(),
    }
}

/// Names of the operands of arithmetic: fields and functions, literals add nothing.
fn operands(expr: &Expr, names: &mut Vec<String>) {
    match expr {
        Expr::Binary(binary) => {
            operands(&binary.lhs, names);
            operands(&binary.rhs, names);
        }
        Expr::Paren(inner) => operands(inner, names),
        Expr::VarRef(reference) => names.push(reference.name.clone()),
        Expr::Call(call) => names.push(call.name.clone()),
        _ => {}
    }
}

/// The tags that `top(field, tag, …, n)` adds as columns.
pub(super) fn added_columns(expr: &Expr) -> Vec<SelectField> {
    match expr {
        Expr::Call(call) if matches!(call.name.as_str(), "top" | "bottom") && call.args.len() > 2 => call
            .args[1..call.args.len() - 1]
            .iter()
            .map(|tag| SelectField { expr: tag.clone(), alias: None })
            .collect(),
        _ => Vec::new(),
    }
}

/// Names of all columns, the time column first. Aliases are taken before generated names, which get `_1`, `_2` and so
/// on when they are taken.
pub(super) fn column_names(time_column: &str, fields: &[SelectField]) -> Vec<String> {
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields {
        columns.push(field.clone());
        columns.extend(added_columns(&field.expr));
    }
    numbered(time_column, &columns)
}

/// Names of all columns of rows that become points, the time column first, and which columns are tags: those that
/// top() and bottom() add have the names of their tags, whatever else has that name.
pub(super) fn names_of_points(time_column: &str, fields: &[SelectField]) -> (Vec<String>, Vec<usize>) {
    let mut own = numbered(time_column, fields).into_iter();
    let mut names: Vec<String> = own.next().into_iter().collect();
    let mut tags = Vec::new();
    for (field, name) in fields.iter().zip(own) {
        names.push(name);
        for tag in added_columns(&field.expr) {
            tags.push(names.len());
            names.push(expr_name(&tag.expr));
        }
    }
    (names, tags)
}

fn numbered(time_column: &str, columns: &[SelectField]) -> Vec<String> {
    let mut taken: HashMap<String, usize> = HashMap::new();
    for alias in columns.iter().filter_map(|c| c.alias.as_ref()) {
        taken.insert(alias.clone(), 1);
    }
    let mut names = vec![time_column.to_owned()];
    for column in columns {
        if let Some(alias) = &column.alias {
            names.push(alias.clone());
            continue;
        }
        let base = expr_name(&column.expr);
        let mut name = base.clone();
        if let Some(&count) = taken.get(&base) {
            let mut count = count;
            loop {
                name = format!("{base}_{count}");
                if !taken.contains_key(&name) {
                    break;
                }
                count += 1;
            }
            taken.insert(base, count + 1);
        }
        *taken.entry(name.clone()).or_insert(0) += 1;
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::influxql::ast::Statement;
    use crate::influxql::parse_statement;

    fn names(select: &str) -> Vec<String> {
        let Statement::Select(statement) = parse_statement(&format!("SELECT {select} FROM m")).unwrap()
        else {
            panic!("no SELECT")
        };
        column_names("time", &statement.fields)
    }

    #[test]
    fn duplicates_are_numbered() {
        assert_eq!(names("mean(v), mean(i)"), ["time", "mean", "mean_1"]);
        assert_eq!(names("f, f AS f"), ["time", "f_1", "f"]);
        assert_eq!(names("f + i, sum(f) / count(f), mean(f) * 2"), ["time", "f_i", "sum_count", "mean"]);
        assert_eq!(names("top(f, host, 2), host"), ["time", "top", "host", "host_1"]);
    }

    #[test]
    fn tags_that_top_adds_are_tags_of_points() {
        let Statement::Select(statement) =
            parse_statement("SELECT top(f, host, az, 2), host, f INTO t FROM m").unwrap()
        else {
            panic!("no SELECT")
        };
        let (names, tags) = names_of_points("time", &statement.fields);
        assert_eq!(names, ["time", "top", "host", "az", "host", "f"]);
        assert_eq!(tags, [2, 3]);
    }
}
