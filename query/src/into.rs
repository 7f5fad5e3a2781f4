//! SELECT … INTO: the rows of an answer as points, in bodies for `/write`.
//!
//! The node runs the SELECT, then sends body after body the way of all writes: a point of the answer has the tags of its
//! GROUP BY, its columns as fields and the time of its row (InfluxDB 1.x `coordinator.convertRowToPoints`). Nothing here
//! knows where the bodies go.

mod ranges;

pub use ranges::{can_be_cut, edge, halves, range_of, within};

use crate::error::QueryError;
use crate::result::{Cell, Series};
use model::line_protocol::{FieldName, LineHead, LineWriter, UnwritableName};
use model::value::ValueRef;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Points of one body, as in 1.x.
const BODY_POINTS: usize = 10_000;
/// A body with long strings is closed at this many bytes.
const BODY_BYTES: usize = 4 << 20;

/// Points for one write.
#[derive(Debug, PartialEq, Eq)]
pub struct IntoBody {
    /// Line protocol, times in ns.
    pub lines: Vec<u8>,
    /// Points in it; at least one.
    pub points: usize,
}

/// The points of an answer. Series are let go as they are done.
#[derive(Debug)]
pub struct IntoPoints {
    measurement: String,
    waiting: std::vec::IntoIter<Series>,
    open: Option<OpenSeries>,
}

/// A series whose rows are being written.
#[derive(Debug)]
struct OpenSeries {
    head: LineHead,
    fields: Vec<FieldName>,
    series: Series,
    next_row: usize,
}

impl IntoPoints {
    /// Of the series of a SELECT; `measurement` is the target's, empty for `:MEASUREMENT`.
    pub fn new(series: Vec<Series>, measurement: &str) -> Self {
        Self { measurement: measurement.to_owned(), waiting: series.into_iter(), open: None }
    }

    /// The next body; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`QueryError::Statement`]: the time column has another name, or a name has no form in line protocol.
    pub fn next_body(&mut self) -> Result<Option<IntoBody>, QueryError> {
        let mut writer = LineWriter::default();
        while writer.points() < BODY_POINTS && writer.len() < BODY_BYTES {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => match self.waiting.next() {
                    Some(series) => OpenSeries::new(&self.measurement, series)?,
                    None => break,
                },
            };
            if open.write_rows(&mut writer) {
                self.open = Some(open);
            }
        }
        let points = writer.points();
        Ok((points > 0).then(|| IntoBody { lines: writer.take(), points }))
    }
}

impl OpenSeries {
    fn new(measurement: &str, series: Series) -> Result<Self, QueryError> {
        let unwritable = |error: UnwritableName| QueryError::Statement(error.to_string());
        let [time, columns @ ..] = &*series.columns else {
            return Err(QueryError::statement("error finding time index in result"));
        };
        if &**time != "time" || columns.iter().any(|column| &**column == "time") {
            return Err(QueryError::statement("error finding time index in result"));
        }
        let name = if measurement.is_empty() { &series.name } else { measurement };
        let tags = series.tags.iter().flatten().map(|(key, value)| (&**key, &**value));
        let head = LineHead::new(name, tags).map_err(unwritable)?;
        let fields: Result<_, _> = columns.iter().map(|column| FieldName::new(column)).collect();
        Ok(Self { head, fields: fields.map_err(unwritable)?, series, next_row: 0 })
    }

    /// Writes rows until the body is full (true) or there are no more.
    fn write_rows(&mut self, writer: &mut LineWriter) -> bool {
        let width = self.series.columns.len();
        let rows = self.series.cells.chunks_exact(width).skip(self.next_row);
        for row in rows {
            if writer.points() >= BODY_POINTS || writer.len() >= BODY_BYTES {
                return true;
            }
            self.next_row += 1;
            let [Cell::Time(time), cells @ ..] = row else { continue };
            let fields = self.fields.iter().zip(cells).filter_map(|(name, cell)| Some((name, value(cell)?)));
            writer.push(&self.head, fields, *time);
        }
        false
    }
}

fn value(cell: &Cell) -> Option<ValueRef<'_>> {
    Some(match cell {
        Cell::Float(f) => ValueRef::Float(*f),
        Cell::Integer(i) => ValueRef::Integer(*i),
        Cell::Unsigned(u) => ValueRef::Unsigned(*u),
        Cell::Boolean(b) => ValueRef::Boolean(*b),
        Cell::String(text) => ValueRef::String(Cow::Borrowed(text.as_bytes())),
        Cell::Null | Cell::Time(_) | Cell::Strings(_) => return None,
    })
}

