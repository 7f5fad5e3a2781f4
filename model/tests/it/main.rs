//! Tests of the public surface of the crate.

mod fuzz;
