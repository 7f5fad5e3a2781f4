//! The HTTP surface: InfluxDB 1.x on one port, the admin API on another. It asks a [`Coordinator`] for everything and
//! knows nothing of clusters, disks and Raft.
//!
//! ```text
//! serve      TCP → hyper → a router; bounds connections, slow headers, idle and stalled clients; ends gracefully
//! router     influx_router, admin_router: path + method → endpoint; common headers, CORS, request metrics
//! auth       who asks: credentials, tokens; what they may do
//! influx/*   one endpoint each: ping, query, write, health, Prometheus remote write and read
//! admin/*    who may operate: tokens with roles; probes, metrics, cluster, checksum, orders
//! audit      who changed what, as events of their own
//! params     URL, form and multipart parameters; bind parameters of a query
//! body       request bodies: byte limits, the budget of all bodies in flight, gzip, snappy
//! encode/*   query results → JSON, CSV, MessagePack, as Go prints them; whole or in chunks
//! error      every failure → status
//! metrics    requests and latencies as Prometheus text
//! ```
//!
//! Answers are those of InfluxDB 1.6.7 to the letter; where they differ on purpose, the line says so.

mod admin;
mod audit;
pub mod auth;
mod body;
pub mod config;
pub mod coordinator;
mod encode;
mod error;
mod headers;
mod influx;
pub mod metrics;
pub mod operator;
mod params;
mod profiles;
mod router;
pub mod serve;
pub mod statistics;

pub use admin::{AdminAccess, AdminTokens, Role};
pub use auth::AuthConfig;
pub use config::ApiConfig;
pub use coordinator::Coordinator;
pub use metrics::HttpMetrics;
pub use router::{admin_router, influx_router};
pub use serve::{ServeLimits, ServerTls, serve};
