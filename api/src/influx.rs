//! The endpoints of the InfluxDB API, one file each.

pub(crate) mod debug;
pub(crate) mod flux;
pub(crate) mod health;
pub(crate) mod ping;
pub(crate) mod prom;
pub(crate) mod query;
pub(crate) mod write;
