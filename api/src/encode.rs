//! Query results → bytes. The query endpoint feeds results piece by piece; an [`Encoder`] writes them into an
//! [`Output`], which compresses and cuts them into segments to send.

mod csv;
mod json;
mod msgpack;
mod number;
mod output;
pub(crate) mod pieces;
pub(crate) mod room;
mod time;

pub(crate) use output::{Output, Stop};
pub(crate) use time::Epoch;

use axum::http::HeaderValue;
use query::result::{Message, Series};
use std::ops::Range;

/// One statement's result, or a piece of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResultPiece<'a> {
    pub(crate) statement_id: usize,
    pub(crate) series: &'a [SeriesPiece<'a>],
    pub(crate) messages: &'a [Message],
    /// More pieces of this result follow.
    pub(crate) partial: bool,
    pub(crate) error: Option<&'a str>,
}

/// Some rows of a series.
#[derive(Debug, Clone)]
pub(crate) struct SeriesPiece<'a> {
    pub(crate) series: &'a Series,
    pub(crate) rows: Range<usize>,
    /// More rows of this series follow.
    pub(crate) partial: bool,
}

/// The formats a client may ask for with `Accept`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json { pretty: bool },
    Csv,
    Msgpack,
}

impl Format {
    /// The format the client likes best; JSON if it names none that we have.
    pub(crate) fn from_accept<'a>(accept: impl Iterator<Item = &'a HeaderValue>, pretty: bool) -> Self {
        let json = Self::Json { pretty };
        let mut wishes: Vec<(u16, u8, Self)> = accept
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|wish| Self::from_wish(wish, json))
            .collect();
        // Stable: of equal wishes the first one stands.
        wishes.sort_by_key(|&(weight, wildcards, _)| (u16::MAX - weight, wildcards));
        wishes.first().map_or(json, |&(_, _, format)| format)
    }

    /// One wish: its weight in thousandths, its number of wildcards and the format it names.
    fn from_wish(wish: &str, json: Self) -> Option<(u16, u8, Self)> {
        let mut parts = wish.split(';').map(str::trim);
        let media = parts.next()?.to_ascii_lowercase();
        let weight =
            parts.find_map(|part| part.strip_prefix("q=")).and_then(|text| text.trim().parse::<f32>().ok());
        let weight = (weight.unwrap_or(1.0).clamp(0.0, 1.0) * 1000.0) as u16;
        let (wildcards, format) = match media.as_str() {
            "application/json" => (0, json),
            "application/csv" | "text/csv" => (0, Self::Csv),
            "application/x-msgpack" => (0, Self::Msgpack),
            "application/*" => (1, json),
            "text/*" => (1, Self::Csv),
            "*/*" => (2, json),
            _ => return None,
        };
        Some((weight, wildcards, format))
    }

    pub(crate) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json { .. } => "application/json",
            Self::Csv => "text/csv",
            Self::Msgpack => "application/x-msgpack",
        })
    }

    /// The body of an answer that is an error.
    pub(crate) fn error(self, text: &str) -> Vec<u8> {
        match self {
            Self::Json { pretty } => json::error(text, pretty),
            Self::Csv => csv::error(text),
            Self::Msgpack => msgpack::error(text),
        }
    }
}

/// Writes documents: any number of results, then an end.
#[derive(Debug)]
pub(crate) enum Encoder {
    Json(json::Encoder),
    Csv(csv::Encoder),
    Msgpack(msgpack::Encoder),
}

impl Encoder {
    pub(crate) fn new(format: Format, epoch: Epoch) -> Self {
        match format {
            Format::Json { pretty } => Self::Json(json::Encoder::new(pretty, epoch)),
            Format::Csv => Self::Csv(csv::Encoder::new(epoch)),
            Format::Msgpack => Self::Msgpack(msgpack::Encoder::new(epoch)),
        }
    }

    /// Writes a result into the current document.
    pub(crate) fn result(&mut self, piece: &ResultPiece<'_>, out: &mut Output) {
        match self {
            Self::Json(encoder) => encoder.result(piece, out),
            Self::Csv(encoder) => encoder.result(piece, out),
            Self::Msgpack(encoder) => encoder.result(piece, out),
        }
    }

    /// Ends the document; the next result begins another one.
    pub(crate) fn finish(&mut self, out: &mut Output) {
        match self {
            Self::Json(encoder) => encoder.finish(out),
            Self::Csv(_) => {}
            Self::Msgpack(encoder) => encoder.finish(out),
        }
    }
}

#[cfg(test)]
mod tests;
