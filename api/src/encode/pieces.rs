//! How a result is cut for a chunked answer. 1.x streams statements that it runs as a SELECT row by row and cuts them
//! by `chunk_size`; other statements it answers whole.

use super::SeriesPiece;
use query::influxql::ast::Statement;
use query::result::Series;

/// How the result of a statement is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// By rows; a piece holds rows of one series, and says if more follow.
    Rows(usize),
    /// A piece a series, without saying that more follow.
    Series,
    /// Not at all.
    Whole,
}

impl Cut {
    pub(crate) fn of(statement: &Statement, chunk_rows: usize) -> Self {
        let streamed = matches!(
            statement,
            Statement::Select(_)
                | Statement::ShowSeries(_)
                | Statement::ShowFieldKeys(_)
                | Statement::ShowMeasurementCardinality(_)
                | Statement::ShowSeriesCardinality(_)
                | Statement::ShowTagKeyCardinality(_)
                | Statement::ShowTagValuesCardinality(_)
                | Statement::ShowFieldKeyCardinality(_)
        );
        if streamed {
            Self::Rows(chunk_rows.max(1))
        } else if matches!(statement, Statement::ShowTagKeys(_) | Statement::ShowTagValues(_)) {
            Self::Series
        } else {
            Self::Whole
        }
    }

    /// The pieces of a result in order: the series of each, and whether the result goes on after it. An empty result is
    /// one empty piece.
    pub(crate) fn pieces(self, series: &[Series]) -> Vec<(Vec<SeriesPiece<'_>>, bool)> {
        let mut pieces = Vec::new();
        for (i, series_i) in series.iter().enumerate() {
            let rows = series_i.rows();
            let chunk = match self {
                Self::Rows(rows) => rows,
                Self::Series => rows.max(1),
                Self::Whole => break,
            };
            let last_series = i + 1 == series.len();
            let mut start = 0;
            loop {
                let end = rows.min(start + chunk);
                let partial = end < rows;
                let more = self != Self::Series && (partial || !last_series);
                pieces.push((vec![SeriesPiece { series: series_i, rows: start..end, partial }], more));
                start = end;
                if start >= rows {
                    break;
                }
            }
        }
        if pieces.is_empty() {
            pieces.push((Self::Whole.whole(series), false));
        }
        pieces
    }

    /// All rows of all series, for an answer that is not chunked. 1.x puts such an answer together from chunks, and
    /// leaves the first one's flag on a series that took several.
    pub(crate) fn whole(self, series: &[Series]) -> Vec<SeriesPiece<'_>> {
        let piece = |series| {
            let rows = Series::rows(series);
            SeriesPiece { series, rows: 0..rows, partial: matches!(self, Self::Rows(chunk) if rows > chunk) }
        };
        series.iter().map(piece).collect()
    }
}
