//! Subscriptions: where copies of the writes to a retention policy go (InfluxDB 1.x `services/meta/data.go`).

use super::{Catalog, CatalogError, RetentionPolicy};
use crate::limits::SUBSCRIPTIONS_MAX;
use std::sync::Arc;

/// A subscription to the writes of one retention policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// As given.
    pub name: Arc<str>,
    /// Who of the destinations gets a write.
    pub mode: SubscriptionMode,
    /// URLs, as given: `udp`, `http` or `https`, with a port.
    pub destinations: Arc<[Arc<str>]>,
}

/// Who of the destinations of a subscription gets a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubscriptionMode {
    /// Each of them.
    All,
    /// One, in turn.
    Any,
}

impl SubscriptionMode {
    /// Its number on disk and between nodes.
    pub fn code(self) -> u8 {
        match self {
            Self::All => 0,
            Self::Any => 1,
        }
    }

    /// The mode of a number; `None` for a number that is none.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::All, Self::Any].into_iter().find(|mode| mode.code() == code)
    }

    /// As the statements say it.
    pub fn text(self) -> &'static str {
        match self {
            Self::All => "ALL",
            Self::Any => "ANY",
        }
    }
}

/// A destination, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination<'a> {
    /// `udp`, `http` or `https`.
    pub scheme: &'a str,
    /// `name:password` before the `@`; empty if there is none.
    pub credentials: &'a str,
    /// `host:port`.
    pub address: &'a str,
    /// What follows the address, without the last slash; empty or beginning with a slash.
    pub path: &'a str,
}

