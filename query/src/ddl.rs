//! Statements that change the catalog, as commands for it: databases, retention policies, users, subscriptions.
//!
//! DROP CONTINUOUS QUERY is here too; CREATE needs more than its statement, see [`crate::continuous`].
//!
//! The node proposes the command to the meta group; whether it is allowed is decided where it is applied. The other
//! statements that change something are not commands of the catalog: see [`crate::delete`]. CREATE USER and SET PASSWORD
//! hold a password, which the node hashes first.

use crate::influxql::ast::{self, Statement};
use crate::privileges::access;
use model::catalog::{CatalogCommand, PolicyChange, PolicySpec, Subscription, SubscriptionMode};
use std::sync::Arc;

/// The catalog command that a statement stands for; `None` if it stands for none.
pub fn catalog_command(statement: &Statement) -> Option<CatalogCommand> {
    Some(match statement {
        Statement::CreateDatabase(s) => {
            let policy = if s.with {
                PolicySpec {
                    name: (!s.policy_name.is_empty()).then(|| s.policy_name.clone()),
                    duration_ns: s.duration_ns,
                    replication: s.replication,
                    // Said or not, 1.x compares it with the existing policy as soon as there is a WITH.
                    shard_duration_ns: Some(s.shard_duration_ns),
                }
            } else {
                PolicySpec::default()
            };
            CatalogCommand::CreateDatabase { name: s.name.clone(), policy }
        }
        Statement::DropDatabase(s) => CatalogCommand::DropDatabase { name: s.name.clone() },
        Statement::CreateRetentionPolicy(s) => CatalogCommand::CreateRetentionPolicy {
            database: s.database.clone(),
            spec: PolicySpec {
                name: Some(s.name.clone()),
                duration_ns: Some(s.duration_ns),
                replication: Some(s.replication),
                shard_duration_ns: Some(s.shard_duration_ns),
            },
            make_default: s.default,
        },
        Statement::AlterRetentionPolicy(s) => CatalogCommand::AlterRetentionPolicy {
            database: s.database.clone(),
            policy: s.name.clone(),
            change: PolicyChange {
                duration_ns: s.duration_ns,
                replication: s.replication,
                shard_duration_ns: s.shard_duration_ns,
                make_default: s.default,
            },
        },
        Statement::DropRetentionPolicy(s) => {
            CatalogCommand::DropRetentionPolicy { database: s.database.clone(), policy: s.name.clone() }
        }
        Statement::DropContinuousQuery(s) => {
            CatalogCommand::DropContinuousQuery { database: s.database.clone(), name: s.name.clone() }
        }
        _ => return user_command(statement).or_else(|| subscription_command(statement)),
    })
}

fn user_command(statement: &Statement) -> Option<CatalogCommand> {
    Some(match statement {
        Statement::DropUser(s) => CatalogCommand::DropUser { name: s.name.clone() },
        Statement::GrantAdmin(s) => CatalogCommand::SetAdmin { name: s.user.clone(), admin: true },
        Statement::RevokeAdmin(s) => CatalogCommand::SetAdmin { name: s.user.clone(), admin: false },
        Statement::Grant(s) => CatalogCommand::Grant {
            user: s.user.clone(),
            database: s.database.clone(),
            access: access(s.privilege),
        },
        Statement::Revoke(s) => CatalogCommand::Revoke {
            user: s.user.clone(),
            database: s.database.clone(),
            access: access(s.privilege),
        },
        _ => return None,
    })
}

fn subscription_command(statement: &Statement) -> Option<CatalogCommand> {
    Some(match statement {
        Statement::CreateSubscription(s) => CatalogCommand::CreateSubscription {
            database: s.database.clone(),
            policy: s.policy.clone(),
            subscription: Subscription {
                name: Arc::from(&*s.name),
                mode: match s.mode {
                    ast::SubscriptionMode::All => SubscriptionMode::All,
                    ast::SubscriptionMode::Any => SubscriptionMode::Any,
                },
                destinations: s.destinations.iter().map(|url| Arc::from(&**url)).collect(),
            },
        },
        Statement::DropSubscription(s) => CatalogCommand::DropSubscription {
            database: s.database.clone(),
            policy: s.policy.clone(),
            name: s.name.clone(),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::influxql::parse_statement;
    use model::catalog::Catalog;

    /// Applies statements in turn and returns what the last one says.
    fn apply(statements: &[&str]) -> String {
        let mut catalog = Catalog::default();
        let mut last = String::new();
        for text in statements {
            let command = catalog_command(&parse_statement(text).unwrap()).unwrap();
            last = catalog.apply(&command).map_or_else(|error| error.to_string(), |()| "ok".to_owned());
        }
        last
    }

    #[test]
    fn heapster_creates_its_database_at_every_start() {
        const CREATE: &str = r#"CREATE DATABASE k8s WITH NAME "default""#;
        assert_eq!(apply(&[CREATE, CREATE]), "ok");
        assert_eq!(
            apply(&["CREATE DATABASE k8s", CREATE]),
            "retention policy conflicts with an existing policy"
        );
    }

    #[test]
    fn a_changed_shard_duration_conflicts_with_every_with() {
        const ALTER: &str = "ALTER RETENTION POLICY autogen ON d SHARD DURATION 1h";
        let with = |options: &str| {
            let create = format!("CREATE DATABASE d WITH {options}");
            apply(&["CREATE DATABASE d", ALTER, &create])
        };
        assert_eq!(with("NAME autogen"), "retention policy conflicts with an existing policy");
        assert_eq!(with("SHARD DURATION 1h NAME autogen"), "ok");
        assert_eq!(apply(&["CREATE DATABASE d", ALTER, "CREATE DATABASE d"]), "ok");
    }

    #[test]
    fn policies() {
        const CREATE: &str = "CREATE RETENTION POLICY r ON d DURATION 2d REPLICATION 1";
        assert_eq!(apply(&["CREATE DATABASE d", CREATE, CREATE]), "ok");
        assert_eq!(
            apply(&["CREATE DATABASE d", CREATE, "CREATE RETENTION POLICY r ON d DURATION 3d REPLICATION 1"]),
            "retention policy already exists"
        );
        assert_eq!(
            apply(&["CREATE DATABASE d", "ALTER RETENTION POLICY nope ON d DEFAULT"]),
            "retention policy not found: nope"
        );
        assert_eq!(apply(&["DROP RETENTION POLICY nope ON d"]), "ok");
        assert_eq!(apply(&["DROP DATABASE nope"]), "ok");
    }

    #[test]
    fn other_statements_are_no_commands() {
        for text in ["SHOW DATABASES", "DROP SERIES FROM m", "CREATE USER u WITH PASSWORD 'p'"] {
            assert_eq!(catalog_command(&parse_statement(text).unwrap()), None, "{text}");
        }
    }
}
