//! When a continuous query is due, and for which time range.

use super::WINDOWS_MAX;
use crate::condition::{Environment, zone};
use crate::error::QueryError;
use crate::influxql::ast::{BinaryExpr, BinaryOp, Expr, SelectStatement, Statement, VarRef};
use crate::influxql::parse_statement;
use crate::plan::group_by_window;
use crate::window::Window;
use std::sync::Arc;

/// A continuous query, read from its text.
#[derive(Debug, Clone)]
pub struct Schedule {
    select: SelectStatement,
    /// Interval, offset and zone of GROUP BY time; no interval for a query that never runs.
    window: Window,
    every: i64,
    /// How long a window is computed again and again.
    resample_for: i64,
}

/// One run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// First time of the range to compute, ns.
    pub start_ns: i64,
    /// First time after it.
    pub end_ns: i64,
    /// What to record as the time of the last run once the range is written.
    pub ran_ns: i64,
}

impl Schedule {
    /// Reads the text that the catalog keeps.
    ///
    /// # Errors
    ///
    /// [`QueryError::Statement`]: the text is no CREATE CONTINUOUS QUERY, or its GROUP BY time has an offset that
    /// changes.
    pub fn parse(query: &str) -> Result<Self, QueryError> {
        let statement = parse_statement(query).map_err(|error| QueryError::Statement(error.to_string()))?;
        let Statement::CreateContinuousQuery(create) = statement else {
            return Err(QueryError::statement("query isn't a valid continuous query"));
        };
        let select = *create.source;
        let zone = select.time_zone.as_deref().map(zone).transpose()?;
        let environment = Environment { zone: zone.clone(), ..Environment::default() };
        let mut window = group_by_window(&select.dimensions, &environment)?;
        window.zone = zone.map(Arc::new);
        let interval = window.interval;
        let every = if create.resample_every_ns > 0 { create.resample_every_ns } else { interval };
        let resample_for =
            if create.resample_for_ns > 0 { create.resample_for_ns } else { interval.max(every) };
        Ok(Self { select, window, every, resample_for })
    }

    /// What is due at `now`. A query that never ran counts from its creation.
    pub fn due(&self, created_ns: i64, last_run_ns: Option<i64>, now_ns: i64) -> Option<Due> {
        let interval = self.window.interval;
        if interval <= 0 || self.every <= 0 {
            return None;
        }
        let next = match last_run_ns {
            Some(last) => self.after(last),
            None => created_ns,
        };
        if next > now_ns {
            return None;
        }
        // So many punctual runs at once, at most.
        let runs = (WINDOWS_MAX.saturating_mul(interval) / self.every).max(1);
        let latest = next.saturating_add(self.every.saturating_mul(runs - 1));
        let now = match last_run_ns {
            Some(_) => self.aligned(now_ns.min(latest), self.every).max(next),
            None => now_ns.min(latest.saturating_add(self.every)),
        };
        let refined = self.every.min(interval);
        let oldest = next.saturating_add(interval - 1).saturating_sub(self.resample_for);
        let due = Due {
            start_ns: self.aligned(oldest, interval),
            end_ns: self.aligned(now.saturating_add(interval - refined), interval),
            ran_ns: match last_run_ns {
                Some(_) => now,
                None => self.aligned(now, self.every),
            },
        };
        (due.start_ns < due.end_ns).then_some(due)
    }

    /// The SELECT for a range: bounds on time that the statement has itself do not count.
    pub fn select(&self, due: &Due) -> SelectStatement {
        let mut select = self.select.clone();
        let bound = |op, time| {
            let lhs = Expr::VarRef(VarRef { name: "time".to_owned(), data_type: None });
            binary(op, lhs, Expr::Integer(time))
        };
        let range =
            binary(BinaryOp::And, bound(BinaryOp::GtEq, due.start_ns), bound(BinaryOp::Lt, due.end_ns));
        select.condition = Some(match select.condition.take().and_then(without_time) {
            Some(condition) => binary(BinaryOp::And, Expr::Paren(Box::new(condition)), range),
            None => range,
        });
        select
    }

    /// The next time to run. Where the zone's offset changed in between, a day has 23 or 25 hours.
    fn after(&self, last: i64) -> i64 {
        let next = last.saturating_add(self.every);
        let change =
            self.window.zone_offset(last.saturating_sub(1)) - self.window.zone_offset(next.saturating_sub(1));
        if change != 0 && change.abs() < self.every { next.saturating_add(change) } else { next }
    }

    /// The last time that begins a span of `length`, counted from the epoch in local time, plus the offset of GROUP BY
    /// time.
    fn aligned(&self, time: i64, length: i64) -> i64 {
        let shifted = time.saturating_sub(self.window.offset);
        let zone_offset = self.window.zone_offset(shifted);
        let into = shifted.saturating_add(zone_offset).rem_euclid(length);
        let mut start = shifted.saturating_sub(into);
        let change = zone_offset - self.window.zone_offset(start);
        if change != 0 && change.abs() < length {
            start = start.saturating_add(change);
        }
        start.saturating_add(self.window.offset)
    }
}

fn binary(op: BinaryOp, lhs: Expr, rhs: Expr) -> Expr {
    Expr::Binary(Box::new(BinaryExpr { op, lhs, rhs }))
}

/// A condition without its comparisons of `time`; `None` if nothing is left.
fn without_time(condition: Expr) -> Option<Expr> {
    match condition {
        Expr::Paren(inner) => without_time(*inner).map(|inner| Expr::Paren(Box::new(inner))),
        Expr::Binary(sides) if matches!(sides.op, BinaryOp::And | BinaryOp::Or) => {
            let BinaryExpr { op, lhs, rhs } = *sides;
            match (without_time(lhs), without_time(rhs)) {
                (Some(lhs), Some(rhs)) => Some(binary(op, lhs, rhs)),
                (lhs, rhs) => lhs.or(rhs),
            }
        }
        Expr::Binary(sides) if is_time(&sides.lhs) || is_time(&sides.rhs) => None,
        other => Some(other),
    }
}

fn is_time(expr: &Expr) -> bool {
    matches!(expr, Expr::VarRef(reference) if reference.name.eq_ignore_ascii_case("time"))
}

#[cfg(test)]
mod tests;
