//! CSV as 1.x writes it: a header `name,tags,<columns>`, one line a row, an empty line before each further header.
//! Times are ns since the epoch unless `epoch` says otherwise. A statement that failed leaves nothing.

use super::number::{push_integer, push_plain_float, push_unsigned};
use super::time::{Epoch, push_units};
use super::{Output, ResultPiece, SeriesPiece};
use model::series::escape_into;
use query::result::{Cell, Series};
use std::sync::Arc;

/// Writes lines; a document has no end of its own.
#[derive(Debug)]
pub(crate) struct Encoder {
    epoch: Epoch,
    /// The statement and columns of the last header.
    header: Option<(usize, Arc<[Arc<str>]>)>,
}

impl Encoder {
    pub(crate) fn new(epoch: Epoch) -> Self {
        Self { epoch, header: None }
    }

    pub(crate) fn result(&mut self, piece: &ResultPiece<'_>, out: &mut Output) {
        if piece.error.is_some() {
            return;
        }
        for series in piece.series {
            if out.is_stopped() {
                return;
            }
            self.header(piece.statement_id, series.series, out);
            self.rows(series, out);
        }
    }

    fn header(&mut self, statement_id: usize, series: &Series, out: &mut Output) {
        if let Some((last_id, columns)) = &self.header {
            if *last_id == statement_id && columns[..] == series.columns[..] {
                return;
            }
            out.buffer.push(b'\n');
        }
        self.header = Some((statement_id, Arc::clone(&series.columns)));
        out.buffer.extend_from_slice(b"name,tags");
        for column in series.columns.iter() {
            out.buffer.push(b',');
            push_field(&mut out.buffer, column);
        }
        out.buffer.push(b'\n');
    }

    fn rows(&self, piece: &SeriesPiece<'_>, out: &mut Output) {
        let mut start = Vec::new();
        push_field(&mut start, &piece.series.name);
        start.push(b',');
        push_field(&mut start, &tags_text(piece.series));
        let width = piece.series.columns.len();
        if width == 0 {
            return;
        }
        let cells = &piece.series.cells[piece.rows.start * width..piece.rows.end * width];
        for row in cells.chunks_exact(width) {
            out.buffer.extend_from_slice(&start);
            for (column, cell) in row.iter().enumerate() {
                out.buffer.push(b',');
                self.cell(&mut out.buffer, cell, column);
            }
            out.buffer.push(b'\n');
            out.advance();
            if out.is_stopped() {
                return;
            }
        }
    }

    fn cell(&self, out: &mut Vec<u8>, cell: &Cell, column: usize) {
        match cell {
            Cell::Null | Cell::Strings(_) => {}
            Cell::Time(ns) => match self.epoch {
                Epoch::Units(unit) if column == 0 => push_units(out, *ns, unit),
                Epoch::Units(_) | Epoch::Text => push_integer(out, *ns),
            },
            Cell::Float(value) if value.is_finite() => push_plain_float(out, *value),
            Cell::Float(value) if value.is_nan() => {}
            Cell::Float(value) => out.extend_from_slice(if *value > 0.0 { b"+Inf" } else { b"-Inf" }),
            Cell::Integer(value) => push_integer(out, *value),
            Cell::Unsigned(value) => push_unsigned(out, *value),
            Cell::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Cell::String(text) => push_field(out, text),
        }
    }
}

/// The line `error` and the text.
pub(crate) fn error(text: &str) -> Vec<u8> {
    let mut out = b"error\n".to_vec();
    push_field(&mut out, text);
    out.push(b'\n');
    out
}

/// `tag=value,tag=value`, escaped as in a series key; tags without value are left out.
fn tags_text(series: &Series) -> String {
    let mut out = Vec::new();
    for (tag, value) in series.tags.iter().flatten().filter(|(_, value)| !value.is_empty()) {
        if !out.is_empty() {
            out.push(b',');
        }
        escape_into(&mut out, tag.as_bytes(), b",= ");
        out.push(b'=');
        escape_into(&mut out, value.as_bytes(), b",= ");
    }
    String::from_utf8(out).unwrap_or_default()
}

/// Appends a field, in quotes where Go's `encoding/csv` sets them.
fn push_field(out: &mut Vec<u8>, text: &str) {
    let quoted =
        text == "\\." || text.starts_with(char::is_whitespace) || text.contains(['"', ',', '\r', '\n']);
    if !quoted {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for &byte in text.as_bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}
