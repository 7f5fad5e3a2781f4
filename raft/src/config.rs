//! What an operator and a test may tune about Raft, and its translation to openraft's configuration.

use crate::error::StartError;
use model::feature_level::FEATURE_LEVEL;
use std::time::Duration;

/// Times and sizes of all groups of a node. Nothing here may change what is stored: replicas must stay equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuning {
    /// How often a leader shows that it lives. Less notices a dead leader no sooner, but costs CPU per group.
    /// Default 250 ms.
    pub heartbeat: Duration,
    /// Shortest silence after which a follower asks for an election. Default 1.5 s, at least 4 heartbeats.
    pub election_min: Duration,
    /// Longest such silence; half of it is the lease of a leader. Default 3 s.
    pub election_max: Duration,
    /// How long to wait for a connection to a peer. Default 500 ms.
    pub connect_timeout: Duration,
    /// How long a follower may owe the answer to an append before its stream is opened anew. Default 3 s.
    pub append_timeout: Duration,
    /// How long one attempt at a node that may not lead may take before another is made, and any attempt at a read index
    /// or a checksum. Default 1.5 s.
    pub attempt_timeout: Duration,
    /// Bytes of commands of one group that may wait for an answer on this node. Default 64 MiB.
    pub in_flight_bytes: usize,
    /// Bytes of applied commands after which a group flushes, takes a snapshot and purges its log: bounds the
    /// replay after a crash. Default 64 MiB.
    pub snapshot_bytes: u64,
    /// Time after which it does so if anything was applied. Default 10 min.
    pub snapshot_interval: Duration,
    /// Bytes of log of all groups that are not in a flushed state: above it, the group with most of them flushes. Bounds
    /// the replay of the node and, with it, its start. Default 128 MiB.
    pub unsaved_bytes_total: u64,
    /// Bytes of entries that a group keeps behind its snapshot for members that do not have them yet. Who lacks more
    /// gets a snapshot. Nothing is kept for members that have everything. Default 64 MiB.
    pub log_kept_bytes: u64,
    /// Bytes per second that all snapshots of this node together may send; 0 is no limit. Default 64 MiB.
    pub snapshot_bytes_per_second: u64,
    /// Snapshots that this node sends at once, and as many that it receives. Default 2.
    pub snapshots_at_once: usize,
    /// How long a snapshot may take from its start until it is installed. Default 10 min.
    pub snapshot_timeout: Duration,
    /// How often leadership is given to the preferred nodes. Default 5 s.
    pub balance_interval: Duration,
    /// How long a preferred node must have been fit to lead before it is given leadership. Default 10 s.
    pub balance_hold: Duration,
    /// Fsyncs of the Raft log that take longer on average make a node give its leaderships away; zero: never. Default
    /// 500 ms.
    pub slow_disk: Duration,
    /// How often the replicas of a group are compared; 0 is never. Default 10 min.
    pub proof_interval: Duration,
    /// How long a shutdown tries to give leadership away. Default 3 s.
    pub transfer_timeout: Duration,
    /// How long a node may be gone before others take its replicas; zero: they never do. Default 30 min.
    pub replace_after: Duration,
    /// Groups whose replicas may be on their way to other nodes at once. Default 2.
    pub moves_at_once: usize,
    /// Whether a blank volume may join that nobody has announced. Default no.
    pub auto_join: bool,
    /// The newest level this node knows. Tests let a node know less, or more.
    pub feature_level: u32,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(250),
            election_min: Duration::from_millis(1_500),
            election_max: Duration::from_secs(3),
            connect_timeout: Duration::from_millis(500),
            append_timeout: Duration::from_secs(3),
            attempt_timeout: Duration::from_millis(1_500),
            in_flight_bytes: 64 << 20,
            snapshot_bytes: 64 << 20,
            snapshot_interval: Duration::from_secs(600),
            unsaved_bytes_total: 128 << 20,
            log_kept_bytes: 64 << 20,
            snapshot_bytes_per_second: 64 << 20,
            snapshots_at_once: 2,
            snapshot_timeout: Duration::from_secs(600),
            balance_interval: Duration::from_secs(5),
            balance_hold: Duration::from_secs(10),
            slow_disk: Duration::from_millis(500),
            proof_interval: Duration::from_secs(600),
            transfer_timeout: Duration::from_secs(3),
            replace_after: Duration::from_secs(1_800),
            moves_at_once: 2,
            auto_join: false,
            feature_level: FEATURE_LEVEL,
        }
    }
}

impl Tuning {
    /// openraft's configuration.
    ///
    /// # Errors
    ///
    /// [`StartError::Config`] when the times contradict each other.
    pub(crate) fn openraft(&self, cluster: &str) -> Result<openraft::Config, StartError> {
        // A follower first waits out the lease of the leader it heard last, which is as long as openraft's longest
        // election timeout, and only then its own timeout: the silence is the sum of both.
        let lease = self.election_max / 2;
        let own_wait =
            self.election_min.saturating_sub(lease).max(self.election_min * 3 / 5).min(lease * 4 / 5);
        let config = openraft::Config {
            cluster_name: cluster.to_owned(),
            heartbeat_interval: millis(self.heartbeat),
            // A replication answer is as good as a heartbeat, so a busy group sends few of them.
            heartbeat_min_interval: Some(millis(self.heartbeat) * 4 / 5),
            election_timeout_min: millis(own_wait),
            election_timeout_max: millis(lease),
            install_snapshot_timeout: millis(self.snapshot_timeout),
            // The log reader caps an append by bytes; this caps the number of tiny entries.
            max_payload_entries: 1_024,
            max_append_entries: Some(4_096),
            // How far behind a learner may be to count as caught up.
            replication_lag_threshold: 1_000,
            // Snapshots are triggered by bytes and time: entries are of very different size.
            snapshot_policy: openraft::SnapshotPolicy::Never,
            // Purging is ordered by bytes, too; openraft never begins it by itself.
            max_in_snapshot_log_to_keep: u64::MAX / 2,
            api_channel_size: Some(4_096),
            notification_channel_size: Some(4_096),
            state_machine_channel_size: Some(64),
            enable_pre_vote: Some(true),
            // A restarted leader has a state older than what it acknowledged until it re-applied its log.
            enable_leader_restore: Some(false),
            allow_log_reversion: Some(false),
            // A leader that reaches no quorum must fall silent, or followers it still reaches never elect another.
            quorum_loss_probe_interval: Some(2 * millis(self.election_max)),
            backoff: "100ms 200ms ...1s".to_owned(),
            ..openraft::Config::default()
        };
        config.validate().map_err(|error| StartError::Config { reason: error.to_string() })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        Tuning::default().openraft("c").unwrap();
    }

    #[test]
    fn a_follower_stands_for_election_within_the_configured_silence() {
        let tuning = Tuning::default();
        let config = tuning.openraft("c").unwrap();
        let (lease, min, max) =
            (config.election_timeout_max, config.election_timeout_min, config.election_timeout_max);
        assert!(lease + min >= millis(tuning.election_min));
        assert!(lease + max <= millis(tuning.election_max));
        assert!(max - min >= 300, "two followers must rarely stand at once");
    }

    #[test]
    fn an_election_shorter_than_the_heartbeats_is_refused() {
        let tuning = Tuning { election_min: Duration::from_millis(300), ..Tuning::default() };
        assert!(tuning.openraft("c").is_err());
    }
}
