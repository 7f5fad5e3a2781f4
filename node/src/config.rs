//! The configuration of one node: a TOML file, overridden by the environment, overridden by flags.
//!
//! [`load`] is called by `main`; what it returns is checked and complete, and only that form is passed on. Names for
//! those who read it (`config.SECTION.KEY`), each documented on its struct:
//!
//! - [`NodeConfig`]: `data_dir`, `http_addr`, `admin_addr`, `peer_addr` (all `SocketAddr`), `advertise_http`,
//!   `advertise_admin`, `advertise_peer` (`String`, `host:port`, never empty after the check), `peers` (`Vec<String>`,
//!   contains `advertise_peer`, never empty after the check, in the order of the file);
//! - [`LogConfig`]: `format`, `level`, `audit_file`;
//! - [`RaftConfig`]: `groups`, `heartbeat`, `election_min`, `election_max`, `snapshot_log_bytes`, `snapshot_interval`,
//!   `log_budget`, `log_kept`, `snapshot_rate`, `snapshots_at_once`, `proof_interval`,
//!   `slow_disk`;
//! - [`WriteConfig`]: `timeout`, `inflight_bytes`, `body_bytes`, `inflated_bytes`;
//! - [`QueryConfig`]: `timeout`, `memory_per_query`, `memory_total`, `max_concurrent`, `max_queued`, `max_buckets`, `max_series`,
//!   `stale_reads`;
//! - [`StorageConfig`]: `block_cache`, `write_buffer`;
//! - [`DiskConfig`]: `warn_percent`, `warn_bytes`, `save_percent`, `save_bytes`, `refuse_percent`, `refuse_bytes`;
//! - [`AuthConfig`]: `enabled`, `shared_secret`, `ping`, `debug`, `failed_logins`;
//! - [`SubscriptionsConfig`]: `queue_bytes`, `timeout`, `ca_certs`, `insecure_skip_verify`;
//! - [`HttpConfig`]: `max_connections`, `header_timeout`, `body_timeout`, `tls_cert`, `tls_key`, `tls_client_ca`;
//! - [`PeerConfig`]: `tls_cert`, `tls_key`, `tls_ca`, `tls_optional`.
//!
//! Durations are [`std::time::Duration`]; sizes are [`ByteSize`] (`.bytes()`, `.as_usize()`).

mod load;
mod options;
mod reference;
mod validate;
mod value;

pub use load::{Sources, environment_name, load, split_assignment};
pub use options::{
    AdminConfig, AuthConfig, Config, DiskConfig, HttpConfig, LogConfig, NodeConfig, PeerConfig, QueryConfig,
    RaftConfig, StorageConfig, SubscriptionsConfig, WriteConfig,
};
pub use reference::print;
pub use value::{ByteSize, LogFormat, Secret, parse_duration};

/// Why a configuration is refused. The text names the option, where its value came from, and what is accepted.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("cannot read the configuration file {path}")]
    Unreadable {
        /// As given.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{path} is not TOML: {text}")]
    Syntax {
        /// As given.
        path: String,
        /// The parser's message with its position.
        text: String,
    },
    /// No such section or key.
    #[error("{origin}: there is no option {name}; {accepted}")]
    Unknown {
        /// File, variable or flag.
        origin: String,
        /// `section.key`.
        name: String,
        /// The names that exist at this place.
        accepted: String,
    },
    /// A value that can't be read or is out of its bounds.
    #[error("{origin}: {name} = {text}: {expected}")]
    Value {
        /// File, variable or flag.
        origin: String,
        /// `section.key`.
        name: String,
        /// As given.
        text: String,
        /// What would be accepted.
        expected: String,
    },
    /// Values that are fine alone but do not fit each other.
    #[error("{0}")]
    Mismatch(String),
}
