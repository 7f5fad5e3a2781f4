//! Between messages and the model, both ways. Called by the raft crate and by nobody else.

mod catalog;
mod command;
mod membership;
mod user;

pub use catalog::{decode_catalog, encode_catalog};
pub use command::{decode_catalog_command, encode_catalog_command};

use model::FieldType;

/// Why bytes are not a message of ours: damage, or a newer version.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DecodeError {
    /// Not protobuf.
    #[error("message is damaged")]
    Damaged(#[from] prost::DecodeError),
    /// A part that must be there is not, or a new kind of part is.
    #[error("message lacks {0}")]
    Missing(&'static str),
    /// A field type that this version does not know.
    #[error("field type {0} is unknown")]
    FieldType(u32),
}

fn field_type(code: u32) -> Result<FieldType, DecodeError> {
    u8::try_from(code).ok().and_then(FieldType::from_code).ok_or(DecodeError::FieldType(code))
}
