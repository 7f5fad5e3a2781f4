//! CREATE, ALTER and DROP of databases, retention policies, continuous queries, subscriptions and shards.
//!
//! Durations are in ns; 0 is `INF` for a retention duration and "as the duration suggests" for a shard duration.

use super::SelectStatement;

/// CREATE DATABASE. A `None` was not said; when nothing was said after WITH, `with` is false.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CreateDatabase {
    /// The database.
    pub name: String,
    /// WITH was said: the options describe the default policy.
    pub with: bool,
    /// DURATION.
    pub duration_ns: Option<i64>,
    /// REPLICATION.
    pub replication: Option<u32>,
    /// SHARD DURATION; 0 if not said.
    pub shard_duration_ns: i64,
    /// NAME; empty if not said.
    pub policy_name: String,
}

/// CREATE RETENTION POLICY.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CreateRetentionPolicy {
    /// The policy.
    pub name: String,
    /// ON.
    pub database: String,
    /// DURATION.
    pub duration_ns: i64,
    /// REPLICATION.
    pub replication: u32,
    /// SHARD DURATION; 0 if not said.
    pub shard_duration_ns: i64,
    /// DEFAULT was said.
    pub default: bool,
}

/// ALTER RETENTION POLICY. A `None` was not said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlterRetentionPolicy {
    /// The policy.
    pub name: String,
    /// ON.
    pub database: String,
    /// DURATION.
    pub duration_ns: Option<i64>,
    /// REPLICATION.
    pub replication: Option<u32>,
    /// SHARD DURATION.
    pub shard_duration_ns: Option<i64>,
    /// DEFAULT was said.
    pub default: bool,
}

/// CREATE CONTINUOUS QUERY.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateContinuousQuery {
    /// The continuous query.
    pub name: String,
    /// ON.
    pub database: String,
    /// RESAMPLE EVERY in ns; 0 if not said.
    pub resample_every_ns: i64,
    /// RESAMPLE FOR in ns; 0 if not said.
    pub resample_for_ns: i64,
    /// What runs; has an INTO.
    pub source: Box<SelectStatement>,
}

/// CREATE SUBSCRIPTION.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateSubscription {
    /// The subscription.
    pub name: String,
    /// ON, first part.
    pub database: String,
    /// ON, second part.
    pub policy: String,
    /// ALL or ANY.
    pub mode: SubscriptionMode,
    /// URLs, as given.
    pub destinations: Vec<String>,
}

/// Which destinations of a subscription get a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionMode {
    /// Each of them.
    All,
    /// One, in turn.
    Any,
}

/// DROP DATABASE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropDatabase {
    /// The database.
    pub name: String,
}

/// DROP RETENTION POLICY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropRetentionPolicy {
    /// The policy.
    pub name: String,
    /// ON.
    pub database: String,
}

/// DROP CONTINUOUS QUERY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropContinuousQuery {
    /// The continuous query.
    pub name: String,
    /// ON.
    pub database: String,
}

/// DROP SUBSCRIPTION.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropSubscription {
    /// The subscription.
    pub name: String,
    /// ON, first part.
    pub database: String,
    /// ON, second part.
    pub policy: String,
}

/// DROP SHARD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropShard {
    /// As shown by SHOW SHARDS.
    pub id: u64,
}