impl<'a> Destination<'a> {
    /// Takes a URL apart; `None` for one that 1.x refuses: another scheme, or no port.
    pub fn parse(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        if !["udp", "http", "https"].contains(&scheme) {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let (credentials, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (host, port) = address.rsplit_once(':')?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let wrong_host = host.contains(':') && !bracketed;
        if wrong_host || port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let printable = |text: &str| !text.chars().any(|c| c.is_control() || c == ' ');
        if !printable(authority) {
            return None;
        }
        let path = tail.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        Some(Self { scheme, credentials, address, path })
    }
}

impl Catalog {
    /// What 1.x looks at before it changes anything. These are refusals of a statement; the command that follows is
    /// applied in any case, so that it may be proposed twice.
    ///
    /// # Errors
    ///
    /// That the subscription, or the user, is there already or is not there.
    pub fn refuse_repeated(&self, command: &super::CatalogCommand) -> Result<(), CatalogError> {
        use super::CatalogCommand as Command;
        match command {
            Command::DropUser { name } if self.user(name).is_none() => Err(CatalogError::UserNotFound),
            Command::CreateSubscription { database, policy, subscription } => {
                check_destinations(subscription)?;
                let known = self.policy_of(database, policy)?.subscription(&subscription.name);
                known.map_or(Ok(()), |_| Err(CatalogError::SubscriptionExists))
            }
            Command::DropSubscription { database, policy, name } => {
                let known = self.policy_of(database, policy)?.subscription(name);
                known.map_or(Err(CatalogError::SubscriptionNotFound), |_| Ok(()))
            }
            _ => Ok(()),
        }
    }

    fn policy_of(&self, database: &str, policy: &str) -> Result<&RetentionPolicy, CatalogError> {
        let unknown = || CatalogError::DatabaseNotFound { name: database.to_owned() };
        let found = self.database(database).ok_or_else(unknown)?.policy(policy);
        found.ok_or_else(|| CatalogError::PolicyNotFound { name: policy.to_owned() })
    }

    pub(super) fn create_subscription(
        &mut self,
        database: &str,
        policy: &str,
        subscription: &Subscription,
    ) -> Result<(), CatalogError> {
        check_destinations(subscription)?;
        let subscriptions = self.subscriptions_mut(database, policy)?;
        if let Some(existing) = subscriptions.iter().find(|s| s.name == subscription.name) {
            return if existing == subscription { Ok(()) } else { Err(CatalogError::SubscriptionExists) };
        }
        if subscriptions.len() >= SUBSCRIPTIONS_MAX {
            return Err(CatalogError::TooManySubscriptions);
        }
        subscriptions.push(subscription.clone());
        Ok(())
    }

    pub(super) fn drop_subscription(
        &mut self,
        database: &str,
        policy: &str,
        name: &str,
    ) -> Result<(), CatalogError> {
        self.subscriptions_mut(database, policy)?.retain(|s| &*s.name != name);
        Ok(())
    }

    fn subscriptions_mut(
        &mut self,
        database: &str,
        policy: &str,
    ) -> Result<&mut Vec<Subscription>, CatalogError> {
        let found = self.database_mut(database)?.policies.iter_mut().find(|p| &*p.name == policy);
        let unknown = || CatalogError::PolicyNotFound { name: policy.to_owned() };
        found.map(|p| &mut p.subscriptions).ok_or_else(unknown)
    }
}

impl RetentionPolicy {
    /// The subscription of this name.
    pub fn subscription(&self, name: &str) -> Option<&Subscription> {
        self.subscriptions.iter().find(|s| &*s.name == name)
    }
}

fn check_destinations(subscription: &Subscription) -> Result<(), CatalogError> {
    let bad = subscription.destinations.iter().find(|url| Destination::parse(url).is_none());
    bad.map_or(Ok(()), |url| Err(CatalogError::InvalidSubscriptionUrl { url: url.to_string() }))
}

#[cfg(test)]
mod tests {
    use super::super::{CatalogCommand, PolicySpec};
    use super::*;

    fn create(database: &str, policy: &str, name: &str, url: &str) -> CatalogCommand {
        let destinations = Arc::from([Arc::from(url)]);
        let mode = SubscriptionMode::Any;
        CatalogCommand::CreateSubscription {
            database: database.to_owned(),
            policy: policy.to_owned(),
            subscription: Subscription { name: Arc::from(name), mode, destinations },
        }
    }

    /// What a statement answers: the refusal, else what applying says.
    fn run(catalog: &mut Catalog, command: &CatalogCommand) -> String {
        let done = catalog.refuse_repeated(command).and_then(|()| catalog.apply(command));
        done.map_or_else(|error| error.to_string(), |()| "ok".to_owned())
    }

    #[test]
    fn statements_are_refused_as_in_1x() {
        let mut catalog = Catalog::default();
        let policy = PolicySpec::default();
        catalog.apply(&CatalogCommand::CreateDatabase { name: "d".to_owned(), policy }).unwrap();
        let drop = |database: &str, policy: &str| CatalogCommand::DropSubscription {
            database: database.to_owned(),
            policy: policy.to_owned(),
            name: "s".to_owned(),
        };
        for (command, expected) in [
            (create("d", "autogen", "s", "http://h:1"), "ok"),
            (create("d", "autogen", "s", "http://h:1"), "subscription already exists"),
            (create("d", "autogen", "t", "http://h"), "invalid subscription URL: http://h"),
            (create("nope", "autogen", "t", "ftp://h:1"), "invalid subscription URL: ftp://h:1"),
            (create("nope", "autogen", "t", "udp://h:1"), "database not found: nope"),
            (create("d", "nope", "t", "udp://h:1"), "retention policy not found: nope"),
            (drop("nope", "autogen"), "database not found: nope"),
            (drop("d", "nope"), "retention policy not found: nope"),
            (drop("d", "autogen"), "ok"),
            (drop("d", "autogen"), "subscription not found"),
        ] {
            assert_eq!(run(&mut catalog, &command), expected, "{command:?}");
        }
    }

    #[test]
    fn a_command_that_is_proposed_twice_is_applied_once() {
        let mut catalog = Catalog::default();
        let policy = PolicySpec::default();
        catalog.apply(&CatalogCommand::CreateDatabase { name: "d".to_owned(), policy }).unwrap();
        let create = create("d", "autogen", "s", "http://h:1");
        assert_eq!((catalog.apply(&create), catalog.apply(&create)), (Ok(()), Ok(())));
        assert_eq!(catalog.databases[0].policies[0].subscriptions.len(), 1);
    }

    #[test]
    fn destinations_are_taken_apart() {
        let parse = |url| Destination::parse(url).map(|d| (d.scheme, d.credentials, d.address, d.path));
        assert_eq!(parse("udp://127.0.0.1:9090"), Some(("udp", "", "127.0.0.1:9090", "")));
        assert_eq!(parse("http://u:p@h:1/a/"), Some(("http", "u:p", "h:1", "/a")));
        assert_eq!(parse("https://[::1]:9092?x=1"), Some(("https", "", "[::1]:9092", "")));
        for url in
            ["http://h", "http://h:", "h:1", "ftp://h:1", "http://a:b:1", "http://h:x", "http://a b:1", ""]
        {
            assert_eq!(parse(url), None, "{url}");
        }
    }
}
