//! Random expressions, in the shape that the parser gives them.

use proptest::prelude::*;
use query::influxql::ast::{BinaryExpr, BinaryOp, Call, DataType, Expr, VarRef, WildcardKind};

/// Names that need quotes and names that do not.
pub(super) fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zA-Z_][a-z0-9_]{0,6}",
        1 => prop::sample::select(vec!["select", "Default", "in", "true", "and", "time", "name", "é"])
            .prop_map(str::to_owned),
        1 => text().prop_filter("not empty", |s| !s.is_empty()),
    ]
}

/// Text of strings: everything but line ends other than `\n`, which a query text cannot hold.
pub(super) fn text() -> impl Strategy<Value = String> {
    "[ -~\n\u{e9}\u{4e16}]{0,8}"
}

pub(super) fn pattern() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a.*", "^a|b$", "a/b", r"\/x\.", "[a-z]{2}", "(?i)é", "", r"a\\b"])
        .prop_map(str::to_owned)
}

pub(super) fn duration_ns() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), -1_000_000..1_000_000_i64, (1..1_000_i64).prop_map(|h| h * 3_600_000_000_000)]
}

fn var_ref() -> impl Strategy<Value = Expr> {
    let types = [
        DataType::Float,
        DataType::Integer,
        DataType::Unsigned,
        DataType::String,
        DataType::Boolean,
        DataType::AnyField,
        DataType::Tag,
    ];
    (name(), prop::option::of(prop::sample::select(types.to_vec())))
        .prop_map(|(name, data_type)| Expr::VarRef(VarRef { name, data_type }))
}

fn leaf() -> impl Strategy<Value = Expr> {
    prop_oneof![
        3 => var_ref(),
        1 => any::<i64>().prop_map(Expr::Integer),
        1 => (i64::MAX as u64 + 1..).prop_map(Expr::Unsigned),
        1 => (-1_000_000..1_000_000_i32).prop_map(|n| Expr::Number(f64::from(n) / 1_000.0)),
        1 => text().prop_map(Expr::String),
        1 => any::<bool>().prop_map(Expr::Boolean),
        1 => duration_ns().prop_map(Expr::Duration),
        1 => prop::sample::select(vec![WildcardKind::All, WildcardKind::Field, WildcardKind::Tag])
            .prop_map(Expr::Wildcard),
        1 => name().prop_map(Expr::Distinct),
    ]
}

fn precedence(op: BinaryOp) -> usize {
    LEVELS.iter().position(|ops| ops.contains(&op)).unwrap_or_default()
}

const LEVELS: [&[BinaryOp]; 5] = [
    &[BinaryOp::Or],
    &[BinaryOp::And],
    &[
        BinaryOp::Eq,
        BinaryOp::NotEq,
        BinaryOp::Lt,
        BinaryOp::LtEq,
        BinaryOp::Gt,
        BinaryOp::GtEq,
        BinaryOp::EqRegex,
        BinaryOp::NotEqRegex,
    ],
    ARITHMETIC.0,
    ARITHMETIC.1,
];

const ARITHMETIC: (&[BinaryOp], &[BinaryOp]) = (
    &[BinaryOp::Add, BinaryOp::Sub, BinaryOp::BitOr, BinaryOp::BitXor],
    &[BinaryOp::Mul, BinaryOp::Div, BinaryOp::Mod, BinaryOp::BitAnd],
);

/// `lhs op rhs`, with the parentheses that the text needs.
fn binary(op: BinaryOp, lhs: Expr, rhs: Expr, pattern: String) -> Expr {
    let level = |expr: &Expr| if let Expr::Binary(b) = expr { precedence(b.op) } else { usize::MAX };
    let lhs = if level(&lhs) < precedence(op) { Expr::Paren(Box::new(lhs)) } else { lhs };
    let rhs = match op {
        BinaryOp::EqRegex | BinaryOp::NotEqRegex => Expr::Regex(pattern),
        _ if level(&rhs) <= precedence(op) => Expr::Paren(Box::new(rhs)),
        _ => rhs,
    };
    Expr::Binary(Box::new(BinaryExpr { op, lhs, rhs }))
}

fn tree(ops: Vec<BinaryOp>) -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(4, 24, 3, move |inner| {
        let arg = prop_oneof![4 => inner.clone(), 1 => pattern().prop_map(Expr::Regex)];
        prop_oneof![
            3 => (prop::sample::select(ops.clone()), inner.clone(), inner.clone(), pattern())
                .prop_map(|(op, lhs, rhs, pattern)| binary(op, lhs, rhs, pattern)),
            1 => inner.prop_map(|inner| Expr::Paren(Box::new(inner))),
            1 => ("[a-z_]{1,5}|distinct|a b", prop::collection::vec(arg, 0..3))
                .prop_map(|(name, args)| Expr::Call(Call { name, args })),
        ]
    })
}

/// What may stand after WHERE.
pub(super) fn condition() -> impl Strategy<Value = Expr> {
    tree(LEVELS.concat())
}

/// What may stand in a select list or after GROUP BY.
pub(super) fn value() -> impl Strategy<Value = Expr> {
    prop_oneof![
        5 => tree([ARITHMETIC.0, ARITHMETIC.1].concat()),
        1 => pattern().prop_map(Expr::Regex),
    ]
}
