//! A generated Kubernetes cluster as Heapster writes it: 4 nodes, 48 pods, a point a minute and series.
//!
//! The same tags, measurements and value types as Heapster's InfluxDB sink sends, in both of its schemas: one measurement
//! a metric with the field `value` (database `k8s`), and one measurement a group of metrics with many fields
//! (`k8s_fields`). Everything depends on the minute and the names only, so two servers are filled alike.

mod entity;
mod lines;

pub use lines::{fields_lines, value_lines};

/// Time of the newest generated point, in seconds since 1970: fixed, so that a failing answer can be looked at again.
pub const END_S: i64 = 1_760_000_400;
/// Databases of the two schemas.
pub const DATABASES: [&str; 2] = ["k8s", "k8s_fields"];

/// The minutes of the last `minutes`, oldest first, ending with [`END_S`].
pub fn minutes(minutes: i64) -> impl Iterator<Item = i64> {
    (0..=minutes).rev().map(|back| END_S - 60 * back)
}

/// Creates both databases through `client`, with a second policy that nothing writes to, and fills the last `length`
/// minutes.
pub fn fill(client: &mut crate::client::Client, length: i64) {
    for database in DATABASES {
        super::create_database(client, database);
    }
    let policy = r#"CREATE RETENTION POLICY "coarse" ON "k8s" DURATION 52w REPLICATION 1"#;
    let answer = client.query("", policy);
    assert!(answer.as_ref().is_ok_and(|a| a.status == 200), "{policy}: {answer:?}");
    let (mut values, mut fields) = (Vec::new(), Vec::new());
    for minute in minutes(length) {
        values.extend(value_lines(minute));
        fields.extend(fields_lines(minute));
    }
    super::load(client, "k8s", &values);
    super::load(client, "k8s_fields", &fields);
}
