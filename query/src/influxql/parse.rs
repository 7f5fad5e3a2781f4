//! Tokens to trees: a recursive-descent parser, one statement family a file.
//!
//! The HTTP surface calls [`parse_query_with`]; planners get the trees. The parser knows no catalog. It accepts what
//! the parser of InfluxDB 1.6 to 1.8 accepts, and refuses the rest in its words and at its places.

mod access;
mod alter;
mod create;
mod delete;
mod drop;
mod expression;
mod name;
mod regex;
mod select;
mod show;
mod source;

use super::ast::{Explain, Expr, KillQuery, Statement};
use super::error::ParseError;
use super::lexer::{Lexeme, Lexer};
use super::params::Params;
use super::token::{Keyword, Token};
use std::borrow::Cow;

/// How deep parentheses, calls and subqueries may nest: deeper ones would overflow the stack of whoever walks the tree.
pub const NESTING_MAX: usize = 100;
/// How high the tree of an expression may be; `a OR b OR c` is as high as it has operators.
pub const EXPRESSION_HEIGHT_MAX: usize = 2_000;

/// Tokens of a query text: 10,000 statements as panels send them take a third of it. Each may take some hundred bytes as
/// part of a tree.
const TOKENS_MAX: usize = 1_000_000;
/// States of all regular expressions of a statement together, about 40 bytes each when compiled.
const PATTERN_STATES_MAX: u64 = 500_000;

/// The statements of a query text without bind parameters.
///
/// # Errors
///
/// [`ParseError`] at the first fault.
pub fn parse_query(text: &str) -> Result<Vec<Statement>, ParseError> {
    parse_query_with(text, &Params::new())
}

/// The statements of a query text with bind parameters.
///
/// # Errors
///
/// [`ParseError`] at the first fault.
pub fn parse_query_with(text: &str, params: &Params) -> Result<Vec<Statement>, ParseError> {
    let mut parser = Parser::new(text, params);
    let mut statements = Vec::new();
    let mut separated = true;
    loop {
        let lexeme = parser.next();
        match lexeme.token {
            Token::Eof if parser.tokens > TOKENS_MAX => return Err(too_many_tokens()),
            Token::Eof => return Ok(statements),
            Token::Semicolon => separated = true,
            _ if !separated => return Err(parser.expected(&lexeme, &[";"])),
            _ => {
                parser.unread();
                let statement = parser.statement();
                if parser.tokens > TOKENS_MAX {
                    return Err(too_many_tokens());
                }
                statements.push(statement?);
                separated = false;
            }
        }
    }
}

fn too_many_tokens() -> ParseError {
    ParseError::Invalid(format!("query too large: at most {TOKENS_MAX} words and signs").into())
}

/// The first statement of a text.
///
/// # Errors
///
/// [`ParseError`] at the first fault; what follows the statement is not looked at.
pub fn parse_statement(text: &str) -> Result<Statement, ParseError> {
    Parser::new(text, &Params::new()).statement()
}

/// The expression at the start of a text.
///
/// # Errors
///
/// [`ParseError`] at the first fault; what follows the expression is not looked at.
pub fn parse_expr(text: &str) -> Result<Expr, ParseError> {
    Parser::new(text, &Params::new()).expr()
}

/// Tokens that can be read again. 1.x keeps as many.
const HISTORY: usize = 3;

/// A text being parsed. A method named after a clause reads that clause; `optional_` ones read it if it is there.
struct Parser<'a> {
    lexer: Lexer,
    params: &'a Params,
    /// The last tokens in a ring; `latest` is the newest.
    history: [Lexeme; HISTORY],
    latest: usize,
    /// How many of them are to be read again.
    unread: usize,
    /// Parentheses, calls and subqueries around this place.
    nesting: usize,
    /// At least the height of the expression read last.
    height: usize,
    /// Tokens read so far; behind the last that may be read the text seems to end.
    tokens: usize,
    /// States of the regular expressions of this statement.
    pattern_states: u64,
}

impl<'a> Parser<'a> {
    fn new(text: &str, params: &'a Params) -> Self {
        let none = Lexeme { token: Token::Eof, at: 0, text: String::new() };
        Self {
            lexer: Lexer::new(text),
            params,
            history: [none.clone(), none.clone(), none],
            latest: 0,
            unread: 0,
            nesting: 0,
            height: 0,
            tokens: 0,
            pattern_states: 0,
        }
    }

    /// The next token, which may be whitespace or a comment.
    fn next_raw(&mut self) -> Lexeme {
        self.next_by(Lexer::scan)
    }

    /// The next token that is not whitespace or a comment.
    fn next(&mut self) -> Lexeme {
        loop {
            let lexeme = self.next_raw();
            if !matches!(lexeme.token, Token::Whitespace | Token::Comment) {
                return lexeme;
            }
        }
    }

