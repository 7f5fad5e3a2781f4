//! One catalog command, as it stands in the meta group's log.

use super::catalog::{node_from_wire, node_to_wire};
use super::membership::{self, groups_from_wire, groups_to_wire};
use super::user::{access, subscription_from_wire, subscription_to_wire};
use super::{DecodeError, field_type};
use crate::catalog as wire;
use crate::catalog::catalog_command::Command as Wire;
use model::catalog::{Access, CatalogCommand, NewField, PasswordHash, PolicyChange, PolicySpec};
use model::placement::Placement;
use model::{DatabaseId, GroupId, NodeId};
use prost::Message;
use std::sync::Arc;

/// The command's bytes.
pub fn encode_catalog_command(command: &CatalogCommand) -> Vec<u8> {
    wire::CatalogCommand { command: Some(to_wire(command)) }.encode_to_vec()
}

/// Reads what [`encode_catalog_command`] wrote.
///
/// # Errors
///
/// [`DecodeError`] when the bytes are damaged or of a newer version.
pub fn decode_catalog_command(bytes: &[u8]) -> Result<CatalogCommand, DecodeError> {
    from_wire(wire::CatalogCommand::decode(bytes)?.command.ok_or(DecodeError::Missing("a known command"))?)
}

fn to_wire(command: &CatalogCommand) -> Wire {
    match command {
        CatalogCommand::Bootstrap { cluster, nodes, slots, placement, feature_level } => {
            Wire::Bootstrap(wire::Bootstrap {
                cluster: cluster.clone(),
                nodes: nodes.iter().map(|(id, info)| node_to_wire(*id, info)).collect(),
                slots: slots.iter().map(|g| g.0).collect(),
                replication_factor: placement.factor,
                placement: groups_to_wire(&placement.groups),
                feature_level: *feature_level,
            })
        }
        CatalogCommand::Membership(command) => Wire::Membership(membership::to_wire(command)),
        CatalogCommand::PutNode { id, info } => {
            Wire::PutNode(wire::PutNode { node: Some(node_to_wire(*id, info)) })
        }
        CatalogCommand::Replace { info, feature_level } => {
            let node = Some(node_to_wire(NodeId(0), info));
            Wire::Replace(wire::Replace { node, feature_level: *feature_level })
        }
        CatalogCommand::RemoveNode { id } => Wire::RemoveNode(wire::RemoveNode { id: id.0 }),
        CatalogCommand::CreateDatabase { name, policy } => Wire::CreateDatabase(wire::CreateDatabase {
            name: name.clone(),
            policy: Some(spec_to_wire(policy)),
        }),
        CatalogCommand::DropDatabase { name } => {
            Wire::DropDatabase(wire::DropDatabase { name: name.clone() })
        }
        CatalogCommand::CreateRetentionPolicy { database, spec, make_default } => {
            Wire::CreateRetentionPolicy(wire::CreateRetentionPolicy {
                database: database.clone(),
                spec: Some(spec_to_wire(spec)),
                make_default: *make_default,
            })
        }
        CatalogCommand::AlterRetentionPolicy { database, policy, change } => {
            Wire::AlterRetentionPolicy(wire::AlterRetentionPolicy {
                database: database.clone(),
                policy: policy.clone(),
                duration_ns: change.duration_ns,
                replication: change.replication,
                shard_duration_ns: change.shard_duration_ns,
                make_default: change.make_default,
            })
        }
        CatalogCommand::DropRetentionPolicy { database, policy } => {
            let (database, policy) = (database.clone(), policy.clone());
            Wire::DropRetentionPolicy(wire::DropRetentionPolicy { database, policy })
        }
        CatalogCommand::RegisterFields { database, fields } => Wire::RegisterFields(wire::RegisterFields {
            database: database.0,
            fields: fields.iter().map(new_field_to_wire).collect(),
        }),
        CatalogCommand::CreateContinuousQuery { database, name, query, created_ns } => {
            let (database, name, query) = (database.clone(), name.clone(), query.clone());
            let created_ns = *created_ns;
            Wire::CreateContinuousQuery(wire::CreateContinuousQuery { database, name, query, created_ns })
        }
        CatalogCommand::DropContinuousQuery { database, name } => {
            let (database, name) = (database.clone(), name.clone());
            Wire::DropContinuousQuery(wire::DropContinuousQuery { database, name })
        }
        CatalogCommand::RecordContinuousRun { id, last_run_ns } => {
            Wire::RecordContinuousRun(wire::RecordContinuousRun { id: *id, last_run_ns: *last_run_ns })
        }
        CatalogCommand::CreateUser { name, hash, admin } => {
            let (name, hash) = (name.clone(), hash.text().to_owned());
            Wire::CreateUser(wire::CreateUser { name, hash, admin: *admin })
        }
        CatalogCommand::DropUser { name } => Wire::DropUser(wire::DropUser { name: name.clone() }),
        CatalogCommand::SetPassword { name, hash } => {
            Wire::SetPassword(wire::SetPassword { name: name.clone(), hash: hash.text().to_owned() })
        }
        CatalogCommand::SetAdmin { name, admin } => {
            Wire::SetAdmin(wire::SetAdmin { name: name.clone(), admin: *admin })
        }
        CatalogCommand::Grant { user, database, access } => Wire::Grant(change(user, database, *access)),
        CatalogCommand::Revoke { user, database, access } => Wire::Revoke(change(user, database, *access)),
        CatalogCommand::CreateSubscription { database, policy, subscription } => {
            let (database, policy) = (database.clone(), policy.clone());
            let subscription = Some(subscription_to_wire(subscription));
            Wire::CreateSubscription(wire::CreateSubscription { database, policy, subscription })
        }
        CatalogCommand::DropSubscription { database, policy, name } => {
            let (database, policy, name) = (database.clone(), policy.clone(), name.clone());
            Wire::DropSubscription(wire::DropSubscription { database, policy, name })
        }
    }
}

