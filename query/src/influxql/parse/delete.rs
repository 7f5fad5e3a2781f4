//! DELETE, and the clauses it shares with DROP SERIES.

use super::Parser;
use super::source::Subqueries;
use crate::influxql::ast::{Delete, Expr, Source, Statement};
use crate::influxql::error::ParseError;
use crate::influxql::token::{Keyword, Token};

impl Parser<'_> {
    /// What follows DELETE.
    pub(super) fn delete(&mut self) -> Result<Statement, ParseError> {
        let (sources, condition) = self.unqualified_from_where()?;
        Ok(Statement::Delete(Delete { sources, condition }))
    }

    /// FROM, WHERE or both. Both statements reach every retention policy of the database in use, so names carry
    /// neither.
    pub(super) fn unqualified_from_where(&mut self) -> Result<(Vec<Source>, Option<Expr>), ParseError> {
        let first = self.next();
        let mut sources = Vec::new();
        if first.token == Token::Keyword(Keyword::From) {
            sources = self.sources(Subqueries::Refused)?;
            for source in &sources {
                check_unqualified(source)?;
            }
        } else {
            self.unread();
        }
        let condition = self.optional_where()?;
        if sources.is_empty() && condition.is_none() {
            return Err(self.expected(&first, &["FROM", "WHERE"]));
        }
        Ok((sources, condition))
    }
}

fn check_unqualified(source: &Source) -> Result<(), ParseError> {
    let Source::Measurement(name) = source else { return Ok(()) };
    let part = if !name.policy.is_empty() {
        "retention policy"
    } else if !name.database.is_empty() {
        "database"
    } else {
        return Ok(());
    };
    Err(ParseError::At { message: format!("{part} not supported"), position: ParseError::START })
}
