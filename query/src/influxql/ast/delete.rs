//! Statements that remove points and series.

use super::{Expr, Source};

/// DELETE. At least one of source and condition is there.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Delete {
    /// FROM: names or regular expressions without database and policy; empty if not said.
    pub sources: Vec<Source>,
    /// WHERE.
    pub condition: Option<Expr>,
}

/// DROP SERIES. At least one of source and condition is there.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DropSeries {
    /// FROM: names or regular expressions without database and policy; empty if not said.
    pub sources: Vec<Source>,
    /// WHERE.
    pub condition: Option<Expr>,
}

/// DROP MEASUREMENT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropMeasurement {
    /// The measurement.
    pub name: String,
}
