//! Retention policies: durations, their defaults, create, alter, drop (InfluxDB 1.x `services/meta/data.go`).

use super::{Catalog, CatalogError, PolicyChange, PolicySpec, Subscription, database::validate_name};
use crate::id::RetentionPolicyId;
use crate::time::{DAY_NS, HOUR_NS};
use std::sync::Arc;

/// A retention policy of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Never reused.
    pub id: RetentionPolicyId,
    /// As given.
    pub name: Arc<str>,
    /// How long points are kept, ns; 0 is for ever.
    pub duration_ns: i64,
    /// Length of a shard group, ns.
    pub shard_duration_ns: i64,
    /// What REPLICATION said; shown, not used.
    pub replication: u32,
    /// Where copies of the writes go, in order of creation.
    pub subscriptions: Vec<Subscription>,
}

impl RetentionPolicy {
    /// Builds a policy from what a statement said; the name must be given.
    ///
    /// # Errors
    ///
    /// [`CatalogError`] when the name or a duration is not accepted.
    pub fn from_spec(id: RetentionPolicyId, spec: &PolicySpec) -> Result<Self, CatalogError> {
        let name = spec.name.as_deref().unwrap_or_default();
        validate_name(name)?;
        let duration_ns = spec.duration_ns.unwrap_or(0);
        check_duration(duration_ns)?;
        let shard_duration_ns =
            normalised_shard_duration_ns(spec.shard_duration_ns.unwrap_or(0), duration_ns);
        check_shard_duration(duration_ns, shard_duration_ns)?;
        let replication = spec.replication.unwrap_or(1);
        let subscriptions = Vec::new();
        Ok(Self { id, name: Arc::from(name), duration_ns, shard_duration_ns, replication, subscriptions })
    }
}

/// The shard duration of a policy that names none: 168 h for ever or from 180 d, 24 h from 2 d, else 1 h.
pub fn default_shard_duration_ns(duration_ns: i64) -> i64 {
    if duration_ns == 0 || duration_ns >= 180 * DAY_NS {
        7 * DAY_NS
    } else if duration_ns >= 2 * DAY_NS {
        DAY_NS
    } else {
        HOUR_NS
    }
}

/// 0 becomes the default, less than an hour becomes an hour.
pub(super) fn normalised_shard_duration_ns(shard_duration_ns: i64, duration_ns: i64) -> i64 {
    if shard_duration_ns == 0 {
        default_shard_duration_ns(duration_ns)
    } else {
        shard_duration_ns.max(HOUR_NS)
    }
}

pub(super) fn check_duration(duration_ns: i64) -> Result<(), CatalogError> {
    if duration_ns != 0 && duration_ns < HOUR_NS {
        return Err(CatalogError::DurationTooShort);
    }
    Ok(())
}

fn check_shard_duration(duration_ns: i64, shard_duration_ns: i64) -> Result<(), CatalogError> {
    if duration_ns != 0 && duration_ns < shard_duration_ns {
        return Err(CatalogError::ShardDurationTooLong);
    }
    Ok(())
}

impl Catalog {
    pub(super) fn peek_policy_id(&self) -> RetentionPolicyId {
        RetentionPolicyId(self.next_policy)
    }

    pub(super) fn create_policy(
        &mut self,
        database: &str,
        spec: &PolicySpec,
        make_default: bool,
    ) -> Result<(), CatalogError> {
        let policy = RetentionPolicy::from_spec(self.peek_policy_id(), spec)?;
        let db = self.database_mut(database)?;
        if let Some(existing) = db.policies.iter().find(|p| p.name == policy.name) {
            let same = existing.duration_ns == policy.duration_ns
                && existing.shard_duration_ns == policy.shard_duration_ns
                && existing.replication == policy.replication;
            if !same {
                return Err(CatalogError::PolicyExists);
            }
            if make_default {
                db.default_policy = Some(existing.id);
            }
            return Ok(());
        }
        let is_missed = db.default_policy.is_none() && db.dropped_default == policy.name;
        if make_default || is_missed {
            db.default_policy = Some(policy.id);
        }
        db.policies.push(policy);
        self.next_policy += 1;
        Ok(())
    }

