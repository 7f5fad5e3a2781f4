//! Users and what they may do with databases (InfluxDB 1.x `services/meta/data.go`).
//!
//! A password never gets here: the node that takes a statement hashes it first, because a hash has a random salt and
//! every replica must store the same one. Whether a password is right is not this module's business either.

use super::{Catalog, CatalogError};
use crate::limits::{NAME_BYTES_MAX, USERS_MAX};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A password's hash as text that names its algorithm, parameters and salt. `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PasswordHash(Arc<str>);

impl PasswordHash {
    /// The hash with this text.
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// Its text, for storage and for verification.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// Somebody who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// As given by CREATE USER.
    pub name: Arc<str>,
    /// What the password must hash to.
    pub hash: PasswordHash,
    /// WITH ALL PRIVILEGES: everything is allowed.
    pub admin: bool,
    /// By the name of the database. A database from which everything was revoked stays, with [`Access::None`].
    pub access: BTreeMap<Arc<str>, Access>,
}

/// What a user may do with a database. Writing does not include reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Nothing.
    None,
    /// READ.
    Read,
    /// WRITE.
    Write,
    /// ALL PRIVILEGES.
    All,
}

impl Access {
    /// Its number on disk and between nodes: a bit for reading, a bit for writing.
    pub fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Read => 1,
            Self::Write => 2,
            Self::All => 3,
        }
    }

    /// The access of a number; `None` for a number that is none.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::None, Self::Read, Self::Write, Self::All].into_iter().find(|access| access.code() == code)
    }

    /// What is left when `revoked` is taken away.
    fn without(self, revoked: Self) -> Self {
        Self::from_code(self.code() & !revoked.code()).unwrap_or(Self::None)
    }

    /// As SHOW GRANTS and the refusals say it.
    pub fn text(self) -> &'static str {
        match self {
            Self::None => "NO PRIVILEGES",
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::All => "ALL PRIVILEGES",
        }
    }
}

impl User {
    /// Whether the user may do this with a database.
    pub fn may(&self, needed: Access, database: &str) -> bool {
        if self.admin || needed == Access::None {
            return true;
        }
        self.access.get(database).is_some_and(|access| *access == needed || *access == Access::All)
    }
}

impl Catalog {
    /// The user of this name.
    pub fn user(&self, name: &str) -> Option<&Arc<User>> {
        self.users.iter().find(|user| &*user.name == name)
    }

    /// Whether somebody may do everything; before that, 1.x asks nobody for a password.
    pub fn has_admin(&self) -> bool {
        self.users.iter().any(|user| user.admin)
    }

    pub(super) fn create_user(
        &mut self,
        name: &str,
        hash: &PasswordHash,
        admin: bool,
    ) -> Result<(), CatalogError> {
        if name.is_empty() {
            return Err(CatalogError::UsernameRequired);
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(CatalogError::NameTooLong);
        }
        if let Some(existing) = self.user(name) {
            // The same salt: this very command, proposed again because its first answer was lost.
            let again = existing.hash == *hash && existing.admin == admin;
            return if again { Ok(()) } else { Err(CatalogError::UserExists) };
        }
        if self.users.len() >= USERS_MAX {
            return Err(CatalogError::TooManyUsers);
        }
        let (name, hash) = (Arc::from(name), hash.clone());
        self.users.push(Arc::new(User { name, hash, admin, access: BTreeMap::new() }));
        Ok(())
    }

    pub(super) fn set_password(&mut self, name: &str, hash: &PasswordHash) -> Result<(), CatalogError> {
        self.user_mut(name)?.hash = hash.clone();
        Ok(())
    }

    pub(super) fn set_admin(&mut self, name: &str, admin: bool) -> Result<(), CatalogError> {
        self.user_mut(name)?.admin = admin;
        Ok(())
    }

    pub(super) fn grant(&mut self, name: &str, database: &str, access: Access) -> Result<(), CatalogError> {
        self.change_access(name, database, |_| access)
    }

    pub(super) fn revoke(&mut self, name: &str, database: &str, access: Access) -> Result<(), CatalogError> {
        self.change_access(name, database, |before| before.without(access))
    }

    fn change_access(
        &mut self,
        name: &str,
        database: &str,
        change: impl FnOnce(Access) -> Access,
    ) -> Result<(), CatalogError> {
        let known = self.database(database).is_some();
        let user = self.user_mut(name)?;
        if !known {
            return Err(CatalogError::DatabaseNotFound { name: database.to_owned() });
        }
        let before = user.access.get(database).copied().unwrap_or(Access::None);
        user.access.insert(Arc::from(database), change(before));
        Ok(())
    }

