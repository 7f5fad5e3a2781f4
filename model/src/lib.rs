//! The vocabulary of Steadfast, and the pure functions over it.
//!
//! A **point** is one time of one **series** (measurement + sorted tag set) with at least one **field**. A series
//! hashes to one of 1,024 **slots**, a slot belongs to one Raft **group**, and a group's state holds all the
//! fields of its series. The **catalog** says which databases, retention policies, field types, nodes and slots
//! exist; it is replicated by group 0 and changes only through [`catalog`] commands.
//!
//! Everything here is pure: no I/O, no async, no wall clock, no protobuf. Every other crate may depend on this one;
//! this one depends on none of them.

pub mod batch;
pub mod catalog;
pub mod clock;
pub mod delete;
pub mod feature_level;
pub mod id;
pub mod limits;
pub mod line_protocol;
pub mod placement;
pub mod predicate;
pub mod scan;
pub mod series;
pub mod time;
pub mod value;

pub use clock::Clock;
pub use delete::Delete;
pub use id::{DatabaseId, FieldId, GroupId, NodeId, RetentionPolicyId, SeriesId};
pub use predicate::TagPredicate;
pub use series::SeriesKey;
pub use time::TimeRange;
pub use value::{FieldType, FieldValue};
