//! Differences that have a reason: where 1.x's answer is an accident, and this very accident is what is seen.
//!
//! A reason is given for the shape of the statement and the shape of the difference together, so that another fault in a
//! statement of that shape still shows. `tests/it/testdata/differences.md` lists them for people.

use super::clauses::{Level, levels};
use super::verdict::equal_but_for_rounding;
use serde_json::Value;

/// One series of an answer.
#[derive(Debug, Clone, PartialEq)]
struct Series {
    /// Measurement and tags, as text.
    key: String,
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

/// Why windows over a subquery that groups by tags differ.
pub(super) const WINDOWS_OF_SERIES: &str =
    "windows of a subquery come series after series, and its reader begins anew with each";

/// Why rows of a subquery with several functions may come in another order.
pub(super) const ORDER_OF_JOINED_ROWS: &str =
    "functions of a subquery over several series are joined while one comes by time and another by series";

/// Why the answers to `q` differ, if that is known.
pub(super) fn reason(q: &str, want: &str, got: &str) -> Option<&'static str> {
    if let Some(reason) = of_faults(want, got) {
        return Some(reason);
    }
    let (want_series, got_series) = (series(want)?, series(got)?);
    let levels = levels(q);
    let calls = |name: &str| levels.iter().any(|level| level.calls(name));
    let case = Case { levels: &levels, want: &want_series, got: &got_series };
    if calls("integral") && case.is_reordered() {
        return Some("integral() gives its series in the order of a Go map");
    }
    if calls("integral") && case.misses_windows() {
        return Some(
            "integral() gives its last windows when all series are done, too late to be joined with others",
        );
    }
    if case.meets_nan() {
        return Some(
            "min(), max(), top() and bottom() of NaN are what comes first, as nothing compares with it",
        );
    }
    if case.takes_logarithms_of_subnormals() {
        return Some("logarithms of numbers below 2.3e-308 are wrong in Go's assembly");
    }
    if levels.len() > 1 && case.permutes_joined_rows() {
        return Some(ORDER_OF_JOINED_ROWS);
    }
    if (levels.len() > 1 || case.lacks_first_column()) && case.permutes_rows_of_one_time() {
        return Some("rows of one time of several series come in the order of a heap");
    }
    if case.takes_remainders_of_rounded() {
        return Some("% makes much of a last digit that depends on how a function was rounded");
    }
    if calls("percentile") && case.ends_early() {
        return Some("a window where percentile() finds no point ends the answer there");
    }
    if q.contains("now()") && case.shows_the_clock() {
        return Some("a bound of time that is the clock's is shown as the time of a row");
    }
    if case.repeats_windows() {
        return Some(WINDOWS_OF_SERIES);
    }
    case.ties()
}

/// Of two functions that do not take their column, 1.x tells the one that a Go map gives first.
fn of_faults(want: &str, got: &str) -> Option<&'static str> {
    let function = |text: &str| {
        let (_, rest) = text.split_once("\"error\":\"unsupported ")?;
        rest.contains(" iterator type: ")
            .then(|| rest.split_once(" iterator").map(|(name, _)| name.to_owned()))?
    };
    (function(want)? != function(got)?).then_some("which of two faults is told is a matter of Go's map")
}

/// The series of all statements; `None` if there is something else in the answer.
fn series(text: &str) -> Option<Vec<Series>> {
    let answer: Value = serde_json::from_str(text).ok()?;
    let mut all = Vec::new();
    for result in answer.get("results")?.as_array()? {
        if result.get("error").is_some() {
            return None;
        }
        for series in result.get("series").and_then(Value::as_array).into_iter().flatten() {
            let key = format!("{} {}", series.get("name")?, series.get("tags").unwrap_or(&Value::Null));
            let columns = series.get("columns")?.as_array()?;
            let rows = series.get("values")?.as_array()?;
            all.push(Series {
                key,
                columns: columns.iter().map(|c| c.as_str().unwrap_or_default().to_owned()).collect(),
                rows: rows.iter().filter_map(|row| row.as_array().cloned()).collect(),
            });
        }
    }
    Some(all)
}

struct Case<'a> {
    levels: &'a [Level],
    want: &'a [Series],
    got: &'a [Series],
}

