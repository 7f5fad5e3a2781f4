//! The whole catalog, as the meta group writes it at a flush.

use super::membership::{duties_from_wire, duties_to_wire, groups_from_wire, groups_to_wire};
use super::user::{subscription_from_wire, subscription_to_wire, user_from_wire, user_to_wire};
use super::{DecodeError, field_type};
use crate::catalog as wire;
use model::catalog::{
    Catalog, ContinuousQuery, Database, FieldDef, FieldTable, Measurement, NodeInfo, RetentionPolicy,
};
use model::placement::Placement;
use model::{DatabaseId, FieldId, GroupId, NodeId, RetentionPolicyId};
use prost::Message;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The catalog's bytes: equal catalogs have equal bytes.
pub fn encode_catalog(catalog: &Catalog) -> Vec<u8> {
    let message = wire::Catalog {
        cluster: catalog.cluster.clone(),
        version: catalog.version,
        databases: catalog.databases.iter().map(|d| database_to_wire(d)).collect(),
        nodes: catalog.nodes.iter().map(|(id, info)| node_to_wire(*id, info)).collect(),
        slots: catalog.slots.iter().map(|g| g.0).collect(),
        next_database: catalog.next_database,
        next_policy: catalog.next_policy,
        next_node: catalog.next_node,
        continuous_queries: catalog.continuous_queries.iter().map(|q| continuous_to_wire(q)).collect(),
        users: catalog.users.iter().map(|user| user_to_wire(user)).collect(),
        replication_factor: catalog.placement.factor,
        placement: groups_to_wire(&catalog.placement.groups),
        goal: groups_to_wire(&catalog.goal),
        duties: duties_to_wire(&catalog.duties),
        invited: catalog.invited.iter().cloned().collect(),
        feature_level: catalog.feature_level,
    };
    message.encode_to_vec()
}

/// Reads what [`encode_catalog`] wrote.
///
/// # Errors
///
/// [`DecodeError`] when the bytes are damaged or of a newer version.
pub fn decode_catalog(bytes: &[u8]) -> Result<Catalog, DecodeError> {
    let message = wire::Catalog::decode(bytes)?;
    let databases = message.databases.into_iter().map(database_from_wire).map(|d| d.map(Arc::new));
    let users = message.users.into_iter().map(user_from_wire).map(|user| user.map(Arc::new));
    Ok(Catalog {
        cluster: message.cluster,
        version: message.version,
        databases: databases.collect::<Result<_, _>>()?,
        nodes: message.nodes.into_iter().map(node_from_wire).collect(),
        slots: message.slots.into_iter().map(GroupId).collect(),
        next_database: message.next_database,
        next_policy: message.next_policy,
        next_node: message.next_node,
        continuous_queries: message.continuous_queries.into_iter().map(continuous_from_wire).collect(),
        users: users.collect::<Result<_, _>>()?,
        placement: Placement {
            factor: message.replication_factor,
            groups: groups_from_wire(message.placement),
        },
        goal: groups_from_wire(message.goal),
        duties: duties_from_wire(message.duties)?,
        invited: message.invited.into_iter().collect(),
        feature_level: message.feature_level,
    })
}

pub(super) fn node_to_wire(id: NodeId, info: &NodeInfo) -> wire::Node {
    wire::Node {
        id: id.0,
        peer_addr: info.peer_addr.clone(),
        http_addr: info.http_addr.clone(),
        admin_addr: info.admin_addr.clone(),
        volume: info.volume.clone(),
    }
}

pub(super) fn node_from_wire(node: wire::Node) -> (NodeId, NodeInfo) {
    let wire::Node { id, peer_addr, http_addr, admin_addr, volume } = node;
    (NodeId(id), NodeInfo { peer_addr, http_addr, admin_addr, volume })
}

fn database_to_wire(database: &Database) -> wire::Database {
    wire::Database {
        id: database.id.0,
        name: database.name.to_string(),
        policies: database.policies.iter().map(policy_to_wire).collect(),
        default_policy: database.default_policy.map(|id| id.0),
        dropped_default: database.dropped_default.to_string(),
        measurements: database.fields.measurements.iter().map(measurement_to_wire).collect(),
        next_field: database.fields.next,
    }
}

fn database_from_wire(database: wire::Database) -> Result<Database, DecodeError> {
    let measurements: Result<BTreeMap<_, _>, _> =
        database.measurements.into_iter().map(measurement_from_wire).collect();
    Ok(Database {
        id: DatabaseId(database.id),
        name: Arc::from(database.name),
        policies: database.policies.into_iter().map(policy_from_wire).collect::<Result<_, _>>()?,
        default_policy: database.default_policy.map(RetentionPolicyId),
        dropped_default: Arc::from(database.dropped_default),
        fields: FieldTable { measurements: measurements?, next: database.next_field },
    })
}

