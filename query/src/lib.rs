//! InfluxQL: text in, plan out; column batches in, result out.
//!
//! ```text
//! text → influxql::parse → Statement → plan → Fragment per group → fold (on a GroupReader) → Partial → merge → fill → Series
//! ```
//!
//! Everything here is pure and synchronous: no I/O, no async, no wall clock (`now` is given), no knowledge of nodes.

pub mod condition;
pub mod continuous;
pub mod ddl;
pub mod delete;
pub mod error;
pub mod explain;
pub mod influxql;
pub mod into;
pub mod math;
pub mod names;
pub mod privileges;
pub mod result;
pub mod show;

mod aggregate;
mod budget;
mod cast;
mod fill;
mod fold;
mod fragment;
mod merge;
mod plan;
mod points;
mod rows;
mod select;
mod stage;
mod subquery;
mod transform;
mod window;

pub use budget::{Budget, MemoryPool, QueryLimits};
pub use error::QueryError;
pub use explain::{Timing, explain};
pub use fragment::{Fragment, Partial, Selection};
pub use plan::{PlanContext, SelectPlan, plan_select};
pub use select::{Scatter, execute_select};
pub use show::{ShowContext, execute_show};
