//! The HTTP surface over a coordinator that gives prepared answers.

mod admin;
mod auth;
mod chunks;
mod common_headers;
mod prom;
mod query;
mod serving;
mod stub;
mod write;
