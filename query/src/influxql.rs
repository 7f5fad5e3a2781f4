//! The language: lexer, recursive-descent parser, tree, canonical text, Go regular expressions.
//!
//! ```text
//! text → lexer (token) → parse → ast → display
//! ```
//!
//! Texts come from the HTTP surface and from stored continuous queries; trees go to the planners. Nothing here knows
//! a catalog, a clock or a node.

pub mod ast;
pub mod display;
pub mod duration;
mod error;
mod lexer;
mod params;
mod parse;
pub mod regex;
mod token;

pub use error::{ParseError, Position};
pub use params::{ParamValue, Params};
pub use parse::{
    EXPRESSION_HEIGHT_MAX, NESTING_MAX, parse_expr, parse_query, parse_query_with, parse_statement,
};
