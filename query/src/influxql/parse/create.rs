//! CREATE.

use super::{Parser, select};
use crate::influxql::ast::{
    CreateContinuousQuery, CreateDatabase, CreateRetentionPolicy, CreateSubscription, CreateUser, Expr,
    SelectStatement, Statement, SubscriptionMode,
};
use crate::influxql::duration;
use crate::influxql::error::ParseError;
use crate::influxql::token::Keyword;
use std::borrow::Cow;

impl Parser<'_> {
    /// What follows CREATE.
    pub(super) fn create(&mut self) -> Result<Statement, ParseError> {
        const KINDS: [Keyword; 5] = [
            Keyword::Continuous,
            Keyword::Database,
            Keyword::User,
            Keyword::Retention,
            Keyword::Subscription,
        ];
        match self.one_of(&KINDS)? {
            Keyword::Continuous => self.create_continuous_query(),
            Keyword::Database => self.create_database(),
            Keyword::User => self.create_user(),
            Keyword::Retention => self.create_retention_policy(),
            _ => self.create_subscription(),
        }
    }

    fn create_database(&mut self) -> Result<Statement, ParseError> {
        let mut statement = CreateDatabase { name: self.ident()?, ..CreateDatabase::default() };
        if !self.optional_keyword(Keyword::With) {
            return Ok(Statement::CreateDatabase(statement));
        }
        self.one_of(&[Keyword::Duration, Keyword::Name, Keyword::Replication, Keyword::Shard])?;
        self.unread();
        statement.with = true;
        if self.optional_keyword(Keyword::Duration) {
            statement.duration_ns = Some(self.duration()?);
        }
        if self.optional_keyword(Keyword::Replication) {
            statement.replication = Some(self.replication()?);
        }
        if self.optional_keyword(Keyword::Shard) {
            self.keyword(Keyword::Duration)?;
            statement.shard_duration_ns = self.duration()?;
        }
        statement.policy_name = self.optional_name(Keyword::Name)?;
        Ok(Statement::CreateDatabase(statement))
    }

    fn create_retention_policy(&mut self) -> Result<Statement, ParseError> {
        self.keyword(Keyword::Policy)?;
        let name = self.ident()?;
        let database = self.on()?;
        self.keyword(Keyword::Duration)?;
        let duration_ns = self.duration()?;
        self.keyword(Keyword::Replication)?;
        let replication = self.replication()?;
        let shard_duration_ns =
            if self.optional_keyword(Keyword::Shard) { self.shard_duration()? } else { 0 };
        let default = self.optional_keyword(Keyword::Default);
        Ok(Statement::CreateRetentionPolicy(CreateRetentionPolicy {
            name,
            database,
            duration_ns,
            replication,
            shard_duration_ns,
            default,
        }))
    }

    fn create_continuous_query(&mut self) -> Result<Statement, ParseError> {
        self.keyword(Keyword::Query)?;
        let name = self.ident()?;
        let database = self.on()?;
        let (resample_every_ns, resample_for_ns) =
            if self.optional_keyword(Keyword::Resample) { self.resample()? } else { (0, 0) };
        self.keyword(Keyword::Begin)?;
        self.keyword(Keyword::Select)?;
        let source = Box::new(self.select(select::Target::Required)?);
        let interval_ns = self.continuous_query_interval(&source)?;
        self.keyword(Keyword::End)?;
        let least_ns = interval_ns.max(resample_every_ns);
        if resample_for_ns != 0 && least_ns > resample_for_ns {
            let message = format!(
                "FOR duration must be >= GROUP BY time duration: must be a minimum of {}, got {}",
                duration::format(least_ns),
                duration::format(resample_for_ns)
            );
            return Err(ParseError::Invalid(message.into()));
        }
        Ok(Statement::CreateContinuousQuery(CreateContinuousQuery {
            name,
            database,
            resample_every_ns,
            resample_for_ns,
            source,
        }))
    }

    /// The GROUP BY interval, which a continuous query that aggregates must have; 0 for one that does not.
    fn continuous_query_interval(&mut self, source: &SelectStatement) -> Result<i64, ParseError> {
        let interval = group_by_interval(source);
        let aggregates = source.fields.iter().any(|field| has_call(&field.expr));
        match interval {
            Ok(ns) if ns != 0 || !aggregates => Ok(ns),
            Err(reason) if !aggregates => Err(ParseError::Invalid(reason.into())),
            _ => {
                self.unread();
                self.unread();
                let lexeme = self.next();
                let mut expected = vec![Cow::Borrowed("GROUP BY time(...)")];
                expected.extend(interval.err().map(Cow::Borrowed));
                let position = self.lexer.position(lexeme.at);
                Err(ParseError::Expected { found: lexeme.found().to_owned(), expected, position })
            }
        }
    }

    /// What follows RESAMPLE: EVERY and FOR in ns, at least one of them.
    fn resample(&mut self) -> Result<(i64, i64), ParseError> {
        let every_ns = if self.optional_keyword(Keyword::Every) { self.finite_duration()? } else { 0 };
        let for_ns = if self.optional_keyword(Keyword::For) { self.finite_duration()? } else { 0 };
        if every_ns == 0 && for_ns == 0 {
            let lexeme = self.next();
            return Err(self.expected(&lexeme, &["EVERY", "FOR"]));
        }
        Ok((every_ns, for_ns))
    }

    fn create_subscription(&mut self) -> Result<Statement, ParseError> {
        let name = self.ident()?;
        let (database, policy) = self.on_policy()?;
        self.keyword(Keyword::Destinations)?;
        let mode = match self.one_of(&[Keyword::All, Keyword::Any])? {
            Keyword::All => SubscriptionMode::All,
            _ => SubscriptionMode::Any,
        };
        let destinations = self.strings()?;
        Ok(Statement::CreateSubscription(CreateSubscription { name, database, policy, mode, destinations }))
    }

    fn create_user(&mut self) -> Result<Statement, ParseError> {
        let name = self.ident()?;
        self.keyword(Keyword::With)?;
        self.keyword(Keyword::Password)?;
        let password = self.string()?;
        let admin = self.optional_keyword(Keyword::With);
        if admin {
            self.keyword(Keyword::All)?;
            self.keyword(Keyword::Privileges)?;
        }
        Ok(Statement::CreateUser(CreateUser { name, password, admin }))
    }
}

/// The interval of `GROUP BY time(…)` in ns, 0 if there is none.
fn group_by_interval(select: &SelectStatement) -> Result<i64, &'static str> {
    for dimension in &select.dimensions {
        if let Expr::Call(call) = dimension
            && call.name == "time"
        {
            return match &call.args[..] {
                [Expr::Duration(ns)] | [Expr::Duration(ns), _] => Ok(*ns),
                [_] | [_, _] => Err("time dimension must have duration argument"),
                _ => Err("time dimension expected 1 or 2 arguments"),
            };
        }
    }
    Ok(0)
}

fn has_call(expr: &Expr) -> bool {
    match expr {
        Expr::Call(_) => true,
        Expr::Binary(binary) => has_call(&binary.lhs) || has_call(&binary.rhs),
        Expr::Paren(inner) => has_call(inner),
        _ => false,
    }
}
