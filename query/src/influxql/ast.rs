//! The syntax tree. `Display` of every node (in `display.rs`) is InfluxDB 1.x's canonical text, and
//! `parse(print(tree)) == tree`.
//!
//! Here are expressions, SELECT and the [`Statement`] enum; the structs of the other statements are one family a
//! file. The parser makes these trees, planners and the HTTP surface read them; nothing here knows a catalog.

mod access;
mod ddl;
mod delete;
mod show;

pub use access::{
    CreateUser, DropUser, Grant, GrantAdmin, Privilege, Revoke, RevokeAdmin, SetPassword, ShowGrants,
};
pub use ddl::{
    AlterRetentionPolicy, CreateContinuousQuery, CreateDatabase, CreateRetentionPolicy, CreateSubscription,
    DropContinuousQuery, DropDatabase, DropRetentionPolicy, DropShard, DropSubscription, SubscriptionMode,
};
pub use delete::{Delete, DropMeasurement, DropSeries};
pub use show::{
    Cardinality, KillQuery, ShowDiagnostics, ShowFieldKeys, ShowMeasurements, ShowRetentionPolicies,
    ShowSeries, ShowStats, ShowTagKeys, ShowTagValues, ShowTagValuesCardinality, TagKeyMatch,
};

use std::fmt;

/// One statement of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// SELECT
    Select(Box<SelectStatement>),
    /// EXPLAIN, EXPLAIN ANALYZE
    Explain(Explain),
    /// DELETE
    Delete(Delete),
    /// SHOW DATABASES
    ShowDatabases,
    /// SHOW MEASUREMENTS
    ShowMeasurements(ShowMeasurements),
    /// SHOW MEASUREMENT CARDINALITY
    ShowMeasurementCardinality(Cardinality),
    /// SHOW SERIES
    ShowSeries(ShowSeries),
    /// SHOW SERIES CARDINALITY
    ShowSeriesCardinality(Cardinality),
    /// SHOW TAG KEYS
    ShowTagKeys(ShowTagKeys),
    /// SHOW TAG KEY CARDINALITY
    ShowTagKeyCardinality(Cardinality),
    /// SHOW TAG VALUES
    ShowTagValues(ShowTagValues),
    /// SHOW TAG VALUES CARDINALITY
    ShowTagValuesCardinality(ShowTagValuesCardinality),
    /// SHOW FIELD KEYS
    ShowFieldKeys(ShowFieldKeys),
    /// SHOW FIELD KEY CARDINALITY
    ShowFieldKeyCardinality(Cardinality),
    /// SHOW RETENTION POLICIES
    ShowRetentionPolicies(ShowRetentionPolicies),
    /// SHOW CONTINUOUS QUERIES
    ShowContinuousQueries,
    /// SHOW SUBSCRIPTIONS
    ShowSubscriptions,
    /// SHOW USERS
    ShowUsers,
    /// SHOW GRANTS FOR
    ShowGrants(ShowGrants),
    /// SHOW QUERIES
    ShowQueries,
    /// SHOW SHARDS
    ShowShards,
    /// SHOW SHARD GROUPS
    ShowShardGroups,
    /// SHOW STATS
    ShowStats(ShowStats),
    /// SHOW DIAGNOSTICS
    ShowDiagnostics(ShowDiagnostics),
    /// CREATE DATABASE
    CreateDatabase(CreateDatabase),
    /// CREATE RETENTION POLICY
    CreateRetentionPolicy(CreateRetentionPolicy),
    /// CREATE CONTINUOUS QUERY
    CreateContinuousQuery(CreateContinuousQuery),
    /// CREATE SUBSCRIPTION
    CreateSubscription(CreateSubscription),
    /// CREATE USER
    CreateUser(CreateUser),
    /// ALTER RETENTION POLICY
    AlterRetentionPolicy(AlterRetentionPolicy),
    /// SET PASSWORD
    SetPassword(SetPassword),
    /// GRANT … ON
    Grant(Grant),
    /// GRANT ALL PRIVILEGES TO
    GrantAdmin(GrantAdmin),
    /// REVOKE … ON
    Revoke(Revoke),
    /// REVOKE ALL PRIVILEGES FROM
    RevokeAdmin(RevokeAdmin),
    /// DROP DATABASE
    DropDatabase(DropDatabase),
    /// DROP RETENTION POLICY
    DropRetentionPolicy(DropRetentionPolicy),
    /// DROP MEASUREMENT
    DropMeasurement(DropMeasurement),
    /// DROP SERIES
    DropSeries(DropSeries),
    /// DROP SHARD
    DropShard(DropShard),
    /// DROP CONTINUOUS QUERY
    DropContinuousQuery(DropContinuousQuery),
    /// DROP SUBSCRIPTION
    DropSubscription(DropSubscription),
    /// DROP USER
    DropUser(DropUser),
    /// KILL QUERY
    KillQuery(KillQuery),
}

