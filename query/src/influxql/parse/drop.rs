//! DROP.

use super::Parser;
use crate::influxql::ast::{
    DropContinuousQuery, DropDatabase, DropMeasurement, DropRetentionPolicy, DropSeries, DropShard,
    DropSubscription, DropUser, Statement,
};
use crate::influxql::error::ParseError;
use crate::influxql::token::Keyword;

impl Parser<'_> {
    /// What follows DROP.
    pub(super) fn drop(&mut self) -> Result<Statement, ParseError> {
        const KINDS: [Keyword; 8] = [
            Keyword::Continuous,
            Keyword::Database,
            Keyword::Measurement,
            Keyword::Retention,
            Keyword::Series,
            Keyword::Shard,
            Keyword::Subscription,
            Keyword::User,
        ];
        match self.one_of(&KINDS)? {
            Keyword::Continuous => {
                self.keyword(Keyword::Query)?;
                let name = self.ident()?;
                let database = self.on()?;
                Ok(Statement::DropContinuousQuery(DropContinuousQuery { name, database }))
            }
            Keyword::Database => Ok(Statement::DropDatabase(DropDatabase { name: self.ident()? })),
            Keyword::Measurement => Ok(Statement::DropMeasurement(DropMeasurement { name: self.ident()? })),
            Keyword::Retention => {
                self.keyword(Keyword::Policy)?;
                let name = self.ident()?;
                let database = self.on()?;
                Ok(Statement::DropRetentionPolicy(DropRetentionPolicy { name, database }))
            }
            Keyword::Series => {
                let (sources, condition) = self.unqualified_from_where()?;
                Ok(Statement::DropSeries(DropSeries { sources, condition }))
            }
            Keyword::Shard => Ok(Statement::DropShard(DropShard { id: self.unsigned()? })),
            Keyword::Subscription => {
                let name = self.ident()?;
                let (database, policy) = self.on_policy()?;
                Ok(Statement::DropSubscription(DropSubscription { name, database, policy }))
            }
            _ => Ok(Statement::DropUser(DropUser { name: self.ident()? })),
        }
    }
}
