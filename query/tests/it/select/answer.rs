//! Answers as JSON of InfluxDB 1.x, and their comparison with recorded ones.

use crate::store::Store;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::scan::GroupReader;
use query::influxql::ast::Statement;
use query::influxql::parse_query;
use query::result::{Cell, Series};
use query::{Budget, Fragment, Partial, PlanContext, QueryError, QueryLimits, Scatter};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// Folds over all groups one after the other.
pub(crate) struct InOrder<'a>(pub(crate) &'a Store, pub(crate) &'a Budget);

impl Scatter for InOrder<'_> {
    fn scatter(&self, fragment: &Fragment) -> Result<Vec<Partial>, QueryError> {
        self.0.groups.iter().map(|g| fragment.fold(g as &dyn GroupReader, self.1)).collect()
    }
}

/// A request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) database: &'a str,
    pub(crate) policy: &'a str,
    pub(crate) query: &'a str,
    pub(crate) now_ns: i64,
    /// ns of one unit of the times of the answer; 0 for text.
    pub(crate) epoch_ns: i64,
}

pub(crate) fn run(
    store: &Store,
    request: Request<'_>,
    limits: QueryLimits,
) -> Result<Vec<Series>, QueryError> {
    let statements = parse_query(request.query).map_err(|e| QueryError::Statement(e.to_string()))?;
    let [Statement::Select(select)] = statements.as_slice() else {
        return Err(QueryError::Statement("not one SELECT".to_owned()));
    };
    let context = PlanContext {
        catalog: &store.catalog,
        database: request.database,
        policy: request.policy,
        now_ns: request.now_ns,
        limits,
    };
    let budget = Budget::new(&limits, Instant::now() + Duration::from_secs(60));
    let plan = query::plan_select(select, &context)?;
    query::execute_select(&plan, &InOrder(store, &budget), &budget)
}

/// The result object: `{}`, `{"series": …}` or `{"error": …}`.
pub(crate) fn answer(store: &Store, request: Request<'_>) -> Value {
    match run(store, request, QueryLimits::default()) {
        Err(error) => json!({ "error": error.to_string() }),
        Ok(series) if series.is_empty() => json!({}),
        Ok(series) => {
            json!({ "series": series.iter().map(|s| render(s, request.epoch_ns)).collect::<Vec<_>>() })
        }
    }
}

fn render(series: &Series, epoch_ns: i64) -> Value {
    let mut object = Map::new();
    object.insert("name".into(), json!(*series.name));
    if let Some(tags) = &series.tags {
        let tags = tags.iter().map(|(k, v)| (k.to_string(), json!(**v)));
        object.insert("tags".into(), Value::Object(tags.collect()));
    }
    object.insert("columns".into(), series.columns.iter().map(|c| json!(**c)).collect());
    let utc = TimeZone::UTC;
    let zone = series.time_zone.as_deref().unwrap_or(&utc);
    let row = |row: &[Cell]| row.iter().map(|c| cell(c, epoch_ns, zone)).collect::<Value>();
    object.insert("values".into(), series.cells.chunks(series.columns.len()).map(row).collect());
    Value::Object(object)
}

fn cell(cell: &Cell, epoch_ns: i64, zone: &TimeZone) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Time(t) if epoch_ns > 0 => json!(t / epoch_ns),
        Cell::Time(t) => json!(time_text(*t, zone)),
        Cell::Float(f) if f.is_finite() => json!(f),
        Cell::Float(_) => Value::Null,
        Cell::Integer(i) => json!(i),
        Cell::Unsigned(u) => json!(u),
        Cell::Boolean(b) => json!(b),
        Cell::String(s) => json!(**s),
        Cell::Strings(_) => panic!("no SELECT answers lists"),
    }
}

fn time_text(t: i64, zone: &TimeZone) -> String {
    let zoned = Timestamp::from_nanosecond(i128::from(t)).expect("valid in this test").to_zoned(zone.clone());
    let mut text = zoned.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let nanos = t.rem_euclid(1_000_000_000);
    if nanos != 0 {
        text.push('.');
        text.push_str(format!("{nanos:09}").trim_end_matches('0'));
    }
    if *zone == TimeZone::UTC {
        text.push('Z');
    } else {
        text.push_str(&zoned.strftime("%:z").to_string());
    }
    text
}

/// Whether two results are equal; numbers by value, floats up to rounding of sums in another order.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            if let (Some(x), Some(y)) = (x.as_i64(), y.as_i64()) {
                return x == y;
            }
            let (x, y) = (x.as_f64().unwrap_or(f64::NAN), y.as_f64().unwrap_or(f64::NAN));
            x == y || (x - y).abs() <= 1e-12 * x.abs().max(y.abs())
        }
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(k, v)| y.get(k).is_some_and(|w| same(v, w)))
        }
        _ => a == b,
    }
}