impl Statement {
    /// Whether the statement changes something.
    pub fn is_write(&self) -> bool {
        matches!(self, Self::Delete(_)) || self.warns_when_read_only()
    }

    /// Whether 1.x runs the statement on a GET request, but with the warning `deprecated use of '…' in a read only
    /// context`: every statement that changes something except DELETE.
    pub fn warns_when_read_only(&self) -> bool {
        match self {
            Self::Select(select) => select.target.is_some(),
            Self::CreateDatabase(_)
            | Self::CreateRetentionPolicy(_)
            | Self::CreateContinuousQuery(_)
            | Self::CreateSubscription(_)
            | Self::CreateUser(_)
            | Self::AlterRetentionPolicy(_)
            | Self::SetPassword(_)
            | Self::Grant(_)
            | Self::GrantAdmin(_)
            | Self::Revoke(_)
            | Self::RevokeAdmin(_)
            | Self::DropDatabase(_)
            | Self::DropRetentionPolicy(_)
            | Self::DropMeasurement(_)
            | Self::DropSeries(_)
            | Self::DropShard(_)
            | Self::DropContinuousQuery(_)
            | Self::DropSubscription(_)
            | Self::DropUser(_)
            | Self::KillQuery(_) => true,
            _ => false,
        }
    }

    /// The database the statement names itself (`ON db`), which counts when the request names none; `""` if it
    /// names none either.
    pub fn default_database(&self) -> &str {
        match self {
            Self::ShowMeasurements(s) => &s.database,
            Self::ShowSeries(s) => &s.database,
            Self::ShowTagKeys(s) => &s.database,
            Self::ShowTagValues(s) => &s.database,
            Self::ShowTagValuesCardinality(s) => &s.cardinality.database,
            Self::ShowFieldKeys(s) => &s.database,
            Self::ShowMeasurementCardinality(s)
            | Self::ShowSeriesCardinality(s)
            | Self::ShowTagKeyCardinality(s)
            | Self::ShowFieldKeyCardinality(s) => &s.database,
            Self::ShowRetentionPolicies(s) => &s.database,
            Self::CreateRetentionPolicy(s) => &s.database,
            Self::CreateContinuousQuery(s) => &s.database,
            Self::CreateSubscription(s) => &s.database,
            Self::AlterRetentionPolicy(s) => &s.database,
            Self::DropRetentionPolicy(s) => &s.database,
            Self::DropContinuousQuery(s) => &s.database,
            Self::DropSubscription(s) => &s.database,
            Self::Grant(s) => &s.database,
            Self::Revoke(s) => &s.database,
            _ => "",
        }
    }
}

/// EXPLAIN.
#[derive(Debug, Clone, PartialEq)]
pub struct Explain {
    /// What is explained.
    pub statement: Box<SelectStatement>,
    /// ANALYZE was said: the statement runs and is measured.
    pub analyze: bool,
}

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
    /// The target of INTO: an empty name then stands for `:MEASUREMENT`, the name of the source.
    pub is_target: bool,
}
