//! The audit log: who changed what from where, and whether it was done. One event of the tracing target `audit` each, so
//! that `log.level` can choose it and `log.audit_file` can have it alone. It holds no passwords, no tokens, and no points.
//!
//! Statements that change the catalog or delete points, `KILL QUERY`, every order to the admin API, and logins that failed.

use axum::http::StatusCode;
use query::influxql::ast::Statement;
use std::net::IpAddr;

/// Who asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Actor {
    /// The user; `-` where nobody is asked for one.
    pub(crate) name: String,
    /// Where the connection came from.
    pub(crate) address: Option<IpAddr>,
}

impl Actor {
    pub(crate) fn new(name: Option<&str>, address: Option<IpAddr>) -> Self {
        Self { name: name.unwrap_or("-").to_owned(), address }
    }

    fn address(&self) -> String {
        self.address.map_or_else(|| "-".to_owned(), |address| address.to_string())
    }
}

/// The text of a statement that the log tells of; `None` for the others. Made before it runs.
pub(crate) fn text_of(statement: &Statement) -> Option<String> {
    match statement {
        // Points, not what they are kept in.
        Statement::Select(_) => None,
        Statement::CreateSubscription(create) => {
            let mut create = create.clone();
            for destination in &mut create.destinations {
                *destination = without_credentials(destination);
            }
            Some(Statement::CreateSubscription(create).to_string())
        }
        statement if statement.is_write() => Some(statement.to_string()),
        _ => None,
    }
}

/// A statement was answered, with this error if there is one.
pub(crate) fn statement(actor: &Actor, database: &str, text: &str, error: Option<&str>) {
    let (user, address) = (&*actor.name, actor.address());
    match error {
        None => tracing::info!(target: "audit", user, address, database, statement = text, "done"),
        Some(error) => {
            tracing::info!(target: "audit", user, address, database, statement = text, error, "refused");
        }
    }
}

/// A request to the admin API that could change something was answered.
pub(crate) fn order(actor: &Actor, method: &str, path: &str, status: StatusCode) {
    let (user, address, status) = (&*actor.name, actor.address(), status.as_u16());
    let what = if status < 300 { "done" } else { "refused" };
    tracing::info!(target: "audit", user, address, method, path, status, "{what}");
}

/// Somebody was not who they said they were.
pub(crate) fn login_failed(actor: &Actor, port: &str) {
    tracing::info!(target: "audit", user = &*actor.name, address = actor.address(), port, "login failed");
}

/// A URL whose user and password are not shown.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://[REDACTED]@{host}{path}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use query::influxql::parse_statement;

    fn text(statement: &str) -> Option<String> {
        text_of(&parse_statement(statement).expect("a statement"))
    }

    #[test]
    fn what_changes_something_is_told_without_its_secrets() {
        for (statement, told) in [
            ("CREATE USER u WITH PASSWORD 'pw'", Some("CREATE USER u WITH PASSWORD [REDACTED]")),
            ("SET PASSWORD FOR u = 'pw'", Some("SET PASSWORD FOR u = [REDACTED]")),
            ("DROP DATABASE d", Some("DROP DATABASE d")),
            ("DELETE FROM m", Some("DELETE FROM m")),
            ("KILL QUERY 7", Some("KILL QUERY 7")),
            (
                "CREATE SUBSCRIPTION s ON d.rp DESTINATIONS ALL 'http://u:pw@h:1/x', 'udp://h:2'",
                Some("CREATE SUBSCRIPTION s ON d.rp DESTINATIONS ALL 'http://[REDACTED]@h:1/x', 'udp://h:2'"),
            ),
            ("SELECT v INTO w FROM m", None),
            ("SHOW DATABASES", None),
        ] {
            assert_eq!(text(statement).as_deref(), told, "{statement}");
        }
    }

    #[test]
    fn credentials_of_a_url_end_at_its_host() {
        assert_eq!(without_credentials("http://u:p@x@h:1/a@b"), "http://[REDACTED]@h:1/a@b");
        assert_eq!(without_credentials("http://h:1/a@b"), "http://h:1/a@b");
        assert_eq!(without_credentials("u:p@h"), "u:p@h");
    }
}
