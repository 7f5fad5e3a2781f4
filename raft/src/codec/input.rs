//! Checked reading of a Raft value's bytes.

use bytes::{Buf, Bytes};

use super::CodecError;

/// Bytes that have not been read yet.
#[derive(Debug)]
pub(crate) struct Input(Bytes);

impl Input {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, CodecError> {
        self.0.try_get_u8().map_err(|_| CodecError::Short)
    }

    pub(super) fn u32(&mut self) -> Result<u32, CodecError> {
        self.0.try_get_u32().map_err(|_| CodecError::Short)
    }

    pub(super) fn u64(&mut self) -> Result<u64, CodecError> {
        self.0.try_get_u64().map_err(|_| CodecError::Short)
    }

    /// A byte that is 0 or 1; `what` names it in the error.
    pub(super) fn flag(&mut self, what: &'static str) -> Result<bool, CodecError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CodecError::Invalid { what }),
        }
    }

    /// A text after its length; `what` names it in the error.
    pub(super) fn text(&mut self, what: &'static str) -> Result<String, CodecError> {
        let length = self.u32()? as usize;
        if length > self.0.len() {
            return Err(CodecError::Short);
        }
        String::from_utf8(self.0.split_to(length).into()).map_err(|_| CodecError::Invalid { what })
    }

    /// All that is left, without copying it.
    pub(super) fn rest(&mut self) -> Bytes {
        self.0.split_off(0)
    }
}
