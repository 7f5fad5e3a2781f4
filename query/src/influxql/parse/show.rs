//! SHOW.

use super::Parser;
use crate::influxql::ast::{
    Cardinality, ShowDiagnostics, ShowFieldKeys, ShowGrants, ShowMeasurements, ShowRetentionPolicies,
    ShowSeries, ShowStats, ShowTagKeys, ShowTagValues, ShowTagValuesCardinality, Statement, TagKeyMatch,
};
use crate::influxql::error::ParseError;
use crate::influxql::token::{Keyword, Token};

/// What may follow SHOW.
const SHOW: [Keyword; 16] = [
    Keyword::Continuous,
    Keyword::Databases,
    Keyword::Diagnostics,
    Keyword::Field,
    Keyword::Grants,
    Keyword::Measurement,
    Keyword::Measurements,
    Keyword::Queries,
    Keyword::Retention,
    Keyword::Series,
    Keyword::Shard,
    Keyword::Shards,
    Keyword::Stats,
    Keyword::Subscriptions,
    Keyword::Tag,
    Keyword::Users,
];

impl Parser<'_> {
    /// What follows SHOW.
    pub(super) fn show(&mut self) -> Result<Statement, ParseError> {
        match self.one_of(&SHOW)? {
            Keyword::Continuous => {
                self.keyword(Keyword::Queries)?;
                Ok(Statement::ShowContinuousQueries)
            }
            Keyword::Databases => Ok(Statement::ShowDatabases),
            Keyword::Diagnostics => {
                Ok(Statement::ShowDiagnostics(ShowDiagnostics { module: self.optional_module()? }))
            }
            Keyword::Field => match self.one_of(&[Keyword::Key, Keyword::Keys])? {
                Keyword::Key => Ok(Statement::ShowFieldKeyCardinality(self.key_cardinality()?)),
                _ => self.show_field_keys(),
            },
            Keyword::Grants => {
                self.keyword(Keyword::For)?;
                Ok(Statement::ShowGrants(ShowGrants { user: self.ident()? }))
            }
            Keyword::Measurement => self.show_measurement_cardinality(),
            Keyword::Measurements => self.show_measurements(),
            Keyword::Queries => Ok(Statement::ShowQueries),
            Keyword::Retention => {
                self.keyword(Keyword::Policies)?;
                let database = self.optional_name(Keyword::On)?;
                Ok(Statement::ShowRetentionPolicies(ShowRetentionPolicies { database }))
            }
            Keyword::Series => self.show_series(),
            Keyword::Shard => {
                self.keyword(Keyword::Groups)?;
                Ok(Statement::ShowShardGroups)
            }
            Keyword::Shards => Ok(Statement::ShowShards),
            Keyword::Stats => Ok(Statement::ShowStats(ShowStats { module: self.optional_module()? })),
            Keyword::Subscriptions => Ok(Statement::ShowSubscriptions),
            Keyword::Tag => match self.one_of(&[Keyword::Key, Keyword::Keys, Keyword::Values])? {
                Keyword::Key => Ok(Statement::ShowTagKeyCardinality(self.key_cardinality()?)),
                Keyword::Keys => self.show_tag_keys(),
                _ => self.show_tag_values(),
            },
            _ => Ok(Statement::ShowUsers),
        }
    }

    /// `FOR 'module'`, if it is there.
    fn optional_module(&mut self) -> Result<String, ParseError> {
        if self.optional_keyword(Keyword::For) { self.string() } else { Ok(String::new()) }
    }

    fn show_measurements(&mut self) -> Result<Statement, ParseError> {
        let database = self.optional_name(Keyword::On)?;
        let measurement = if self.optional_keyword(Keyword::With) {
            self.keyword(Keyword::Measurement)?;
            let lexeme = self.next();
            if !matches!(lexeme.token, Token::Eq | Token::EqRegex) {
                return Err(self.expected(&lexeme, &["=", "=~"]));
            }
            Some(self.measurement()?)
        } else {
            None
        };
        Ok(Statement::ShowMeasurements(ShowMeasurements {
            database,
            measurement,
            condition: self.optional_where()?,
            order: self.optional_order_by()?,
            limit: self.optional_limit(Keyword::Limit)?,
            offset: self.optional_limit(Keyword::Offset)?,
        }))
    }

    fn show_series(&mut self) -> Result<Statement, ParseError> {
        let exact = self.optional_keyword(Keyword::Exact);
        if self.optional_keyword(Keyword::Cardinality) {
            return Ok(Statement::ShowSeriesCardinality(self.cardinality(exact)?));
        }
        Ok(Statement::ShowSeries(ShowSeries {
            database: self.optional_name(Keyword::On)?,
            sources: self.optional_from()?,
            condition: self.optional_where()?,
            order: self.optional_order_by()?,
            limit: self.optional_limit(Keyword::Limit)?,
            offset: self.optional_limit(Keyword::Offset)?,
        }))
    }

    fn show_tag_keys(&mut self) -> Result<Statement, ParseError> {
        Ok(Statement::ShowTagKeys(ShowTagKeys {
            database: self.optional_name(Keyword::On)?,
            sources: self.optional_from()?,
            condition: self.optional_where()?,
            order: self.optional_order_by()?,
            limit: self.optional_limit(Keyword::Limit)?,
            offset: self.optional_limit(Keyword::Offset)?,
            slimit: self.optional_limit(Keyword::Slimit)?,
            soffset: self.optional_limit(Keyword::Soffset)?,
        }))
    }

    fn show_tag_values(&mut self) -> Result<Statement, ParseError> {
        match self.next().token {
            Token::Keyword(Keyword::Exact) => {
                self.keyword(Keyword::Cardinality)?;
                return self.show_tag_values_cardinality(true);
            }
            Token::Keyword(Keyword::Cardinality) => return self.show_tag_values_cardinality(false),
            _ => self.unread(),
        }
        Ok(Statement::ShowTagValues(ShowTagValues {
            database: self.optional_name(Keyword::On)?,
            sources: self.optional_from()?,
            key: self.with_key()?,
            condition: self.optional_where()?,
            order: self.optional_order_by()?,
            limit: self.optional_limit(Keyword::Limit)?,
            offset: self.optional_limit(Keyword::Offset)?,
        }))
    }

    fn show_field_keys(&mut self) -> Result<Statement, ParseError> {
        Ok(Statement::ShowFieldKeys(ShowFieldKeys {
            database: self.optional_name(Keyword::On)?,
            sources: self.optional_from()?,
            order: self.optional_order_by()?,
            limit: self.optional_limit(Keyword::Limit)?,
            offset: self.optional_limit(Keyword::Offset)?,
        }))
    }

    /// `WITH KEY = k`, `!= k`, `=~ /p/`, `!~ /p/`, `IN (k, k)`
    fn with_key(&mut self) -> Result<TagKeyMatch, ParseError> {
        self.keyword(Keyword::With)?;
        self.keyword(Keyword::Key)?;
        let lexeme = self.next();
        match lexeme.token {
            Token::Eq => Ok(TagKeyMatch::Equal(self.ident()?)),
            Token::NotEq => Ok(TagKeyMatch::NotEqual(self.ident()?)),
            Token::EqRegex => Ok(TagKeyMatch::Match(self.regex()?)),
            Token::NotEqRegex => Ok(TagKeyMatch::NotMatch(self.regex()?)),
            Token::Keyword(Keyword::In) => {
                self.token(Token::LeftParen)?;
                let keys = self.idents()?;
                self.token(Token::RightParen)?;
                Ok(TagKeyMatch::In(keys))
            }
            _ => Err(self.expected(&lexeme, &["IN", "=", "=~"])),
        }
    }

    fn show_measurement_cardinality(&mut self) -> Result<Statement, ParseError> {
        let exact = self.one_of(&[Keyword::Exact, Keyword::Cardinality])? == Keyword::Exact;
        if exact {
            self.keyword(Keyword::Cardinality)?;
        }
        Ok(Statement::ShowMeasurementCardinality(self.cardinality(exact)?))
    }

    /// `[EXACT] CARDINALITY …`
    fn key_cardinality(&mut self) -> Result<Cardinality, ParseError> {
        let exact = self.optional_keyword(Keyword::Exact);
        if exact {
            self.keyword(Keyword::Cardinality)?;
        } else {
            let lexeme = self.next();
            if lexeme.token != Token::Keyword(Keyword::Cardinality) {
                return Err(self.expected(&lexeme, &["EXACT", "CARDINALITY"]));
            }
        }
        self.cardinality(exact)
    }

    /// What follows CARDINALITY.
    fn cardinality(&mut self, exact: bool) -> Result<Cardinality, ParseError> {
        let database = self.optional_name(Keyword::On)?;
        let sources = self.optional_from()?;
        self.cardinality_filter(Cardinality { exact, database, sources, ..Cardinality::default() })
    }

    /// The clauses of a CARDINALITY statement that follow FROM and WITH KEY.
    fn cardinality_filter(&mut self, before: Cardinality) -> Result<Cardinality, ParseError> {
        Ok(Cardinality {
            condition: self.optional_where()?,
            dimensions: self.optional_group_by()?,
            limit: self.optional_limit(Keyword::Limit)?,
            offset: self.optional_limit(Keyword::Offset)?,
            ..before
        })
    }

    fn show_tag_values_cardinality(&mut self, exact: bool) -> Result<Statement, ParseError> {
        let database = self.optional_name(Keyword::On)?;
        let sources = self.optional_from()?;
        let key = self.with_key()?;
        let before = Cardinality { exact, database, sources, ..Cardinality::default() };
        let cardinality = self.cardinality_filter(before)?;
        Ok(Statement::ShowTagValuesCardinality(ShowTagValuesCardinality { cardinality, key }))
    }
}