    /// A token to be read again if there is one, else what `scan` reads; a bind parameter's value in its place.
    fn next_by(&mut self, scan: impl FnOnce(&mut Lexer) -> Lexeme) -> Lexeme {
        if self.unread > 0 {
            self.unread -= 1;
        } else {
            self.latest = (self.latest + 1) % HISTORY;
            self.history[self.latest] = scan(&mut self.lexer);
            self.tokens += 1;
            if self.tokens > TOKENS_MAX {
                self.history[self.latest].token = Token::Eof;
            }
        }
        let mut lexeme = self.history[(self.latest + HISTORY - self.unread) % HISTORY].clone();
        if lexeme.token == Token::BoundParam
            && let Some(value) = self.params.get(&lexeme.text[1..])
        {
            lexeme.token = value.token;
            lexeme.text.clone_from(&value.text);
        }
        lexeme
    }

    /// Makes the last token be read again.
    fn unread(&mut self) {
        // Never more than the ring holds: a statement that 1.x would misread fails cleanly instead.
        self.unread = (self.unread + 1).min(HISTORY);
    }

    /// Reads the next token if it is this one.
    fn optional(&mut self, token: Token) -> bool {
        let found = self.next().token == token;
        if !found {
            self.unread();
        }
        found
    }

    fn optional_keyword(&mut self, keyword: Keyword) -> bool {
        self.optional(Token::Keyword(keyword))
    }

    fn token(&mut self, token: Token) -> Result<(), ParseError> {
        let lexeme = self.next();
        if lexeme.token == token { Ok(()) } else { Err(self.expected(&lexeme, &[token.name()])) }
    }

    fn keyword(&mut self, keyword: Keyword) -> Result<(), ParseError> {
        self.token(Token::Keyword(keyword))
    }

    /// Reads one of some keywords; the error names all of them.
    fn one_of(&mut self, keywords: &[Keyword]) -> Result<Keyword, ParseError> {
        let lexeme = self.next();
        if let Token::Keyword(keyword) = lexeme.token
            && keywords.contains(&keyword)
        {
            return Ok(keyword);
        }
        let names: Vec<&'static str> = keywords.iter().map(|k| k.name()).collect();
        Err(self.expected(&lexeme, &names))
    }

    fn expected(&self, found: &Lexeme, expected: &[&'static str]) -> ParseError {
        ParseError::Expected {
            found: found.found().to_owned(),
            expected: expected.iter().map(|text| Cow::Borrowed(*text)).collect(),
            position: self.lexer.position(found.at),
        }
    }

    fn error_at(&self, at: usize, message: impl Into<String>) -> ParseError {
        ParseError::At { message: message.into(), position: self.lexer.position(at) }
    }

    /// Runs `inner` one level deeper.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        if self.nesting == NESTING_MAX {
            return Err(ParseError::Invalid(
                format!("nested too deeply: at most {NESTING_MAX} parentheses, calls and subqueries").into(),
            ));
        }
        self.nesting += 1;
        let result = inner(self);
        self.nesting -= 1;
        result
    }

    fn statement(&mut self) -> Result<Statement, ParseError> {
        const STATEMENTS: [Keyword; 11] = [
            Keyword::Select,
            Keyword::Delete,
            Keyword::Show,
            Keyword::Create,
            Keyword::Drop,
            Keyword::Explain,
            Keyword::Grant,
            Keyword::Revoke,
            Keyword::Alter,
            Keyword::Set,
            Keyword::Kill,
        ];
        self.pattern_states = 0;
        match self.one_of(&STATEMENTS)? {
            Keyword::Delete => self.delete(),
            Keyword::Show => self.show(),
            Keyword::Create => self.create(),
            Keyword::Drop => self.drop(),
            Keyword::Explain => self.explain(),
            Keyword::Grant => self.grant(),
            Keyword::Revoke => self.revoke(),
            Keyword::Alter => self.alter(),
            Keyword::Set => self.set_password(),
            Keyword::Kill => self.kill_query(),
            _ => Ok(Statement::Select(Box::new(self.select(select::Target::Optional)?))),
        }
    }

    fn explain(&mut self) -> Result<Statement, ParseError> {
        let analyze = self.optional_keyword(Keyword::Analyze);
        self.keyword(Keyword::Select)?;
        let statement = Box::new(self.select(select::Target::Optional)?);
        Ok(Statement::Explain(Explain { statement, analyze }))
    }

    fn kill_query(&mut self) -> Result<Statement, ParseError> {
        self.keyword(Keyword::Query)?;
        let id = self.unsigned()?;
        let host = if self.optional_keyword(Keyword::On) { self.ident()? } else { String::new() };
        Ok(Statement::KillQuery(KillQuery { id, host }))
    }
}
