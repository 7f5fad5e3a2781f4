//! GRANT, REVOKE, SET PASSWORD.

use super::Parser;
use crate::influxql::ast::{Grant, GrantAdmin, Privilege, Revoke, RevokeAdmin, SetPassword, Statement};
use crate::influxql::error::ParseError;
use crate::influxql::token::{Keyword, Token};

impl Parser<'_> {
    /// What follows GRANT.
    pub(super) fn grant(&mut self) -> Result<Statement, ParseError> {
        let privilege = self.privilege()?;
        if self.on_or(Keyword::To, privilege)? == Keyword::To {
            return Ok(Statement::GrantAdmin(GrantAdmin { user: self.ident()? }));
        }
        let database = self.ident()?;
        self.keyword(Keyword::To)?;
        Ok(Statement::Grant(Grant { privilege, database, user: self.ident()? }))
    }

    /// What follows REVOKE.
    pub(super) fn revoke(&mut self) -> Result<Statement, ParseError> {
        let privilege = self.privilege()?;
        if self.on_or(Keyword::From, privilege)? == Keyword::From {
            return Ok(Statement::RevokeAdmin(RevokeAdmin { user: self.ident()? }));
        }
        let database = self.ident()?;
        self.keyword(Keyword::From)?;
        Ok(Statement::Revoke(Revoke { privilege, database, user: self.ident()? }))
    }

    fn privilege(&mut self) -> Result<Privilege, ParseError> {
        let lexeme = self.next();
        match lexeme.token {
            Token::Keyword(Keyword::Read) => Ok(Privilege::Read),
            Token::Keyword(Keyword::Write) => Ok(Privilege::Write),
            Token::Keyword(Keyword::All) => {
                self.optional_keyword(Keyword::Privileges);
                Ok(Privilege::All)
            }
            _ => Err(self.expected(&lexeme, &["READ", "WRITE", "ALL [PRIVILEGES]"])),
        }
    }

    /// ON, or the keyword before a user: without a database only all privileges can be given and taken.
    fn on_or(&mut self, user: Keyword, privilege: Privilege) -> Result<Keyword, ParseError> {
        match privilege {
            Privilege::All => self.one_of(&[Keyword::On, user]),
            Privilege::Read | Privilege::Write => self.one_of(&[Keyword::On]),
        }
    }

    /// What follows SET.
    pub(super) fn set_password(&mut self) -> Result<Statement, ParseError> {
        self.keyword(Keyword::Password)?;
        self.keyword(Keyword::For)?;
        let name = self.ident()?;
        self.token(Token::Eq)?;
        Ok(Statement::SetPassword(SetPassword { name, password: self.string()? }))
    }
}
