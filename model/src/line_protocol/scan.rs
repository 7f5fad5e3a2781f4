//! Finds lines: where one ends, and what of it is content.

use memchr::{memchr, memchr2};

/// Position of the newline that ends the line starting at `start`, or the end of the body.
///
/// A newline inside a quoted field value, or with a backslash before it, belongs to the line.
pub(super) fn line_end(body: &[u8], start: usize) -> usize {
    let newline = memchr(b'\n', &body[start..]).map_or(body.len(), |n| start + n);
    let line = &body[start..newline];
    let plain = memchr(b'"', line).is_none() && line.last() != Some(&b'\\');
    if plain { newline } else { quoted_line_end(body, start) }
}

/// The exact rule. Quotes count only behind the first blank and only as (part of) a field value, that is when more `=`
/// than `,` were seen.
fn quoted_line_end(body: &[u8], start: usize) -> usize {
    let mut i = start;
    let mut in_fields = false;
    let mut quoted = false;
    let mut equals = 0_usize;
    let mut commas = 0_usize;
    while i < body.len() {
        match body[i] {
            b'\\' if i + 2 < body.len() => i += 1,
            b' ' => in_fields = true,
            b'=' if in_fields && !quoted => equals += 1,
            b',' if in_fields && !quoted => commas += 1,
            b'"' if in_fields && equals > commas => {
                quoted = !quoted;
                if quoted {
                    // Nothing but a quote or a backslash matters inside a string.
                    i += memchr2(b'"', b'\\', &body[i + 1..]).unwrap_or(body.len() - i - 1);
                }
            }
            b'\n' if !quoted => return i,
            _ => {}
        }
        i += 1;
    }
    body.len()
}

/// The line without leading blanks; `None` for comments and blank lines.
pub(super) fn content(line: &[u8]) -> Option<&[u8]> {
    let start = skip_blanks(line, 0);
    if start >= line.len() || line[start] == b'#' {
        return None;
    }
    // Only an unfinished string or an escape can leave a newline at the very end.
    Some(line[start..].strip_suffix(b"\n").unwrap_or(&line[start..]))
}

/// The first position from `i` on that is not a space, a tab or NUL.
pub(super) fn skip_blanks(line: &[u8], mut i: usize) -> usize {
    while i < line.len() && matches!(line[i], b' ' | b'\t' | 0) {
        i += 1;
    }
    i
}