    pub(super) fn alter_policy(
        &mut self,
        database: &str,
        policy: &str,
        change: &PolicyChange,
    ) -> Result<(), CatalogError> {
        let db = self.database_mut(database)?;
        let Some(existing) = db.policies.iter_mut().find(|p| &*p.name == policy) else {
            return Err(CatalogError::PolicyNotFound { name: policy.to_owned() });
        };
        let duration_ns = change.duration_ns.unwrap_or(existing.duration_ns);
        check_duration(duration_ns)?;
        let shard_duration_ns = match change.shard_duration_ns {
            Some(d) => normalised_shard_duration_ns(d, duration_ns),
            None => existing.shard_duration_ns,
        };
        check_shard_duration(duration_ns, shard_duration_ns)?;
        existing.duration_ns = duration_ns;
        existing.shard_duration_ns = shard_duration_ns;
        existing.replication = change.replication.unwrap_or(existing.replication);
        let id = existing.id;
        if change.make_default {
            db.default_policy = Some(id);
        }
        Ok(())
    }

    pub(super) fn drop_policy(&mut self, database: &str, policy: &str) {
        let Ok(db) = self.database_mut(database) else { return };
        if let Some(default) = db.default_policy().filter(|default| &*default.name == policy) {
            db.dropped_default = Arc::clone(&default.name);
            db.default_policy = None;
        }
        db.policies.retain(|p| &*p.name != policy);
    }
}

#[cfg(test)]
mod tests {
    use super::super::CatalogCommand;
    use super::*;

    fn spec(name: &str, duration_ns: i64, shard_duration_ns: Option<i64>) -> PolicySpec {
        PolicySpec {
            name: Some(name.to_owned()),
            duration_ns: Some(duration_ns),
            replication: Some(1),
            shard_duration_ns,
        }
    }

    fn with_database() -> Catalog {
        let mut catalog = Catalog::default();
        catalog
            .apply(&CatalogCommand::CreateDatabase { name: "d".into(), policy: PolicySpec::default() })
            .unwrap();
        catalog
    }

    #[test]
    fn shard_duration_follows_the_duration() {
        assert_eq!(default_shard_duration_ns(0), 168 * HOUR_NS);
        assert_eq!(default_shard_duration_ns(180 * DAY_NS), 168 * HOUR_NS);
        assert_eq!(default_shard_duration_ns(2 * DAY_NS), 24 * HOUR_NS);
        assert_eq!(default_shard_duration_ns(2 * DAY_NS - 1), HOUR_NS);
    }

    #[test]
    fn durations_are_checked() {
        let id = RetentionPolicyId(0);
        assert_eq!(
            RetentionPolicy::from_spec(id, &spec("r", HOUR_NS - 1, None)),
            Err(CatalogError::DurationTooShort)
        );
        assert_eq!(
            RetentionPolicy::from_spec(id, &spec("r", HOUR_NS, Some(2 * HOUR_NS))),
            Err(CatalogError::ShardDurationTooLong)
        );
        RetentionPolicy::from_spec(id, &spec("r", HOUR_NS, None)).unwrap();
    }

    #[test]
    fn the_same_policy_again_is_fine_and_may_become_the_default() {
        let mut catalog = with_database();
        catalog.create_policy("d", &spec("r", DAY_NS, None), false).unwrap();
        catalog.create_policy("d", &spec("r", DAY_NS, None), true).unwrap();
        assert_eq!(&*catalog.database("d").unwrap().default_policy().unwrap().name, "r");
        assert_eq!(
            catalog.create_policy("d", &spec("r", 2 * DAY_NS, None), false),
            Err(CatalogError::PolicyExists)
        );
    }

    #[test]
    fn a_dropped_default_is_missed_by_name() {
        let mut catalog = with_database();
        catalog.create_policy("d", &spec("r", DAY_NS, None), false).unwrap();
        catalog.drop_policy("d", "autogen");
        let defaults = |catalog: &Catalog| {
            let database = catalog.database("d").unwrap();
            let policy = database.default_policy().map(|policy| policy.name.to_string());
            (policy, database.default_policy_name().map(str::to_owned))
        };
        assert_eq!(defaults(&catalog), (None, Some("autogen".to_owned())));
        catalog.create_policy("d", &spec("other", DAY_NS, None), false).unwrap();
        assert_eq!(defaults(&catalog).0, None);
        catalog.create_policy("d", &spec("autogen", DAY_NS, None), false).unwrap();
        assert_eq!(defaults(&catalog).0.as_deref(), Some("autogen"));
        catalog.drop_policy("d", "r");
        assert_eq!(defaults(&catalog).0.as_deref(), Some("autogen"));
        catalog.drop_policy("nope", "autogen");
    }
}
