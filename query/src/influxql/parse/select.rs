//! SELECT.

use super::Parser;
use super::source::Subqueries;
use crate::influxql::ast::{BinaryOp, Expr, Fill, FillNumber, MeasurementName, SelectField, SelectStatement};
use crate::influxql::error::ParseError;
use crate::influxql::token::{Keyword, Token};

/// Whether INTO must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Required,
    Optional,
}

impl Parser<'_> {
    /// What follows SELECT.
    pub(super) fn select(&mut self, target: Target) -> Result<SelectStatement, ParseError> {
        let fields = self.select_fields()?;
        let target = self.target(target)?;
        self.keyword(Keyword::From)?;
        Ok(SelectStatement {
            fields,
            target,
            sources: self.sources(Subqueries::Allowed)?,
            condition: self.optional_where()?,
            dimensions: self.optional_group_by()?,
            fill: self.optional_fill()?,
            order: self.optional_order_by()?,
            limit: self.optional_limit(Keyword::Limit)?,
            offset: self.optional_limit(Keyword::Offset)?,
            slimit: self.optional_limit(Keyword::Slimit)?,
            soffset: self.optional_limit(Keyword::Soffset)?,
            time_zone: self.optional_time_zone()?,
        })
    }

    fn select_fields(&mut self) -> Result<Vec<SelectField>, ParseError> {
        let mut fields = Vec::new();
        loop {
            fields.push(self.select_field()?);
            if self.next_raw().token != Token::Comma {
                self.unread();
                return Ok(fields);
            }
        }
    }

    fn select_field(&mut self) -> Result<SelectField, ParseError> {
        let expr = if let Some(pattern) = self.optional_regex()? {
            Expr::Regex(pattern)
        } else {
            let start = self.next().at;
            self.unread();
            let expr = self.expr()?;
            if let Some(op) = boolean_operator(&expr) {
                let position = self.lexer.position(start);
                let message = format!(
                    "invalid operator {op} in SELECT clause at {position}; operator is intended for WHERE clause"
                );
                return Err(ParseError::Invalid(message.into()));
            }
            expr
        };
        let alias = if self.optional_keyword(Keyword::As) { Some(self.ident()?) } else { None };
        let alias = alias.filter(|alias| !alias.is_empty());
        self.skip_whitespace();
        Ok(SelectField { expr, alias })
    }

    /// `INTO db.rp.name`, `INTO rp.:MEASUREMENT`, …
    fn target(&mut self, target: Target) -> Result<Option<MeasurementName>, ParseError> {
        let lexeme = self.next();
        if lexeme.token != Token::Keyword(Keyword::Into) {
            if target == Target::Required {
                return Err(self.expected(&lexeme, &["INTO"]));
            }
            self.unread();
            return Ok(None);
        }
        let mut segments = self.segments()?;
        if segments.len() < 3 && self.lexer.peek() == Some(':') {
            self.token(Token::Colon)?;
            self.keyword(Keyword::Measurement)?;
            segments.push(String::new());
        }
        let mut last_first = segments.into_iter().rev();
        Ok(Some(MeasurementName {
            name: last_first.next().unwrap_or_default(),
            policy: last_first.next().unwrap_or_default(),
            database: last_first.next().unwrap_or_default(),
            regex: None,
            is_target: true,
        }))
    }

    /// The argument of a call of `name`, if one comes next; the texts are for a mere name and for a wrong number of
    /// arguments.
    fn optional_call(
        &mut self,
        name: &str,
        not_a_call: &'static str,
        not_one: &'static str,
    ) -> Result<Option<Expr>, ParseError> {
        let lexeme = self.next();
        self.unread();
        if lexeme.token != Token::Ident || !lexeme.text.eq_ignore_ascii_case(name) {
            return Ok(None);
        }
        let Expr::Call(mut call) = self.expr()? else {
            return Err(ParseError::Invalid(not_a_call.into()));
        };
        match (call.args.pop(), call.args.is_empty()) {
            (Some(arg), true) => Ok(Some(arg)),
            _ => Err(ParseError::Invalid(not_one.into())),
        }
    }

    fn optional_fill(&mut self) -> Result<Fill, ParseError> {
        const NO_ARGUMENT: &str = "fill requires an argument, e.g.: 0, null, none, previous, linear";
        let Some(arg) = self.optional_call("fill", "fill must be a function call", NO_ARGUMENT)? else {
            return Ok(Fill::Null);
        };
        match &arg {
            Expr::Integer(value) => Ok(Fill::Number(FillNumber::Integer(*value))),
            Expr::Number(value) => Ok(Fill::Number(FillNumber::Float(*value))),
            other => match &*other.to_string() {
                "null" => Ok(Fill::Null),
                "none" => Ok(Fill::None),
                "previous" => Ok(Fill::Previous),
                "linear" => Ok(Fill::Linear),
                _ => Err(ParseError::Invalid("expected number argument in fill()".into())),
            },
        }
    }

    fn optional_time_zone(&mut self) -> Result<Option<String>, ParseError> {
        let arg =
            self.optional_call("tz", "tz must be a function call", "tz requires exactly one argument")?;
        match arg {
            None => Ok(None),
            Some(Expr::String(name)) => time_zone_name(name).map(Some),
            Some(_) => Err(ParseError::Invalid("expected string argument in tz()".into())),
        }
    }
}

/// The name of a zone that the time zone database has; `''` and `'Local'` are UTC, for a cluster has no place.
fn time_zone_name(name: String) -> Result<String, ParseError> {
    if matches!(&*name, "" | "UTC" | "Local") {
        return Ok("UTC".to_owned());
    }
    // Go opens a file of this name, and to a file system several slashes are one.
    let mut path = name.clone();
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    // The database finds names in any case, Go does not.
    match jiff::tz::TimeZone::get(&path) {
        Ok(zone) if zone.iana_name() == Some(&path) => Ok(path),
        _ => Err(ParseError::Invalid(format!("unable to find time zone {name}").into())),
    }
}

/// The first operator in a select list's expression that makes a boolean, which only WHERE may have.
fn boolean_operator(expr: &Expr) -> Option<BinaryOp> {
    match expr {
        Expr::Binary(binary) => match binary.op {
            BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::Mod
            | BinaryOp::BitAnd
            | BinaryOp::BitOr
            | BinaryOp::BitXor => boolean_operator(&binary.lhs).or_else(|| boolean_operator(&binary.rhs)),
            op => Some(op),
        },
        Expr::Paren(inner) => boolean_operator(inner),
        Expr::Call(call) => call.args.iter().find_map(boolean_operator),
        _ => None,
    }
}