impl Case<'_> {
    /// The same series in another order, in pieces or not.
    fn is_reordered(&self) -> bool {
        let sorted = |all: &[Series]| {
            let mut whole: Vec<Series> = Vec::new();
            for part in all {
                match whole.iter_mut().find(|series| series.key == part.key) {
                    Some(series) => series.rows.extend(part.rows.iter().cloned()),
                    None => whole.push(part.clone()),
                }
            }
            for series in &mut whole {
                series.rows.sort_by_key(|row| row.first().and_then(Value::as_i64));
            }
            whole.sort_by(|a, b| a.key.cmp(&b.key));
            whole
        };
        let (want, got) = (sorted(self.want), sorted(self.got));
        want.len() == got.len()
            && want.iter().zip(&got).all(|(want, got)| {
                want.key == got.key && equal_but_for_rounding(&rows_text(want), &rows_text(got))
            })
    }

    /// A row of 1.x, found by its series and time among all pieces, lacks a value that is there here: it is null, or the
    /// number of fill().
    fn misses_windows(&self) -> bool {
        let fill = self.levels[0].fill();
        let lacks = |there: &Value| there.is_null() || (fill.is_some() && there.as_f64() == fill);
        let fits = |row: &Vec<Value>, other: &Vec<Value>| {
            row.len() == other.len()
                && row.iter().zip(other).all(|(here, there)| {
                    equal_but_for_rounding(&there.to_string(), &here.to_string()) || lacks(there)
                })
        };
        let found = |key: &str, row: &Vec<Value>| {
            let mut rows = self.want.iter().filter(|want| want.key == key).flat_map(|want| &want.rows);
            rows.any(|other| other.first() == row.first() && fits(row, other))
        };
        self.levels[0].groups_by_tags()
            && self.got.iter().all(|got| got.rows.iter().all(|row| found(&got.key, row)))
    }

    /// Rows of one time are in the order of their columns, unless a point lacks the first one.
    fn lacks_first_column(&self) -> bool {
        let lacks = |row: &Vec<Value>| row.get(1).is_some_and(Value::is_null);
        let rows = |all: &[Series]| all.iter().flat_map(|series| series.rows.clone()).collect::<Vec<_>>();
        let (want, got) = (rows(self.want), rows(self.got));
        want.len() == got.len() && want.iter().zip(&got).all(|(want, got)| want == got || lacks(want))
    }

    /// Numbers differ that `%` made of a function whose last digit is not certain.
    fn takes_remainders_of_rounded(&self) -> bool {
        let functions = ["exp", "sin", "cos", "tan", "ln", "log", "log2", "log10", "pow", "atan", "atan2"];
        let functions = || functions.iter().chain(&["asin", "acos", "mean", "stddev", "integral"]);
        let takes = |level: &Level| level.has_remainder() && functions().any(|name| level.calls(name));
        let number = |value: &Value| value.is_number() || value.is_null();
        self.levels.iter().any(takes) && self.fit(|want, got| want == got || (number(want) && number(got)))
    }

    /// Cells that differ are logarithms, of numbers so small that 1.x takes them for ones up to 2^52 times greater.
    fn takes_logarithms_of_subnormals(&self) -> bool {
        const GREATEST: f64 = 1074.0 / 1022.0;
        let logarithms = ["ln", "log", "log2", "log10"];
        let takes = self.levels.iter().any(|level| logarithms.iter().any(|name| level.calls(name)));
        let mut seen = false;
        takes
            && self.fit(|want, got| {
                if equal_but_for_rounding(&want.to_string(), &got.to_string()) {
                    return true;
                }
                seen = true;
                let ratio = got.as_f64().zip(want.as_f64()).map(|(got, want)| got / want);
                ratio.is_some_and(|ratio| (1.0..=GREATEST).contains(&ratio))
            })
            && seen
    }

    /// Whether there are the same series with as many rows, whose cells, times included, fit each other.
    fn fit(&self, mut fits: impl FnMut(&Value, &Value) -> bool) -> bool {
        let mut rows = |want: &[Value], got: &[Value]| {
            want.len() == got.len() && want.iter().zip(got).all(|(want, got)| fits(want, got))
        };
        self.want.len() == self.got.len()
            && self.want.iter().zip(self.got).all(|(want, got)| {
                want.key == got.key
                    && want.rows.len() == got.rows.len()
                    && want.rows.iter().zip(&got.rows).all(|(want, got)| rows(want, got))
            })
    }

    /// A function that compares, over a subquery that computes NaN: null on one side, or another point of null.
    fn meets_nan(&self) -> bool {
        let not_a_number =
            ["ln", "log", "log2", "log10", "sqrt", "asin", "acos", "pow", "stddev", "mean", "sum"];
        let computes =
            self.levels.iter().skip(1).any(|level| not_a_number.iter().any(|name| level.calls(name)));
        let compares = ["min", "max", "top", "bottom"];
        let picks = compares.iter().any(|name| self.levels.iter().any(|level| level.calls(name)));
        let rows = |all: &[Series]| -> Vec<Vec<Value>> {
            all.iter().flat_map(|series| series.rows.iter().cloned()).collect()
        };
        let (want, got) = (rows(self.want), rows(self.got));
        let is_nan = |row: &[Value]| row.iter().skip(1).any(Value::is_null);
        let fit = |want: &[Value], got: &[Value]| want == got || is_nan(want) || is_nan(got);
        computes
            && picks
            && want.len() == got.len()
            && want.iter().zip(&got).all(|(want, got)| fit(want, got))
    }

    /// The same rows in another order, of a subquery with several functions and GROUP BY of tags.
    fn permutes_joined_rows(&self) -> bool {
        let sorted = |series: &Series| {
            let mut rows: Vec<String> =
                series.rows.iter().map(|row| Value::from(row.clone()).to_string()).collect();
            rows.sort();
            rows
        };
        let joins = |level: &Level| level.calls_several() && level.groups_by_tags();
        self.levels.iter().skip(1).any(joins)
            && self.want.len() == self.got.len()
            && self
                .want
                .iter()
                .zip(self.got)
                .all(|(want, got)| want.key == got.key && sorted(want) == sorted(got))
    }

    /// The same rows, in another order among those of one time.
    fn permutes_rows_of_one_time(&self) -> bool {
        let text = |series: &Series| {
            let mut rows: Vec<(Option<i64>, Vec<String>)> = Vec::new();
            for row in &series.rows {
                rows.push((row.first().and_then(Value::as_i64), row.iter().map(rounded).collect()));
            }
            let in_order =
                rows.windows(2).all(|r| r[0].0 <= r[1].0) || rows.windows(2).all(|r| r[0].0 >= r[1].0);
            rows.sort();
            (in_order, rows)
        };
        self.want.len() == self.got.len()
            && self.want.iter().zip(self.got).all(|(want, got)| {
                let (want_text, got_text) = (text(want), text(got));
                want.key == got.key && want_text.0 && got_text.0 && want_text.1 == got_text.1
            })
    }

    /// From some window or series on, 1.x has nothing where there is something here.
    fn ends_early(&self) -> bool {
        if !self.levels[0].groups_by_time() {
            let first = self.got.get(..self.want.len());
            let of_several = self.levels[0].groups_by_tags() || self.levels[0].reads_several();
            return of_several && first.is_some_and(|first| first == self.want);
        }
        self.got.iter().all(|got| {
            let Some(want) = self.want.iter().find(|want| want.key == got.key) else { return true };
            let mut ended = false;
            let rows = got.rows.iter().all(|row| {
                match want.rows.iter().find(|other| other.first() == row.first()) {
                    None => true,
                    Some(other) if other == row => !ended || other.iter().skip(1).all(Value::is_null),
                    Some(other) => {
                        ended = true;
                        other.iter().skip(1).any(Value::is_null)
                    }
                }
            });
            rows && want.rows.len() <= got.rows.len()
        })
    }

    /// The same but for times that are a few seconds apart.
    fn shows_the_clock(&self) -> bool {
        const APART_NS: i64 = 60_000_000_000;
        let rows = |all: &[Series]| -> Vec<(Option<i64>, Vec<Value>)> {
            let rows = all.iter().flat_map(|series| &series.rows);
            rows.map(|row| (row.first().and_then(Value::as_i64), row.iter().skip(1).cloned().collect()))
                .collect()
        };
        let (want, got) = (rows(self.want), rows(self.got));
        want.len() == got.len()
            && want.iter().zip(&got).all(|(want, got)| {
                let near = |(a, b): (i64, i64)| a.abs_diff(b) < APART_NS.unsigned_abs();
                want.1 == got.1 && want.0.zip(got.0).is_some_and(near)
            })
    }

    /// A series of 1.x has a window twice, where it has each once here; in rows of windows, they do not come by time there.
    fn repeats_windows(&self) -> bool {
        let grouped = self.levels.iter().skip(1).any(Level::groups_by_tags);
        let windows =
            self.levels.iter().skip(1).any(|level| level.groups_by_tags() && level.groups_by_time());
        let again = |all: &[Series]| !all.iter().all(rises);
        let mixed = |all: &[Series]| !all.iter().all(goes_one_way);
        let (repeats, comes_again) =
            (again(self.want) && !again(self.got), mixed(self.want) && !mixed(self.got));
        grouped && ((self.levels[0].groups_by_time() && repeats) || (windows && comes_again))
    }

    /// Other values in rows of the same series and times, where several points are equally good.
    fn ties(&self) -> Option<&'static str> {
        let same_rows = self.want.len() == self.got.len()
            && self.want.iter().zip(self.got).all(|(want, got)| {
                want.key == got.key && want.columns == got.columns && want.rows.len() == got.rows.len()
            });
        if !same_rows {
            return None;
        }
        let calls = |name: &str| self.levels.iter().any(|level| level.calls(name));
        let pairs = || self.want.iter().zip(self.got).flat_map(|(want, got)| want.rows.iter().zip(&got.rows));
        let same_in = |column: usize| pairs().all(|(want, got)| want.get(column) == got.get(column));
        let nested = |name: &str| self.levels.iter().skip(1).any(|level| level.calls(name));
        if nested("percentile") || (calls("percentile") && same_in(1)) {
            return Some("which of equal values percentile() names is a matter of Go's sort");
        }
        if calls("mode") && same_in(0) && self.differs_in_columns_of("mode") {
            return Some("which of equally frequent values mode() names is a matter of Go's sort");
        }
        let selectors = ["min", "max", "first", "last"];
        let selects = selectors.into_iter().any(calls) && self.levels[0].calls_once();
        let width = self.want.first().map_or(0, |want| want.columns.len());
        let named = |column: usize| {
            let names = self.want.iter().filter_map(|want| want.columns.get(column));
            column == 1 || names.into_iter().all(|name| selectors.contains(&name.as_str()))
        };
        if selects && same_in(0) && (1..width).any(|column| same_in(column) && named(column)) {
            return Some(
                "which of two rows of one time and value a selector names depends on the cores there",
            );
        }
        None
    }

    /// Whether cells differ in one column only, or in columns that the function gives its name.
    fn differs_in_columns_of(&self, function: &str) -> bool {
        let mut columns = std::collections::BTreeSet::new();
        for (want, got) in self.want.iter().zip(self.got) {
            for (want, got) in want.rows.iter().zip(&got.rows) {
                columns.extend((0..want.len().max(got.len())).filter(|i| want.get(*i) != got.get(*i)));
            }
        }
        let named = |column: &usize| {
            let names = self.want.iter().filter_map(|want| want.columns.get(*column));
            names.into_iter().all(|name| name.starts_with(function))
        };
        columns.len() == 1 || columns.iter().all(named)
    }
}

