//! Character classes: `[…]` and the shorthands `\d`, `\pL`.

use super::escape::escaped_char;
use super::{RegexError, push_literal};

/// Translates the class at the start of `text` (its `[`) and returns the text after it.
pub(super) fn translate<'a>(text: &'a str, out: &mut String) -> Result<&'a str, RegexError> {
    let mut rest = &text[1..];
    out.push('[');
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    let mut first = true;
    while first || !rest.starts_with(']') {
        first = false;
        if rest.starts_with("[:") && rest.contains(":]") {
            rest = posix(rest, out)?;
        } else if let Some((item, after)) = shorthand(rest)? {
            out.push_str(&item);
            rest = after;
        } else {
            rest = range(text, rest, out)?;
        }
    }
    out.push(']');
    Ok(&rest[1..])
}

/// `[:name:]`
fn posix<'a>(text: &'a str, out: &mut String) -> Result<&'a str, RegexError> {
    const NAMES: [&str; 14] = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
        "upper", "word", "xdigit",
    ];
    let end = text.find(":]").map_or(text.len(), |i| i + 2);
    let name = text[2..end - 2].trim_start_matches('^');
    if !NAMES.contains(&name) || text[2..].starts_with("^^") {
        return Err(RegexError::new("invalid character class range", &text[..end]));
    }
    out.push_str(&text[..end]);
    Ok(&text[end..])
}

/// One character or `a-z`. `class` is the whole class and what follows it, for the error.
fn range<'a>(class: &str, text: &'a str, out: &mut String) -> Result<&'a str, RegexError> {
    let (low, mut rest) = one_char(class, text)?;
    push_literal(out, low);
    if rest.starts_with('-') && rest.len() > 1 && !rest[1..].starts_with(']') {
        let (high, after) = one_char(class, &rest[1..])?;
        if high < low {
            let part = &text[..text.len() - after.len()];
            return Err(RegexError::new("invalid character class range", part));
        }
        out.push('-');
        push_literal(out, high);
        rest = after;
    }
    Ok(rest)
}

fn one_char<'a>(class: &str, text: &'a str) -> Result<(char, &'a str), RegexError> {
    let mut chars = text.chars();
    match chars.next() {
        None => Err(RegexError::new("missing closing ]", class)),
        Some('\\') => escaped_char(text),
        Some(c) => Ok((c, chars.as_str())),
    }
}

/// `\d` and its like or `\pL`, `\p{Greek}` at the start of `text`, in a form that stands inside and outside of a
/// class, and the text after it.
pub(super) fn shorthand(text: &str) -> Result<Option<(String, &str)>, RegexError> {
    let Some(after) = text.strip_prefix('\\') else { return Ok(None) };
    let mut chars = after.chars();
    let item = match chars.next() {
        Some('d') => "[0-9]",
        Some('D') => "[^0-9]",
        Some('s') => r"[\t\n\x0C\r ]",
        Some('S') => r"[^\t\n\x0C\r ]",
        Some('w') => "[0-9A-Za-z_]",
        Some('W') => "[^0-9A-Za-z_]",
        Some(c @ ('p' | 'P')) => return unicode(text, c == 'P').map(Some),
        _ => return Ok(None),
    };
    Ok(Some((item.to_owned(), chars.as_str())))
}

/// `\pL`, `\PL`, `\p{Greek}`, `\p{^Greek}`
fn unicode(text: &str, negated: bool) -> Result<(String, &str), RegexError> {
    let invalid = |part: &str| RegexError::new("invalid character class range", part);
    let body = &text[2..];
    let (name, rest) = match body.strip_prefix('{') {
        Some(braced) => braced.split_once('}').ok_or_else(|| invalid(text))?,
        None => {
            let c = body.chars().next().ok_or_else(|| invalid(text))?;
            body.split_at(c.len_utf8())
        }
    };
    let (name, negated) = match name.strip_prefix('^') {
        Some(name) => (name, !negated),
        None => (name, negated),
    };
    let item = format!("\\{}{{{name}}}", if negated { 'P' } else { 'p' });
    // Go knows names in their own case only; which names there are is told by trying.
    if !name.starts_with(|c: char| c.is_ascii_uppercase()) || regex_syntax::parse(&item).is_err() {
        return Err(invalid(&text[..text.len() - rest.len()]));
    }
    Ok((item, rest))
}