    /// Nobody keeps a privilege for a database of the same name that may come later.
    pub(super) fn forget_access(&mut self, database: &str) {
        for user in self.users.iter_mut().filter(|user| user.access.contains_key(database)) {
            Arc::make_mut(user).access.remove(database);
        }
    }

    /// A copy-on-write handle to a user for a change.
    fn user_mut(&mut self, name: &str) -> Result<&mut User, CatalogError> {
        let user = self.users.iter_mut().find(|user| &*user.name == name);
        user.map(Arc::make_mut).ok_or(CatalogError::UserNotFound)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CatalogCommand, PolicySpec};
    use super::*;

    fn create(name: &str, hash: &str, admin: bool) -> CatalogCommand {
        CatalogCommand::CreateUser { name: name.to_owned(), hash: PasswordHash::new(hash), admin }
    }

    fn with_database(name: &str) -> Catalog {
        let mut catalog = Catalog::default();
        let policy = PolicySpec::default();
        catalog.apply(&CatalogCommand::CreateDatabase { name: name.to_owned(), policy }).unwrap();
        catalog
    }

    fn grant(user: &str, database: &str, access: Access) -> CatalogCommand {
        CatalogCommand::Grant { user: user.to_owned(), database: database.to_owned(), access }
    }

    fn revoke(user: &str, database: &str, access: Access) -> CatalogCommand {
        CatalogCommand::Revoke { user: user.to_owned(), database: database.to_owned(), access }
    }

    #[test]
    fn a_command_that_is_proposed_twice_creates_one_user() {
        let mut catalog = Catalog::default();
        assert_eq!(catalog.apply(&create("u", "salt1", false)), Ok(()));
        assert_eq!(catalog.apply(&create("u", "salt1", false)), Ok(()));
        assert_eq!(catalog.apply(&create("u", "salt2", false)), Err(CatalogError::UserExists));
        assert_eq!(catalog.apply(&create("u", "salt1", true)), Err(CatalogError::UserExists));
        assert_eq!(catalog.apply(&create("", "salt1", true)), Err(CatalogError::UsernameRequired));
        assert_eq!(catalog.users.len(), 1);
        assert!(!catalog.has_admin());
    }

    #[test]
    fn a_grant_replaces_and_a_revocation_takes_away() {
        let mut catalog = with_database("d");
        catalog.apply(&create("u", "h", false)).unwrap();
        let mut now = |command: CatalogCommand| {
            catalog.apply(&command).unwrap();
            catalog.user("u").unwrap().access["d"]
        };
        assert_eq!(now(revoke("u", "d", Access::Read)), Access::None);
        assert_eq!(now(grant("u", "d", Access::Read)), Access::Read);
        assert_eq!(now(grant("u", "d", Access::Write)), Access::Write);
        assert_eq!(now(revoke("u", "d", Access::Read)), Access::Write);
        assert_eq!(now(grant("u", "d", Access::All)), Access::All);
        assert_eq!(now(revoke("u", "d", Access::Read)), Access::Write);
        assert_eq!(now(revoke("u", "d", Access::Write)), Access::None);
        assert_eq!(now(grant("u", "d", Access::All)), Access::All);
        assert_eq!(now(revoke("u", "d", Access::All)), Access::None);
    }

    #[test]
    fn the_user_is_looked_for_before_the_database() {
        let mut catalog = with_database("d");
        catalog.apply(&create("u", "h", false)).unwrap();
        let unknown = CatalogError::DatabaseNotFound { name: "nope".to_owned() };
        assert_eq!(catalog.apply(&grant("nope", "nope", Access::All)), Err(CatalogError::UserNotFound));
        assert_eq!(catalog.apply(&grant("u", "nope", Access::All)), Err(unknown.clone()));
        assert_eq!(catalog.apply(&revoke("u", "nope", Access::All)), Err(unknown));
    }

    #[test]
    fn writing_does_not_include_reading_and_a_dropped_database_takes_its_privileges_along() {
        let mut catalog = with_database("d");
        catalog.apply(&create("u", "h", false)).unwrap();
        catalog.apply(&grant("u", "d", Access::Write)).unwrap();
        let user = Arc::clone(catalog.user("u").unwrap());
        assert!(user.may(Access::Write, "d") && user.may(Access::None, "x"));
        assert!(!user.may(Access::Read, "d") && !user.may(Access::All, "d") && !user.may(Access::Write, ""));
        catalog.apply(&CatalogCommand::DropDatabase { name: "d".to_owned() }).unwrap();
        assert_eq!(catalog.user("u").unwrap().access, BTreeMap::new());
    }

    #[test]
    fn a_hash_does_not_show() {
        assert_eq!(format!("{:?}", PasswordHash::new("$argon2id$secret")), "PasswordHash(..)");
    }
}