/// Why a function in a subquery may have other points, where a series of it joins several that have points of one time.
pub(super) const ORDER_OF_TIES: &str = "which of several points of one time a function in a subquery sees first is a matter of the order of a heap";

/// Whether times rise or fall all the way.
fn rises(series: &Series) -> bool {
    let times = times(series);
    times.windows(2).all(|t| t[0] < t[1]) || times.windows(2).all(|t| t[0] > t[1])
}

/// The same where rows may have one time.
fn goes_one_way(series: &Series) -> bool {
    let times = times(series);
    times.is_sorted() || times.iter().rev().is_sorted()
}

fn times(series: &Series) -> Vec<i64> {
    series.rows.iter().filter_map(|row| row.first().and_then(Value::as_i64)).collect()
}

/// A value without the digits that depend on how it was rounded.
fn rounded(value: &Value) -> String {
    let float = value.as_f64().filter(|_| value.is_f64());
    float.map_or_else(|| value.to_string(), |float| format!("{float:.9e}"))
}

fn rows_text(series: &Series) -> String {
    format!(
        "{:?} {}",
        series.columns,
        Value::from(series.rows.iter().cloned().map(Value::from).collect::<Vec<_>>())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(series: &str) -> String {
        format!(r#"{{"results":[{{"statement_id":0,"series":[{series}]}}]}}"#)
    }

    fn one(rows: &str) -> String {
        answer(&format!(r#"{{"name":"m","columns":["time","x"],"values":[{rows}]}}"#))
    }

    #[test]
    fn a_reason_needs_its_statement_and_its_difference() {
        let of = |q: &str, want: &str, got: &str| reason(q, &one(want), &one(got)).is_some();
        assert!(of("SELECT percentile(i, 5) FROM m", "[1,2]", "[2,2]"));
        assert!(!of("SELECT percentile(i, 5) FROM m", "[1,2]", "[2,3]"));
        assert!(of("SELECT mode(i) FROM m", "[1,2]", "[1,3]"));
        assert!(!of("SELECT mode(i) FROM m", "[1,2]", "[2,2]"));
        let ties = "SELECT x FROM (SELECT x FROM m GROUP BY h)";
        assert!(of(ties, "[1,2],[1,3],[3,4]", "[1,3],[1,2],[3,4]"));
        assert!(!of(ties, "[1,2],[1,3],[3,4]", "[1,3],[1,4],[3,4]"));
        let ended = "SELECT percentile(x, 10) FROM m GROUP BY time(1s)";
        assert!(of(ended, "[1,2],[2,null]", "[1,2],[2,5]"));
        assert!(!of(ended, "[1,2],[2,6]", "[1,2],[2,5]"));
        let again = "SELECT * FROM (SELECT max(x) FROM m GROUP BY h, time(1s) fill(linear))";
        assert!(of(again, "[1,2],[2,3],[1,4],[2,5]", "[1,2],[1,4],[2,3],[2,5]"));
        let windows = "SELECT max(x) FROM (SELECT max(x) FROM m GROUP BY h fill(0)) GROUP BY time(1s)";
        assert!(of(windows, "[1,2],[2,3],[1,4]", "[1,4],[2,3]"));
        assert!(!of(windows, "[1,2],[2,3]", "[1,4],[2,3]"));
    }

    #[test]
    fn selectors_may_name_another_row_of_the_same_value() {
        let row = |cells: &str| {
            answer(&format!(r#"{{"name":"m","columns":["time","last","n"],"values":[{cells}]}}"#))
        };
        let q = r#"SELECT last("b"), n FROM "disk/io" WHERE time < '1960-01-10' + 2074s GROUP BY time(1w)"#;
        let (want, got) = (row("[-3,false,-30],[-2,true,15]"), row("[-3,false,-30],[-2,true,53]"));
        assert!(reason(q, &want, &got).is_some());
        assert!(reason(q, &want, &got.replace("true", "false")).is_none());
    }

    #[test]
    fn logarithms_of_subnormals_and_points_of_nan_are_known() {
        let of = |q: &str, want: &str, got: &str| reason(q, &one(want), &one(got)).is_some();
        assert!(of("SELECT ln(x) FROM m", "[1,-709.0895657128241],[2,1]", "[1,-744.4400719213812],[2,1]"));
        assert!(!of("SELECT ln(x) FROM m", "[1,-709.0895657128241]", "[1,-754.4400719213812]"));
        assert!(!of("SELECT abs(x) FROM m", "[1,-709.0895657128241]", "[1,-744.4400719213812]"));
        let nan = "SELECT top(x, 2) FROM (SELECT stddev(x) AS x FROM m GROUP BY time(1s))";
        assert!(of(nan, "[1,null],[3,4]", "[2,null],[3,4]"));
        assert!(!of(nan, "[1,null],[3,4]", "[2,null],[3,5]"));
    }

    #[test]
    fn rows_that_functions_are_joined_to_may_come_in_another_order() {
        let of = |q: &str, want: &str, got: &str| reason(q, &one(want), &one(got)).is_some();
        let joined = "SELECT x FROM (SELECT mean(i), elapsed(v) AS x FROM m GROUP BY h)";
        assert!(of(joined, "[0,null],[0,null],[5,1]", "[0,null],[5,1],[0,null]"));
        assert!(!of(joined, "[0,null],[0,null],[5,1]", "[0,null],[5,1],[5,1]"));
        assert!(!of(&joined.replace("mean(i), ", ""), "[0,null],[0,null],[5,1]", "[0,null],[5,1],[0,null]"));
    }

    #[test]
    fn series_in_another_order_are_the_same_series() {
        let series = |tag: &str| {
            format!(r#"{{"name":"m","tags":{{"h":"{tag}"}},"columns":["time","x"],"values":[[1,2.5]]}}"#)
        };
        let (a, b) = (format!("{},{}", series("a"), series("b")), format!("{},{}", series("b"), series("a")));
        assert!(reason("SELECT integral(x) FROM m GROUP BY h", &answer(&a), &answer(&b)).is_some());
        assert!(reason("SELECT sum(x) FROM m GROUP BY h", &answer(&a), &answer(&b)).is_none());
    }
}
