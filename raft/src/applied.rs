//! What a group's state says about itself: the last applied log id and membership, in storage's applied marker.
//!
//! The state machine writes it with every entry; openraft reads it back at a start and finds out where to go on.

use crate::codec::{self, CodecError};
use crate::type_config::SnapshotMeta;
use bytes::Bytes;
use storage::ApplyMarker;

/// The marker to store with the state that `applied` describes.
pub(crate) fn marker(applied: &SnapshotMeta) -> ApplyMarker {
    let index = applied.last_log_id.map_or(0, |log_id| log_id.index);
    ApplyMarker { index, bytes: codec::encode(applied).to_vec() }
}

/// Reads a marker back; an empty one is the state before the first entry.
///
/// # Errors
///
/// [`CodecError`] if the marker is damaged or of a later version.
pub(crate) fn read(marker: &ApplyMarker) -> Result<SnapshotMeta, CodecError> {
    if marker.bytes.is_empty() {
        return Ok(SnapshotMeta::default());
    }
    let applied: SnapshotMeta = codec::decode(Bytes::copy_from_slice(&marker.bytes))?;
    match applied.last_log_id {
        Some(log_id) if log_id.index == marker.index => Ok(applied),
        _ => Err(CodecError::Invalid { what: "applied index" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::type_config::{LeaderId, LogId, Membership, PeerAddr, StoredMembership};
    use std::collections::{BTreeMap, BTreeSet};

    fn log_id(index: u64) -> LogId {
        LogId { leader_id: LeaderId { term: 4, node_id: 5 }, index }
    }

    #[test]
    fn a_marker_comes_back_as_it_was() {
        let members = BTreeMap::from([(1, PeerAddr { address: "a:1".into() })]);
        let membership = Membership::new(vec![BTreeSet::from([1])], members).unwrap();
        let last_membership = StoredMembership::new(Some(log_id(3)), membership);
        let applied = SnapshotMeta { last_log_id: Some(log_id(6)), last_membership };
        let stored = marker(&applied);
        assert_eq!(stored.index, 6);
        assert_eq!(read(&stored).unwrap(), applied);
    }

    #[test]
    fn an_empty_marker_is_the_state_before_the_first_entry() {
        assert_eq!(read(&ApplyMarker::default()).unwrap(), SnapshotMeta::default());
    }

    #[test]
    fn a_foreign_marker_is_refused() {
        let applied = SnapshotMeta { last_log_id: Some(log_id(6)), ..SnapshotMeta::default() };
        assert!(read(&ApplyMarker { index: 7, ..marker(&applied) }).is_err());
        assert!(read(&ApplyMarker { index: 0, bytes: vec![1, 2, 3] }).is_err());
    }
}
