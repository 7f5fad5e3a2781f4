//! Escapes what people type into URLs unescaped. InfluxDB takes `…&q=SELECT+v+FROM+"cpu/usage"+WHERE+v>5` from a
//! shell; our HTTP library refuses the whole request for its quotes and angle brackets.

use memchr::memchr;

/// Rewrites the first line of a request, which may come in several pieces.
#[derive(Debug, Default)]
pub(super) struct RequestLine {
    inside: bool,
}

impl RequestLine {
    /// The next bytes begin a request.
    pub(super) fn begin(&mut self) {
        self.inside = true;
    }

    /// Gives other bytes in the place of these if something in the line must be escaped.
    pub(super) fn escape(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if !self.inside {
            return None;
        }
        let end = memchr(b'\n', bytes);
        self.inside = end.is_none();
        let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        if !line.iter().any(|&byte| escaped(byte).is_some()) {
            return None;
        }
        let mut out = Vec::with_capacity(bytes.len() + 32);
        for &byte in line {
            match escaped(byte) {
                Some(escape) => out.extend_from_slice(escape),
                None => out.push(byte),
            }
        }
        out.extend_from_slice(rest);
        Some(out)
    }
}

fn escaped(byte: u8) -> Option<&'static [u8; 3]> {
    match byte {
        b'"' => Some(b"%22"),
        b'<' => Some(b"%3C"),
        b'>' => Some(b"%3E"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_line_is_rewritten() {
        let mut line = RequestLine::default();
        assert_eq!(line.escape(b"\"body\""), None);
        line.begin();
        assert_eq!(line.escape(b"GET /query?q=\"a"), Some(b"GET /query?q=%22a".to_vec()));
        assert_eq!(line.escape(b"b+HT"), None);
        let rewritten = line.escape(b"<5 HTTP/1.1\r\nX: \"<\"\r\n\r\n\"").expect("an escape");
        assert_eq!(rewritten, b"%3C5 HTTP/1.1\r\nX: \"<\"\r\n\r\n\"");
        assert_eq!(line.escape(b"\"body\""), None);
    }
}
