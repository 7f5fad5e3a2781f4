//! ALTER RETENTION POLICY.

use super::Parser;
use crate::influxql::ast::{AlterRetentionPolicy, Statement};
use crate::influxql::error::ParseError;
use crate::influxql::token::{Keyword, Token};

impl Parser<'_> {
    /// What follows ALTER: at least one option, each at most once, in any order.
    pub(super) fn alter(&mut self) -> Result<Statement, ParseError> {
        self.keyword(Keyword::Retention)?;
        self.keyword(Keyword::Policy)?;
        let lexeme = self.next();
        let name = match lexeme.token {
            Token::Keyword(Keyword::Default) => "default".to_owned(),
            Token::Ident => lexeme.text,
            _ => return Err(self.expected(&lexeme, &["identifier"])),
        };
        let mut statement =
            AlterRetentionPolicy { name, database: self.on()?, ..AlterRetentionPolicy::default() };
        let mut said = Vec::new();
        loop {
            let lexeme = self.next();
            let option = match lexeme.token {
                Token::Keyword(
                    option @ (Keyword::Duration | Keyword::Replication | Keyword::Shard | Keyword::Default),
                ) => option,
                _ if said.is_empty() => {
                    return Err(self.expected(&lexeme, &["DURATION", "REPLICATION", "SHARD", "DEFAULT"]));
                }
                _ => {
                    self.unread();
                    return Ok(Statement::AlterRetentionPolicy(statement));
                }
            };
            if said.contains(&option) {
                return Err(self.error_at(lexeme.at, format!("found duplicate {} option", option.name())));
            }
            said.push(option);
            match option {
                Keyword::Duration => statement.duration_ns = Some(self.duration()?),
                Keyword::Replication => statement.replication = Some(self.replication()?),
                Keyword::Shard => statement.shard_duration_ns = Some(self.shard_duration()?),
                _ => statement.default = true,
            }
        }
    }
}
