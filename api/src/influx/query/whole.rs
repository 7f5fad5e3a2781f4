//! The answer in one document. All statements are run before the head of the answer is sent, so that one that cannot
//! be answered for lack of quorum or budget becomes an HTTP error. Results are encoded (and compressed) as they come,
//! so what is kept is the answer's bytes.

use super::freshness::Freshness;
use super::statement::{Executor, NOT_EXECUTED};
use super::{Style, streamed};
use crate::config::CHUNK_ROWS;
use crate::coordinator::StatementResponse;
use crate::encode::pieces::Cut;
use crate::encode::room::AnswerBytes;
use crate::encode::{Encoder, Output, ResultPiece, SeriesPiece, Stop};
use crate::error::Failure;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use query::influxql::ast::Statement;
use std::convert::Infallible;

/// Cells from which a result is encoded on a blocking thread: about a ms of work.
const ENCODE_INLINE_CELLS: usize = 20_000;

pub(super) async fn answer(
    executor: Executor,
    statements: Vec<Statement>,
    style: Style,
    (room, rows_max): (AnswerBytes, usize),
) -> Result<Response, Failure> {
    let bytes_max = room.each_max();
    let rows_left = if rows_max == 0 { usize::MAX } else { rows_max };
    let mut document = Document {
        encoder: Encoder::new(style.format, style.epoch),
        out: Output::within(style.gzip, room),
        rows_left,
    };
    let mut freshness = Freshness::default();
    let count = statements.len();
    for (id, statement) in statements.into_iter().enumerate() {
        let cut = Cut::of(&statement, CHUNK_ROWS);
        match executor.execute(statement).await? {
            Ok(mut response) => {
                freshness.observe(&mut response);
                document = document.add(id, response, cut).await?;
            }
            Err(text) => {
                // 1.x reports each statement behind a failed one under the failed one's id, and shows the last.
                let shown = if id + 1 < count { NOT_EXECUTED } else { &text };
                document.add_error(id, shown);
                break;
            }
        }
        match document.out.stop() {
            None => {}
            Some(Stop::Full) => {
                return Err(Failure::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    format!("answer exceeds {bytes_max} bytes; ask for less, or for chunks (chunked=true)"),
                ));
            }
            Some(Stop::Overloaded) => {
                return Err(Failure::unavailable("too many bytes of answers in memory; try again later"));
            }
            Some(Stop::Killed) => {
                document = Document::new(style);
                document.add_error(id, "query interrupted");
                break;
            }
        }
        if document.rows_left == 0 {
            break;
        }
    }
    document.encoder.finish(&mut document.out);
    let (segments, room) = document.out.finish();
    let segments = segments.into_iter().map(move |segment| {
        // The bytes count until the last of them is sent.
        let _kept = &room;
        Ok::<Bytes, Infallible>(segment)
    });
    let mut response = streamed(Body::from_stream(futures::stream::iter(segments)), style);
    freshness.headers(response.headers_mut());
    Ok(response)
}

struct Document {
    encoder: Encoder,
    out: Output,
    /// Rows that the answer may still get.
    rows_left: usize,
}

impl Document {
    /// An empty one, for a few words.
    fn new(style: Style) -> Self {
        let encoder = Encoder::new(style.format, style.epoch);
        Self { encoder, out: Output::new(style.gzip), rows_left: usize::MAX }
    }

    async fn add(mut self, id: usize, response: StatementResponse, cut: Cut) -> Result<Self, Failure> {
        let cells: usize = response.result.series.iter().map(|series| series.cells.len()).sum();
        let encode = move || {
            let result = &response.result;
            let mut series = cut.whole(&result.series);
            limit_rows(&mut series, &mut self.rows_left);
            let piece = ResultPiece {
                statement_id: id,
                series: &series,
                messages: &result.messages,
                partial: false,
                error: None,
            };
            self.out.begin(response.registration.clone());
            self.encoder.result(&piece, &mut self.out);
            self.out.begin(None);
            self
        };
        if cells < ENCODE_INLINE_CELLS {
            return Ok(encode());
        }
        let encoding = tokio::task::spawn_blocking(encode).await;
        encoding.map_err(|_| Failure::internal("encoding the answer failed"))
    }

    fn add_error(&mut self, id: usize, text: &str) {
        let piece =
            ResultPiece { statement_id: id, series: &[], messages: &[], partial: false, error: Some(text) };
        self.encoder.result(&piece, &mut self.out);
    }
}

/// Cuts what is beyond the rows that are left. Only the series that was cut says so, as in 1.x; those behind it are gone.
fn limit_rows(series: &mut Vec<SeriesPiece<'_>>, rows_left: &mut usize) {
    if *rows_left == usize::MAX {
        return;
    }
    let mut kept = 0;
    for piece in series.iter_mut() {
        if *rows_left == 0 {
            break;
        }
        if piece.rows.len() > *rows_left {
            piece.rows.end = piece.rows.start + *rows_left;
            piece.partial = true;
        }
        *rows_left -= piece.rows.len();
        kept += 1;
    }
    series.truncate(kept);
}
