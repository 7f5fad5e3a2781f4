//! Users and what they may do.

use std::fmt;

/// CREATE USER. `Debug` hides the password, as every log line must.
#[derive(Clone, PartialEq, Eq)]
pub struct CreateUser {
    /// The user.
    pub name: String,
    /// In clear; never printed.
    pub password: String,
    /// WITH ALL PRIVILEGES was said.
    pub admin: bool,
}

impl fmt::Debug for CreateUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateUser")
            .field("name", &self.name)
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}

/// SET PASSWORD. `Debug` hides the password, as every log line must.
#[derive(Clone, PartialEq, Eq)]
pub struct SetPassword {
    /// The user.
    pub name: String,
    /// In clear; never printed.
    pub password: String,
}

impl fmt::Debug for SetPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetPassword").field("name", &self.name).finish_non_exhaustive()
    }
}

/// DROP USER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropUser {
    /// The user.
    pub name: String,
}

/// What a user may do with a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Privilege {
    /// READ
    Read,
    /// WRITE
    Write,
    /// ALL PRIVILEGES
    All,
}

/// GRANT … ON … TO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What is allowed.
    pub privilege: Privilege,
    /// ON.
    pub database: String,
    /// TO.
    pub user: String,
}

/// GRANT ALL PRIVILEGES TO: makes an admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantAdmin {
    /// TO.
    pub user: String,
}

/// REVOKE … ON … FROM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoke {
    /// What is no longer allowed.
    pub privilege: Privilege,
    /// ON.
    pub database: String,
    /// FROM.
    pub user: String,
}

/// REVOKE ALL PRIVILEGES FROM: makes an admin an ordinary user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokeAdmin {
    /// FROM.
    pub user: String,
}

/// SHOW GRANTS FOR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowGrants {
    /// The user.
    pub user: String,
}
