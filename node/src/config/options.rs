//! The table of every option: name, type, default, bounds, and what it trades. The structs, the loader, the printed
//! reference and the names of the environment variables all come from this one declaration.
//!
//! A new option must say why it is not a constant.

use super::ConfigError;
use super::load::Texts;
use super::value::{ByteSize, LogFormat, OptionValue, Secret};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// One `[section]` of the file.
#[derive(Debug)]
pub(super) struct SectionSpec {
    pub(super) name: &'static str,
    pub(super) doc: &'static [&'static str],
    pub(super) options: &'static [OptionSpec],
}

/// One key of a section.
#[derive(Debug)]
pub(super) struct OptionSpec {
    pub(super) key: &'static str,
    pub(super) doc: &'static [&'static str],
    /// Text, as an environment variable would hold it.
    pub(super) default: &'static str,
    /// Smallest and largest value, both allowed.
    pub(super) bounds: Option<(&'static str, &'static str)>,
}

macro_rules! bounds {
    () => {
        None
    };
    ($min:literal, $max:literal) => {
        Some(($min, $max))
    };
}

macro_rules! options {
    ($(
        $(#[doc = $section_doc:literal])+
        [$section:ident] $Struct:ident {
            $(
                $(#[doc = $doc:literal])+
                $key:ident: $type:ty = $default:literal $(in $min:literal ..= $max:literal)?;
            )+
        }
    )+) => {
        $(
            $(#[doc = $section_doc])+
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $Struct {
                $(
                    $(#[doc = $doc])+
                    #[doc = concat!("\n\nDefault `", $default, "`" $(, ", at least `", $min, "`, at most `", $max, "`")?, ".")]
                    pub $key: $type,
                )+
            }
        )+

        /// The checked configuration of one node: every value is within its bounds and they fit each other.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Config {
            $(
                #[doc = concat!("`[", stringify!($section), "]`")]
                pub $section: $Struct,
            )+
        }

        pub(super) static SECTIONS: &[SectionSpec] = &[$(
            SectionSpec {
                name: stringify!($section),
                doc: &[$($section_doc),+],
                options: &[$(
                    OptionSpec {
                        key: stringify!($key),
                        doc: &[$($doc),+],
                        default: $default,
                        bounds: bounds!($($min, $max)?),
                    }
                ),+],
            }
        ),+];

        impl Config {
            /// Reads every option's text and checks its bounds; how they fit each other is `validate`'s business.
            pub(super) fn from_texts(texts: &Texts) -> Result<Self, ConfigError> {
                Ok(Self {
                    $($section: $Struct {
                        $($key: texts.read::<$type>(stringify!($section), stringify!($key))?,)+
                    },)+
                })
            }

            /// Every value as TOML, in the order of the table.
            pub(super) fn values(&self) -> Vec<String> {
                vec![$($(OptionValue::toml(&self.$section.$key),)+)+]
            }
        }
    };
}

options! {
    /// Who this node is: where its files are, where it listens, and how others reach it.
    [node] NodeConfig {
        /// The directory of this node's files: identity, Raft logs, one database for each group. Nobody else may use it.
        data_dir: PathBuf = "/var/lib/steadfast";
        /// Where the InfluxDB 1.x HTTP API listens. `0.0.0.0:8086` takes requests from everywhere.
        http_addr: SocketAddr = "127.0.0.1:8086";
        /// Where the admin API, the metrics and the probes listen. Who reaches it can change the cluster.
        admin_addr: SocketAddr = "127.0.0.1:8083";
        /// Where the other nodes connect. Must be reachable by them, and by nobody else.
        peer_addr: SocketAddr = "127.0.0.1:8088";
        /// `name:port` under which clients reach the HTTP API. Empty: the listening address.
        advertise_http: String = "";
        /// `name:port` under which operators reach the admin API. Empty: the listening address.
        advertise_admin: String = "";
        /// `name:port` under which the other nodes reach this one. It goes into the membership and must stay the same for
        /// ever: a DNS name, not an address that changes. Empty: the listening address.
        advertise_peer: String = "";
        /// `advertise_peer` of every founding node, the same list on all of them. Used while this node is blank: one that is in
        /// the list founds the cluster with the others, one that is not joins theirs. Empty: this node is a cluster of its
        /// own.
        peers: Vec<String> = "";
    }

    /// What the node writes to standard error.
    [log] LogConfig {
        /// `human` for people, `json` for collectors.
        format: LogFormat = "human";
        /// A level (error, warn, info, debug, trace) or directives such as `info,raft=debug`. More is slower, and openraft at
        /// `info` is talkative.
        level: String = "info,openraft=warn";
        /// A file to which the audit log goes as well, a line of JSON an event: statements that change or delete something,
        /// orders to the admin API, failed logins. It is opened once and only ever grows. Empty: to standard error alone, where
        /// its events have the target `audit`, whatever `level` says; `audit=off` there silences them.
        audit_file: String = "";
    }

    /// How the cluster keeps its data on its nodes.
    [cluster] ClusterConfig {
        /// Replicas of each data group: 1, 3 or 5, where there are so many nodes. Used when the cluster is founded;
        /// `steadfast ctl replication-factor` changes it later. More survive more lost nodes and cost disk, network and CPU
        /// in proportion.
        replication_factor: u32 = "3" in "1" ..= "5";
        /// How long a node may be gone before others take its replicas, if there are others. Shorter restores the redundancy
        /// sooner; too short, and a restart costs a copy of everything. 0s: never.
        replace_after: Duration = "30m" in "0s" ..= "720h";
        /// Groups whose replicas may be on their way to other nodes at once. More is faster and takes more disk and network
        /// from the traffic.
        moves_at_once: usize = "2" in "1" ..= "64";
        /// Whether a blank node that finds a member of the cluster in `node.peers` may join it, without `steadfast ctl add`
        /// before. Convenient where nodes are added by scaling a StatefulSet. It still gets replicas only as they are moved
        /// to it.
        auto_join: bool = "false";
    }

    /// Who may use the admin API, and its TLS.
    [admin] AdminConfig {
        /// A file with the tokens of operators, one a line, with a name for the audit log before it or without. Requests below
        /// `/admin` must carry one (`Authorization: Bearer`). Read again when it changes. Empty, and the next one, too: nobody
        /// is asked. Probes and metrics never ask.
        token_file: String = "";
        /// A file with tokens of those who may look (GET), and not change anything.
        read_token_file: String = "";
        /// A file with the certificate (PEM, with those between it and its authority) with which the admin port speaks TLS. Read
        /// again when it changes. Empty: no TLS.
        tls_cert: String = "";
        /// A file with its private key (PEM).
        tls_key: String = "";
        /// A file with authorities (PEM). Requests below `/admin` must then come with a certificate that one of them signed;
        /// probes and metrics need none. Empty: nobody needs one.
        tls_client_ca: String = "";
    }

    /// TLS between the nodes. All of them need it, or none.
    [peer] PeerConfig {
        /// A file with the certificate (PEM) of this node, for the name in `node.advertise_peer`, as a server and as a client.
        /// Read again when it changes. Empty: no TLS, and whoever reaches the port is believed to be a node.
        tls_cert: String = "";
        /// A file with its private key (PEM).
        tls_key: String = "";
        /// A file with the authorities (PEM) of the nodes' certificates, and of nothing else: who has one is a member. With an
        /// old and a new one in it, both are accepted.
        tls_ca: String = "";
        /// Takes connections without TLS, too, and speaks without it to nodes that have none yet: only as long as the nodes of a
        /// running cluster are switched to TLS one by one.
        tls_optional: bool = "false";
    }

    /// How the groups agree.
    [raft] RaftConfig {
        /// Data groups of the cluster; fixed when it is founded. More spread writes over more cores and nodes, but each costs
        /// memory, files and heartbeats.
        groups: u32 = "8" in "1" ..= "64";
        /// Pause between a leader's heartbeats. Shorter finds a dead leader sooner and costs messages.
        heartbeat: Duration = "250ms" in "20ms" ..= "10s";
        /// A follower that hears nothing for a random time between `election_min` and `election_max` stands for election.
        /// Shorter heals sooner; too short, and a slow disk or a pause costs an election.
        election_min: Duration = "1500ms" in "100ms" ..= "60s";
        /// See `election_min`. The wider the span, the rarer are split votes.
        election_max: Duration = "3s" in "150ms" ..= "120s";
        /// Bytes of log after which a group flushes and takes a snapshot. Less bounds the replay after a crash, more saves
        /// disk writes.
        snapshot_log_bytes: ByteSize = "64MiB" in "64KiB" ..= "4GiB";
        /// Time after which a group with any new entries takes a snapshot.
        snapshot_interval: Duration = "10m" in "1s" ..= "24h";
        /// Bytes of log of all groups together that are not yet in flushed states; above it, the group with most of them
        /// flushes. Less bounds the start after a crash and the disk the log takes, more makes fewer, larger files.
        log_budget: ByteSize = "128MiB" in "1MiB" ..= "64GiB";
        /// Bytes of log a group keeps behind its snapshot for nodes that do not have them yet. A node that was away for
        /// less is caught up from the log; one that was away for longer needs a whole snapshot.
        log_kept: ByteSize = "64MiB" in "0B" ..= "64GiB";
        /// Bytes a second a node sends while it transfers snapshots, all of them together. Slower heals later, faster takes
        /// disk and network from the traffic. 0B: no limit.
        snapshot_rate: ByteSize = "64MiB" in "0B" ..= "100GiB";
        /// Snapshots a node sends at once, and as many that it receives.
        snapshots_at_once: usize = "2" in "1" ..= "64";
        /// How often the replicas of each data group are compared, by a checksum at one entry of the log. One that differs from
        /// the majority is rebuilt. Each time, every replica is read once. 0s: never.
        proof_interval: Duration = "10m" in "0s" ..= "24h";
        /// A node whose fsyncs of the Raft log take longer than this on average, or one of which does not return, leads no group
        /// as long as there is another node that can. 0s: never.
        slow_disk: Duration = "500ms" in "0s" ..= "1m";
    }

    /// What `/write` may cost.
    [write] WriteConfig {
        /// How long a write is held while a group has no leader, before it is answered with an error. A collector drops what
        /// it gets an error for.
        timeout: Duration = "10s" in "100ms" ..= "5m";
        /// Bytes of write bodies in work at once on this node. Above it, writes are answered 503.
        inflight_bytes: ByteSize = "256MiB" in "1MiB" ..= "64GiB";
        /// Bytes of one body as it arrives. Above it, the answer is 413.
        body_bytes: ByteSize = "25MB" in "1KiB" ..= "25MB";
        /// Bytes of one body after gzip was inflated. Above it, the answer is 413.
        inflated_bytes: ByteSize = "250MB" in "1KiB" ..= "250MB";
        /// Series of one database that have points. What would be one more is dropped with an error, as InfluxDB does: a tag
        /// with a random value must not fill the memory. 0: no limit.
        max_series_per_database: u64 = "1000000" in "0" ..= "1000000000";
        /// Values of one tag of one measurement; as above. 0: no limit.
        max_values_per_tag: u64 = "100000" in "0" ..= "1000000000";
    }

    /// What a query may cost. One bad query must not take a node down.
    [query] QueryConfig {
        /// After this long the queries of a request are stopped with an error: InfluxDB's `query-timeout`.
        timeout: Duration = "30s" in "100ms" ..= "1h";
        /// Bytes of memory one query may hold.
        memory_per_query: ByteSize = "256MiB" in "1MiB" ..= "64GiB";
        /// Bytes of memory all queries of this node may hold together. A query that needs more while others hold them is
        /// answered 503.
        memory_total: ByteSize = "384MiB" in "1MiB" ..= "256GiB";
        /// Queries at work at once on this node; others wait for their turn, up to `timeout`. InfluxDB's
        /// `max-concurrent-queries`.
        max_concurrent: usize = "16" in "1" ..= "1024";
        /// Queries that may wait for their turn. More of them are answered 503 at once: they would be answered too late. With 0
        /// one that finds no turn gets InfluxDB's error.
        max_queued: usize = "256" in "0" ..= "100000";
        /// Time windows (`GROUP BY time`) of one statement: InfluxDB's `max-select-buckets`. A statement that fills windows and
        /// has no lower bound reads the last so many only. 0: no limit.
        max_buckets: u64 = "500000" in "0" ..= "1000000000";
        /// Series one statement may read: InfluxDB's `max-select-series`. 0: no limit.
        max_series: u64 = "200000" in "0" ..= "1000000000";
        /// Points one statement may read: InfluxDB's `max-select-point`. 0: no limit.
        max_points: u64 = "0" in "0" ..= "1000000000000";
        /// Rows of an answer that is not chunked; what is beyond is cut off without an error, as InfluxDB's `max-row-limit`
        /// does. 0: no limit.
        max_rows: usize = "0" in "0" ..= "1000000000";
        /// Whether a SELECT or SHOW is answered from what this node has, marked as stale, while a group has no quorum.
        /// false: such a query gets an error.
        stale_reads: bool = "true";
    }

    /// What the databases of the groups may use.
    [storage] StorageConfig {
        /// Bytes of decompressed blocks kept in memory, shared by all groups. More makes repeated queries faster.
        block_cache: ByteSize = "256MiB" in "8MiB" ..= "256GiB";
        /// Bytes one group collects in memory before it flushes. More makes fewer, larger files.
        write_buffer: ByteSize = "32MiB" in "1MiB" ..= "1GiB";
    }

    /// Sending what was written on to subscribers (`CREATE SUBSCRIPTION`).
    [subscriptions] SubscriptionsConfig {
        /// Bytes of points that wait on this node for subscribers to take them, all subscriptions together. What finds no
        /// room is not sent; the write itself is never affected.
        queue_bytes: ByteSize = "64MiB" in "64KiB" ..= "16GiB";
        /// How long a subscriber may take to accept one request. What it did not take is not sent again.
        timeout: Duration = "30s" in "100ms" ..= "10m";
        /// A file with the authorities (PEM) of `https` destinations' certificates: InfluxDB's `ca-certs`. Empty: those of the
        /// machine.
        ca_certs: String = "";
        /// Whether any certificate of an `https` destination is accepted: InfluxDB's `insecure-skip-verify`. Whoever sits in
        /// between can then read the points.
        insecure_skip_verify: bool = "false";
    }

    /// When points that a retention policy no longer keeps are dropped.
    [retention] RetentionConfig {
        /// How often each group's leader looks for shard groups that have ended. Shorter frees the disk sooner.
        check_interval: Duration = "1m" in "1s" ..= "24h";
    }

    /// When continuous queries run. The leader of the meta group runs them, so the values should be the same on all nodes.
    [continuous_queries] ContinuousQueriesConfig {
        /// Whether this node runs continuous queries while it leads. false: none run while it does; what is missed is made up
        /// for by the next leader that runs them.
        enabled: bool = "true";
        /// How often the leader looks for what is due.
        run_interval: Duration = "1s" in "100ms" ..= "1h";
    }

    /// What a node does as the file system of its data directory fills up. Each step is taken when less is free than its
    /// percentage or its bytes, whichever is more, and left when a fifth more than that is free again.
    [disk] DiskConfig {
        /// Below this, the node warns.
        warn_percent: u32 = "20" in "0" ..= "90";
        /// See `warn_percent`.
        warn_bytes: ByteSize = "4GiB" in "0B" ..= "100000GiB";
        /// Below this, the node stops what can wait: compactions, receiving snapshots.
        save_percent: u32 = "10" in "0" ..= "90";
        /// See `save_percent`.
        save_bytes: ByteSize = "2GiB" in "0B" ..= "100000GiB";
        /// Below this, the node answers writes with 503 and hands leadership to nodes that have room. Reads, deletes,
        /// drops and membership go on, and writes as soon as there is room again.
        refuse_percent: u32 = "5" in "0" ..= "90";
        /// See `refuse_percent`.
        refuse_bytes: ByteSize = "1GiB" in "0B" ..= "100000GiB";
    }

    /// Who is asked for a name and a password at the HTTP API. The admin API has tokens (`[admin]`), the peers' port has
    /// certificates (`[peer]`); without them, keep these ports to yourself.
    [auth] AuthConfig {
        /// Whether requests must come from a user with the privilege for what they ask. While there is no admin, only the
        /// creation of one is accepted: `CREATE USER name WITH PASSWORD '…' WITH ALL PRIVILEGES`. false: any credentials are
        /// accepted, and none. InfluxDB's `auth-enabled`; the same on all nodes.
        enabled: bool = "false";
        /// What JSON web tokens (`Authorization: Bearer`) are signed with (HS256, HS384, HS512), the same on all nodes. Empty:
        /// tokens are refused. InfluxDB's `shared-secret`.
        shared_secret: Secret = "";
        /// Whether `/ping`, `/status`, `/health` and `/metrics` ask, too. Probes then need credentials. InfluxDB's
        /// `ping-auth-enabled`.
        ping: bool = "false";
        /// Whether `/debug` asks, too. InfluxDB's `pprof-auth-enabled`.
        debug: bool = "false";
        /// Logins that may fail a minute, for each address and user, at the HTTP API and at the admin API. More of them are
        /// answered 429 without being looked at; what was right before is let in. Small stops guessing, too small hits
        /// whoever has many clients behind one address. 0: any number.
        failed_logins: u32 = "10" in "0" ..= "100000";
    }

    /// The HTTP servers: limits of both ports, TLS of the InfluxDB API.
    [http] HttpConfig {
        /// Open connections. Above it, new ones wait to be accepted.
        max_connections: usize = "4096" in "16" ..= "100000";
        /// How long a client may take to send the head of a request.
        header_timeout: Duration = "30s" in "1s" ..= "10m";
        /// How long a client may take to send the body of a request.
        body_timeout: Duration = "60s" in "1s" ..= "1h";
        /// A file with the certificate (PEM, with those between it and its authority) with which the InfluxDB API speaks TLS:
        /// InfluxDB's `https-certificate`. Read again when it changes. Empty: no TLS.
        tls_cert: String = "";
        /// A file with its private key (PEM): InfluxDB's `https-private-key`.
        tls_key: String = "";
        /// A file with authorities (PEM). Clients must then show a certificate that one of them signed. Empty: none is asked
        /// for.
        tls_client_ca: String = "";
    }
}
