//! Replicas at the same index have the same checksum, and only they do.

use crate::harness::*;
use model::FieldValue;

fn workload(replica: &mut Replica, flush_every: usize) {
    for round in 0..40i64 {
        let rows: Vec<Point> = (0..20)
            .map(|i| int(&format!("m,i={i}"), (round * 37 % 50) * HOUR / 7 + i, round * i))
            .chain([point("s", round, 1, FieldValue::String(format!("v{}", round % 3).into_bytes().into()))])
            .collect();
        replica.write(&rows);
        if round == 25 {
            replica.apply(Entry::DropBefore(RP, 24 * HOUR));
        }
        if (round as usize).is_multiple_of(flush_every) {
            replica.store().flush().unwrap();
        }
    }
}

#[test]
fn flushes_and_replays_do_not_change_it() {
    let mut checksums = Vec::new();
    for flush_every in [1, 7, 1000] {
        let mut replica = Replica::new();
        workload(&mut replica, flush_every);
        checksums.push(replica.store().checksum().unwrap());
        replica.crash_and_replay();
        checksums.push(replica.store().checksum().unwrap());
    }
    assert_eq!(checksums[0].index, 41);
    assert!(checksums.windows(2).all(|w| w[0] == w[1]), "{checksums:?}");
}

#[test]
fn a_job_is_exact_at_the_index_it_was_begun_at() {
    let mut replica = Replica::new();
    replica.write(&[int("m", 1, 1)]);
    let expected = replica.store().checksum().unwrap();
    let job = replica.store().begin_checksum().unwrap();
    assert_eq!(job.index(), 1);
    replica.write(&[int("m", 2, 2), int("n", 2, 2)]);
    replica.apply(Entry::DropPolicy(RP));
    assert_eq!(job.run().unwrap(), expected);
    // One that is never run leaves nothing behind.
    drop(replica.store().begin_checksum().unwrap());
    replica.apply(Entry::Nothing);
    assert_eq!(replica.store().flush().unwrap(), marker(4));
}

#[test]
fn any_difference_changes_it() {
    let checksum = |rows: &[Point]| {
        let mut replica = Replica::new();
        replica.write(rows);
        replica.store().checksum().unwrap().value
    };
    let base = [int("m,a=1", 1, 1), int("m,a=2", 1, 1)];
    let all = [
        checksum(&base),
        checksum(&[base[0].clone()]),
        checksum(&[base[0].clone(), int("m,a=2", 1, 2)]),
        checksum(&[base[0].clone(), int("m,a=2", 2, 1)]),
        checksum(&[base[0].clone(), int("m,a=3", 1, 1)]),
        checksum(&[base[0].clone(), point("m,a=2", 1, 1, FieldValue::Integer(1))]),
        checksum(&[base[0].clone(), point("m,a=2", 1, 1, FieldValue::Unsigned(1))]),
        checksum(&[base[0].clone(), point("m,a=2", 1, 1, FieldValue::Boolean(true))]),
    ];
    let distinct: std::collections::BTreeSet<u64> = all.into_iter().collect();
    assert_eq!(distinct.len(), all.len());
    assert_eq!(checksum(&base), all[0]);
}
