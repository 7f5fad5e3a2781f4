//! The answer in one document. All statements are run before the head of the answer is sent, so that one that cannot
//! be answered for lack of quorum or budget becomes an HTTP error. Results are encoded (and compressed) as they come,
//! so what is kept is the answer's bytes.

use super::freshness::Freshness;
use super::statement::{Executor, NOT_EXECUTED};
use super::{Style, streamed};
use crate::config::CHUNK_ROWS;
use crate::coordinator::StatementResponse;
use crate::encode::pieces::Cut;
use crate::encode::{Encoder, Output, ResultPiece};
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
    bytes_max: usize,
) -> Result<Response, Failure> {
    let mut document =
        Document { encoder: Encoder::new(style.format, style.epoch), out: Output::new(style.gzip) };
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
        if document.out.kept_bytes() > bytes_max {
            return Err(Failure::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!("answer exceeds {bytes_max} bytes; ask for less, or for chunks (chunked=true)"),
            ));
        }
    }
    document.encoder.finish(&mut document.out);
    let segments = document.out.finish().into_iter().map(Ok::<Bytes, Infallible>);
    let mut response = streamed(Body::from_stream(futures::stream::iter(segments)), style);
    freshness.headers(response.headers_mut());
    Ok(response)
}

struct Document {
    encoder: Encoder,
    out: Output,
}

impl Document {
    async fn add(mut self, id: usize, response: StatementResponse, cut: Cut) -> Result<Self, Failure> {
        let cells: usize = response.result.series.iter().map(|series| series.cells.len()).sum();
        let encode = move || {
            let result = &response.result;
            let series = cut.whole(&result.series);
            let piece = ResultPiece {
                statement_id: id,
                series: &series,
                messages: &result.messages,
                partial: false,
                error: None,
            };
            self.encoder.result(&piece, &mut self.out);
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
