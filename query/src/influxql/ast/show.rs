//! SHOW statements and KILL QUERY, as written.
//!
//! In all of them an empty `database` means that `ON` was not said, and 0 as a limit that none was.

use super::{Expr, MeasurementName, SortField, Source};

/// SHOW MEASUREMENTS.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ShowMeasurements {
    /// ON.
    pub database: String,
    /// WITH MEASUREMENT: a name after `=`, a regular expression after `=~`.
    pub measurement: Option<MeasurementName>,
    /// WHERE.
    pub condition: Option<Expr>,
    /// ORDER BY.
    pub order: Vec<SortField>,
    /// LIMIT.
    pub limit: u64,
    /// OFFSET.
    pub offset: u64,
}

/// SHOW SERIES.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ShowSeries {
    /// ON.
    pub database: String,
    /// FROM; empty if not said.
    pub sources: Vec<Source>,
    /// WHERE.
    pub condition: Option<Expr>,
    /// ORDER BY.
    pub order: Vec<SortField>,
    /// LIMIT.
    pub limit: u64,
    /// OFFSET.
    pub offset: u64,
}

/// SHOW TAG KEYS.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ShowTagKeys {
    /// ON.
    pub database: String,
    /// FROM; empty if not said.
    pub sources: Vec<Source>,
    /// WHERE.
    pub condition: Option<Expr>,
    /// ORDER BY.
    pub order: Vec<SortField>,
    /// LIMIT, per measurement.
    pub limit: u64,
    /// OFFSET, per measurement.
    pub offset: u64,
    /// SLIMIT; 1.x reads it and does nothing with it.
    pub slimit: u64,
    /// SOFFSET; 1.x reads it and does nothing with it.
    pub soffset: u64,
}

/// SHOW TAG VALUES.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowTagValues {
    /// ON.
    pub database: String,
    /// FROM; empty if not said.
    pub sources: Vec<Source>,
    /// WITH KEY.
    pub key: TagKeyMatch,
    /// WHERE.
    pub condition: Option<Expr>,
    /// ORDER BY.
    pub order: Vec<SortField>,
    /// LIMIT, per measurement.
    pub limit: u64,
    /// OFFSET, per measurement.
    pub offset: u64,
}

/// The tag keys that `WITH KEY` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagKeyMatch {
    /// `= key`
    Equal(String),
    /// `!= key`
    NotEqual(String),
    /// `=~ /pattern/`, unescaped Go syntax
    Match(String),
    /// `!~ /pattern/`, unescaped Go syntax
    NotMatch(String),
    /// `IN (key, key)`
    In(Vec<String>),
}

/// SHOW FIELD KEYS.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ShowFieldKeys {
    /// ON.
    pub database: String,
    /// FROM; empty if not said.
    pub sources: Vec<Source>,
    /// ORDER BY.
    pub order: Vec<SortField>,
    /// LIMIT, per measurement.
    pub limit: u64,
    /// OFFSET, per measurement.
    pub offset: u64,
}

/// SHOW … CARDINALITY of series, measurements, tag keys, field keys.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cardinality {
    /// EXACT was said.
    pub exact: bool,
    /// ON.
    pub database: String,
    /// FROM; empty if not said.
    pub sources: Vec<Source>,
    /// WHERE.
    pub condition: Option<Expr>,
    /// GROUP BY.
    pub dimensions: Vec<Expr>,
    /// LIMIT.
    pub limit: u64,
    /// OFFSET.
    pub offset: u64,
}

/// SHOW TAG VALUES CARDINALITY.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowTagValuesCardinality {
    /// What all CARDINALITY statements say.
    pub cardinality: Cardinality,
    /// WITH KEY.
    pub key: TagKeyMatch,
}

/// SHOW RETENTION POLICIES.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShowRetentionPolicies {
    /// ON.
    pub database: String,
}

/// SHOW STATS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShowStats {
    /// FOR; empty is every module.
    pub module: String,
}

/// SHOW DIAGNOSTICS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShowDiagnostics {
    /// FOR; empty is every module.
    pub module: String,
}

/// KILL QUERY.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KillQuery {
    /// As shown by SHOW QUERIES.
    pub id: u64,
    /// ON; empty if not said.
    pub host: String,
}
