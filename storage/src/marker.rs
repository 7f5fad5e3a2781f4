//! How far a group's state has come: the applied log index, and what raft wants to find beside it.

use crate::bytes::Cursor;
use crate::error::StorageError;

const VERSION: u8 = 1;

/// The applied index with raft's own words about it (log id, membership), which storage does not read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApplyMarker {
    /// Index of the last applied log entry; 0 in a group that has applied nothing.
    pub index: u64,
    /// Opaque to storage.
    pub bytes: Vec<u8>,
}

impl ApplyMarker {
    /// `version u8 = 1 | index u64 LE | bytes`.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(9 + self.bytes.len());
        out.push(VERSION);
        out.extend_from_slice(&self.index.to_le_bytes());
        out.extend_from_slice(&self.bytes);
        out
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, StorageError> {
        let mut bytes = Cursor::new(value);
        let version = bytes.byte();
        match (version, bytes.u64_le()) {
            (Some(VERSION), Some(index)) => Ok(Self { index, bytes: bytes.rest().to_vec() }),
            _ => Err(StorageError::damaged("applied marker")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marker_round_trips_and_refuses_foreign_bytes() {
        let marker = ApplyMarker { index: 7, bytes: b"log id".to_vec() };
        assert_eq!(ApplyMarker::decode(&marker.encode()).unwrap(), marker);
        assert!(ApplyMarker::decode(b"").is_err());
        assert!(ApplyMarker::decode(&[2; 20]).is_err());
        assert!(ApplyMarker::decode(&[1; 8]).is_err());
    }
}
