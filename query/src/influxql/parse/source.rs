//! FROM, WHERE, GROUP BY, ORDER BY: clauses that several statements share.

use super::{Parser, select};
use crate::influxql::ast::{Expr, MeasurementName, SortField, Source};
use crate::influxql::error::ParseError;
use crate::influxql::token::{Keyword, Token};

/// Whether a subquery may stand after FROM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subqueries {
    Allowed,
    Refused,
}

impl Parser<'_> {
    pub(super) fn sources(&mut self, subqueries: Subqueries) -> Result<Vec<Source>, ParseError> {
        let mut sources = vec![self.source(subqueries)?];
        while self.optional(Token::Comma) {
            sources.push(self.source(subqueries)?);
        }
        Ok(sources)
    }

    /// `FROM …`, if it is there; else empty.
    pub(super) fn optional_from(&mut self) -> Result<Vec<Source>, ParseError> {
        if self.optional_keyword(Keyword::From) { self.sources(Subqueries::Refused) } else { Ok(Vec::new()) }
    }

    fn source(&mut self, subqueries: Subqueries) -> Result<Source, ParseError> {
        if let Some(pattern) = self.optional_regex()? {
            let name = MeasurementName { regex: Some(pattern), ..MeasurementName::default() };
            return Ok(Source::Measurement(name));
        }
        if subqueries == Subqueries::Allowed && self.optional(Token::LeftParen) {
            return self.nested(Self::subquery);
        }
        self.measurement_path().map(Source::Measurement)
    }

    fn subquery(&mut self) -> Result<Source, ParseError> {
        self.keyword(Keyword::Select)?;
        let inner = self.select(select::Target::Optional)?;
        self.token(Token::RightParen)?;
        Ok(Source::Subquery(Box::new(inner)))
    }

    /// A name or a regular expression.
    pub(super) fn measurement(&mut self) -> Result<MeasurementName, ParseError> {
        match self.optional_regex()? {
            Some(pattern) => Ok(MeasurementName { regex: Some(pattern), ..MeasurementName::default() }),
            None => self.measurement_path(),
        }
    }

    /// `m`, `rp.m`, `db.rp.m`, `db..m`, with a regular expression in place of `m` except in the first.
    fn measurement_path(&mut self) -> Result<MeasurementName, ParseError> {
        let mut segments = self.segments()?;
        let regex = if segments.len() == 3 { None } else { self.optional_regex()? };
        if regex.is_some() {
            segments.push(String::new());
        }
        let mut last_first = segments.into_iter().rev();
        Ok(MeasurementName {
            name: last_first.next().unwrap_or_default(),
            policy: last_first.next().unwrap_or_default(),
            database: last_first.next().unwrap_or_default(),
            regex,
            is_target: false,
        })
    }

    /// `WHERE …`, if it is there.
    pub(super) fn optional_where(&mut self) -> Result<Option<Expr>, ParseError> {
        if self.optional_keyword(Keyword::Where) { self.expr().map(Some) } else { Ok(None) }
    }

    /// `GROUP BY …`, if it is there; else empty.
    pub(super) fn optional_group_by(&mut self) -> Result<Vec<Expr>, ParseError> {
        let mut dimensions = Vec::new();
        if !self.optional_keyword(Keyword::Group) {
            return Ok(dimensions);
        }
        self.keyword(Keyword::By)?;
        loop {
            if let Some(pattern) = self.optional_regex()? {
                dimensions.push(Expr::Regex(pattern));
            } else {
                dimensions.push(self.expr()?);
                self.skip_whitespace();
            }
            if self.next_raw().token != Token::Comma {
                self.unread();
                return Ok(dimensions);
            }
        }
    }

    /// `ORDER BY …`, if it is there; else empty.
    pub(super) fn optional_order_by(&mut self) -> Result<Vec<SortField>, ParseError> {
        const ONLY_TIME: ParseError =
            ParseError::Invalid(std::borrow::Cow::Borrowed("only ORDER BY time supported at this time"));
        if !self.optional_keyword(Keyword::Order) {
            return Ok(Vec::new());
        }
        self.keyword(Keyword::By)?;
        let lexeme = self.next();
        let first = match lexeme.token {
            Token::Keyword(direction @ (Keyword::Asc | Keyword::Desc)) => {
                SortField { name: String::new(), ascending: direction == Keyword::Asc }
            }
            Token::Ident => {
                self.unread();
                let field = self.sort_field()?;
                if lexeme.text != "time" {
                    return Err(ONLY_TIME);
                }
                field
            }
            _ => return Err(self.expected(&lexeme, &["identifier", "ASC", "DESC"])),
        };
        let mut alone = true;
        while self.optional(Token::Comma) {
            self.sort_field()?;
            alone = false;
        }
        if alone { Ok(vec![first]) } else { Err(ONLY_TIME) }
    }

    fn sort_field(&mut self) -> Result<SortField, ParseError> {
        let name = self.ident()?;
        let descending = match self.next().token {
            Token::Keyword(Keyword::Asc) => false,
            Token::Keyword(Keyword::Desc) => true,
            _ => {
                self.unread();
                false
            }
        };
        Ok(SortField { name, ascending: !descending })
    }
}
