//! The binary `steadfast`: parse, load, run, exit code.
fn main() {}
