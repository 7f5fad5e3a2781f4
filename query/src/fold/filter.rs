//! The conditions that dashboards send, `value > 60 AND value < 90`, over whole chunks: comparisons of the field that is
//! read with numbers. Everything else is tested row by row with the same outcome.

use super::Span;
use crate::condition::RowExpr;
use crate::influxql::ast::BinaryOp;
use crate::result::Cell;
use model::value::Values;

/// `field op number`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Comparison {
    op: Operator,
    number: Number,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Float(f64),
    Integer(i64),
}

/// The comparisons that an expression is made of, if all of them are of the field that is read.
pub(super) fn comparisons(expr: &RowExpr, is_lead: &impl Fn(usize) -> bool) -> Option<Vec<Comparison>> {
    let RowExpr::Binary(op, sides) = expr else { return None };
    if *op == BinaryOp::And {
        let mut all = comparisons(&sides.0, is_lead)?;
        all.extend(comparisons(&sides.1, is_lead)?);
        return Some(all);
    }
    let op = match op {
        BinaryOp::Eq => Operator::Eq,
        BinaryOp::NotEq => Operator::NotEq,
        BinaryOp::Lt => Operator::Lt,
        BinaryOp::LtEq => Operator::LtEq,
        BinaryOp::Gt => Operator::Gt,
        BinaryOp::GtEq => Operator::GtEq,
        _ => return None,
    };
    let number = match &**sides {
        (RowExpr::Field(i), RowExpr::Constant(Cell::Float(f))) if is_lead(*i) => Number::Float(*f),
        (RowExpr::Field(i), RowExpr::Constant(Cell::Integer(n))) if is_lead(*i) => Number::Integer(*n),
        _ => return None,
    };
    Some(vec![Comparison { op, number }])
}

/// Puts the points that pass all comparisons into `times` and `values`, which are empty; false if the column is not of
/// numbers that can be compared here.
pub(super) fn keep(
    comparisons: &[Comparison],
    span: Span<'_>,
    (times, values): (&mut Vec<i64>, &mut Values),
) -> bool {
    let from = &span.times[span.from..span.to];
    match (span.values, values) {
        (Values::Float(all), Values::Float(kept)) => {
            let all = &all[span.from..span.to];
            each(comparisons, (from, all), (times, kept), |comparison| match comparison.number {
                Number::Float(f) => Some((comparison.op, f)),
                Number::Integer(n) => Some((comparison.op, n as f64)),
            })
        }
        (Values::Integer(all), Values::Integer(kept)) => {
            let all = &all[span.from..span.to];
            each(comparisons, (from, all), (times, kept), |comparison| match comparison.number {
                // As a float it compares in another way; the general test knows how.
                Number::Float(_) => None,
                Number::Integer(n) => Some((comparison.op, n)),
            })
        }
        _ => false,
    }
}

fn each<T: Copy + PartialOrd>(
    comparisons: &[Comparison],
    (from, all): (&[i64], &[T]),
    (times, kept): (&mut Vec<i64>, &mut Vec<T>),
    number: impl Fn(&Comparison) -> Option<(Operator, T)>,
) -> bool {
    let tests: Option<Vec<(Operator, T)>> = comparisons.iter().map(number).collect();
    let Some(tests) = tests else { return false };
    let Some(((op, number), later)) = tests.split_first() else { return false };
    match op {
        Operator::Eq => pass(from, all, times, kept, |v| v == *number),
        Operator::NotEq => pass(from, all, times, kept, |v| v != *number),
        Operator::Lt => pass(from, all, times, kept, |v| v < *number),
        Operator::LtEq => pass(from, all, times, kept, |v| v <= *number),
        Operator::Gt => pass(from, all, times, kept, |v| v > *number),
        Operator::GtEq => pass(from, all, times, kept, |v| v >= *number),
    }
    for (op, number) in later {
        let (some_times, some) = (std::mem::take(times), std::mem::take(kept));
        pass(&some_times, &some, times, kept, |v| match op {
            Operator::Eq => v == *number,
            Operator::NotEq => v != *number,
            Operator::Lt => v < *number,
            Operator::LtEq => v <= *number,
            Operator::Gt => v > *number,
            Operator::GtEq => v >= *number,
        });
    }
    true
}

