//! Text to tokens.
//!
//! Used by the parser only. It follows the scanner of InfluxDB 1.x in where a token begins and ends and in which
//! character an error is said to be at, oddities included: clients show these texts, and tests compare them.

use super::error::Position;
use super::token::Token;

/// Stands for the end of the text; the text is cut before a NUL.
const EOF: char = '\0';

/// A token with its place and text.
#[derive(Debug, Clone)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    /// Index of the character that errors name; see [`Lexer::position`].
    pub(super) at: usize,
    /// Content of identifiers, strings, numbers, durations and regular expressions; else mostly empty.
    pub(super) text: String,
}

impl Lexeme {
    fn new(token: Token, at: usize) -> Self {
        Self { token, at, text: String::new() }
    }

    fn with_text(token: Token, at: usize, text: impl Into<String>) -> Self {
        Self { token, at, text: text.into() }
    }

    /// How error texts name the token.
    pub(super) fn found(&self) -> &str {
        if self.text.is_empty() { self.token.name() } else { &self.text }
    }
}

/// Reads tokens from a text.
#[derive(Debug)]
pub(super) struct Lexer {
    /// Line ends are `\n`, whatever they were.
    chars: Vec<char>,
    /// Next character. Runs beyond the end, one for each time the end was read: 1.x counts these in its positions.
    index: usize,
}

impl Lexer {
    pub(super) fn new(text: &str) -> Self {
        let mut chars = Vec::with_capacity(text.len());
        let mut source = text.chars().take_while(|c| *c != EOF).peekable();
        while let Some(c) = source.next() {
            if c == '\r' {
                source.next_if_eq(&'\n');
                chars.push('\n');
            } else {
                chars.push(c);
            }
        }
        Self { chars, index: 0 }
    }

    /// Line and character of the character with this index.
    pub(super) fn position(&self, index: usize) -> Position {
        let before = &self.chars[..index.min(self.chars.len())];
        let line = before.iter().filter(|c| **c == '\n').count();
        let line_start = before.iter().rposition(|c| *c == '\n').map_or(0, |i| i + 1);
        let beyond = usize::from(index > self.chars.len());
        Position { line: line + 1, character: before.len() - line_start + beyond + 1 }
    }

    /// The next character. At the end of the text this counts as a read, as it does in 1.x.
    pub(super) fn peek(&mut self) -> Option<char> {
        match self.read() {
            EOF => None,
            c => {
                self.unread();
                Some(c)
            }
        }
    }

    fn read(&mut self) -> char {
        let c = self.chars.get(self.index).copied().unwrap_or(EOF);
        self.index += 1;
        c
    }

    fn unread(&mut self) {
        self.index -= 1;
    }

    /// Reads one character if it is `wanted`.
    fn read_if(&mut self, wanted: char) -> bool {
        let found = self.read() == wanted;
        if !found {
            self.unread();
        }
        found
    }

    /// Index of the character read last.
    fn last(&self) -> usize {
        self.index.saturating_sub(1)
    }

    /// The next token, whitespace and comments included; never a regular expression.
    pub(super) fn scan(&mut self) -> Lexeme {
        let c = self.read();
        let at = self.last();
        match c {
            ' ' | '\t' | '\n' => self.scan_whitespace(),
            'a'..='z' | 'A'..='Z' | '_' | '"' => {
                self.unread();
                self.scan_word(WordKind::Keyword)
            }
            '0'..='9' => self.scan_number(),
            EOF => Lexeme::new(Token::Eof, at),
            '\'' => self.scan_string(),
            '.' => self.scan_dot(),
            '$' => self.scan_bound_param(at),
            '-' if self.read_if('-') => {
                while !matches!(self.read(), '\n' | EOF) {}
                Lexeme::new(Token::Comment, at)
            }
            '/' if self.read_if('*') => Lexeme::new(self.skip_block_comment(), at),
            _ => self.scan_operator(c, at),
        }
    }

