//! Tests of the public surface of the crate.

mod parse;
mod parse_fuzz;
mod parse_params;
mod parse_round_trip;
mod privileges;
mod select;
mod show;
mod store;
