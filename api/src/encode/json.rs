//! JSON as Go's `encoding/json` prints it, compact or with four spaces: HTML characters escaped, keys in 1.x's order,
//! empty parts left out, a newline at the end.

use super::number::{push_integer, push_json_float, push_unsigned};
use super::time::{Epoch, push_rfc3339, push_units};
use super::{Output, ResultPiece, SeriesPiece};
use query::result::{Cell, Series};
use std::sync::Arc;

/// Writes `{"results":[…]}` documents.
#[derive(Debug)]
pub(crate) struct Encoder {
    pretty: bool,
    epoch: Epoch,
    results: usize,
}

impl Encoder {
    pub(crate) fn new(pretty: bool, epoch: Epoch) -> Self {
        Self { pretty, epoch, results: 0 }
    }

    pub(crate) fn result(&mut self, piece: &ResultPiece<'_>, out: &mut Output) {
        let mut json = Writer { out: &mut out.buffer, pretty: self.pretty, depth: 0 };
        if self.results == 0 {
            json.open(b'{');
            json.key("results", true);
            json.open(b'[');
        } else {
            json.depth = 2;
        }
        json.item(self.results == 0);
        self.results += 1;
        json.open(b'{');
        json.key("statement_id", true);
        push_unsigned(json.out, piece.statement_id as u64);
        if !piece.series.is_empty() {
            json.key("series", false);
            json.open(b'[');
            for (i, series) in piece.series.iter().enumerate() {
                if out.is_stopped() {
                    break;
                }
                let mut json = Writer { out: &mut out.buffer, pretty: self.pretty, depth: 4 };
                json.item(i == 0);
                self.series(series, out);
                out.advance();
            }
            json = Writer { out: &mut out.buffer, pretty: self.pretty, depth: 4 };
            json.close(b']');
        }
        if !piece.messages.is_empty() {
            json.key("messages", false);
            json.open(b'[');
            for (i, message) in piece.messages.iter().enumerate() {
                json.item(i == 0);
                json.open(b'{');
                json.key("level", true);
                push_string(json.out, message.level);
                json.key("text", false);
                push_string(json.out, &message.text);
                json.close(b'}');
            }
            json.close(b']');
        }
        if piece.partial {
            json.key("partial", false);
            json.out.extend_from_slice(b"true");
        }
        if let Some(error) = piece.error {
            json.key("error", false);
            push_string(json.out, error);
        }
        json.close(b'}');
        out.advance();
    }

    pub(crate) fn finish(&mut self, out: &mut Output) {
        if self.results == 0 {
            // A query without statements.
            out.buffer.extend_from_slice(b"{}\n");
            return;
        }
        let mut json = Writer { out: &mut out.buffer, pretty: self.pretty, depth: 2 };
        json.close(b']');
        json.close(b'}');
        json.out.push(b'\n');
        self.results = 0;
    }

    /// A series stands four levels deep, its rows six.
    fn series(&self, piece: &SeriesPiece<'_>, out: &mut Output) {
        let series = piece.series;
        let mut json = Writer { out: &mut out.buffer, pretty: self.pretty, depth: 4 };
        json.open(b'{');
        let mut first = true;
        if !series.name.is_empty() {
            json.key("name", first);
            push_string(json.out, &series.name);
            first = false;
        }
        if let Some(tags) = series.tags.as_ref().filter(|tags| !tags.is_empty()) {
            json.key("tags", first);
            json.open(b'{');
            for (i, (tag, value)) in tags.iter().enumerate() {
                json.key(tag, i == 0);
                push_string(json.out, value);
            }
            json.close(b'}');
            first = false;
        }
        if !series.columns.is_empty() {
            json.key("columns", first);
            json.strings(&series.columns);
            first = false;
        }
        if !piece.rows.is_empty() {
            json.key("values", first);
            json.open(b'[');
            first = false;
            self.rows(piece, out);
            json = Writer { out: &mut out.buffer, pretty: self.pretty, depth: 6 };
            json.close(b']');
        }
        if piece.partial {
            json.key("partial", first);
            json.out.extend_from_slice(b"true");
        }
        json.close(b'}');
    }

