//! Tests of real processes: `cargo build --release -p node && cargo test --release -p chaos-tests`.
//!
//! One file a behaviour. Tests that start a cluster take turns: two clusters at once on a small machine measure the
//! machine, not the cluster.

#[cfg(test)]
mod auth;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod cardinality;
#[cfg(test)]
mod catch_up;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod clock_jumps;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod consistency;
#[cfg(test)]
mod continuous_queries;
#[cfg(test)]
mod corruption;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod dashboards;
#[cfg(test)]
mod deletes;
#[cfg(test)]
mod dev;
#[cfg(test)]
mod disk_errors;
#[cfg(test)]
mod disk_full;
#[cfg(test)]
mod durability;
#[cfg(test)]
mod election;
#[cfg(test)]
mod elsewhere;
#[cfg(test)]
mod feature_levels;
#[cfg(test)]
mod founding;
#[cfg(test)]
mod fuzz_influxql;
#[cfg(test)]
mod fuzz_line_protocol;
#[cfg(test)]
mod horrors;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod into;
#[cfg(test)]
mod leader_kills;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod lost_volume;
#[cfg(test)]
mod machines;
#[cfg(test)]
mod membership;
#[cfg(test)]
mod partitions;
#[cfg(test)]
mod prometheus;
#[cfg(test)]
mod recorded_writes;
#[cfg(test)]
mod recreated;
#[cfg(test)]
mod request_sequences;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod running;
#[cfg(test)]
mod shipped_dashboards;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod slow_disk;
#[cfg(test)]
mod snapshot_crash;
#[cfg(test)]
mod subscriptions;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod upgrade;
