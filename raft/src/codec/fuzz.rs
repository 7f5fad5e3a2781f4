//! Bytes of a damaged disk, or of a peer, against what reads them: no panic, and what is read is written as it was. Each
//! target runs for a bounded time under plain `cargo test`; `BOLERO_RANDOM_TEST_TIME_MS=600000` drives it longer.

use super::{Codec, decode, encode};
use crate::command;
use crate::type_config::{Entry, LogId, Membership, StoredMembership, Vote};
use bytes::Bytes;
use model::GroupId;
use std::fmt::Debug;
use std::time::Duration;

/// How long each target runs if nobody says otherwise.
const TIME: Duration = Duration::from_millis(300);

fn read<T: Codec + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(value) = decode::<T>(Bytes::copy_from_slice(bytes)) {
        assert_eq!(decode::<T>(encode(&value)).as_ref(), Ok(&value));
    }
}

fn any_bytes(read: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    bolero::check!().with_type::<Vec<u8>>().with_test_time(TIME).for_each(|bytes| {
        read(bytes);
        // Behind the version.
        read(&[&[1], &bytes[..]].concat());
    });
}

#[test]
fn fuzz_entries() {
    any_bytes(read::<Entry>);
    // Behind a log id, where the kind and what it carries begin.
    any_bytes(|bytes| read::<Entry>(&[&[1; 25][..], bytes].concat()));
}

#[test]
fn fuzz_ids_and_memberships() {
    any_bytes(|bytes| {
        read::<LogId>(bytes);
        read::<Vote>(bytes);
        read::<Membership>(bytes);
        read::<StoredMembership>(bytes);
        read::<Option<LogId>>(bytes);
    });
}

#[test]
fn fuzz_commands() {
    any_bytes(|bytes| {
        for group in [GroupId::META, GroupId(1)] {
            drop(command::check(group, bytes));
        }
        // Of each kind.
        for kind in 0..16 {
            drop(command::check(GroupId(1), &[&[kind], bytes].concat()));
        }
    });
}
