//! What was dropped, ever: ids are given in order and never again, so one that was given and is not there is gone for
//! good, however old the catalog is that says so.

use super::Catalog;
use crate::id::{DatabaseId, RetentionPolicyId};
use std::collections::BTreeSet;

/// Ids that nobody may store anything under any more, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Databases.
    pub databases: Vec<DatabaseId>,
    /// Retention policies, also those that went with their database.
    pub policies: Vec<RetentionPolicyId>,
}

impl Catalog {
    /// Everything that was ever dropped.
    pub fn dropped(&self) -> Dropped {
        let databases: BTreeSet<DatabaseId> = self.databases.iter().map(|database| database.id).collect();
        let policies = self.databases.iter().flat_map(|database| &database.policies);
        let policies: BTreeSet<RetentionPolicyId> = policies.map(|policy| policy.id).collect();
        Dropped {
            databases: (0..self.next_database).map(DatabaseId).filter(|id| !databases.contains(id)).collect(),
            policies: (0..self.next_policy)
                .map(RetentionPolicyId)
                .filter(|id| !policies.contains(id))
                .collect(),
        }
    }

    /// How many databases and how many policies that is. Cheap.
    pub fn dropped_count(&self) -> (usize, usize) {
        let policies: usize = self.databases.iter().map(|database| database.policies.len()).sum();
        (
            (self.next_database as usize).saturating_sub(self.databases.len()),
            (self.next_policy as usize).saturating_sub(policies),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CatalogCommand, PolicySpec};
    use super::*;

    #[test]
    fn what_was_given_and_is_not_there_was_dropped() {
        let mut catalog = Catalog::default();
        assert_eq!(catalog.dropped(), Dropped::default());
        let create = |name: &str| CatalogCommand::CreateDatabase {
            name: name.to_owned(),
            policy: PolicySpec::default(),
        };
        let kept = CatalogCommand::CreateRetentionPolicy {
            database: "a".to_owned(),
            spec: PolicySpec {
                name: Some("kept".to_owned()),
                duration_ns: Some(0),
                replication: Some(1),
                ..PolicySpec::default()
            },
            make_default: false,
        };
        let commands = [
            create("a"),
            create("b"),
            kept.clone(),
            CatalogCommand::DropDatabase { name: "a".to_owned() },
            create("a"),
            kept,
            CatalogCommand::DropRetentionPolicy { database: "a".to_owned(), policy: "autogen".to_owned() },
        ];
        for command in commands {
            catalog.apply(&command).unwrap();
            let Dropped { databases, policies } = catalog.dropped();
            assert_eq!(catalog.dropped_count(), (databases.len(), policies.len()));
        }
        let policies = [0, 2, 3].map(RetentionPolicyId).to_vec();
        assert_eq!(catalog.dropped(), Dropped { databases: vec![DatabaseId(0)], policies });
    }
}
