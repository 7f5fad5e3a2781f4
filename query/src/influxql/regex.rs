//! Go regular expressions (RE2 syntax, as in Go's `regexp`) on the `regex` crate.
//!
//! Both are linear in the text; they differ in syntax. The translator walks the pattern as Go's parser does, refuses
//! what Go refuses, in its words, and writes the rest so that the `regex` crate reads it the same way: Perl classes
//! and `\b` are ASCII, a lone `{` is a character, `[`, `&`, `-`, `~` mean nothing inside a class.

mod class;
mod escape;
#[cfg(test)]
mod tests;

use escape::escaped_char;
use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Bytes that the compiled form of a pattern may take: a pattern from a client must not take the node's memory. It is
/// enough for about 2,500 names of 50 characters, as dashboards send them when much is selected.
const COMPILED_BYTES_MAX: usize = 10 << 20;
/// Greatest count in `{n,m}`, as in Go.
const REPEAT_MAX: u32 = 1_000;

/// Why a pattern is not a regular expression. `Display` is Go's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {reason}: `{part}`")]
pub struct RegexError {
    /// What is wrong.
    reason: &'static str,
    /// The part of the pattern that is wrong.
    part: String,
}

impl RegexError {
    fn new(reason: &'static str, part: &str) -> Self {
        Self { reason, part: part.to_owned() }
    }
}

/// Compiles a Go pattern. It is not anchored, as in Go.
///
/// # Errors
///
/// [`RegexError`] if Go would refuse the pattern, or if it is too large.
pub fn compile(pattern: &str) -> Result<Regex, RegexError> {
    let translated = translate(pattern)?;
    regex::RegexBuilder::new(&translated).size_limit(COMPILED_BYTES_MAX).build().map_err(
        |error| match error {
            regex::Error::CompiledTooBig(_) => RegexError::new("expression too large", pattern),
            _ => RegexError::new("invalid or unsupported Perl syntax", pattern),
        },
    )
}

/// Whether a Go pattern is a regular expression, and how many states it compiles to, about: some ten bytes each. Much
/// cheaper than [`compile`], which may still find it too large.
///
/// # Errors
///
/// [`RegexError`] if Go would refuse the pattern.
pub fn check(pattern: &str) -> Result<u64, RegexError> {
    let translated = translate(pattern)?;
    match regex_syntax::parse(&translated) {
        Ok(hir) => Ok(states(&hir)),
        Err(_) => Err(RegexError::new("invalid or unsupported Perl syntax", pattern)),
    }
}

/// States of a compiled pattern, about. The depth of patterns is bounded by their parser.
fn states(hir: &Hir) -> u64 {
    let sum = |parts: &[Hir]| parts.iter().map(states).fold(1, u64::saturating_add);
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        // A range of characters is a few ranges of bytes.
        HirKind::Class(Class::Unicode(class)) => 4 + 2 * class.ranges().len() as u64,
        HirKind::Class(Class::Bytes(class)) => 1 + class.ranges().len() as u64,
        HirKind::Repetition(repetition) => {
            let times = u64::from(repetition.max.unwrap_or(repetition.min + 1).max(1));
            states(&repetition.sub).saturating_mul(times).saturating_add(1)
        }
        HirKind::Capture(capture) => states(&capture.sub).saturating_add(2),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => sum(parts),
    }
}

/// The pattern in the syntax of the `regex` crate.
fn translate(pattern: &str) -> Result<String, RegexError> {
    let mut translator =
        Translator { whole: pattern, rest: pattern, out: String::with_capacity(pattern.len() + 16), open: 0 };
    translator.run()?;
    Ok(translator.out)
}

/// Position in a pattern and what was written so far.
struct Translator<'a> {
    whole: &'a str,
    rest: &'a str,
    out: String,
    /// Groups not closed yet.
    open: usize,
}

/// What stood before a position: whether a repetition may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing that can be repeated.
    Nothing,
    /// Something that can.
    Item,
}

impl<'a> Translator<'a> {
    fn run(&mut self) -> Result<(), RegexError> {
        let mut before = Before::Nothing;
        while let Some(c) = self.rest.chars().next() {
            before = match c {
                '(' => self.open_group()?,
                ')' => self.close_group()?,
                '|' => {
                    self.copy(1);
                    Before::Nothing
                }
                '^' | '$' | '.' => {
                    self.copy(1);
                    Before::Item
                }
                '[' => {
                    self.rest = class::translate(self.rest, &mut self.out)?;
                    Before::Item
                }
                '*' | '+' | '?' => self.repeat(1, before)?,
                '{' => match repeat_len(self.rest)? {
                    Some(len) => self.repeat(len, before)?,
                    None => self.literal(c),
                },
                '\\' => self.escape()?,
                _ => self.literal(c),
            };
        }
        if self.open > 0 {
            return Err(RegexError::new("missing closing )", self.whole));
        }
        Ok(())
    }

