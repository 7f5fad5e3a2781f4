//! Expressions: operators by precedence, calls, references, literals.

use super::{EXPRESSION_HEIGHT_MAX, Parser};
use crate::influxql::ast::{BinaryExpr, BinaryOp, Call, DataType, Expr, VarRef, WildcardKind};
use crate::influxql::duration;
use crate::influxql::error::ParseError;
use crate::influxql::lexer::Lexeme;
use crate::influxql::token::{Keyword, Token};

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Result<Expr, ParseError> {
        let mut tree = self.operand()?;
        let mut operators = 0;
        let mut operand_height = self.height;
        loop {
            let Some(op) = operator(self.next().token) else {
                self.unread();
                self.height = operand_height + operators;
                return Ok(tree);
            };
            let rhs = match op {
                BinaryOp::EqRegex | BinaryOp::NotEqRegex => {
                    self.height = 1;
                    Expr::Regex(self.regex()?)
                }
                _ => self.operand()?,
            };
            operators += 1;
            operand_height = operand_height.max(self.height);
            if operand_height + operators > EXPRESSION_HEIGHT_MAX {
                let message = format!("expression too large: at most {EXPRESSION_HEIGHT_MAX} operators");
                return Err(ParseError::Invalid(message.into()));
            }
            tree = append(tree, op, rhs);
        }
    }

    /// Anything without a binary operator outside of parentheses.
    fn operand(&mut self) -> Result<Expr, ParseError> {
        self.height = 1;
        let lexeme = self.next();
        match lexeme.token {
            Token::LeftParen => self.nested(Self::paren),
            Token::Ident => self.reference_or_call(lexeme),
            Token::Keyword(Keyword::Distinct) => self.distinct(),
            Token::String => Ok(Expr::String(lexeme.text)),
            Token::Number => match lexeme.text.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(Expr::Number(value)),
                _ => Err(self.error_at(lexeme.at, "unable to parse number")),
            },
            Token::Integer => self.integer(&lexeme),
            Token::True => Ok(Expr::Boolean(true)),
            Token::False => Ok(Expr::Boolean(false)),
            Token::Duration => match duration::parse(&lexeme.text) {
                Ok(ns) => Ok(Expr::Duration(ns)),
                Err(error) => Err(ParseError::Invalid(error.to_string().into())),
            },
            Token::Mul => self.wildcard(),
            Token::Regex => self.checked_pattern(lexeme.text, lexeme.at).map(Expr::Regex),
            Token::BoundParam => Err(ParseError::Invalid(match lexeme.text.trim_start_matches('$') {
                "" => "empty bound parameter".into(),
                name => format!("missing parameter: {name}").into(),
            })),
            Token::Add => self.signed(1),
            Token::Sub => self.signed(-1),
            _ => Err(self.expected(&lexeme, &["identifier", "string", "number", "bool"])),
        }
    }

    fn paren(&mut self) -> Result<Expr, ParseError> {
        let inner = self.expr()?;
        self.height += 1;
        self.token(Token::RightParen)?;
        Ok(Expr::Paren(Box::new(inner)))
    }

    fn reference_or_call(&mut self, name: Lexeme) -> Result<Expr, ParseError> {
        if self.next_raw().token == Token::LeftParen {
            return self.nested(|parser| parser.call(&name.text));
        }
        self.unread();
        self.unread();
        self.var_ref()
    }

    /// A call whose name and parenthesis were read.
    fn call(&mut self, name: &str) -> Result<Expr, ParseError> {
        let mut call = Call { name: name.to_lowercase(), args: Vec::new() };
        let mut height = 1;
        if let Some(pattern) = self.optional_regex()? {
            call.args.push(Expr::Regex(pattern));
        } else {
            if self.next_raw().token == Token::RightParen {
                return Ok(Expr::Call(call));
            }
            self.unread();
            call.args.push(self.expr()?);
            height = self.height;
        }
        while self.optional(Token::Comma) {
            if let Some(pattern) = self.optional_regex()? {
                call.args.push(Expr::Regex(pattern));
            } else {
                call.args.push(self.expr()?);
                height = height.max(self.height);
            }
        }
        self.height = height + 1;
        let lexeme = self.next_raw();
        if lexeme.token != Token::RightParen {
            return Err(self.expected(&lexeme, &[")"]));
        }
        Ok(Expr::Call(call))
    }

    /// `name`, `a.b`, `name::type`
    fn var_ref(&mut self) -> Result<Expr, ParseError> {
        let segments = self.segments()?;
        let data_type = if self.next_raw().token == Token::DoubleColon {
            Some(self.data_type()?)
        } else {
            self.unread();
            None
        };
        Ok(Expr::VarRef(VarRef { name: segments.join("."), data_type }))
    }

    fn data_type(&mut self) -> Result<DataType, ParseError> {
        let lexeme = self.next_raw();
        match lexeme.token {
            Token::Keyword(Keyword::Field) => Ok(DataType::AnyField),
            Token::Keyword(Keyword::Tag) => Ok(DataType::Tag),
            Token::Ident => match &*lexeme.text.to_lowercase() {
                "float" => Ok(DataType::Float),
                "integer" => Ok(DataType::Integer),
                "unsigned" => Ok(DataType::Unsigned),
                "string" => Ok(DataType::String),
                "boolean" => Ok(DataType::Boolean),
                _ => {
                    let types = ["float", "integer", "unsigned", "string", "boolean", "field", "tag"];
                    Err(self.expected(&lexeme, &types))
                }
            },
            _ => Err(self.expected(&lexeme, &["float", "integer", "string", "boolean", "field", "tag"])),
        }
    }

    /// `DISTINCT name` or `DISTINCT(…)`
    fn distinct(&mut self) -> Result<Expr, ParseError> {
        let lexeme = self.next_raw();
        match lexeme.token {
            Token::LeftParen => self.nested(|parser| parser.call("distinct")),
            Token::Whitespace => self.ident().map(Expr::Distinct),
            _ => Err(self.expected(&lexeme, &["(", "identifier"])),
        }
    }

    fn integer(&self, lexeme: &Lexeme) -> Result<Expr, ParseError> {
        if let Ok(value) = lexeme.text.parse() {
            return Ok(Expr::Integer(value));
        }
        match lexeme.text.parse() {
            Ok(value) => Ok(Expr::Unsigned(value)),
            Err(_) => Err(self.error_at(lexeme.at, "unable to parse integer")),
        }
    }

    fn wildcard(&mut self) -> Result<Expr, ParseError> {
        if self.next_raw().token != Token::DoubleColon {
            self.unread();
            return Ok(Expr::Wildcard(WildcardKind::All));
        }
        let lexeme = self.next_raw();
        match lexeme.token {
            Token::Keyword(Keyword::Field) => Ok(Expr::Wildcard(WildcardKind::Field)),
            Token::Keyword(Keyword::Tag) => Ok(Expr::Wildcard(WildcardKind::Tag)),
            _ => Err(self.expected(&lexeme, &["field", "tag"])),
        }
    }

    /// What follows a sign: a literal gets it, everything else is multiplied by it.
    fn signed(&mut self, sign: i64) -> Result<Expr, ParseError> {
        let lexeme = self.next();
        match lexeme.token {
            Token::Number | Token::Integer | Token::Duration | Token::LeftParen | Token::Ident => {
                self.unread();
            }
            _ => return Err(self.expected(&lexeme, &["identifier", "number", "duration", "("])),
        }
        match self.operand()? {
            Expr::Number(value) => Ok(Expr::Number(value * sign as f64)),
            Expr::Integer(value) => Ok(Expr::Integer(value.wrapping_mul(sign))),
            Expr::Duration(ns) => Ok(Expr::Duration(ns.wrapping_mul(sign))),
            Expr::Unsigned(value) if sign > 0 => Ok(Expr::Unsigned(value)),
            Expr::Unsigned(value) if value == i64::MIN.unsigned_abs() => Ok(Expr::Integer(i64::MIN)),
            Expr::Unsigned(value) => {
                Err(ParseError::Invalid(format!("constant -{value} underflows int64").into()))
            }
            operand => {
                self.height += 1;
                Ok(Expr::Binary(Box::new(BinaryExpr {
                    op: BinaryOp::Mul,
                    lhs: Expr::Integer(sign),
                    rhs: operand,
                })))
            }
        }
    }
}