    fn rows(&self, piece: &SeriesPiece<'_>, out: &mut Output) {
        let width = piece.series.columns.len();
        let cells = &piece.series.cells[piece.rows.start * width..piece.rows.end * width];
        for (i, row) in cells.chunks_exact(width).enumerate() {
            let mut json = Writer { out: &mut out.buffer, pretty: self.pretty, depth: 6 };
            json.item(i == 0);
            json.open(b'[');
            for (column, cell) in row.iter().enumerate() {
                json.item(column == 0);
                self.cell(&mut json, cell, column, piece.series);
            }
            json.close(b']');
            out.advance();
            if out.is_stopped() {
                return;
            }
        }
    }

    fn cell(&self, json: &mut Writer<'_>, cell: &Cell, column: usize, series: &Series) {
        match cell {
            Cell::Null => json.out.extend_from_slice(b"null"),
            Cell::Time(ns) => match self.epoch {
                Epoch::Units(unit) if column == 0 => push_units(json.out, *ns, unit),
                Epoch::Units(_) | Epoch::Text => {
                    json.out.push(b'"');
                    push_rfc3339(json.out, *ns, series.time_zone.as_deref());
                    json.out.push(b'"');
                }
            },
            Cell::Float(value) => push_json_float(json.out, *value),
            Cell::Integer(value) => push_integer(json.out, *value),
            Cell::Unsigned(value) => push_unsigned(json.out, *value),
            Cell::Boolean(true) => json.out.extend_from_slice(b"true"),
            Cell::Boolean(false) => json.out.extend_from_slice(b"false"),
            Cell::String(text) => push_string(json.out, text),
            Cell::Strings(texts) => json.strings(texts),
        }
    }
}

/// `{"error": text}` and a newline.
pub(crate) fn error(text: &str, pretty: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 16);
    let mut json = Writer { out: &mut out, pretty, depth: 0 };
    json.open(b'{');
    json.key("error", true);
    push_string(json.out, text);
    json.close(b'}');
    out.push(b'\n');
    out
}

/// Brackets, commas, keys and, if pretty, line breaks.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    pretty: bool,
    depth: usize,
}

impl Writer<'_> {
    fn open(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.depth += 1;
    }

    fn close(&mut self, bracket: u8) {
        self.depth = self.depth.saturating_sub(1);
        // Nothing stands between the brackets of an empty list.
        if !matches!(self.out.last(), Some(b'[' | b'{')) {
            self.line();
        }
        self.out.push(bracket);
    }

    /// To be called before each item of a list.
    fn item(&mut self, first: bool) {
        if !first {
            self.out.push(b',');
        }
        self.line();
    }

    fn key(&mut self, key: &str, first: bool) {
        self.item(first);
        push_string(self.out, key);
        self.out.extend_from_slice(if self.pretty { b": " } else { b":" });
    }

    fn strings(&mut self, texts: &[Arc<str>]) {
        self.open(b'[');
        for (i, text) in texts.iter().enumerate() {
            self.item(i == 0);
            push_string(self.out, text);
        }
        self.close(b']');
    }

    fn line(&mut self) {
        if self.pretty {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + 4 * self.depth, b' ');
        }
    }
}

/// Appends a string in quotes. U+FFFD is escaped: it stands for bytes that were not UTF-8, and Go escapes those.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    out.push(b'"');
    let mut start = 0;
    let mut i = 0;
    while i < bytes.len() {
        let byte = bytes[i];
        let mut skip = 1;
        let mut escape = [b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
        let escaped: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..=0x1f | b'<' | b'>' | b'&' => &escape,
            0xe2 | 0xef => {
                let code: &[u8; 4] = match &bytes[i..i + 3] {
                    [0xe2, 0x80, 0xa8] => b"2028",
                    [0xe2, 0x80, 0xa9] => b"2029",
                    [0xef, 0xbf, 0xbd] => b"fffd",
                    _ => {
                        i += 3;
                        continue;
                    }
                };
                escape[2..].copy_from_slice(code);
                skip = 3;
                &escape
            }
            _ => {
                i += 1;
                continue;
            }
        };
        out.extend_from_slice(&bytes[start..i]);
        out.extend_from_slice(escaped);
        i += skip;
        start = i;
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'"');
}
