//! The log store under openraft: its own suite, and what is acknowledged when fsyncs hang.

mod durability;
mod memory_machine;
mod suite;
