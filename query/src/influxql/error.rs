//! Why a text is not InfluxQL, in the words of InfluxDB 1.x.

use std::borrow::Cow;
use std::fmt;

/// A place in a query text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub character: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, char {}", self.line, self.character)
    }
}

/// Why a text could not be parsed. `Display` is the 1.x text; the HTTP surface puts `error parsing query: ` before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Another token was needed.
    #[error("found {found}, expected {} at {position}", expected.join(", "))]
    Expected {
        /// The token as written, or its name.
        found: String,
        /// What could have stood there.
        expected: Vec<Cow<'static, str>>,
        /// Where.
        position: Position,
    },
    /// A token that is not acceptable.
    #[error("{message} at {position}")]
    At {
        /// What is wrong.
        message: String,
        /// Where; 1.x says line 1, char 1 for some errors.
        position: Position,
    },
    /// A statement that makes no sense as a whole.
    #[error("{0}")]
    Invalid(Cow<'static, str>),
}

impl ParseError {
    /// The first character: where 1.x puts errors that have no place.
    pub(super) const START: Position = Position { line: 1, character: 1 };
}
