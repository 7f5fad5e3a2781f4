//! Every hard limit, with its unit and its reason. Soft limits are configuration.

/// Bytes of `measurement,tags` + 4 + field key; InfluxDB 1.x `models.MaxKeyLength`.
pub const KEY_BYTES_MAX: usize = 65_535;
/// Bytes of a `/write` body on the wire; InfluxDB 1.x `max-body-size`. Above it the answer is 413.
pub const BODY_BYTES_MAX: usize = 25_000_000;
/// Bytes of an inflated gzip body. 1.x has no limit here, which lets 25 MB of zeros become 25 GB of memory.
pub const INFLATED_BYTES_MAX: usize = 250_000_000;
/// Bytes of a replicated command: what one Raft log entry may hold. Larger batches are split.
pub const COMMAND_BYTES_MAX: usize = 4 << 20;
/// Bytes of a database or retention policy name.
pub const NAME_BYTES_MAX: usize = 255;
/// Nodes that are announced and have not joined yet: every node keeps them.
pub const INVITED_MAX: usize = 64;
/// Users of a cluster: they are looked up by name at each request, and every node keeps all of them.
pub const USERS_MAX: usize = 10_000;
/// Subscriptions of a retention policy: each is a queue of copies of what is written.
pub const SUBSCRIPTIONS_MAX: usize = 100;
