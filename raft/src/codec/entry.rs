//! Entries of the log.

use bytes::{BufMut, BytesMut};

use super::{Codec, CodecError, Input};
use crate::type_config::{Command, Entry, LogId, Membership, Payload};

/// What an entry carries. Codes are never reused.
#[repr(u8)]
enum Kind {
    Blank = 0,
    Command = 1,
    Membership = 2,
}

impl Codec for Entry {
    fn write(&self, out: &mut BytesMut) {
        self.log_id.write(out);
        match &self.payload {
            Payload::Blank => out.put_u8(Kind::Blank as u8),
            Payload::Normal(command) => {
                out.put_u8(Kind::Command as u8);
                out.put_slice(&command.0);
            }
            Payload::Membership(membership) => {
                out.put_u8(Kind::Membership as u8);
                membership.write(out);
            }
        }
    }

    /// A command takes all of the input: an entry is always the last part of its bytes.
    fn read(input: &mut Input) -> Result<Self, CodecError> {
        const BLANK: u8 = Kind::Blank as u8;
        const COMMAND: u8 = Kind::Command as u8;
        const MEMBERSHIP: u8 = Kind::Membership as u8;
        let log_id = LogId::read(input)?;
        let payload = match input.u8()? {
            BLANK => Payload::Blank,
            COMMAND => Payload::Normal(Command(input.rest())),
            MEMBERSHIP => Payload::Membership(Membership::read(input)?),
            _ => return Err(CodecError::Invalid { what: "entry kind" }),
        };
        Ok(Self { log_id, payload })
    }

    fn size_hint(&self) -> usize {
        25 + match &self.payload {
            Payload::Blank => 0,
            Payload::Normal(command) => command.0.len(),
            Payload::Membership(membership) => membership.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::codec::{decode, encode};
    use crate::type_config::{LeaderId, PeerAddr};

    fn entry(payload: Payload) -> Entry {
        Entry { log_id: LogId { leader_id: LeaderId { term: 1, node_id: 2 }, index: 3 }, payload }
    }

    #[test]
    fn bytes_are_those_of_the_format_page() {
        let bytes = encode(&entry(Payload::Normal(Command(Bytes::from_static(b"write")))));
        assert_eq!(&bytes[..], b"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\x01write");
    }

    #[test]
    fn every_payload_round_trips() {
        let nodes = BTreeMap::from([(1, PeerAddr { address: "db-1:8088".to_owned() })]);
        let membership = Membership::new(vec![BTreeSet::from([1])], nodes).unwrap();
        for payload in [
            Payload::Blank,
            Payload::Normal(Command(Bytes::new())),
            Payload::Normal(Command(Bytes::from(vec![7; 1000]))),
            Payload::Membership(membership),
        ] {
            let entry = entry(payload);
            let bytes = encode(&entry);
            assert_eq!(bytes.len(), 1 + entry.size_hint(), "the hint saves a copy only if it is exact");
            assert_eq!(decode::<Entry>(bytes), Ok(entry));
        }
    }

    #[test]
    fn an_unknown_kind_is_refused() {
        let mut bytes = encode(&entry(Payload::Blank)).to_vec();
        bytes[25] = 9;
        assert_eq!(decode::<Entry>(bytes.into()), Err(CodecError::Invalid { what: "entry kind" }));
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise: Vec<u8>) {
            drop(decode::<Entry>(Bytes::from([&[1], &noise[..]].concat())));
        }
    }
}