    /// Moves over `len` bytes and returns them.
    fn take(&mut self, len: usize) -> &'a str {
        let (head, tail) = self.rest.split_at(len);
        self.rest = tail;
        head
    }

    fn copy(&mut self, len: usize) {
        let text = self.take(len);
        self.out.push_str(text);
    }

    fn literal(&mut self, c: char) -> Before {
        self.rest = &self.rest[c.len_utf8()..];
        push_literal(&mut self.out, c);
        Before::Item
    }

    fn open_group(&mut self) -> Result<Before, RegexError> {
        if !self.rest.starts_with("(?") {
            self.copy(1);
            self.open += 1;
            return Ok(Before::Nothing);
        }
        if let Some(named) = self.rest.strip_prefix("(?P<") {
            let Some(end) = named.find('>') else {
                return Err(RegexError::new("invalid named capture", self.rest));
            };
            let name = &named[..end];
            if name.is_empty() || !name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
                return Err(RegexError::new("invalid named capture", &self.rest[..end + 5]));
            }
            self.take(end + 5);
            // Names are never asked for, and the crate refuses some that Go takes.
            self.out.push('(');
            self.open += 1;
            return Ok(Before::Nothing);
        }
        for (i, c) in self.rest.char_indices().skip(2) {
            match c {
                'i' | 'm' | 's' | 'U' | '-' => {}
                ':' => {
                    self.copy(i + 1);
                    self.open += 1;
                    return Ok(Before::Nothing);
                }
                ')' => {
                    self.copy(i + 1);
                    return Ok(Before::Nothing);
                }
                _ => {
                    return Err(RegexError::new(
                        "invalid or unsupported Perl syntax",
                        &self.rest[..i + c.len_utf8()],
                    ));
                }
            }
        }
        Err(RegexError::new("missing closing )", self.whole))
    }

    fn close_group(&mut self) -> Result<Before, RegexError> {
        if self.open == 0 {
            return Err(RegexError::new("unexpected )", self.whole));
        }
        self.open -= 1;
        self.copy(1);
        Ok(Before::Item)
    }

    /// A repetition of `len` bytes, with the `?` that makes it lazy. Another one right after it is an error in Go.
    fn repeat(&mut self, len: usize, before: Before) -> Result<Before, RegexError> {
        let start = self.rest;
        self.copy(len);
        if self.rest.starts_with('?') {
            self.copy(1);
        }
        if before == Before::Nothing {
            let operator = &start[..start.len() - self.rest.len()];
            return Err(RegexError::new("missing argument to repetition operator", operator));
        }
        let next_len = match self.rest.chars().next() {
            Some('*' | '+' | '?') => Some(1),
            Some('{') => repeat_len(self.rest)?,
            _ => None,
        };
        if let Some(next_len) = next_len {
            let lazy = usize::from(self.rest[next_len..].starts_with('?'));
            let end = start.len() - self.rest.len() + next_len + lazy;
            return Err(RegexError::new("invalid nested repetition operator", &start[..end]));
        }
        Ok(Before::Item)
    }

    /// What begins with a backslash.
    fn escape(&mut self) -> Result<Before, RegexError> {
        let mut chars = self.rest.chars().skip(1);
        match chars.next() {
            Some('A' | 'z') => self.copy(2),
            Some(c @ ('b' | 'B')) => {
                self.take(2);
                self.out.push_str(if c == 'b' { r"(?-u:\b)" } else { r"(?-u:\B)" });
            }
            Some('Q') => {
                let quoted = &self.rest[2..];
                let (text, rest) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
                for c in text.chars() {
                    push_literal(&mut self.out, c);
                }
                self.rest = rest;
            }
            _ => {
                if let Some((item, rest)) = class::shorthand(self.rest)? {
                    self.out.push_str(&item);
                    self.rest = rest;
                } else {
                    let (c, rest) = escaped_char(self.rest)?;
                    push_literal(&mut self.out, c);
                    self.rest = rest;
                }
            }
        }
        Ok(Before::Item)
    }
}

/// Bytes of a valid `{n}`, `{n,}` or `{n,m}` at the start of `text`; `None` if the brace is a mere character.
fn repeat_len(text: &str) -> Result<Option<usize>, RegexError> {
    let Some(end) = text.find('}') else { return Ok(None) };
    let (least, most) = match text[1..end].split_once(',') {
        Some((least, most)) => (least, most),
        None => (&text[1..end], &text[1..end]),
    };
    let is_count = |s: &str| {
        !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()) && (s.len() == 1 || !s.starts_with('0'))
    };
    if !is_count(least) || !(most.is_empty() || is_count(most)) {
        return Ok(None);
    }
    // Counts that do not fit are too large anyway.
    let least = least.parse().unwrap_or(u32::MAX);
    let most = if most.is_empty() { least } else { most.parse().unwrap_or(u32::MAX) };
    if least > REPEAT_MAX || most > REPEAT_MAX || least > most {
        return Err(RegexError::new("invalid repeat count", &text[..=end]));
    }
    Ok(Some(end + 1))
}

/// Writes a character so that it means nothing but itself, inside and outside of a class.
fn push_literal(out: &mut String, c: char) {
    if c.is_ascii_punctuation() && c != '<' && c != '>' {
        out.push('\\');
    }
    out.push(c);
}
