//! What the catalog has dropped is refused by the data groups, also when nobody told them.

use crate::cluster::{Cluster, DATA, DATABASE, eventually, in_seconds, key, points, tuning};
use bytes::Bytes;
use model::batch::{BatchHeader, BatchWriter, Row};
use model::catalog::{CatalogCommand, PolicySpec};
use model::time::ShardOrigin;
use model::value::ValueRef;
use model::{DatabaseId, FieldId, GroupId, RetentionPolicyId};
use raft::command::{self, Outcome};

fn change(cluster: &Cluster, place: usize, command: &CatalogCommand) {
    let meta = cluster.group(place, GroupId::META);
    let reply = cluster.client.block_on(meta.submit(command::catalog(command), in_seconds(20)));
    assert_eq!(reply.unwrap().outcome(), Outcome::Done);
    cluster.barrier(place, GroupId::META);
}

fn create(cluster: &Cluster, name: &str) {
    let name = name.to_owned();
    change(cluster, 0, &CatalogCommand::CreateDatabase { name, policy: PolicySpec::default() });
}

fn drop_database(cluster: &Cluster, name: &str) {
    change(cluster, 0, &CatalogCommand::DropDatabase { name: name.to_owned() });
}

/// A point of the n-th database that was created, and of the n-th policy.
fn point(n: u32, time: i64) -> Bytes {
    let (database, policy) = (DatabaseId(n), RetentionPolicyId(n));
    let header =
        BatchHeader { database, policy, shard_duration_ns: 1 << 50, shard_origin: ShardOrigin::YearOne };
    let mut batch = BatchWriter::new(header);
    let series = batch.add_series(&key().0);
    batch.push(&Row { series, time, field: FieldId(0), value: ValueRef::Integer(time) });
    command::write(batch)
}

fn write(cluster: &Cluster, place: usize, command: Bytes) -> Outcome {
    let group = cluster.group(place, DATA);
    cluster.client.block_on(group.submit(command, in_seconds(20))).unwrap().outcome()
}

#[test]
fn nothing_is_stored_under_an_id_that_the_catalog_has_dropped() {
    let cluster = Cluster::start(2, tuning());
    for name in ["zero", "one", "two"] {
        create(&cluster, name);
    }
    for place in 0..3 {
        assert_eq!(write(&cluster, place, point(DATABASE.0, place as i64)), Outcome::Done);
        assert_eq!(write(&cluster, place, point(2, place as i64)), Outcome::Done);
    }
    // The node that drops it dies before it tells the groups; and somebody gives the name a second time.
    drop_database(&cluster, "one");
    create(&cluster, "one");
    eventually("a leader that notices", || {
        let refused = matches!(write(&cluster, 1, point(1, 7)), Outcome::Refused(_));
        refused.then_some(())
    });
    eventually("leaders that notice in every group", || {
        let store = cluster.group(0, GroupId(2)).data_store().unwrap();
        (store.dropped_count() == (1, 1)).then_some(())
    });
    for place in 0..3 {
        cluster.barrier(place, DATA);
        assert!(points(&cluster.group(place, DATA)).is_empty());
        assert_eq!(write(&cluster, place, point(3, 1)), Outcome::Done, "the new one");
        assert_eq!(write(&cluster, place, point(2, 1)), Outcome::Done, "another one");
    }
    // As a statement does it: refused as soon as it is answered, by all groups.
    let before = cluster.host(2).catalog();
    drop_database(&cluster, "two");
    cluster.barrier(2, GroupId::META);
    let host = cluster.host(2);
    cluster.client.block_on(host.refuse_dropped(Some(&before), in_seconds(20))).unwrap();
    for place in 0..3 {
        assert!(matches!(write(&cluster, place, point(2, 9)), Outcome::Refused(_)));
        cluster.barrier(place, GroupId(2));
        let store = cluster.group(place, GroupId(2)).data_store().unwrap();
        assert!(store.has_dropped_database(DatabaseId(2)) && store.has_dropped_policy(RetentionPolicyId(2)));
        assert!(!store.has_dropped_database(DatabaseId(3)));
    }
    cluster.assert_equal_replicas(DATA);
}
