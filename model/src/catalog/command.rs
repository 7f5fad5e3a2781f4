//! The commands that change the catalog, and why one may be refused.

use super::{Access, FieldDef, MembershipCommand, NewField, NodeInfo, PasswordHash, Subscription};
use crate::id::{DatabaseId, GroupId, NodeId};
use crate::placement::Placement;
use crate::value::FieldType;
use std::sync::Arc;

/// One change of the catalog, as it stands in the meta group's log.
#[derive(Debug, Clone, PartialEq)]
pub enum CatalogCommand {
    /// The first command of a cluster; a second one with the same uuid does nothing.
    Bootstrap {
        /// The cluster's uuid.
        cluster: String,
        /// The founding members.
        nodes: Vec<(NodeId, NodeInfo)>,
        /// Slot → group.
        slots: Arc<[GroupId]>,
        /// Data group → nodes.
        placement: Placement,
        /// What the cluster writes from the beginning, see [`crate::feature_level`]; 0 where a founder knows no more than
        /// level 1, and may not know of this.
        feature_level: u32,
    },
    /// Changes the addresses of a member.
    PutNode {
        /// The node.
        id: NodeId,
        /// Its addresses.
        info: NodeInfo,
    },
    /// Gives a blank volume the place of the member that has its address, under a new id. Does nothing for a volume
    /// that is a member.
    Replace {
        /// The addresses and the volume of the newcomer.
        info: NodeInfo,
        /// What it can read, see [`crate::feature_level`]; 0 if that is not said.
        feature_level: u32,
    },
    /// Changes who belongs to the cluster, or where replicas are.
    Membership(MembershipCommand),
    /// Forgets a node that has no replica of a data group. Its id is never given out again.
    RemoveNode {
        /// The node.
        id: NodeId,
    },
    /// CREATE DATABASE.
    CreateDatabase {
        /// The database.
        name: String,
        /// What WITH said.
        policy: PolicySpec,
    },
    /// DROP DATABASE; an unknown name is no error.
    DropDatabase {
        /// The database.
        name: String,
    },
    /// CREATE RETENTION POLICY.
    CreateRetentionPolicy {
        /// The database.
        database: String,
        /// The policy; its name is given.
        spec: PolicySpec,
        /// DEFAULT was said.
        make_default: bool,
    },
    /// ALTER RETENTION POLICY.
    AlterRetentionPolicy {
        /// The database.
        database: String,
        /// The policy.
        policy: String,
        /// What changes.
        change: PolicyChange,
    },
    /// DROP RETENTION POLICY; an unknown name is no error.
    DropRetentionPolicy {
        /// The database.
        database: String,
        /// The policy.
        policy: String,
    },
    /// Fixes the types of new fields. The first writer of a field wins; a later type for it is ignored here and
    /// shows as a conflict to the one that asked, who reads the table back.
    RegisterFields {
        /// The database.
        database: DatabaseId,
        /// The fields.
        fields: Vec<NewField>,
    },
    /// CREATE CONTINUOUS QUERY.
    CreateContinuousQuery {
        /// ON.
        database: String,
        /// The continuous query.
        name: String,
        /// The whole statement, names filled in, in canonical text.
        query: String,
        /// Stamped by the node that was asked, ns.
        created_ns: i64,
    },
    /// DROP CONTINUOUS QUERY; an unknown name is no error.
    DropContinuousQuery {
        /// ON.
        database: String,
        /// The continuous query.
        name: String,
    },
    /// A continuous query has written everything that was due until a time. One that is gone is no error.
    RecordContinuousRun {
        /// Which.
        id: u64,
        /// The time, ns.
        last_run_ns: i64,
    },
    /// CREATE USER.
    CreateUser {
        /// The user.
        name: String,
        /// What the password hashes to.
        hash: PasswordHash,
        /// WITH ALL PRIVILEGES was said.
        admin: bool,
    },
    /// DROP USER; an unknown name is no error here, see [`super::Catalog::refuse_repeated`].
    DropUser {
        /// The user.
        name: String,
    },
    /// SET PASSWORD.
    SetPassword {
        /// The user.
        name: String,
        /// What the new password hashes to.
        hash: PasswordHash,
    },
    /// GRANT ALL PRIVILEGES TO, REVOKE ALL PRIVILEGES FROM.
    SetAdmin {
        /// The user.
        name: String,
        /// Whether everything is allowed from now on.
        admin: bool,
    },
    /// GRANT … ON: replaces what the user had.
    Grant {
        /// The user.
        user: String,
        /// The database.
        database: String,
        /// What is allowed from now on.
        access: Access,
    },
    /// REVOKE … ON.
    Revoke {
        /// The user.
        user: String,
        /// The database.
        database: String,
        /// What is taken away.
        access: Access,
    },
    /// CREATE SUBSCRIPTION; the same again is no error here, see [`super::Catalog::refuse_repeated`].
    CreateSubscription {
        /// The database.
        database: String,
        /// The retention policy.
        policy: String,
        /// The subscription.
        subscription: Subscription,
    },
    /// DROP SUBSCRIPTION; an unknown name is no error here, see [`super::Catalog::refuse_repeated`].
    DropSubscription {
        /// The database.
        database: String,
        /// The retention policy.
        policy: String,
        /// The subscription.
        name: String,
    },
}

/// What CREATE DATABASE … WITH and CREATE RETENTION POLICY say; `None` is "not said".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicySpec {
    /// NAME.
    pub name: Option<String>,
    /// DURATION in ns, 0 is infinite.
    pub duration_ns: Option<i64>,
    /// REPLICATION: kept and shown, nothing else (replicas are the cluster's affair).
    pub replication: Option<u32>,
    /// SHARD DURATION in ns, 0 is "as the duration suggests".
    pub shard_duration_ns: Option<i64>,
}