fn continuous_to_wire(query: &ContinuousQuery) -> wire::ContinuousQuery {
    wire::ContinuousQuery {
        id: query.id,
        database: query.database.0,
        name: query.name.to_string(),
        query: query.query.to_string(),
        created_ns: query.created_ns,
        last_run_ns: query.last_run_ns,
    }
}

fn continuous_from_wire(query: wire::ContinuousQuery) -> Arc<ContinuousQuery> {
    let wire::ContinuousQuery { id, database, name, query, created_ns, last_run_ns } = query;
    Arc::new(ContinuousQuery {
        id,
        database: DatabaseId(database),
        name: Arc::from(name),
        query: Arc::from(query),
        created_ns,
        last_run_ns,
    })
}

fn policy_to_wire(policy: &RetentionPolicy) -> wire::RetentionPolicy {
    wire::RetentionPolicy {
        id: policy.id.0,
        name: policy.name.to_string(),
        duration_ns: policy.duration_ns,
        shard_duration_ns: policy.shard_duration_ns,
        replication: policy.replication,
        subscriptions: policy.subscriptions.iter().map(subscription_to_wire).collect(),
    }
}

fn policy_from_wire(policy: wire::RetentionPolicy) -> Result<RetentionPolicy, DecodeError> {
    let subscriptions = policy.subscriptions.into_iter().map(subscription_from_wire);
    Ok(RetentionPolicy {
        id: RetentionPolicyId(policy.id),
        name: Arc::from(policy.name),
        duration_ns: policy.duration_ns,
        shard_duration_ns: policy.shard_duration_ns,
        replication: policy.replication,
        subscriptions: subscriptions.collect::<Result<_, _>>()?,
    })
}

fn measurement_to_wire((name, measurement): (&Arc<str>, &Measurement)) -> wire::Measurement {
    let fields = measurement.fields.iter().map(|(name, def)| wire::Field {
        name: name.to_string(),
        id: def.id.0,
        field_type: u32::from(def.field_type.code()),
    });
    wire::Measurement { name: name.to_string(), fields: fields.collect() }
}

fn measurement_from_wire(measurement: wire::Measurement) -> Result<(Arc<str>, Measurement), DecodeError> {
    let fields = measurement.fields.into_iter().map(|field| {
        let def = FieldDef { id: FieldId(field.id), field_type: field_type(field.field_type)? };
        Ok((Arc::from(field.name), def))
    });
    let fields = fields.collect::<Result<_, DecodeError>>()?;
    Ok((Arc::from(measurement.name), Measurement { fields }))
}

#[cfg(test)]
mod tests {
    use super::super::command::tests::any_command;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_catalog_comes_back_as_it_was(commands in proptest::collection::vec(any_command(), 0..40)) {
            let mut catalog = Catalog::default();
            for command in &commands {
                drop(catalog.apply(command));
            }
            let bytes = encode_catalog(&catalog);
            let back = decode_catalog(&bytes).unwrap();
            prop_assert_eq!(&back, &catalog);
            prop_assert_eq!(encode_catalog(&back), bytes);
        }

        #[test]
        fn damaged_bytes_never_panic(bytes: Vec<u8>) {
            drop(decode_catalog(&bytes));
        }
    }
    /// A catalog of a version that knew neither users nor subscriptions: database `a` with policy `b`.
    const WITHOUT_USERS: &[u8] = &[
        0x0a, 0x01, 0x63, 0x10, 0x01, 0x1a, 0x15, 0x12, 0x01, 0x61, 0x1a, 0x0e, 0x12, 0x01, 0x62, 0x20, 0x80,
        0x80, 0xc8, 0x92, 0xff, 0x83, 0x93, 0x02, 0x28, 0x01, 0x20, 0x00, 0x30, 0x01, 0x38, 0x01,
    ];

    #[test]
    fn a_catalog_from_before_there_were_users_opens() {
        let mut old = Catalog { cluster: "c".to_owned(), ..Catalog::default() };
        let policy = model::catalog::PolicySpec { name: Some("b".to_owned()), ..Default::default() };
        let create = model::catalog::CatalogCommand::CreateDatabase { name: "a".to_owned(), policy };
        old.apply(&create).unwrap();
        assert_eq!(encode_catalog(&old), WITHOUT_USERS, "replicas compare the bytes, old ones with new ones");
        assert_eq!(decode_catalog(WITHOUT_USERS).unwrap(), old);
    }
}
