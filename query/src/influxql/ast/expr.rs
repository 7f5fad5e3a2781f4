//! Expressions: select lists, conditions, dimensions.

use std::fmt;

/// An expression: select lists, conditions, dimensions.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A field, tag or `time`, with its `::type` if one was written.
    VarRef(VarRef),
    /// `name(args)`; the name in lower case.
    Call(Call),
    /// `lhs op rhs`.
    Binary(Box<BinaryExpr>),
    /// `(inner)`.
    Paren(Box<Expr>),
    /// `*`, `*::field`, `*::tag`.
    Wildcard(WildcardKind),
    /// `/source/`, unescaped Go syntax; compile with `influxql::regex::compile`.
    Regex(String),
    /// `DISTINCT name` (without parentheses).
    Distinct(String),
    /// A whole number.
    Integer(i64),
    /// A whole number above `i64::MAX`.
    Unsigned(u64),
    /// A number with a point.
    Number(f64),
    /// `'text'`.
    String(String),
    /// `true`, `false`.
    Boolean(bool),
    /// A duration in ns.
    Duration(i64),
    /// A time in ns since the epoch; never parsed, made when conditions are reduced.
    Time(i64),
    /// `(a, b)` of `WITH KEY IN`.
    List(Vec<String>),
    /// `$name`.
    BoundParameter(String),
}

/// A reference to a field, a tag or `time`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VarRef {
    /// Unquoted name.
    pub name: String,
    /// What stood after `::`.
    pub data_type: Option<DataType>,
}

/// The types that may stand after `::`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// `::float`
    Float,
    /// `::integer`
    Integer,
    /// `::unsigned`
    Unsigned,
    /// `::string`
    String,
    /// `::boolean`
    Boolean,
    /// `::field`: any field
    AnyField,
    /// `::tag`
    Tag,
}

impl DataType {
    /// The number that 1.x has for a type, 0 for none: it shows in error texts and in the order of columns.
    pub(crate) fn number(data_type: Option<Self>) -> u8 {
        match data_type {
            None => 0,
            Some(Self::Float) => 1,
            Some(Self::Integer) => 2,
            Some(Self::String) => 3,
            Some(Self::Boolean) => 4,
            Some(Self::Tag) => 7,
            Some(Self::AnyField) => 8,
            Some(Self::Unsigned) => 9,
        }
    }
}

impl Expr {
    /// The same with every reference replaced by what `f` makes of it.
    pub(crate) fn map_references(&self, f: &mut impl FnMut(&VarRef) -> VarRef) -> Self {
        match self {
            Self::VarRef(reference) => Self::VarRef(f(reference)),
            Self::Call(call) => {
                let args = call.args.iter().map(|arg| arg.map_references(f)).collect();
                Self::Call(Call { name: call.name.clone(), args })
            }
            Self::Binary(binary) => {
                let BinaryExpr { op, lhs, rhs } = &**binary;
                let (lhs, rhs) = (lhs.map_references(f), rhs.map_references(f));
                Self::Binary(Box::new(BinaryExpr { op: *op, lhs, rhs }))
            }
            Self::Paren(inner) => Self::Paren(Box::new(inner.map_references(f))),
            other => other.clone(),
        }
    }
}

/// What a wildcard stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WildcardKind {
    /// `*`
    All,
    /// `*::field`
    Field,
    /// `*::tag`
    Tag,
}

/// A function call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Lower case.
    pub name: String,
    /// As written.
    pub args: Vec<Expr>,
}

/// `lhs op rhs`.
#[derive(Debug, Clone, PartialEq)]
pub struct BinaryExpr {
    /// The operator.
    pub op: BinaryOp,
    /// Left of it.
    pub lhs: Expr,
    /// Right of it.
    pub rhs: Expr,
}

/// Binary operators; precedence from low to high: `OR`, `AND`, comparisons, `+ - | ^`, `* / % &`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the operators")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    BitAnd,
    BitOr,
    BitXor,
    And,
    Or,
    Eq,
    NotEq,
    EqRegex,
    NotEqRegex,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

impl fmt::Display for BinaryOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::BitAnd => "&",
            Self::BitOr => "|",
            Self::BitXor => "^",
            Self::And => "AND",
            Self::Or => "OR",
            Self::Eq => "=",
            Self::NotEq => "!=",
            Self::EqRegex => "=~",
            Self::NotEqRegex => "!~",
            Self::Lt => "<",
            Self::LtEq => "<=",
            Self::Gt => ">",
            Self::GtEq => ">=",
        })
    }
}
