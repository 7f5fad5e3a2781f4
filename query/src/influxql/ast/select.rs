//! SELECT, as written.

use super::Expr;

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
    /// The target of INTO: an empty name then stands for `:MEASUREMENT`, the name of the source.
    pub is_target: bool,
}
