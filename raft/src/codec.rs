//! The bytes of Raft's own values on disk and between peers: entries, votes, log ids, memberships.
//!
//! Called by the log store, the state machine (for its applied marker) and the transport. Every encoding starts with a
//! version byte and is written out here by hand, so that a new release of openraft changes no byte of a stored log;
//! `docs/format/raft_log.md` draws them. It must not know what a command says. Input may come from a damaged disk or
//! from a peer, so decoding never panics and takes memory only for what is there.

mod entry;
#[cfg(test)]
mod fuzz;
mod ids;
mod input;
mod membership;

use bytes::{BufMut, Bytes, BytesMut};

use input::Input;

/// The version written by this release, and the only one it reads.
const VERSION: u8 = 1;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodecError {
    /// The value was written by a newer release, or is damaged.
    #[error("unknown version {found} of a Raft value")]
    Version {
        /// The version found.
        found: u8,
    },
    /// The input ends inside the value.
    #[error("a Raft value ends too early")]
    Short,
    /// The input goes on after the value.
    #[error("{bytes} bytes follow a Raft value")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A tag, a flag or a text has no meaning.
    #[error("a Raft value holds an invalid {what}")]
    Invalid {
        /// Which part.
        what: &'static str,
    },
}

/// A value with an encoding of its own.
pub(crate) trait Codec: Sized {
    /// Appends the value's bytes, without a version.
    fn write(&self, out: &mut BytesMut);

    /// Takes the value's bytes off the front of `input`.
    ///
    /// # Errors
    ///
    /// [`CodecError`] if they are not a value; `input` is then left anywhere.
    fn read(input: &mut Input) -> Result<Self, CodecError>;

    /// Bytes that [`Codec::write`] will need, as a guess.
    fn size_hint(&self) -> usize {
        64
    }
}

/// Encodes a value with its version.
pub(crate) fn encode<T: Codec>(value: &T) -> Bytes {
    let mut out = BytesMut::with_capacity(1 + value.size_hint());
    out.put_u8(VERSION);
    value.write(&mut out);
    out.freeze()
}

/// Decodes a value with its version; all of `bytes` must belong to it. A command inside shares the memory of `bytes`.
///
/// # Errors
///
/// [`CodecError`] if the bytes are not exactly one value of this release's version.
pub(crate) fn decode<T: Codec>(bytes: Bytes) -> Result<T, CodecError> {
    let mut input = Input::new(bytes);
    match input.u8()? {
        VERSION => {}
        found => return Err(CodecError::Version { found }),
    }
    let value = T::read(&mut input)?;
    match input.rest().len() {
        0 => Ok(value),
        bytes => Err(CodecError::Trailing { bytes }),
    }
}

impl<T: Codec> Codec for Option<T> {
    fn write(&self, out: &mut BytesMut) {
        out.put_u8(u8::from(self.is_some()));
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(input: &mut Input) -> Result<Self, CodecError> {
        Ok(if input.flag("option")? { Some(T::read(input)?) } else { None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::type_config::{LeaderId, LogId};

    fn log_id() -> LogId {
        LogId { leader_id: LeaderId { term: 3, node_id: 7 }, index: 9 }
    }

    #[test]
    fn other_versions_and_lengths_are_refused() {
        let good = encode(&log_id());
        assert_eq!(decode::<LogId>(good.clone()), Ok(log_id()));
        assert_eq!(decode::<LogId>(good.slice(..good.len() - 1)), Err(CodecError::Short));
        assert_eq!(decode::<LogId>(Bytes::new()), Err(CodecError::Short));
        let mut longer = good.to_vec();
        longer.push(0);
        assert_eq!(decode::<LogId>(longer.into()), Err(CodecError::Trailing { bytes: 1 }));
        let mut newer = good.to_vec();
        newer[0] = 2;
        assert_eq!(decode::<LogId>(newer.into()), Err(CodecError::Version { found: 2 }));
    }

    #[test]
    fn options_are_flagged() {
        assert_eq!(decode::<Option<LogId>>(encode(&None::<LogId>)), Ok(None));
        assert_eq!(decode::<Option<LogId>>(encode(&Some(log_id()))), Ok(Some(log_id())));
        assert_eq!(
            decode::<Option<LogId>>(Bytes::from_static(&[1, 2])),
            Err(CodecError::Invalid { what: "option" })
        );
    }
}
