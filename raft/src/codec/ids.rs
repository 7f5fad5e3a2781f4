//! Leader ids, log ids and votes.

use bytes::{BufMut, BytesMut};

use super::{Codec, CodecError, Input};
use crate::type_config::{LeaderId, LogId, Vote};

impl Codec for LeaderId {
    fn write(&self, out: &mut BytesMut) {
        out.put_u64(self.term);
        out.put_u64(self.node_id);
    }

    fn read(input: &mut Input) -> Result<Self, CodecError> {
        Ok(Self { term: input.u64()?, node_id: input.u64()? })
    }
}

impl Codec for LogId {
    fn write(&self, out: &mut BytesMut) {
        self.leader_id.write(out);
        out.put_u64(self.index);
    }

    fn read(input: &mut Input) -> Result<Self, CodecError> {
        Ok(Self { leader_id: LeaderId::read(input)?, index: input.u64()? })
    }
}

impl Codec for Vote {
    fn write(&self, out: &mut BytesMut) {
        self.leader_id.write(out);
        out.put_u8(u8::from(self.committed));
    }

    fn read(input: &mut Input) -> Result<Self, CodecError> {
        Ok(Self { leader_id: LeaderId::read(input)?, committed: input.flag("vote")? })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::codec::{decode, encode};

    #[test]
    fn bytes_are_those_of_the_format_page() {
        let leader_id = LeaderId { term: 2, node_id: 258 };
        let log_id = encode(&LogId { leader_id, index: 5 });
        assert_eq!(&log_id[..], b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\0\x05");
        let vote = encode(&Vote { leader_id, committed: true });
        assert_eq!(&vote[..], b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\x01\x02\x01");
    }

    proptest! {
        #[test]
        fn ids_round_trip(term: u64, node_id: u64, index: u64, committed: bool) {
            let leader_id = LeaderId { term, node_id };
            let log_id = LogId { leader_id, index };
            prop_assert_eq!(decode::<LogId>(encode(&log_id)), Ok(log_id));
            let vote = Vote { leader_id, committed };
            prop_assert_eq!(decode::<Vote>(encode(&vote)), Ok(vote));
        }

        #[test]
        fn noise_is_refused_or_the_only_spelling_of_a_value(
            noise in proptest::collection::vec(prop_oneof![Just(1u8), any::<u8>()], 0..30),
        ) {
            let noise = Bytes::from(noise);
            if let Ok(vote) = decode::<Vote>(noise.clone()) {
                prop_assert_eq!(encode(&vote), noise.clone());
            }
            if let Ok(log_id) = decode::<LogId>(noise.clone()) {
                prop_assert_eq!(encode(&log_id), noise);
            }
        }
    }
}
