//! The syntax tree. `Display` of every node (in `display.rs`) is InfluxDB 1.x's canonical text, and
//! `parse(print(tree)) == tree`.
//!
//! Here is the [`Statement`] enum; its structs are in one file a family. The parser makes these trees, planners and the
//! HTTP surface read them; nothing here knows a catalog.

mod access;
mod ddl;
mod delete;
mod expr;
mod select;
mod show;

pub use access::{
    CreateUser, DropUser, Grant, GrantAdmin, Privilege, Revoke, RevokeAdmin, SetPassword, ShowGrants,
};
pub use ddl::{
    AlterRetentionPolicy, CreateContinuousQuery, CreateDatabase, CreateRetentionPolicy, CreateSubscription,
    DropContinuousQuery, DropDatabase, DropRetentionPolicy, DropShard, DropSubscription, SubscriptionMode,
};
pub use delete::{Delete, DropMeasurement, DropSeries};
pub use expr::{BinaryExpr, BinaryOp, Call, DataType, Expr, VarRef, WildcardKind};
pub use select::{Fill, FillNumber, MeasurementName, SelectField, SelectStatement, SortField, Source};
pub use show::{
    Cardinality, KillQuery, ShowDiagnostics, ShowFieldKeys, ShowMeasurements, ShowRetentionPolicies,
    ShowSeries, ShowStats, ShowTagKeys, ShowTagValues, ShowTagValuesCardinality, TagKeyMatch,
};

/// One statement of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// SELECT
    Select(Box<SelectStatement>),
    /// EXPLAIN, EXPLAIN ANALYZE
    Explain(Explain),
    /// DELETE
    Delete(Delete),
    /// SHOW DATABASES
    ShowDatabases,
    /// SHOW MEASUREMENTS
    ShowMeasurements(ShowMeasurements),
    /// SHOW MEASUREMENT CARDINALITY
    ShowMeasurementCardinality(Cardinality),
    /// SHOW SERIES
    ShowSeries(ShowSeries),
    /// SHOW SERIES CARDINALITY
    ShowSeriesCardinality(Cardinality),
    /// SHOW TAG KEYS
    ShowTagKeys(ShowTagKeys),
    /// SHOW TAG KEY CARDINALITY
    ShowTagKeyCardinality(Cardinality),
    /// SHOW TAG VALUES
    ShowTagValues(ShowTagValues),
    /// SHOW TAG VALUES CARDINALITY
    ShowTagValuesCardinality(ShowTagValuesCardinality),
    /// SHOW FIELD KEYS
    ShowFieldKeys(ShowFieldKeys),
    /// SHOW FIELD KEY CARDINALITY
    ShowFieldKeyCardinality(Cardinality),
    /// SHOW RETENTION POLICIES
    ShowRetentionPolicies(ShowRetentionPolicies),
    /// SHOW CONTINUOUS QUERIES
    ShowContinuousQueries,
    /// SHOW SUBSCRIPTIONS
    ShowSubscriptions,
    /// SHOW USERS
    ShowUsers,
    /// SHOW GRANTS FOR
    ShowGrants(ShowGrants),
    /// SHOW QUERIES
    ShowQueries,
    /// SHOW SHARDS
    ShowShards,
    /// SHOW SHARD GROUPS
    ShowShardGroups,
    /// SHOW STATS
    ShowStats(ShowStats),
    /// SHOW DIAGNOSTICS
    ShowDiagnostics(ShowDiagnostics),
    /// CREATE DATABASE
    CreateDatabase(CreateDatabase),
    /// CREATE RETENTION POLICY
    CreateRetentionPolicy(CreateRetentionPolicy),
    /// CREATE CONTINUOUS QUERY
    CreateContinuousQuery(CreateContinuousQuery),
    /// CREATE SUBSCRIPTION
    CreateSubscription(CreateSubscription),
    /// CREATE USER
    CreateUser(CreateUser),
    /// ALTER RETENTION POLICY
    AlterRetentionPolicy(AlterRetentionPolicy),
    /// SET PASSWORD
    SetPassword(SetPassword),
    /// GRANT … ON
    Grant(Grant),
    /// GRANT ALL PRIVILEGES TO
    GrantAdmin(GrantAdmin),
    /// REVOKE … ON
    Revoke(Revoke),
    /// REVOKE ALL PRIVILEGES FROM
    RevokeAdmin(RevokeAdmin),
    /// DROP DATABASE
    DropDatabase(DropDatabase),
    /// DROP RETENTION POLICY
    DropRetentionPolicy(DropRetentionPolicy),
    /// DROP MEASUREMENT
    DropMeasurement(DropMeasurement),
    /// DROP SERIES
    DropSeries(DropSeries),
    /// DROP SHARD
    DropShard(DropShard),
    /// DROP CONTINUOUS QUERY
    DropContinuousQuery(DropContinuousQuery),
    /// DROP SUBSCRIPTION
    DropSubscription(DropSubscription),
    /// DROP USER
    DropUser(DropUser),
    /// KILL QUERY
    KillQuery(KillQuery),
}

