//! Memberships, and what a snapshot or an applied marker says about them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, BytesMut};

use super::{Codec, CodecError, Input};
use crate::type_config::{LogId, Membership, PeerAddr, SnapshotMeta, StoredMembership};

impl Codec for Membership {
    fn write(&self, out: &mut BytesMut) {
        let configs = self.get_joint_config();
        out.put_u32(configs.len() as u32);
        for voters in configs {
            out.put_u32(voters.len() as u32);
            for voter in voters {
                out.put_u64(*voter);
            }
        }
        out.put_u32(self.nodes().count() as u32);
        for (node, peer) in self.nodes() {
            out.put_u64(*node);
            out.put_u32(peer.address.len() as u32);
            out.put_slice(peer.address.as_bytes());
        }
    }

    fn read(input: &mut Input) -> Result<Self, CodecError> {
        let mut configs = Vec::new();
        for _ in 0..input.u32()? {
            let mut voters = BTreeSet::new();
            for _ in 0..input.u32()? {
                voters.insert(input.u64()?);
            }
            configs.push(voters);
        }
        let mut nodes = BTreeMap::new();
        for _ in 0..input.u32()? {
            let node = input.u64()?;
            nodes.insert(node, PeerAddr { address: input.text("peer address")? });
        }
        Self::new(configs, nodes).map_err(|_| CodecError::Invalid { what: "membership" })
    }

    fn size_hint(&self) -> usize {
        let voters: usize = self.get_joint_config().iter().map(|voters| 4 + 8 * voters.len()).sum();
        let nodes: usize = self.nodes().map(|(_, peer)| 12 + peer.address.len()).sum();
        8 + voters + nodes
    }
}

impl Codec for StoredMembership {
    fn write(&self, out: &mut BytesMut) {
        self.log_id().write(out);
        self.membership().write(out);
    }

    fn read(input: &mut Input) -> Result<Self, CodecError> {
        let log_id: Option<LogId> = Codec::read(input)?;
        Ok(Self::new(log_id, Membership::read(input)?))
    }

    fn size_hint(&self) -> usize {
        25 + self.membership().size_hint()
    }
}

impl Codec for SnapshotMeta {
    fn write(&self, out: &mut BytesMut) {
        self.last_log_id.write(out);
        self.last_membership.write(out);
    }

    fn read(input: &mut Input) -> Result<Self, CodecError> {
        Ok(Self { last_log_id: Codec::read(input)?, last_membership: StoredMembership::read(input)? })
    }

    fn size_hint(&self) -> usize {
        25 + self.last_membership.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::collection::{btree_map, btree_set, vec};
    use proptest::prelude::*;

    use super::*;
    use crate::codec::{decode, encode};
    use crate::type_config::LeaderId;

    fn membership() -> impl Strategy<Value = Membership> {
        let configs = vec(btree_set(0u64..9, 1..4), 0..3);
        (configs, btree_map(0u64..20, "[a-z.:0-9é]{0,12}", 0..6)).prop_map(|(configs, learners)| {
            let voters = configs.iter().flatten().map(|id| (*id, format!("node-{id}:8088")));
            let nodes: BTreeMap<u64, PeerAddr> =
                learners.into_iter().chain(voters).map(|(id, address)| (id, PeerAddr { address })).collect();
            Membership::new(configs, nodes).unwrap()
        })
    }

    #[test]
    fn bytes_are_those_of_the_format_page() {
        let nodes = BTreeMap::from([(1, PeerAddr { address: "a:1".to_owned() })]);
        let membership = Membership::new(vec![BTreeSet::from([1])], nodes).unwrap();
        assert_eq!(
            &encode(&membership)[..],
            b"\x01\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x03a:1"
        );
    }

    #[test]
    fn a_voter_without_an_address_is_refused() {
        let bytes = b"\x01\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0";
        assert_eq!(
            decode::<Membership>(Bytes::from_static(bytes)),
            Err(CodecError::Invalid { what: "membership" })
        );
    }

    #[test]
    fn counts_beyond_the_input_are_refused_before_memory_is_taken() {
        let bytes = b"\x01\0\0\0\x01\xff\xff\xff\xff\0\0\0\0\0\0\0\x01";
        assert_eq!(decode::<Membership>(Bytes::from_static(bytes)), Err(CodecError::Short));
    }

    proptest! {
        #[test]
        fn memberships_round_trip(membership in membership(), term: u64, node_id: u64, index: u64, set: bool) {
            prop_assert_eq!(decode::<Membership>(encode(&membership)), Ok(membership.clone()));
            let log_id = set.then_some(LogId { leader_id: LeaderId { term, node_id }, index });
            let last_membership = StoredMembership::new(log_id, membership);
            prop_assert_eq!(decode::<StoredMembership>(encode(&last_membership)), Ok(last_membership.clone()));
            let meta = SnapshotMeta { last_log_id: log_id, last_membership };
            prop_assert_eq!(decode::<SnapshotMeta>(encode(&meta)), Ok(meta));
        }

        #[test]
        fn noise_never_panics(noise: Vec<u8>) {
            drop(decode::<SnapshotMeta>(Bytes::from([&[1], &noise[..]].concat())));
        }
    }
}
