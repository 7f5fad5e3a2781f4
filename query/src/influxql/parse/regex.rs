//! Regular expressions where they may stand. The lexer cannot tell one from a division, so it is asked for one.

use super::{PATTERN_STATES_MAX, Parser};
use crate::influxql::error::ParseError;
use crate::influxql::lexer::Lexer;
use crate::influxql::regex;
use crate::influxql::token::Token;

impl Parser<'_> {
    /// `/pattern/`, or a bind parameter that holds one, if it comes next; the pattern is known to be well formed.
    pub(super) fn optional_regex(&mut self) -> Result<Option<String>, ParseError> {
        if matches!(self.lexer.peek(), Some(' ' | '\t' | '\n')) {
            self.skip_whitespace();
        }
        match self.lexer.peek() {
            Some('$') => {
                let token = self.next_raw().token;
                self.unread();
                if token != Token::Regex {
                    return Ok(None);
                }
            }
            Some('/') => {}
            _ => return Ok(None),
        }
        // The lexer is looked at past tokens that wait to be read again; then those are what is found here.
        let lexeme = self.next_by(Lexer::scan_regex);
        match lexeme.token {
            Token::Regex => self.checked_pattern(lexeme.text, lexeme.at).map(Some),
            Token::BadRegex => Err(self.error_at(lexeme.at, "bad regex: ")),
            _ => Err(self.expected(&lexeme, &["regex"])),
        }
    }

    /// A regular expression, which must come next.
    pub(super) fn regex(&mut self) -> Result<String, ParseError> {
        if let Some(pattern) = self.optional_regex()? {
            return Ok(pattern);
        }
        let lexeme = self.next();
        Err(self.expected(&lexeme, &["regex"]))
    }

    pub(super) fn checked_pattern(&mut self, pattern: String, at: usize) -> Result<String, ParseError> {
        match regex::check(&pattern) {
            Ok(states) => {
                self.pattern_states = self.pattern_states.saturating_add(states);
                if self.pattern_states > PATTERN_STATES_MAX {
                    return Err(ParseError::Invalid(
                        "regular expressions of the statement are too large".into(),
                    ));
                }
                Ok(pattern)
            }
            Err(error) => Err(self.error_at(at, error.to_string())),
        }
    }

    /// Reads the next token if it is whitespace.
    pub(super) fn skip_whitespace(&mut self) {
        if self.next_raw().token != Token::Whitespace {
            self.unread();
        }
    }
}