fn change(user: &str, database: &str, access: Access) -> wire::ChangeAccess {
    let access = u32::from(access.code());
    wire::ChangeAccess { user: user.to_owned(), database: database.to_owned(), access }
}

fn from_wire(command: Wire) -> Result<CatalogCommand, DecodeError> {
    Ok(match command {
        Wire::Bootstrap(c) => CatalogCommand::Bootstrap {
            cluster: c.cluster,
            nodes: c.nodes.into_iter().map(node_from_wire).collect(),
            slots: c.slots.into_iter().map(GroupId).collect(),
            placement: Placement { factor: c.replication_factor, groups: groups_from_wire(c.placement) },
            feature_level: c.feature_level,
        },
        Wire::Membership(c) => CatalogCommand::Membership(membership::from_wire(c)?),
        Wire::PutNode(c) => {
            let (id, info) = node_from_wire(c.node.ok_or(DecodeError::Missing("a node"))?);
            CatalogCommand::PutNode { id, info }
        }
        Wire::Replace(c) => {
            let (_, info) = node_from_wire(c.node.ok_or(DecodeError::Missing("a node"))?);
            CatalogCommand::Replace { info, feature_level: c.feature_level }
        }
        Wire::RemoveNode(c) => CatalogCommand::RemoveNode { id: NodeId(c.id) },
        Wire::CreateDatabase(c) => {
            CatalogCommand::CreateDatabase { name: c.name, policy: spec_from_wire(c.policy)? }
        }
        Wire::DropDatabase(c) => CatalogCommand::DropDatabase { name: c.name },
        Wire::CreateRetentionPolicy(c) => CatalogCommand::CreateRetentionPolicy {
            database: c.database,
            spec: spec_from_wire(c.spec)?,
            make_default: c.make_default,
        },
        Wire::AlterRetentionPolicy(c) => CatalogCommand::AlterRetentionPolicy {
            database: c.database,
            policy: c.policy,
            change: PolicyChange {
                duration_ns: c.duration_ns,
                replication: c.replication,
                shard_duration_ns: c.shard_duration_ns,
                make_default: c.make_default,
            },
        },
        Wire::DropRetentionPolicy(c) => {
            CatalogCommand::DropRetentionPolicy { database: c.database, policy: c.policy }
        }
        Wire::RegisterFields(c) => CatalogCommand::RegisterFields {
            database: DatabaseId(c.database),
            fields: c.fields.into_iter().map(new_field_from_wire).collect::<Result<_, _>>()?,
        },
        Wire::CreateContinuousQuery(c) => {
            let wire::CreateContinuousQuery { database, name, query, created_ns } = c;
            CatalogCommand::CreateContinuousQuery { database, name, query, created_ns }
        }
        Wire::DropContinuousQuery(c) => {
            CatalogCommand::DropContinuousQuery { database: c.database, name: c.name }
        }
        Wire::RecordContinuousRun(c) => {
            CatalogCommand::RecordContinuousRun { id: c.id, last_run_ns: c.last_run_ns }
        }
        Wire::CreateUser(c) => {
            CatalogCommand::CreateUser { name: c.name, hash: PasswordHash::new(&c.hash), admin: c.admin }
        }
        Wire::DropUser(c) => CatalogCommand::DropUser { name: c.name },
        Wire::SetPassword(c) => {
            CatalogCommand::SetPassword { name: c.name, hash: PasswordHash::new(&c.hash) }
        }
        Wire::SetAdmin(c) => CatalogCommand::SetAdmin { name: c.name, admin: c.admin },
        Wire::Grant(c) => {
            CatalogCommand::Grant { user: c.user, database: c.database, access: access(c.access)? }
        }
        Wire::Revoke(c) => {
            CatalogCommand::Revoke { user: c.user, database: c.database, access: access(c.access)? }
        }
        Wire::CreateSubscription(c) => CatalogCommand::CreateSubscription {
            database: c.database,
            policy: c.policy,
            subscription: subscription_from_wire(
                c.subscription.ok_or(DecodeError::Missing("a subscription"))?,
            )?,
        },
        Wire::DropSubscription(c) => {
            CatalogCommand::DropSubscription { database: c.database, policy: c.policy, name: c.name }
        }
    })
}

