//! The catalog: databases, retention policies, field types, users, nodes, slots. The whole state of the meta group.
//!
//! It changes only by [`Catalog::apply`], which is a function of (catalog, command): no clock, no randomness, no
//! configuration. Every node holds a copy and reads it without asking anybody.

mod command;
mod continuous;
mod database;
mod dropped;
mod fields;
mod membership;
mod nodes;
mod policy;
mod subscription;
mod user;

pub use command::{CatalogCommand, CatalogError, PolicyChange, PolicySpec};
pub use continuous::ContinuousQuery;
pub use dropped::Dropped;
pub use fields::{FieldDef, FieldTable, Measurement, NewField};
pub use membership::{Duty, MembershipCommand};
pub use policy::{RetentionPolicy, default_shard_duration_ns};
pub use subscription::{Destination, Subscription, SubscriptionMode};
pub use user::{Access, PasswordHash, User};

use crate::feature_level::SHARD_GROUPS_FROM_YEAR_ONE;
use crate::id::{DatabaseId, GroupId, NodeId, RetentionPolicyId};
use crate::placement::Placement;
use crate::time::ShardOrigin;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Name of the policy that CREATE DATABASE makes when it names none.
pub const AUTOGEN: &str = "autogen";

/// Everything the cluster agrees on besides points.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalog {
    /// Set once by [`CatalogCommand::Bootstrap`]; empty before.
    pub cluster: String,
    /// Counts applied commands; equal on all replicas at the same log index.
    pub version: u64,
    /// In order of creation, which is the order of SHOW DATABASES.
    pub databases: Vec<Arc<Database>>,
    /// The members, with their addresses.
    pub nodes: BTreeMap<NodeId, NodeInfo>,
    /// Slot → group, `placement::SLOTS` entries once bootstrapped.
    pub slots: Arc<[GroupId]>,
    /// Next database id.
    pub next_database: u32,
    /// Next retention policy id.
    pub next_policy: u32,
    /// Next node id, never given before; 0 before the bootstrap.
    pub next_node: u64,
    /// Continuous queries of all databases, in order of creation.
    pub continuous_queries: Vec<Arc<ContinuousQuery>>,
    /// In order of creation, which is the order of SHOW USERS.
    pub users: Vec<Arc<User>>,
    /// Which nodes shall have a replica of which data group.
    pub placement: Placement,
    /// Where a rebalancing is going: the data groups whose replicas are still to move, and where to.
    pub goal: BTreeMap<GroupId, Vec<NodeId>>,
    /// Members that do not do everything.
    pub duties: BTreeMap<NodeId, Duty>,
    /// Peer addresses of nodes that are expected to join.
    pub invited: BTreeSet<String>,
    /// What the cluster writes, see [`crate::feature_level`]; 0 in a catalog from before there were levels.
    pub feature_level: u32,
}

/// A node as its peers and its operators see it. Addresses are `host:port` with DNS names where there are some.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeInfo {
    /// gRPC address for peers.
    pub peer_addr: String,
    /// InfluxDB API address for clients.
    pub http_addr: String,
    /// Admin API address.
    pub admin_addr: String,
    /// The uuid of the volume that this id belongs to; another volume under the same name is another node.
    pub volume: String,
}

/// A database with its policies and field types.
#[derive(Debug, Clone, PartialEq)]
pub struct Database {
    /// Never reused, also not after a drop.
    pub id: DatabaseId,
    /// As given by CREATE DATABASE.
    pub name: Arc<str>,
    /// In order of creation.
    pub policies: Vec<RetentionPolicy>,
    /// The policy of writes and queries that name none; gone when that policy was dropped.
    pub default_policy: Option<RetentionPolicyId>,
    /// The name of the default policy that was dropped, empty if none was: it stays the default by name, and a policy of
    /// that name that is created again is it.
    pub dropped_default: Arc<str>,
    /// Measurement → field → id and type.
    pub fields: FieldTable,
}

impl Catalog {
    /// From when new shard groups are counted, at the level that the cluster writes.
    pub fn shard_origin(&self) -> ShardOrigin {
        if self.feature_level < SHARD_GROUPS_FROM_YEAR_ONE {
            ShardOrigin::Epoch
        } else {
            ShardOrigin::YearOne
        }
    }