fn pass<T: Copy>(from: &[i64], all: &[T], times: &mut Vec<i64>, kept: &mut Vec<T>, test: impl Fn(T) -> bool) {
    times.reserve(all.len());
    kept.reserve(all.len());
    for (time, value) in from.iter().zip(all) {
        if test(*value) {
            times.push(*time);
            kept.push(*value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OPS: [BinaryOp; 6] =
        [BinaryOp::Eq, BinaryOp::NotEq, BinaryOp::Lt, BinaryOp::LtEq, BinaryOp::Gt, BinaryOp::GtEq];

    fn comparison(op: usize, number: Cell) -> RowExpr {
        RowExpr::Binary(OPS[op], Box::new((RowExpr::Field(0), RowExpr::Constant(number))))
    }

    fn number() -> impl Strategy<Value = Cell> {
        prop_oneof![
            (-5_i64..5).prop_map(Cell::Integer),
            (-10_i32..10).prop_map(|f| Cell::Float(f64::from(f) / 2.0)),
        ]
    }

    proptest! {
        #[test]
        fn whole_chunks_pass_as_their_rows_do(
            tests in prop::collection::vec((0_usize..6, number()), 1..4),
            numbers in prop::collection::vec(-5_i64..5, 0..50),
            floats: bool,
            cut in 0_usize..5,
        ) {
            let expr = tests.iter().map(|(op, number)| comparison(*op, number.clone()));
            let expr = expr.reduce(|a, b| RowExpr::Binary(BinaryOp::And, Box::new((a, b)))).unwrap();
            let times: Vec<i64> = (0..numbers.len() as i64).collect();
            let values = if floats {
                Values::Float(numbers.iter().map(|n| *n as f64 / 2.0).collect())
            } else {
                Values::Integer(numbers)
            };
            let span = Span { times: &times, values: &values, from: cut.min(times.len()), to: times.len() };
            let found = comparisons(&expr, &|i| i == 0).unwrap();
            let mut kept = (Vec::new(), Values::new(values.field_type()));
            if keep(&found, span, (&mut kept.0, &mut kept.1)) {
                let cell = |place: usize| super::super::columns::cell(&values, place);
                let passing: Vec<usize> =
                    (span.from..span.to).filter(|place| expr.passes(&|_| cell(*place))).collect();
                prop_assert_eq!(&kept.0, &passing.iter().map(|i| *i as i64).collect::<Vec<_>>());
                let cells: Vec<Cell> = passing.into_iter().map(cell).collect();
                let all = (0..kept.1.len()).map(|i| super::super::columns::cell(&kept.1, i));
                prop_assert_eq!(all.collect::<Vec<_>>(), cells);
            } else {
                prop_assert!(!floats && tests.iter().any(|(_, n)| matches!(n, Cell::Float(_))));
            }
        }
    }

    #[test]
    fn other_conditions_are_left_to_the_rows() {
        let lead = |i| i == 0;
        let or = RowExpr::Binary(
            BinaryOp::Or,
            Box::new((comparison(0, Cell::Integer(1)), comparison(1, Cell::Integer(2)))),
        );
        assert_eq!(comparisons(&or, &lead), None);
        let other =
            RowExpr::Binary(BinaryOp::Gt, Box::new((RowExpr::Field(1), RowExpr::Constant(Cell::Integer(1)))));
        assert_eq!(comparisons(&other, &lead), None);
        assert_eq!(comparisons(&comparison(0, Cell::String("x".into())), &lead), None);
    }
}
