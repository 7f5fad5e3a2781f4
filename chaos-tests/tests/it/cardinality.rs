//! The limits on series and tag values, beside a real InfluxDB with the same limits.
//!
//! No body mixes series that exist with others that are refused: influxd 1.6.7 then drops the wrong points, without a
//! word (its list of keys has moved up by those it knew). Nor is there a point of a refused series without a field but
//! `time`, which it counts twice.

use crate::support::{ask, compare_answers, turn_beside_others};
use chaos_tests::report::Failures;
use chaos_tests::{Cluster, Oracle, Settings};

const SERIES_MAX: u64 = 5;
const VALUES_MAX: u64 = 3;

/// Databases and the bodies written to them, in order.
const BODIES: &[(&str, &str)] = &[
    // Three, then three more than fit, then two that just fit, then one too many.
    ("s", "m,a=1 v=1 1\nm,b=1 v=1 1\nm,c=1 v=1 1\n"),
    ("s", "m,d=1 v=1 1\nm,e=1 v=1 1\nm,f=1 v=1 1\n"),
    ("s", "m,d=1 v=1 1\nm,e=1 v=1 1\n"),
    ("s", "m,g=1 v=1 1\n"),
    ("s", "m,a=1 v=2 2\nm,e=1 v=2 2\n"),
    // What is counted is what was there before the body; the values of another measurement are its own.
    ("w", "m,h=1 v=1 1\nm,h=2 v=1 1\n"),
    ("w", "m,h=3 v=1 1\nm,h=4 v=1 1\n"),
    ("w", "m,h=5 v=1 1\nm,h=5 v=1 2\nm,h=6 v=1 1\n"),
    ("w", "m,a=1,h=7,z=1 v=1 1\n"),
    ("w", "m,h=\\ \\,\\=\" v=1 1\n"),
    ("w", "n,h=9 v=1 1\n"),
    // Which reason is told.
    ("b", "m,h=1 v=1 1\nm,h=2 v=1 1\nm,h=3 v=1 1\n"),
    ("b", "m,h=4 v=1 1\nn,a=1 v=1 1\nn,b=1 v=1 1\nn,c=1 v=1 1\n"),
    ("b", "m,time=4 v=1 1\nm,h=4 v=1 1\n"),
    ("b", "m,h=4 v=1 1\nm,time=4 v=1 1\n"),
    ("b", "bad\nm,h=4 v=1 1\n"),
    ("b", "m,h=4 v=\"x\" 1\n"),
    // A point that gives one field two types.
    ("t", "m v=1,v=\"x\" 1\n"),
    ("t", "m v=1,v=2 1\n"),
    ("t", "m v=1i,v=2 2\n"),
    ("t", "m v=2,v=2i 2\n"),
    ("t", "m v=5,v=\"x\" 9\nm v=7 10\n"),
    // What 1.x shows of the refused point afterwards, a series and a column without a value, is not compared.
    ("p", "n a=1,v=1,v=\"x\" 1\no v=1 1\n"),
];

/// Databases whose rows must be the same in the end.
const COMPARED: [&str; 4] = ["s", "w", "b", "t"];

#[test]
fn limits_on_series_and_values_are_those_of_influxdb() {
    let _turn = turn_beside_others("limits on series and tag values");
    let config = vec![
        ("write.max_series_per_database", SERIES_MAX.to_string()),
        ("write.max_values_per_tag", VALUES_MAX.to_string()),
    ];
    let oracle = Oracle::start_limited(SERIES_MAX, VALUES_MAX);
    let cluster = Cluster::start(&Settings { config, ..Settings::default() });
    let mut failures = Failures::default();
    let (mut want, mut got, mut node) = (oracle.client(), cluster.client(0), cluster.client(0));
    for database in COMPARED.iter().chain(&["p"]) {
        for client in [&mut want, &mut got] {
            let q = format!("/query?q=CREATE+DATABASE+{database}");
            assert!(client.post(&q, b"").is_ok_and(|answer| answer.status == 200));
        }
    }
    for (database, body) in BODIES {
        let place = format!("{database}: {body:?}");
        let (want, got) = (want.write(database, body.as_bytes()), got.write(database, body.as_bytes()));
        compare_answers(&place, &want, &got, &mut failures);
        // A node counts what its own replicas have applied; a read waits until that is all that was acknowledged.
        assert!(ask(&mut node, database, "ns", "SHOW SERIES").is_ok_and(|answer| answer.status == 200));
    }
    for database in COMPARED {
        for q in ["SHOW SERIES", "SELECT * FROM /.*/"] {
            let place = format!("{database}: {q}");
            let (want, got) = (ask(&mut want, database, "ns", q), ask(&mut got, database, "ns", q));
            compare_answers(&place, &want, &got, &mut failures);
        }
    }
    failures.assert_none("the limits");
}