impl Statement {
    /// Whether the statement changes something.
    pub fn is_write(&self) -> bool {
        matches!(self, Self::Delete(_)) || self.warns_when_read_only()
    }

    /// Whether 1.x runs the statement on a GET request, but with the warning `deprecated use of '…' in a read only
    /// context`: every statement that changes something except DELETE.
    pub fn warns_when_read_only(&self) -> bool {
        match self {
            Self::Select(select) => select.target.is_some(),
            Self::CreateDatabase(_)
            | Self::CreateRetentionPolicy(_)
            | Self::CreateContinuousQuery(_)
            | Self::CreateSubscription(_)
            | Self::CreateUser(_)
            | Self::AlterRetentionPolicy(_)
            | Self::SetPassword(_)
            | Self::Grant(_)
            | Self::GrantAdmin(_)
            | Self::Revoke(_)
            | Self::RevokeAdmin(_)
            | Self::DropDatabase(_)
            | Self::DropRetentionPolicy(_)
            | Self::DropMeasurement(_)
            | Self::DropSeries(_)
            | Self::DropShard(_)
            | Self::DropContinuousQuery(_)
            | Self::DropSubscription(_)
            | Self::DropUser(_)
            | Self::KillQuery(_) => true,
            _ => false,
        }
    }

    /// The database the statement names itself (`ON db`), which counts when the request names none; `""` if it
    /// names none either.
    pub fn default_database(&self) -> &str {
        match self {
            Self::ShowMeasurements(s) => &s.database,
            Self::ShowSeries(s) => &s.database,
            Self::ShowTagKeys(s) => &s.database,
            Self::ShowTagValues(s) => &s.database,
            Self::ShowTagValuesCardinality(s) => &s.cardinality.database,
            Self::ShowFieldKeys(s) => &s.database,
            Self::ShowMeasurementCardinality(s)
            | Self::ShowSeriesCardinality(s)
            | Self::ShowTagKeyCardinality(s)
            | Self::ShowFieldKeyCardinality(s) => &s.database,
            Self::ShowRetentionPolicies(s) => &s.database,
            Self::CreateRetentionPolicy(s) => &s.database,
            Self::CreateContinuousQuery(s) => &s.database,
            Self::CreateSubscription(s) => &s.database,
            Self::AlterRetentionPolicy(s) => &s.database,
            Self::DropRetentionPolicy(s) => &s.database,
            Self::DropContinuousQuery(s) => &s.database,
            Self::DropSubscription(s) => &s.database,
            Self::Grant(s) => &s.database,
            Self::Revoke(s) => &s.database,
            _ => "",
        }
    }
}

/// EXPLAIN.
#[derive(Debug, Clone, PartialEq)]
pub struct Explain {
    /// What is explained.
    pub statement: Box<SelectStatement>,
    /// ANALYZE was said: the statement runs and is measured.
    pub analyze: bool,
}
