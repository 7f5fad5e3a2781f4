//! Wire messages between peers, and the catalog's bytes on disk. Messages and conversions, no logic.
//!
//! [`peer`] is the gRPC service between nodes, [`catalog`] the commands and the snapshot of the catalog;
//! [`encode_catalog`] and friends are the way to and from `model::catalog`. Numbers of fields are never reused: old
//! logs and old nodes must stay readable.

mod convert;

pub use convert::{
    DecodeError, decode_catalog, decode_catalog_command, encode_catalog, encode_catalog_command,
};

/// The service between nodes.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    missing_debug_implementations,
    clippy::pedantic,
    clippy::clone_on_ref_ptr,
    clippy::allow_attributes_without_reason,
    reason = "generated from peer.proto, which has the comments"
)]
pub mod peer {
    tonic::include_proto!("steadfast.peer.v1");
}

/// Commands and snapshot of the catalog.
#[allow(missing_docs, clippy::pedantic, reason = "generated from catalog.proto, which has the comments")]
pub mod catalog {
    tonic::include_proto!("steadfast.catalog.v1");
}
