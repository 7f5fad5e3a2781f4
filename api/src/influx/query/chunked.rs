//! The answer in pieces, each a document of its own (`chunked=true`). The first statement is run before the head of the
//! answer, so that its failure can still be an HTTP error; later ones can only fail inside their result.

use super::freshness::Freshness;
use super::statement::{Executor, NOT_EXECUTED};
use super::{Style, streamed};
use crate::coordinator::StatementResponse;
use crate::encode::pieces::Cut;
use crate::encode::{Encoder, Output, ResultPiece};
use crate::error::Failure;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use query::influxql::ast::Statement;
use query::result::Message;
use std::convert::Infallible;
use std::vec::IntoIter;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// Segments that wait for a slow client.
const SEGMENTS_MAX: usize = 4;

pub(super) async fn answer(
    executor: Executor,
    statements: Vec<Statement>,
    style: Style,
    chunk_rows: usize,
) -> Result<Response, Failure> {
    let (segments, receiver) = mpsc::channel(SEGMENTS_MAX);
    let sender = Sender {
        encoder: Encoder::new(style.format, style.epoch),
        out: Output::new(style.gzip),
        segments,
        chunk_rows,
    };
    let mut freshness = Freshness::default();
    let mut statements = statements.into_iter();
    match statements.next() {
        // Nothing but a comment: there is no piece to send.
        None => {}
        Some(statement) => {
            let cut = Cut::of(&statement, chunk_rows);
            let mut outcome = executor.execute(statement).await?;
            if let Ok(response) = &mut outcome {
                freshness.observe(response);
            }
            tokio::spawn(sender.send_all(executor, (outcome, cut), statements));
            return Ok(response(receiver, style, &freshness));
        }
    }
    tokio::spawn(sender.finish());
    Ok(response(receiver, style, &freshness))
}

fn response(receiver: mpsc::Receiver<Bytes>, style: Style, freshness: &Freshness) -> Response {
    let segments = ReceiverStream::new(receiver).map(Ok::<Bytes, Infallible>);
    let mut response = streamed(Body::from_stream(segments), style);
    freshness.headers(response.headers_mut());
    response
}

/// A statement's result or its error, and how to cut it.
type Outcome = (Result<StatementResponse, String>, Cut);

struct Sender {
    encoder: Encoder,
    out: Output,
    segments: mpsc::Sender<Bytes>,
    chunk_rows: usize,
}

/// The client left.
struct Gone;

impl Sender {
    async fn send_all(mut self, executor: Executor, first: Outcome, rest: IntoIter<Statement>) {
        // A client that left is an end like any other.
        if self.results(&executor, first, rest).await.is_ok() {
            self.finish().await;
        }
    }

    async fn results(
        &mut self,
        executor: &Executor,
        first: Outcome,
        mut rest: IntoIter<Statement>,
    ) -> Result<(), Gone> {
        let (mut outcome, mut cut) = first;
        for id in 0.. {
            let outcome_sent = match outcome {
                Ok(response) => self.result(id, &response, cut).await?,
                Err(text) => Err(text),
            };
            match outcome_sent {
                Ok(()) => {}
                Err(text) => {
                    self.error(id, &text).await?;
                    // 1.x sends one for each statement that is left, under the id of the failed one.
                    for _ in rest {
                        self.error(id, NOT_EXECUTED).await?;
                    }
                    return Ok(());
                }
            }
            let Some(statement) = rest.next() else { return Ok(()) };
            cut = Cut::of(&statement, self.chunk_rows);
            let gone = self.segments.clone();
            let executed = tokio::select! {
                executed = executor.execute(statement) => executed,
                () = gone.closed() => return Err(Gone),
            };
            outcome = executed.unwrap_or_else(|failure| Err(failure.text));
            if let Ok(response) = &mut outcome {
                // Too late for headers; the messages still tell.
                Freshness::default().observe(response);
            }
        }
        Ok(())
    }

    /// Sends a result, or as much of it as was sent when somebody killed the statement.
    async fn result(
        &mut self,
        id: usize,
        response: &StatementResponse,
        cut: Cut,
    ) -> Result<Result<(), String>, Gone> {
        let killed = || response.registration.as_ref().is_some_and(|statement| statement.is_killed());
        let mut messages: &[Message] = &response.result.messages;
        for (series, partial) in cut.pieces(&response.result.series) {
            let piece = ResultPiece { statement_id: id, series: &series, messages, partial, error: None };
            messages = &[];
            self.piece(&piece).await?;
            if killed() {
                return Ok(Err("query interrupted".to_owned()));
            }
        }
        Ok(Ok(()))
    }

    async fn error(&mut self, id: usize, text: &str) -> Result<(), Gone> {
        let piece =
            ResultPiece { statement_id: id, series: &[], messages: &[], partial: false, error: Some(text) };
        self.piece(&piece).await
    }

    /// A document with one piece of one result.
    async fn piece(&mut self, piece: &ResultPiece<'_>) -> Result<(), Gone> {
        self.encoder.result(piece, &mut self.out);
        self.encoder.finish(&mut self.out);
        for segment in self.out.flush() {
            self.segments.send(segment).await.map_err(|_| Gone)?;
        }
        Ok(())
    }

    async fn finish(self) {
        for segment in self.out.finish().0 {
            if self.segments.send(segment).await.is_err() {
                return;
            }
        }
    }
}