    fn scan_operator(&mut self, c: char, at: usize) -> Lexeme {
        let token = match c {
            '+' => Token::Add,
            '-' => Token::Sub,
            '*' => Token::Mul,
            '/' => Token::Div,
            '%' => Token::Mod,
            '&' => Token::BitAnd,
            '|' => Token::BitOr,
            '^' => Token::BitXor,
            '=' if self.read_if('~') => Token::EqRegex,
            '=' => Token::Eq,
            '!' if self.read_if('=') => Token::NotEq,
            '!' if self.read_if('~') => Token::NotEqRegex,
            '>' if self.read_if('=') => Token::GtEq,
            '>' => Token::Gt,
            '<' if self.read_if('=') => Token::LtEq,
            '<' if self.read_if('>') => Token::NotEq,
            '<' => Token::Lt,
            '(' => Token::LeftParen,
            ')' => Token::RightParen,
            ',' => Token::Comma,
            ';' => Token::Semicolon,
            ':' if self.read_if(':') => Token::DoubleColon,
            ':' => Token::Colon,
            _ => return Lexeme::with_text(Token::Illegal, at, c),
        };
        Lexeme::new(token, at)
    }

    fn scan_whitespace(&mut self) -> Lexeme {
        let at = self.last();
        loop {
            match self.read() {
                ' ' | '\t' | '\n' => {}
                EOF => break,
                _ => {
                    self.unread();
                    break;
                }
            }
        }
        let end = self.index.min(self.chars.len());
        Lexeme::with_text(Token::Whitespace, at, self.chars[at..end].iter().collect::<String>())
    }

    /// The end of a `/* */` comment; `Illegal` if there is none.
    fn skip_block_comment(&mut self) -> Token {
        loop {
            match self.read() {
                '*' => {
                    while self.read_if('*') {}
                    if self.read_if('/') {
                        return Token::Comment;
                    }
                }
                EOF => return Token::Illegal,
                _ => {}
            }
        }
    }

    fn scan_bound_param(&mut self, at: usize) -> Lexeme {
        let word = self.scan_word(WordKind::Name);
        let token = if word.token == Token::Ident { Token::BoundParam } else { word.token };
        Lexeme::with_text(token, at, format!("${}", word.text))
    }

    /// A bare word or a quoted identifier. Of `a"b"` only the quoted part counts.
    fn scan_word(&mut self, kind: WordKind) -> Lexeme {
        let at = self.index;
        let mut word = String::new();
        loop {
            match self.read() {
                EOF => break,
                '"' => {
                    let string = self.scan_string();
                    if string.token != Token::String {
                        return string;
                    }
                    return Lexeme::with_text(Token::Ident, at, string.text);
                }
                c if is_ident_char(c) => {
                    word.push(c);
                    while let c @ ('a'..='z' | 'A'..='Z' | '0'..='9' | '_') = self.read() {
                        word.push(c);
                    }
                    // 1.x reads the end twice after a word, and counts both.
                    if self.index <= self.chars.len() {
                        self.unread();
                    }
                }
                _ => {
                    self.unread();
                    break;
                }
            }
        }
        match kind {
            WordKind::Keyword => match Token::of_word(&word) {
                Token::Ident => Lexeme::with_text(Token::Ident, at, word),
                token => Lexeme::new(token, at),
            },
            WordKind::Name => Lexeme::with_text(Token::Ident, at, word),
        }
    }

    /// The rest of a string whose quote was just read. Errors name the character before the quote, as in 1.x.
    fn scan_string(&mut self) -> Lexeme {
        let at = self.last().saturating_sub(1);
        let quote = self.chars[self.last()];
        let mut content = String::new();
        loop {
            match self.read() {
                c if c == quote => return Lexeme::with_text(Token::String, at, content),
                EOF | '\n' => return Lexeme::with_text(Token::BadString, at, content),
                '\\' => match self.read() {
                    'n' => content.push('\n'),
                    c @ ('\\' | '"' | '\'') => content.push(c),
                    c => return Lexeme::with_text(Token::BadEscape, self.last(), format!("\\{c}")),
                },
                c => content.push(c),
            }
        }
    }

