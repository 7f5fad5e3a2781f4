//! SELECT … INTO of more points than fit into memory: the same statement, range of time after range.
//!
//! Where rows are points as they are, no row depends on another, and it does not matter how many of them are read at once.

use crate::influxql::ast::{
    BinaryExpr, BinaryOp, DataType, Expr, SelectStatement, SortField, Source, VarRef,
};
use crate::result::{Cell, Series};
use model::TimeRange;

/// Whether a statement may be run range after range: it selects points as they are, all of them.
pub fn can_be_cut(select: &SelectStatement) -> bool {
    let limits = [select.limit, select.offset, select.slimit, select.soffset];
    select.sources.iter().all(|source| matches!(source, Source::Measurement(_)))
        && select.fields.iter().all(|field| !calls(&field.expr))
        && limits == [0; 4]
}

/// Whether an expression calls a function. Those that take a point are few, and none needs to be told from the others.
fn calls(expr: &Expr) -> bool {
    match expr {
        Expr::Call(_) | Expr::Distinct(_) => true,
        Expr::Paren(inner) => calls(inner),
        Expr::Binary(binary) => calls(&binary.lhs) || calls(&binary.rhs),
        _ => false,
    }
}

/// The statement's first row, or the last one, of each measurement.
#[must_use]
pub fn edge(select: &SelectStatement, ascending: bool) -> SelectStatement {
    SelectStatement {
        target: None,
        dimensions: Vec::new(),
        order: vec![SortField { name: "time".to_owned(), ascending }],
        limit: 1,
        ..select.clone()
    }
}

/// The statement's rows in a range.
#[must_use]
pub fn within(select: &SelectStatement, range: TimeRange) -> SelectStatement {
    let bound = |op, time| {
        let rhs = Expr::Integer(time);
        let lhs = Expr::VarRef(VarRef { name: "time".to_owned(), data_type: None::<DataType> });
        Expr::Binary(Box::new(BinaryExpr { op, lhs, rhs }))
    };
    let and = |lhs, rhs| Expr::Binary(Box::new(BinaryExpr { op: BinaryOp::And, lhs, rhs }));
    let bounds = and(bound(BinaryOp::GtEq, range.start), bound(BinaryOp::Lt, range.end));
    let condition = match &select.condition {
        Some(condition) => and(Expr::Paren(Box::new(condition.clone())), bounds),
        None => bounds,
    };
    SelectStatement { condition: Some(condition), ..select.clone() }
}

/// The range from the first to the last of these rows; `None` without rows.
pub fn range_of<'a>(rows: impl Iterator<Item = &'a Series>) -> Option<TimeRange> {
    let cells = rows.flat_map(|series| &series.cells);
    let times = cells.filter_map(|cell| if let Cell::Time(time) = cell { Some(*time) } else { None });
    let (first, last) = times.fold((i64::MAX, i64::MIN), |(min, max), time| (min.min(time), max.max(time)));
    (first <= last).then(|| TimeRange::new(first, last.saturating_add(1)))
}

/// Two ranges that are a range together; `None` of a single time.
pub fn halves(range: TimeRange) -> Option<(TimeRange, TimeRange)> {
    let middle = i64::midpoint(range.start, range.end);
    (range.start < middle && middle < range.end)
        .then(|| (TimeRange::new(range.start, middle), TimeRange::new(middle, range.end)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::influxql::ast::Statement;
    use crate::influxql::parse_statement;

    fn select(text: &str) -> SelectStatement {
        let Ok(Statement::Select(select)) = parse_statement(text) else { panic!("{text}") };
        *select
    }

    #[test]
    fn only_points_as_they_are_can_be_cut() {
        for (text, can) in [
            ("SELECT * INTO b FROM a GROUP BY *", true),
            ("SELECT v + 1, h INTO b FROM a, c WHERE h = 'x' OR time < 5", true),
            ("SELECT mean(v) INTO b FROM a", false),
            ("SELECT abs(v) INTO b FROM a", false),
            ("SELECT v INTO b FROM a LIMIT 5", false),
            ("SELECT v INTO b FROM (SELECT v FROM a)", false),
            ("SELECT DISTINCT v INTO b FROM a", false),
        ] {
            assert_eq!(can_be_cut(&select(text)), can, "{text}");
        }
    }

    #[test]
    fn a_part_keeps_what_the_clause_says() {
        let whole = select("SELECT v INTO b FROM a WHERE h = 'x' OR time < 5 GROUP BY h");
        let part = within(&whole, TimeRange::new(-3, 4)).to_string();
        assert_eq!(
            part,
            "SELECT v INTO b FROM a WHERE (h = 'x' OR time < 5) AND time >= -3 AND time < 4 GROUP BY h"
        );
        let last = edge(&whole, false).to_string();
        assert_eq!(last, "SELECT v FROM a WHERE h = 'x' OR time < 5 ORDER BY time DESC LIMIT 1");
    }

    #[test]
    fn halves_are_the_whole() {
        let whole = TimeRange::new(i64::MIN + 2, i64::MAX);
        let (first, second) = halves(whole).unwrap();
        assert_eq!((first.start, first.end, second.end), (whole.start, second.start, whole.end));
        assert_eq!(halves(TimeRange::new(5, 6)), None);
        assert_eq!(halves(TimeRange::new(5, 7)), Some((TimeRange::new(5, 6), TimeRange::new(6, 7))));
    }
}
