//! What a statement answers, and what every encoder reads.

use std::sync::Arc;

/// The answer to one statement.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StatementResult {
    /// Series in order.
    pub series: Vec<Series>,
    /// Warnings and notes, in order.
    pub messages: Vec<Message>,
}

/// A note beside a result: `{"level": …, "text": …}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `warning` or `info`.
    pub level: &'static str,
    /// Human text.
    pub text: String,
}

/// Rows under common tags.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Measurement, or what the SHOW statement calls it; empty is left out of the answer.
    pub name: Arc<str>,
    /// GROUP BY tags, sorted by key; `None` when the statement does not group by tags.
    pub tags: Option<Vec<(Arc<str>, Arc<str>)>>,
    /// Column names; `time` first where there is one.
    pub columns: Arc<[Arc<str>]>,
    /// Row after row, `columns.len()` cells each.
    pub cells: Vec<Cell>,
    /// `tz()` of the statement: times print in this zone.
    pub time_zone: Option<Arc<jiff::tz::TimeZone>>,
}

impl Series {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        if self.columns.is_empty() { 0 } else { self.cells.len() / self.columns.len() }
    }
}

/// One value of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// ns since the epoch; encoders print it by `epoch`.
    Time(i64),
    /// May be NaN or infinite; encoders print null then.
    Float(f64),
    /// Whole.
    Integer(i64),
    /// Whole, not negative.
    Unsigned(u64),
    /// Yes or no.
    Boolean(bool),
    /// Text.
    String(Arc<str>),
    /// A JSON array of strings (SHOW SUBSCRIPTIONS).
    Strings(Arc<[Arc<str>]>),
}
