//! InfluxQL: text in, plan out; column batches in, result out.
//!
//! ```text
//! text → influxql::parse → Statement → plan → Fragment per group → fold (on a GroupReader) → Partial → merge → fill → Series
//! ```
//!
//! Everything here is pure and synchronous: no I/O, no async, no wall clock (`now` is given), no knowledge of nodes.

pub mod condition;
pub mod ddl;
pub mod error;
pub mod influxql;
pub mod math;
pub mod result;
pub mod show;

pub use error::QueryError;