/// What ALTER RETENTION POLICY changes; `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyChange {
    /// DURATION in ns, 0 is infinite.
    pub duration_ns: Option<i64>,
    /// REPLICATION.
    pub replication: Option<u32>,
    /// SHARD DURATION in ns.
    pub shard_duration_ns: Option<i64>,
    /// DEFAULT was said.
    pub make_default: bool,
}

/// Why a catalog command was refused; the texts are InfluxDB 1.x's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// No such database.
    #[error("database not found: {name}")]
    DatabaseNotFound {
        /// As asked for.
        name: String,
    },
    /// No such retention policy.
    #[error("retention policy not found: {name}")]
    PolicyNotFound {
        /// As asked for.
        name: String,
    },
    /// CREATE DATABASE … WITH on a database whose default policy differs.
    #[error("retention policy conflicts with an existing policy")]
    PolicyConflict,
    /// CREATE RETENTION POLICY with a known name and another specification.
    #[error("retention policy already exists")]
    PolicyExists,
    /// CREATE CONTINUOUS QUERY with a known name and another statement.
    #[error("continuous query already exists")]
    ContinuousQueryExists,
    /// Below one hour.
    #[error("retention policy duration must be at least 1h0m0s")]
    DurationTooShort,
    /// The shard duration is longer than the duration.
    #[error("retention policy duration must be greater than the shard duration")]
    ShardDurationTooLong,
    /// Empty, `.`, `..`, or with a character that is a slash, a backslash or not printable.
    #[error("invalid name")]
    InvalidName,
    /// Longer than `limits::NAME_BYTES_MAX`.
    #[error("name too long")]
    NameTooLong,
    /// The node is no member, or no longer.
    #[error("node {id} is no member of this cluster; another volume may have taken its place")]
    NotAMember {
        /// The node.
        id: NodeId,
    },
    /// A blank volume asked for the place of a member, and no member has its address.
    #[error("no member of this cluster has the address {address}; its members are {members}")]
    NoSuchMember {
        /// As asked for.
        address: String,
        /// All members' peer addresses, with commas between them.
        members: String,
    },
    /// A blank volume wants to join under the address of a member.
    #[error("node {id} of this cluster has the address {address}")]
    AddressTaken {
        /// As asked for.
        address: String,
        /// Whose it is.
        id: NodeId,
    },
    /// A blank volume wants to join and nobody said that it may.
    #[error(
        "nobody has announced a node at {address}: run `steadfast ctl add {address}`, or set cluster.auto_join"
    )]
    NotInvited {
        /// Its peer address.
        address: String,
    },
    /// A newcomer cannot read what the cluster writes.
    #[error("the node at {address} is too old: {reason}")]
    TooOld {
        /// Its peer address.
        address: String,
        /// See [`crate::feature_level::too_old`].
        reason: String,
    },
    /// `limits::INVITED_MAX` nodes are announced and have not joined.
    #[error("too many announced nodes have not joined; withdraw some")]
    TooManyInvited,
    /// A node that is to be forgotten has replicas.
    #[error("node {id} has replicas of data groups {groups}; drain it first")]
    HasReplicas {
        /// The node.
        id: NodeId,
        /// Ids, with commas between them.
        groups: String,
    },
    /// The last member cannot be forgotten.
    #[error("node {id} is the only member")]
    OnlyMember {
        /// The node.
        id: NodeId,
    },
    /// The replicas of a group were changed by somebody else meanwhile.
    #[error("the replicas of group {group} have changed; look again")]
    PlacementChanged {
        /// The group.
        group: GroupId,
    },
    /// Replicas can only be on members, on each one once, and on one at least.
    #[error("these can not be the replicas of group {group}")]
    InvalidPlacement {
        /// The group.
        group: GroupId,
    },
    /// Not one of `placement::REPLICATION_FACTORS`.
    #[error("the replication factor must be 1, 3 or 5")]
    InvalidFactor,
    /// No such user.
    #[error("user not found")]
    UserNotFound,
    /// CREATE USER with a known name and another password or other privileges.
    #[error("user already exists")]
    UserExists,
    /// CREATE USER "".
    #[error("username required")]
    UsernameRequired,
    /// `limits::USERS_MAX` users exist.
    #[error("too many users")]
    TooManyUsers,
    /// A destination of a subscription is no URL with a port, or of a scheme that is not known.
    #[error("invalid subscription URL: {url}")]
    InvalidSubscriptionUrl {
        /// As given.
        url: String,
    },
    /// CREATE SUBSCRIPTION with a known name.
    #[error("subscription already exists")]
    SubscriptionExists,
    /// DROP SUBSCRIPTION with an unknown name.
    #[error("subscription not found")]
    SubscriptionNotFound,
    /// The retention policy has `limits::SUBSCRIPTIONS_MAX` subscriptions.
    #[error("too many subscriptions")]
    TooManySubscriptions,
    /// A second cluster tried to found itself here.
    #[error("already a member of cluster {cluster}")]
    AlreadyBootstrapped {
        /// The cluster this catalog belongs to.
        cluster: String,
    },
}

impl NewField {
    /// Whether `existing` settles this field with the wished type.
    pub fn agrees_with(&self, existing: FieldDef) -> bool {
        existing.field_type == self.field_type
    }
}

impl From<(Arc<str>, Arc<str>, FieldType)> for NewField {
    fn from((measurement, field, field_type): (Arc<str>, Arc<str>, FieldType)) -> Self {
        Self { measurement, field, field_type }
    }
}
