//! The syntax tree. `Display` of every node (in `display.rs`) is InfluxDB 1.x's canonical text, and
//! `parse(print(tree)) == tree`.

use std::fmt;

/// An expression: select lists, conditions, dimensions.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A field, tag or `time`, with its `::type` if one was written.
    VarRef(VarRef),
    /// `name(args)`; the name as written in lower case.
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

/// SELECT.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectStatement {
    /// The select list.
    pub fields: Vec<SelectField>,
    /// INTO.
    pub target: Option<MeasurementName>,
    /// FROM.
    pub sources: Vec<Source>,
    /// WHERE.
    pub condition: Option<Expr>,
    /// GROUP BY.
    pub dimensions: Vec<Expr>,
    /// fill().
    pub fill: Fill,
    /// ORDER BY time; `None` if not said.
    pub order: Vec<SortField>,
    /// LIMIT; 0 is none.
    pub limit: u64,
    /// OFFSET.
    pub offset: u64,
    /// SLIMIT; 0 is none.
    pub slimit: u64,
    /// SOFFSET.
    pub soffset: u64,
    /// tz(): the name as given.
    pub time_zone: Option<String>,
}

/// One item of a select list.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectField {
    /// What is selected.
    pub expr: Expr,
    /// AS; `None` if not said.
    pub alias: Option<String>,
}

/// One item of ORDER BY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortField {
    /// `time`, or empty when only the direction was written.
    pub name: String,
    /// ASC (or nothing) is true.
    pub ascending: bool,
}

/// fill().
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fill {
    /// Not said, or `null`: null, but 0 for counts.
    Null,
    /// Rows without a value are left out.
    None,
    /// A number.
    Number(FillNumber),
    /// The value before.
    Previous,
    /// Between the neighbours.
    Linear,
}

/// The number of `fill(n)`, as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FillNumber {
    /// Without a point.
    Integer(i64),
    /// With a point.
    Float(f64),
}

/// What stands after FROM.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A measurement or a pattern of them.
    Measurement(MeasurementName),
    /// A subquery.
    Subquery(Box<SelectStatement>),
}

/// `db.rp.name`; empty parts were not written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MeasurementName {
    /// Database.
    pub database: String,
    /// Retention policy.
    pub policy: String,
    /// Name; empty when `regex` is given or this is an INTO of `:MEASUREMENT`.
    pub name: String,
    /// `/pattern/` in place of a name.
    pub regex: Option<String>,
    /// `_series` and the like, set when a SHOW statement is rewritten.
    pub is_target: bool,
}
