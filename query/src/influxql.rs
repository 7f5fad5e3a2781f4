//! The language: lexer, recursive-descent parser, tree, canonical text, Go regular expressions.

pub mod ast;