    /// Applies one command. On `Err` the catalog is as before, except for `version`, which always counts.
    ///
    /// # Errors
    ///
    /// [`CatalogError`], whose text is what InfluxDB 1.x answers.
    pub fn apply(&mut self, command: &CatalogCommand) -> Result<(), CatalogError> {
        self.version += 1;
        match command {
            CatalogCommand::Bootstrap { cluster, nodes, slots, placement, feature_level } => {
                self.bootstrap(cluster, nodes, (slots, placement), *feature_level)
            }
            CatalogCommand::PutNode { id, info } => self.put_node(*id, info),
            CatalogCommand::Replace { info, feature_level } => self.replace_node(info, *feature_level),
            CatalogCommand::RemoveNode { id } => self.remove_node(*id),
            CatalogCommand::Membership(command) => self.change_members(command),
            CatalogCommand::CreateDatabase { name, policy } => self.create_database(name, policy),
            CatalogCommand::DropDatabase { name } => {
                if let Some(id) = self.database(name).map(|d| d.id) {
                    self.continuous_queries.retain(|query| query.database != id);
                }
                self.databases.retain(|d| *d.name != **name);
                self.forget_access(name);
                Ok(())
            }
            CatalogCommand::CreateRetentionPolicy { database, spec, make_default } => {
                self.create_policy(database, spec, *make_default)
            }
            CatalogCommand::AlterRetentionPolicy { database, policy, change } => {
                self.alter_policy(database, policy, change)
            }
            CatalogCommand::DropRetentionPolicy { database, policy } => {
                self.drop_policy(database, policy);
                Ok(())
            }
            CatalogCommand::RegisterFields { database, fields } => self.register_fields(*database, fields),
            CatalogCommand::CreateContinuousQuery { database, name, query, created_ns } => {
                self.create_continuous_query(database, name, query, *created_ns)
            }
            CatalogCommand::DropContinuousQuery { database, name } => {
                self.drop_continuous_query(database, name);
                Ok(())
            }
            CatalogCommand::RecordContinuousRun { id, last_run_ns } => {
                self.record_continuous_run(*id, *last_run_ns);
                Ok(())
            }
            CatalogCommand::CreateUser { name, hash, admin } => self.create_user(name, hash, *admin),
            CatalogCommand::DropUser { name } => {
                self.users.retain(|user| *user.name != **name);
                Ok(())
            }
            CatalogCommand::SetPassword { name, hash } => self.set_password(name, hash),
            CatalogCommand::SetAdmin { name, admin } => self.set_admin(name, *admin),
            CatalogCommand::Grant { user, database, access } => self.grant(user, database, *access),
            CatalogCommand::Revoke { user, database, access } => self.revoke(user, database, *access),
            CatalogCommand::CreateSubscription { database, policy, subscription } => {
                self.create_subscription(database, policy, subscription)
            }
            CatalogCommand::DropSubscription { database, policy, name } => {
                self.drop_subscription(database, policy, name)
            }
        }
    }

    /// The database of this name.
    pub fn database(&self, name: &str) -> Option<&Arc<Database>> {
        self.databases.iter().find(|d| &*d.name == name)
    }

    /// The database with this id.
    pub fn database_by_id(&self, id: DatabaseId) -> Option<&Arc<Database>> {
        self.databases.iter().find(|d| d.id == id)
    }

    /// Number of data groups, 0 before the bootstrap.
    pub fn data_groups(&self) -> u32 {
        self.slots.iter().map(|g| g.0).max().unwrap_or(0)
    }

    /// A copy-on-write handle to a database for a change.
    fn database_mut(&mut self, name: &str) -> Result<&mut Database, CatalogError> {
        self.databases
            .iter_mut()
            .find(|d| &*d.name == name)
            .map(Arc::make_mut)
            .ok_or_else(|| CatalogError::DatabaseNotFound { name: name.to_owned() })
    }
}

impl Database {
    /// The policy of this name.
    pub fn policy(&self, name: &str) -> Option<&RetentionPolicy> {
        self.policies.iter().find(|p| &*p.name == name)
    }

    /// The default policy.
    pub fn default_policy(&self) -> Option<&RetentionPolicy> {
        self.policies.iter().find(|p| Some(p.id) == self.default_policy)
    }

    /// The name of the default policy, also of one that was dropped.
    pub fn default_policy_name(&self) -> Option<&str> {
        let dropped = (!self.dropped_default.is_empty()).then_some(&*self.dropped_default);
        self.default_policy().map(|policy| &*policy.name).or(dropped)
    }

    /// The policy a write to `name` goes to: the default one for `""`; for `default` where only another default
    /// exists, that one. InfluxDB 1.x answers 500 in the last case and Heapster loses every point.
    pub fn policy_for_write(&self, name: &str) -> Option<&RetentionPolicy> {
        match self.policy(name) {
            Some(policy) => Some(policy),
            None if name.is_empty() || name == "default" => self.default_policy(),
            None => None,
        }
    }
}