    fn scan_dot(&mut self) -> Lexeme {
        let at = self.last();
        let digit_follows = self.read().is_ascii_digit();
        self.unread();
        if digit_follows { self.scan_number() } else { Lexeme::new(Token::Dot, at) }
    }

    /// A number whose first character was just read.
    fn scan_number(&mut self) -> Lexeme {
        let at = self.last();
        self.unread();
        let mut text = String::new();
        self.take_while(&mut text, |c| c.is_ascii_digit());
        if self.read_if('.') {
            let c = self.read();
            self.unread();
            if c.is_ascii_digit() {
                text.push('.');
                self.take_while(&mut text, |c| c.is_ascii_digit());
            }
            return Lexeme::with_text(Token::Number, at, text);
        }
        let c = self.read();
        self.unread();
        if !is_unit_char(c) {
            return Lexeme::with_text(Token::Integer, at, text);
        }
        self.take_while(&mut text, |c| is_unit_char(c) || c.is_ascii_digit());
        Lexeme::with_text(Token::Duration, at, text)
    }

    fn take_while(&mut self, text: &mut String, wanted: impl Fn(char) -> bool) {
        loop {
            let c = self.read();
            if !wanted(c) {
                self.unread();
                return;
            }
            text.push(c);
        }
    }

    /// A regular expression, when the next character is its slash. Only `\/` is unescaped.
    pub(super) fn scan_regex(&mut self) -> Lexeme {
        let at = self.last();
        if self.read() != '/' {
            return Lexeme::new(Token::BadRegex, at);
        }
        let mut pattern = String::new();
        loop {
            match self.read() {
                '/' => return Lexeme::with_text(Token::Regex, at, pattern),
                EOF | '\n' => return Lexeme::new(Token::BadRegex, at),
                '\\' => match self.read() {
                    EOF => return Lexeme::new(Token::BadRegex, at),
                    '/' => pattern.push('/'),
                    _ => {
                        self.unread();
                        pattern.push('\\');
                    }
                },
                c => pattern.push(c),
            }
        }
    }
}

/// Whether a bare word may be a keyword.
#[derive(Debug, Clone, Copy)]
enum WordKind {
    Keyword,
    Name,
}

fn is_unit_char(c: char) -> bool {
    c.is_ascii_alphabetic() || c == 'µ'
}

/// Whether a bare identifier may contain it; a digit may not come first.
pub(super) fn is_ident_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(Token, &str)]) {
        let mut lexer = Lexer::new(text);
        for (token, content) in expected {
            let lexeme = lexer.scan();
            assert_eq!((lexeme.token, &*lexeme.text), (*token, *content), "{text:?}");
        }
        assert_eq!(lexer.scan().token, Token::Eof, "{text:?}");
    }

    #[test]
    fn numbers_and_durations() {
        check("1.5", &[(Token::Number, "1.5")]);
        check(".5", &[(Token::Number, ".5")]);
        check("1.", &[(Token::Number, "1")]);
        check("1h30m", &[(Token::Duration, "1h30m")]);
        check("5µ", &[(Token::Duration, "5µ")]);
        check("10.5h", &[(Token::Number, "10.5"), (Token::Ident, "h")]);
    }

    #[test]
    fn words_and_strings() {
        check(r#""a\"b""#, &[(Token::Ident, "a\"b")]);
        check(r"'a\'\n'", &[(Token::String, "a'\n")]);
        check(r"'a\q'", &[(Token::BadEscape, r"\q"), (Token::BadString, "")]);
        check("'a", &[(Token::BadString, "a")]);
        check("TRUE", &[(Token::True, "")]);
        check("$a", &[(Token::BoundParam, "$a")]);
        check("$\"a b\"", &[(Token::BoundParam, "$a b")]);
    }

    #[test]
    fn comments() {
        check("-- x\n", &[(Token::Comment, "")]);
        check("/* a **/", &[(Token::Comment, "")]);
        check("/* a", &[(Token::Illegal, "")]);
    }

    #[test]
    fn lines_are_counted_whatever_ends_them() {
        let lexer = Lexer::new("a\r\nb\rc\nd");
        assert_eq!(lexer.position(6), Position { line: 4, character: 1 });
    }
}