/// Takes columns of a series as tags of its points: a series for each combination of their values.
pub(crate) fn columns_as_tags(series: Series, tags: &[usize]) -> Vec<Series> {
    let width = series.columns.len();
    let (as_tags, kept): (Vec<usize>, Vec<usize>) = (0..width).partition(|column| tags.contains(column));
    let columns: Arc<[Arc<str>]> = kept.iter().map(|&column| Arc::clone(&series.columns[column])).collect();
    let own: BTreeMap<Arc<str>, Arc<str>> = series.tags.into_iter().flatten().collect();
    let mut parts: BTreeMap<BTreeMap<Arc<str>, Arc<str>>, Vec<Cell>> = BTreeMap::new();
    for row in series.cells.chunks_exact(width) {
        let mut key = own.clone();
        for &column in &as_tags {
            if let Cell::String(value) = &row[column] {
                key.insert(Arc::clone(&series.columns[column]), Arc::clone(value));
            }
        }
        parts.entry(key).or_default().extend(kept.iter().map(|&column| row[column].clone()));
    }
    let part = |(tags, cells): (BTreeMap<_, _>, Vec<Cell>)| Series {
        name: Arc::clone(&series.name),
        tags: Some(tags.into_iter().collect()),
        columns: Arc::clone(&columns),
        cells,
        time_zone: series.time_zone.clone(),
    };
    parts.into_iter().map(part).collect()
}

/// What a SELECT … INTO answers.
pub fn written(points: usize) -> Series {
    Series {
        name: "result".into(),
        tags: None,
        columns: ["time", "written"].map(Arc::from).into(),
        cells: vec![Cell::Time(0), Cell::Integer(i64::try_from(points).unwrap_or(i64::MAX))],
        time_zone: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, tags: &[(&str, &str)], columns: &[&str], cells: Vec<Cell>) -> Series {
        Series {
            name: name.into(),
            tags: Some(tags.iter().map(|(key, value)| (Arc::from(*key), Arc::from(*value))).collect()),
            columns: columns.iter().map(|column| Arc::from(*column)).collect(),
            cells,
            time_zone: None,
        }
    }

    fn bodies(series: Vec<Series>, measurement: &str) -> Vec<(String, usize)> {
        let mut points = IntoPoints::new(series, measurement);
        let mut bodies = Vec::new();
        while let Some(body) = points.next_body().unwrap() {
            bodies.push((String::from_utf8(body.lines).unwrap(), body.points));
        }
        bodies
    }

    fn time_and(value: Cell, time: i64) -> [Cell; 2] {
        [Cell::Time(time), value]
    }

    #[test]
    fn rows_become_points_and_rows_of_nulls_do_not() {
        let mut cells = time_and(Cell::Float(1.5), 10).to_vec();
        cells.extend(time_and(Cell::Null, 20));
        cells.extend(time_and(Cell::Float(f64::NAN), 30));
        let rows = series("cpu", &[("az", ""), ("host", "a b")], &["time", "mean"], cells);
        assert_eq!(bodies(vec![rows.clone()], "t"), [("t,host=a\\ b mean=1.5 10\n".to_owned(), 1)]);
        assert_eq!(bodies(vec![rows], ""), [("cpu,host=a\\ b mean=1.5 10\n".to_owned(), 1)]);
        assert_eq!(bodies(Vec::new(), "t"), []);
    }

    #[test]
    fn a_body_holds_so_many_points_of_any_series() {
        let rows = |name: &str, count: i64| {
            let cells = (0..count).flat_map(|time| time_and(Cell::Integer(time), time)).collect();
            series(name, &[], &["time", "v"], cells)
        };
        let counts = |count| -> Vec<usize> {
            bodies(vec![rows("a", 3), rows("b", count)], "").into_iter().map(|(_, points)| points).collect()
        };
        let full = BODY_POINTS as i64;
        assert_eq!(counts(full - 3), [BODY_POINTS]);
        assert_eq!(counts(full - 2), [BODY_POINTS, 1]);
        assert_eq!(counts(2 * full), [BODY_POINTS, BODY_POINTS, 3]);
    }

    #[test]
    fn long_strings_close_a_body_early() {
        let text: Arc<str> = "x".repeat(BODY_BYTES / 2).into();
        let cells = (0..3).flat_map(|time| time_and(Cell::String(Arc::clone(&text)), time)).collect();
        let counts = bodies(vec![series("m", &[], &["time", "s"], cells)], "");
        assert_eq!(counts.into_iter().map(|(_, points)| points).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn a_time_column_of_another_name_has_no_points() {
        for columns in [["t", "v"], ["time", "time"]] {
            let rows = series("m", &[], &columns, time_and(Cell::Float(1.0), 1).to_vec());
            let error = IntoPoints::new(vec![rows], "").next_body().unwrap_err();
            assert_eq!(error.to_string(), "error finding time index in result");
        }
    }

    #[test]
    fn columns_become_tags_beside_those_of_the_series() {
        let string = |text: &str| Cell::String(text.into());
        let mut cells = vec![Cell::Time(1), Cell::Float(2.0), string("b")];
        cells.extend([Cell::Time(2), Cell::Float(3.0), string("a")]);
        cells.extend([Cell::Time(3), Cell::Float(4.0), string("b")]);
        let rows = series("m", &[("az", "1")], &["time", "top", "host"], cells);
        let text = bodies(columns_as_tags(rows, &[2]), "t").pop().unwrap().0;
        assert_eq!(text, "t,az=1,host=a top=3.0 2\nt,az=1,host=b top=2.0 1\nt,az=1,host=b top=4.0 3\n");
    }
}
