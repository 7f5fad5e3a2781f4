//! Names, strings, numbers and durations: the words that clauses are made of.

use super::Parser;
use crate::influxql::display::quote_segments;
use crate::influxql::duration;
use crate::influxql::error::ParseError;
use crate::influxql::token::{Keyword, Token};

impl Parser<'_> {
    pub(super) fn ident(&mut self) -> Result<String, ParseError> {
        let lexeme = self.next();
        if lexeme.token == Token::Ident {
            Ok(lexeme.text)
        } else {
            Err(self.expected(&lexeme, &["identifier"]))
        }
    }

    /// `a, b, c`
    pub(super) fn idents(&mut self) -> Result<Vec<String>, ParseError> {
        let mut idents = vec![self.ident()?];
        while self.optional(Token::Comma) {
            idents.push(self.ident()?);
        }
        Ok(idents)
    }

    /// `keyword name`, if the keyword is there; else empty.
    pub(super) fn optional_name(&mut self, keyword: Keyword) -> Result<String, ParseError> {
        if self.optional_keyword(keyword) { self.ident() } else { Ok(String::new()) }
    }

    /// `ON name`
    pub(super) fn on(&mut self) -> Result<String, ParseError> {
        self.keyword(Keyword::On)?;
        self.ident()
    }

    /// `ON database.policy`, without space before the point.
    pub(super) fn on_policy(&mut self) -> Result<(String, String), ParseError> {
        let database = self.on()?;
        let lexeme = self.next_raw();
        if lexeme.token != Token::Dot {
            return Err(self.expected(&lexeme, &["."]));
        }
        Ok((database, self.ident()?))
    }

    /// `a`, `a.b`, `a..c`, `a.b.c`; ends before a regular expression or a colon that follows a point.
    pub(super) fn segments(&mut self) -> Result<Vec<String>, ParseError> {
        let mut segments = vec![self.ident()?];
        loop {
            if self.next_raw().token != Token::Dot {
                self.unread();
                break;
            }
            match self.lexer.peek() {
                Some('/' | ':') => break,
                Some('.') => segments.push(String::new()),
                _ => segments.push(self.ident()?),
            }
        }
        if segments.len() > 3 {
            let message = format!("too many segments in {}", quote_segments(&segments));
            return Err(ParseError::At { message, position: ParseError::START });
        }
        Ok(segments)
    }

    pub(super) fn string(&mut self) -> Result<String, ParseError> {
        let lexeme = self.next();
        if lexeme.token == Token::String { Ok(lexeme.text) } else { Err(self.expected(&lexeme, &["string"])) }
    }

    /// `'a', 'b'`
    pub(super) fn strings(&mut self) -> Result<Vec<String>, ParseError> {
        let mut strings = vec![self.string()?];
        while self.optional(Token::Comma) {
            strings.push(self.string()?);
        }
        Ok(strings)
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, ParseError> {
        let lexeme = self.next();
        if lexeme.token != Token::Integer {
            return Err(self.expected(&lexeme, &["integer"]));
        }
        lexeme.text.parse().map_err(|_| self.not_a_number("ParseUint", &lexeme.text, lexeme.at))
    }

    /// The number after REPLICATION.
    pub(super) fn replication(&mut self) -> Result<u32, ParseError> {
        const MAX: i64 = i32::MAX as i64;
        let lexeme = self.next();
        if lexeme.token != Token::Integer {
            return Err(self.expected(&lexeme, &["integer"]));
        }
        let n: i64 = lexeme.text.parse().map_err(|_| self.not_a_number("Atoi", &lexeme.text, lexeme.at))?;
        if !(1..=MAX).contains(&n) {
            let message = format!("invalid value {n}: must be 1 <= n <= {MAX}");
            return Err(self.error_at(lexeme.at, message));
        }
        Ok(n as u32)
    }

    fn not_a_number(&self, function: &str, text: &str, at: usize) -> ParseError {
        let what = if text.starts_with('-') { "invalid syntax" } else { "value out of range" };
        self.error_at(at, format!("strconv.{function}: parsing \"{text}\": {what}"))
    }

    /// `keyword n`, if the keyword is there; else 0. What is too large counts as the greatest number.
    pub(super) fn optional_limit(&mut self, keyword: Keyword) -> Result<u64, ParseError> {
        if !self.optional_keyword(keyword) {
            return Ok(0);
        }
        let lexeme = self.next();
        if lexeme.token != Token::Integer {
            return Err(self.expected(&lexeme, &["integer"]));
        }
        if lexeme.text.starts_with('-') {
            return Err(self.error_at(lexeme.at, format!("{} must be >= 0", keyword.name())));
        }
        Ok(lexeme.text.parse().map_or(i64::MAX as u64, |n: u64| n.min(i64::MAX as u64)))
    }

    /// A duration in ns; `INF` is 0.
    pub(super) fn duration(&mut self) -> Result<i64, ParseError> {
        let lexeme = self.next();
        match lexeme.token {
            Token::Keyword(Keyword::Inf) => Ok(0),
            Token::Duration => {
                duration::parse(&lexeme.text).map_err(|e| self.error_at(lexeme.at, e.to_string()))
            }
            _ => Err(self.expected(&lexeme, &["duration"])),
        }
    }

    /// A duration in ns, not `INF`.
    pub(super) fn finite_duration(&mut self) -> Result<i64, ParseError> {
        let lexeme = self.next();
        if lexeme.token != Token::Duration {
            return Err(self.expected(&lexeme, &["duration"]));
        }
        duration::parse(&lexeme.text).map_err(|e| self.error_at(lexeme.at, e.to_string()))
    }

    /// `DURATION d` after SHARD.
    pub(super) fn shard_duration(&mut self) -> Result<i64, ParseError> {
        self.keyword(Keyword::Duration)?;
        let lexeme = self.next();
        if lexeme.token == Token::Keyword(Keyword::Inf) {
            return Err(self.error_at(lexeme.at, "invalid duration INF for shard duration"));
        }
        self.unread();
        self.duration()
    }
}
