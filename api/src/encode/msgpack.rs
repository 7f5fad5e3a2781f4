//! MessagePack as 1.x writes it. Times are extension type 5 (seconds and ns, 12 bytes) unless `epoch` says otherwise;
//! a failed statement is a map that holds only its error.

use super::time::Epoch;
use super::{Output, ResultPiece, SeriesPiece};
use query::result::Cell;
use std::sync::Arc;

const TIME_EXTENSION: u8 = 5;
const NS_PER_SECOND: i64 = 1_000_000_000;

/// Writes `{results: […]}`. The number of results stands before them, so they are kept until the document ends.
#[derive(Debug)]
pub(crate) struct Encoder {
    epoch: Epoch,
    results: Vec<u8>,
    count: usize,
}

impl Encoder {
    pub(crate) fn new(epoch: Epoch) -> Self {
        Self { epoch, results: Vec::new(), count: 0 }
    }

    pub(crate) fn result(&mut self, piece: &ResultPiece<'_>, answer: &mut Output) {
        self.count += 1;
        let out = &mut self.results;
        if let Some(error) = piece.error {
            push_map(out, 1);
            push_text(out, "error");
            push_text(out, error);
            return;
        }
        push_map(out, 2 + usize::from(!piece.messages.is_empty()) + usize::from(piece.partial));
        push_text(out, "statement_id");
        push_int(out, piece.statement_id as i64);
        if !piece.messages.is_empty() {
            push_text(out, "messages");
            push_array(out, piece.messages.len());
            for message in piece.messages {
                push_map(out, 2);
                push_text(out, "level");
                push_text(out, message.level);
                push_text(out, "text");
                push_text(out, &message.text);
            }
        }
        push_text(out, "series");
        push_array(out, piece.series.len());
        for series in piece.series {
            if answer.is_stopped() {
                return;
            }
            push_series(out, series, self.epoch, answer);
        }
        if piece.partial {
            push_text(out, "partial");
            out.push(0xc3);
        }
    }

    pub(crate) fn finish(&mut self, out: &mut Output) {
        push_map(&mut out.buffer, 1);
        push_text(&mut out.buffer, "results");
        push_array(&mut out.buffer, self.count);
        out.buffer.append(&mut self.results);
        self.count = 0;
        out.advance();
    }
}

/// `{error: text}`.
pub(crate) fn error(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 16);
    push_map(&mut out, 1);
    push_text(&mut out, "error");
    push_text(&mut out, text);
    out
}

/// Bytes between two looks at whether the result is still wanted.
const BYTES_PER_CHECK: usize = 64 << 10;

fn push_series(out: &mut Vec<u8>, piece: &SeriesPiece<'_>, epoch: Epoch, answer: &mut Output) {
    let series = piece.series;
    let tags = series.tags.as_deref().unwrap_or_default();
    let named = usize::from(!series.name.is_empty());
    push_map(out, 2 + named + usize::from(!tags.is_empty()) + usize::from(piece.partial));
    if named == 1 {
        push_text(out, "name");
        push_text(out, &series.name);
    }
    if !tags.is_empty() {
        push_text(out, "tags");
        push_map(out, tags.len());
        for (tag, value) in tags {
            push_text(out, tag);
            push_text(out, value);
        }
    }
    push_text(out, "columns");
    push_texts(out, &series.columns);
    push_text(out, "values");
    let width = series.columns.len().max(1);
    push_array(out, piece.rows.len());
    let mut checked = out.len();
    for row in series.cells[piece.rows.start * width..piece.rows.end * width].chunks_exact(width) {
        push_array(out, width);
        for (column, cell) in row.iter().enumerate() {
            push_cell(out, cell, column, epoch);
        }
        if out.len() - checked >= BYTES_PER_CHECK {
            checked = out.len();
            if answer.keep_beside(out.len()) {
                return;
            }
        }
    }
    if piece.partial {
        push_text(out, "partial");
        out.push(0xc3);
    }
}

fn push_cell(out: &mut Vec<u8>, cell: &Cell, column: usize, epoch: Epoch) {
    match cell {
        Cell::Null => out.push(0xc0),
        Cell::Time(ns) => match epoch {
            Epoch::Units(unit) if column == 0 => push_int(out, ns / unit),
            Epoch::Units(_) | Epoch::Text => push_time(out, *ns),
        },
        Cell::Float(value) if value.is_nan() => out.push(0xc0),
        Cell::Float(value) => {
            out.push(0xcb);
            out.extend_from_slice(&value.to_be_bytes());
        }
        Cell::Integer(value) => push_int(out, *value),
        Cell::Unsigned(value) => match i64::try_from(*value) {
            Ok(value) => push_int(out, value),
            Err(_) => {
                out.push(0xcf);
                out.extend_from_slice(&value.to_be_bytes());
            }
        },
        Cell::Boolean(value) => out.push(if *value { 0xc3 } else { 0xc2 }),
        Cell::String(text) => push_text(out, text),
        Cell::Strings(texts) => push_texts(out, texts),
    }
}

fn push_time(out: &mut Vec<u8>, ns: i64) {
    out.extend_from_slice(&[0xc7, 12, TIME_EXTENSION]);
    out.extend_from_slice(&ns.div_euclid(NS_PER_SECOND).to_be_bytes());
    out.extend_from_slice(&(ns.rem_euclid(NS_PER_SECOND) as i32).to_be_bytes());
}

/// The shortest of the signed forms.
fn push_int(out: &mut Vec<u8>, value: i64) {
    if (-32..=127).contains(&value) {
        out.push(value as u8);
    } else if let Ok(value) = i8::try_from(value) {
        out.push(0xd0);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        out.push(0xd1);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        out.push(0xd2);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

fn push_texts(out: &mut Vec<u8>, texts: &[Arc<str>]) {
    push_array(out, texts.len());
    for text in texts {
        push_text(out, text);
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    match text.len() {
        bytes @ 0..=31 => out.push(0xa0 | bytes as u8),
        bytes @ 32..=0xff => out.extend_from_slice(&[0xd9, bytes as u8]),
        bytes @ 0x100..=0xffff => {
            out.push(0xda);
            out.extend_from_slice(&(bytes as u16).to_be_bytes());
        }
        bytes => {
            out.push(0xdb);
            out.extend_from_slice(&(bytes as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(text.as_bytes());
}

fn push_array(out: &mut Vec<u8>, items: usize) {
    push_header(out, items, 0x90, 0xdc);
}

fn push_map(out: &mut Vec<u8>, items: usize) {
    push_header(out, items, 0x80, 0xde);
}

/// A list header: up to 15 items in one byte, else 16 or 32 bits behind `wide` or `wide + 1`.
fn push_header(out: &mut Vec<u8>, items: usize, short: u8, wide: u8) {
    match items {
        0..=15 => out.push(short | items as u8),
        16..=0xffff => {
            out.push(wide);
            out.extend_from_slice(&(items as u16).to_be_bytes());
        }
        _ => {
            out.push(wide + 1);
            out.extend_from_slice(&(items as u32).to_be_bytes());
        }
    }
}