/// Appends `op rhs` to a tree: below its right edge as far as the operators there bind weaker.
fn append(tree: Expr, op: BinaryOp, rhs: Expr) -> Expr {
    match tree {
        Expr::Binary(mut binary) if precedence(binary.op) < precedence(op) => {
            let edge = std::mem::replace(&mut binary.rhs, Expr::Boolean(false));
            binary.rhs = append(edge, op, rhs);
            Expr::Binary(binary)
        }
        tree => Expr::Binary(Box::new(BinaryExpr { op, lhs: tree, rhs })),
    }
}

fn operator(token: Token) -> Option<BinaryOp> {
    Some(match token {
        Token::Add => BinaryOp::Add,
        Token::Sub => BinaryOp::Sub,
        Token::Mul => BinaryOp::Mul,
        Token::Div => BinaryOp::Div,
        Token::Mod => BinaryOp::Mod,
        Token::BitAnd => BinaryOp::BitAnd,
        Token::BitOr => BinaryOp::BitOr,
        Token::BitXor => BinaryOp::BitXor,
        Token::And => BinaryOp::And,
        Token::Or => BinaryOp::Or,
        Token::Eq => BinaryOp::Eq,
        Token::NotEq => BinaryOp::NotEq,
        Token::EqRegex => BinaryOp::EqRegex,
        Token::NotEqRegex => BinaryOp::NotEqRegex,
        Token::Lt => BinaryOp::Lt,
        Token::LtEq => BinaryOp::LtEq,
        Token::Gt => BinaryOp::Gt,
        Token::GtEq => BinaryOp::GtEq,
        _ => return None,
    })
}

fn precedence(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => 1,
        BinaryOp::And => 2,
        BinaryOp::Eq
        | BinaryOp::NotEq
        | BinaryOp::EqRegex
        | BinaryOp::NotEqRegex
        | BinaryOp::Lt
        | BinaryOp::LtEq
        | BinaryOp::Gt
        | BinaryOp::GtEq => 3,
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::BitOr | BinaryOp::BitXor => 4,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::BitAnd => 5,
    }
}
