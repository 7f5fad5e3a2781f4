//! CREATE DATABASE: names, and what "already exists" means (InfluxDB 1.x `services/meta/client.go`).

use super::policy::check_duration;
use super::{AUTOGEN, Catalog, CatalogError, Database, FieldTable, PolicySpec, RetentionPolicy};
use crate::id::DatabaseId;
use crate::limits::NAME_BYTES_MAX;
use std::sync::Arc;

impl Catalog {
    pub(super) fn create_database(&mut self, name: &str, spec: &PolicySpec) -> Result<(), CatalogError> {
        validate_name(name)?;
        if let Some(existing) = self.database(name) {
            // 1.x looks at the duration before it looks whether the policy is there.
            check_duration(spec.duration_ns.unwrap_or(0))?;
            return compatible(existing, spec);
        }
        let policy_name = spec.name.clone().unwrap_or_else(|| AUTOGEN.to_owned());
        let policy_spec = PolicySpec { name: Some(policy_name), ..spec.clone() };
        let policy = RetentionPolicy::from_spec(self.peek_policy_id(), &policy_spec)?;
        self.next_policy += 1;
        self.databases.push(Arc::new(Database {
            id: DatabaseId(self.next_database),
            name: Arc::from(name),
            default_policy: Some(policy.id),
            policies: vec![policy],
            dropped_default: Arc::default(),
            fields: FieldTable::default(),
        }));
        self.next_database += 1;
        Ok(())
    }
}

/// Only the options that were given are compared, and only with the default policy.
fn compatible(database: &Database, spec: &PolicySpec) -> Result<(), CatalogError> {
    let nothing_said = *spec == PolicySpec::default();
    let Some(policy) = database.default_policy() else {
        return if nothing_said { Ok(()) } else { Err(CatalogError::PolicyConflict) };
    };
    let wished = PolicySpec { name: None, ..spec.clone() };
    let duration_ns = wished.duration_ns.unwrap_or(policy.duration_ns);
    let same = spec.name.as_deref().is_none_or(|n| n == &*policy.name)
        && duration_ns == policy.duration_ns
        && wished.replication.is_none_or(|n| n == policy.replication)
        && wished.shard_duration_ns.is_none_or(|d| {
            super::policy::normalised_shard_duration_ns(d, duration_ns) == policy.shard_duration_ns
        });
    if same { Ok(()) } else { Err(CatalogError::PolicyConflict) }
}

/// InfluxDB 1.x `meta.ValidName`.
pub(super) fn validate_name(name: &str) -> Result<(), CatalogError> {
    if name.len() > NAME_BYTES_MAX {
        return Err(CatalogError::NameTooLong);
    }
    let bad_char = |c: char| c == '/' || c == '\\' || c.is_control() || (c.is_whitespace() && c != ' ');
    if name.is_empty() || name == "." || name == ".." || name.chars().any(bad_char) {
        return Err(CatalogError::InvalidName);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::CatalogCommand;
    use super::*;

    fn create(catalog: &mut Catalog, name: &str, spec: PolicySpec) -> Result<(), CatalogError> {
        catalog.apply(&CatalogCommand::CreateDatabase { name: name.to_owned(), policy: spec })
    }

    fn named(name: &str) -> PolicySpec {
        PolicySpec { name: Some(name.to_owned()), ..PolicySpec::default() }
    }

    #[test]
    fn heapster_may_create_its_database_again_and_again() {
        let mut catalog = Catalog::default();
        create(&mut catalog, "k8s", named("default")).unwrap();
        create(&mut catalog, "k8s", named("default")).unwrap();
        create(&mut catalog, "k8s", PolicySpec::default()).unwrap();
        assert_eq!(catalog.databases.len(), 1);
        assert_eq!(&*catalog.databases[0].default_policy().unwrap().name, "default");
    }

    #[test]
    fn another_policy_name_on_an_existing_database_conflicts() {
        let mut catalog = Catalog::default();
        create(&mut catalog, "k8s", PolicySpec::default()).unwrap();
        assert_eq!(create(&mut catalog, "k8s", named("default")), Err(CatalogError::PolicyConflict));
    }

    #[test]
    fn a_duration_that_may_not_be_is_told_before_a_conflict() {
        let mut catalog = Catalog::default();
        create(&mut catalog, "k8s", PolicySpec::default()).unwrap();
        let lasting = |minutes: i64| PolicySpec {
            duration_ns: Some(minutes * 60_000_000_000),
            ..PolicySpec::default()
        };
        assert_eq!(create(&mut catalog, "k8s", lasting(30)), Err(CatalogError::DurationTooShort));
        assert_eq!(create(&mut catalog, "k8s", lasting(120)), Err(CatalogError::PolicyConflict));
    }

    #[test]
    fn a_write_to_default_reaches_autogen_where_that_is_all_there_is() {
        let mut catalog = Catalog::default();
        create(&mut catalog, "k8s", PolicySpec::default()).unwrap();
        let database = catalog.database("k8s").unwrap();
        assert_eq!(&*database.policy_for_write("default").unwrap().name, AUTOGEN);
        assert!(database.policy_for_write("nope").is_none());
    }

    #[test]
    fn ids_are_not_reused_after_a_drop() {
        let mut catalog = Catalog::default();
        create(&mut catalog, "a", PolicySpec::default()).unwrap();
        let (db, rp) = (catalog.databases[0].id, catalog.databases[0].policies[0].id);
        catalog.apply(&CatalogCommand::DropDatabase { name: "a".into() }).unwrap();
        create(&mut catalog, "a", PolicySpec::default()).unwrap();
        assert_ne!(catalog.databases[0].id, db);
        assert_ne!(catalog.databases[0].policies[0].id, rp);
    }

    #[test]
    fn names_are_checked() {
        for bad in ["", ".", "..", "a/b", "a\\b", "a\nb"] {
            assert_eq!(validate_name(bad), Err(CatalogError::InvalidName), "{bad:?}");
        }
        assert_eq!(validate_name(&"x".repeat(256)), Err(CatalogError::NameTooLong));
        validate_name(&"x".repeat(255)).unwrap();
    }
}