fn spec_to_wire(spec: &PolicySpec) -> wire::PolicySpec {
    wire::PolicySpec {
        name: spec.name.clone(),
        duration_ns: spec.duration_ns,
        replication: spec.replication,
        shard_duration_ns: spec.shard_duration_ns,
    }
}

fn spec_from_wire(spec: Option<wire::PolicySpec>) -> Result<PolicySpec, DecodeError> {
    let spec = spec.ok_or(DecodeError::Missing("a policy"))?;
    Ok(PolicySpec {
        name: spec.name,
        duration_ns: spec.duration_ns,
        replication: spec.replication,
        shard_duration_ns: spec.shard_duration_ns,
    })
}

fn new_field_to_wire(field: &NewField) -> wire::NewField {
    wire::NewField {
        measurement: field.measurement.to_string(),
        field: field.field.to_string(),
        field_type: u32::from(field.field_type.code()),
    }
}

fn new_field_from_wire(field: wire::NewField) -> Result<NewField, DecodeError> {
    Ok(NewField {
        measurement: Arc::from(field.measurement),
        field: Arc::from(field.field),
        field_type: field_type(field.field_type)?,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use model::FieldType;
    use model::catalog::{NodeInfo, Subscription, SubscriptionMode};
    use proptest::option;
    use proptest::prelude::*;

    /// Few names, so that commands meet each other's objects.
    pub(in crate::convert) fn any_name() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("a".to_owned()),
            Just("b".to_owned()),
            Just("ü \"x\"".to_owned()),
            Just(String::new())
        ]
    }

    fn any_duration() -> impl Strategy<Value = i64> {
        prop_oneof![Just(0), Just(7_200_000_000_000), Just(604_800_000_000_000), any::<i64>()]
    }

    fn any_spec() -> impl Strategy<Value = PolicySpec> {
        (
            option::of(any_name()),
            option::of(any_duration()),
            option::of(any::<u32>()),
            option::of(any_duration()),
        )
            .prop_map(|(name, duration_ns, replication, shard_duration_ns)| PolicySpec {
                name,
                duration_ns,
                replication,
                shard_duration_ns,
            })
    }

    fn any_change() -> impl Strategy<Value = PolicyChange> {
        (option::of(any_duration()), option::of(any::<u32>()), option::of(any_duration()), any::<bool>())
            .prop_map(|(duration_ns, replication, shard_duration_ns, make_default)| PolicyChange {
                duration_ns,
                replication,
                shard_duration_ns,
                make_default,
            })
    }

    pub(in crate::convert) fn any_node() -> impl Strategy<Value = (NodeId, NodeInfo)> {
        (0u64..5, any_name(), any_name(), any_name(), any_name()).prop_map(|(id, a, b, c, d)| {
            (NodeId(id), NodeInfo { peer_addr: a, http_addr: b, admin_addr: c, volume: d })
        })
    }

    fn any_field() -> impl Strategy<Value = NewField> {
        let field_type = prop_oneof![
            Just(FieldType::Float),
            Just(FieldType::Integer),
            Just(FieldType::Unsigned),
            Just(FieldType::Boolean),
            Just(FieldType::String)
        ];
        (any_name(), any_name(), field_type).prop_map(|(measurement, field, field_type)| NewField {
            measurement: measurement.into(),
            field: field.into(),
            field_type,
        })
    }

    fn any_access() -> impl Strategy<Value = Access> {
        (0u8..4).prop_map(|code| Access::from_code(code).unwrap())
    }

    fn any_user_command() -> impl Strategy<Value = CatalogCommand> {
        let hash = || any_name().prop_map(|text| PasswordHash::new(&text));
        prop_oneof![
            (any_name(), hash(), any::<bool>()).prop_map(|(name, hash, admin)| CatalogCommand::CreateUser {
                name,
                hash,
                admin
            }),
            any_name().prop_map(|name| CatalogCommand::DropUser { name }),
            (any_name(), hash()).prop_map(|(name, hash)| CatalogCommand::SetPassword { name, hash }),
            (any_name(), any::<bool>()).prop_map(|(name, admin)| CatalogCommand::SetAdmin { name, admin }),
            (any_name(), any_name(), any_access())
                .prop_map(|(user, database, access)| CatalogCommand::Grant { user, database, access }),
            (any_name(), any_name(), any_access())
                .prop_map(|(user, database, access)| CatalogCommand::Revoke { user, database, access }),
        ]
    }

    fn any_subscription_command() -> impl Strategy<Value = CatalogCommand> {
        let url = prop_oneof![Just("http://a:1"), Just("udp://b:2"), Just("no URL")];
        let destinations = proptest::collection::vec(url.prop_map(Arc::from), 0..3);
        prop_oneof![
            (any_name(), any_name(), any_name(), 0u8..2, destinations).prop_map(
                |(database, policy, name, mode, destinations)| CatalogCommand::CreateSubscription {
                    database,
                    policy,
                    subscription: Subscription {
                        name: name.into(),
                        mode: SubscriptionMode::from_code(mode).unwrap(),
                        destinations: destinations.into(),
                    },
                }
            ),
            (any_name(), any_name(), any_name()).prop_map(|(database, policy, name)| {
                CatalogCommand::DropSubscription { database, policy, name }
            }),
        ]
    }

    pub(in crate::convert) fn any_command() -> impl Strategy<Value = CatalogCommand> {
        let nodes = proptest::collection::vec(any_node(), 0..4);
        let slots = proptest::collection::vec(0u32..9, 0..20);
        let fields = proptest::collection::vec(any_field(), 0..6);
        prop_oneof![
            (any_name(), nodes, slots, 0u32..6, membership::tests::any_groups(), 0u32..4).prop_map(
                |(cluster, nodes, slots, factor, groups, feature_level)| CatalogCommand::Bootstrap {
                    cluster,
                    nodes,
                    slots: slots.into_iter().map(GroupId).collect(),
                    placement: Placement { factor, groups },
                    feature_level,
                }
            ),
            membership::tests::any_membership_command().prop_map(CatalogCommand::Membership),
            any_node().prop_map(|(id, info)| CatalogCommand::PutNode { id, info }),
            (any_node(), 0u32..9)
                .prop_map(|((_, info), feature_level)| CatalogCommand::Replace { info, feature_level }),
            (0u64..5).prop_map(|id| CatalogCommand::RemoveNode { id: NodeId(id) }),
            (any_name(), any_spec())
                .prop_map(|(name, policy)| CatalogCommand::CreateDatabase { name, policy }),
            any_name().prop_map(|name| CatalogCommand::DropDatabase { name }),
            (any_name(), any_spec(), any::<bool>()).prop_map(|(database, spec, make_default)| {
                CatalogCommand::CreateRetentionPolicy { database, spec, make_default }
            }),
            (any_name(), any_name(), any_change()).prop_map(|(database, policy, change)| {
                CatalogCommand::AlterRetentionPolicy { database, policy, change }
            }),
            (any_name(), any_name())
                .prop_map(|(database, policy)| { CatalogCommand::DropRetentionPolicy { database, policy } }),
            (any_name(), any_name(), any_name(), any::<i64>()).prop_map(
                |(database, name, query, created_ns)| {
                    CatalogCommand::CreateContinuousQuery { database, name, query, created_ns }
                }
            ),
            (any_name(), any_name())
                .prop_map(|(database, name)| CatalogCommand::DropContinuousQuery { database, name }),
            (0u64..50, any::<i64>())
                .prop_map(|(id, last_run_ns)| CatalogCommand::RecordContinuousRun { id, last_run_ns }),
            (0u32..4, fields).prop_map(|(database, fields)| CatalogCommand::RegisterFields {
                database: DatabaseId(database),
                fields,
            }),
            any_user_command(),
            any_subscription_command(),
        ]
    }

    proptest! {
        #[test]
        fn a_command_comes_back_as_it_was(command in any_command()) {
            prop_assert_eq!(decode_catalog_command(&encode_catalog_command(&command)).unwrap(), command);
        }

        #[test]
        fn damaged_bytes_never_panic(bytes: Vec<u8>) {
            drop(decode_catalog_command(&bytes));
        }
    }

    #[test]
    fn a_command_of_a_later_version_is_refused() {
        // Field 99, an empty message.
        assert!(decode_catalog_command(&[0x9a, 0x06, 0x00]).is_err());
    }
}
