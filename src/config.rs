//! The configuration: declared once here, resolved from file, environment and
//! flags (the later wins), with every fault reported at once.

#[macro_use]
mod setting;
pub mod exported;
mod kafka;
pub mod properties;
mod resolve;
mod tls;
mod traces;

pub use kafka::{Brokers, LogKind, Name};
pub use properties::Properties;
pub use resolve::{Error, FILE_VARIABLE, Fault, Origin, Sources};
pub use setting::{LogFilter, LogFormat, Setting, VARIABLE_PREFIX};
pub use tls::ClientCertificates;
pub use traces::{Collector, Share};

use Rule::{Any, OneOf, Within};
use jiff::tz::TimeZone;
use setting::{Rule, Value};
use std::{net::SocketAddr, path::PathBuf};

const MIB: i64 = 1 << 20;

// A line each: field, type, default, rule, help.
#[rustfmt::skip]
settings! {
    listen: SocketAddr = "127.0.0.1:7070", Any, "Address of the gRPC port; port 0 takes any free one";
    http_listen: SocketAddr = "127.0.0.1:7071", Any, "Address of the HTTP side port: metrics";
    health_listen: SocketAddr = "127.0.0.1:7072", Any, "Address of the port that tells health and nothing else, by HTTP and by gRPC; always in plain text";
    callers: Option<PathBuf> = "", Any, "File of the callers: who may send, see and operate; unset, whoever reaches the port may do everything";
    caller_keys: Option<PathBuf> = "", Any, "File of the callers' API keys, which `quaymeter keys` writes; unset, callers.keys in the data directory";
    insecure_i_know: bool = "false", Any, "Listen beyond loopback though callers or TLS are missing; each start warns of it";
    data_dir: PathBuf = "./quaymeter-data", Any, "Directory of the log and the state; one process each";
    reporting_zone: TimeZone = "Asia/Shanghai", Any, "IANA time zone of the day figures; stored with the data";
    teu_45ft_milli: i64 = "2250", OneOf(&[2250, 2000]), "TEU of a 45-foot container, in thousandths; stored with the data";
    horizon_days: i32 = "35", Within(1, 400), "Correction horizon in days; stored with the data";
    quarter_days: i32 = "45", Within(3, 3_660), "Days of quarter-hour figures kept; stored with the data";
    day_days: i32 = "1096", Within(3, 36_600), "Days of day figures kept; stored with the data";
    drain_deadline_ms: u64 = "10000", Within(0, 600_000), "How long a stop may take to drain, in ms";
    pseudonym_key: Option<PathBuf> = "", Any, "File of the key of plates' and drivers' pseudonyms, drawn if it is not there; unset, the data directory's. Instances that count one log need the same";
    registry: Option<PathBuf> = "", Any, "CSV file of enterprises' names (id,name_zh,name_en,roles), loaded again when it changes";
    strict: bool = "false", Any, "Refuse every event that would be accepted with a warning";
    log_segment_bytes: u64 = "268435456", Within(MIB / 16, 16_384 * MIB), "Size of a file of the event log, in bytes";
    log_days: i32 = "0", Within(0, 36_600), "Days that the event log is kept, at least what corrections need; 0 means as long as day figures";
    log_bytes_max: u64 = "0", Within(0, 1_048_576 * MIB), "Bytes of the event log kept, at most, unless corrections need more; 0 means any number";
    @log: Log, "Where the event log is; what is told about the service itself, on stderr." {
        kind: LogKind = "embedded", Any, "Where the event log is: on this machine's disk, or in Kafka", as "log";
        format: LogFormat = "text", Any, "How log lines are written";
        level: LogFilter = "info", Any, "Which log lines are written";
    }
    @kafka: Kafka, "The event log in Kafka; docs/kafka.md." {
        brokers: Brokers = "", Any, "Brokers that are asked first; needed if log.kind is kafka", as "brokers";
        prefix: Name = "quaymeter", Any, "Begins the names of topics and of the consumer group, and transactional ids";
        instance: Option<Name> = "", Any, "A name of this instance that stays and that no other has; unset, the data directory's";
        partitions: i32 = "12", Within(1, 1024), "Partitions of each topic; there is no way to add some later";
        replication: i32 = "3", Within(1, 7), "Replicas of each partition, at least";
        min_insync: i32 = "2", Within(1, 7), "Replicas that have a record before it is acknowledged, at least";
        commit_interval_ms: u64 = "100", Within(10, 10_000), "Time between two commits while little changes, in ms";
        oauth_token_file: Option<PathBuf> = "", Any, "File of the token (a JWT) by which brokers know us, if sasl.mechanism is OAUTHBEARER; read again before it ends, and every few minutes";
        properties: Option<PathBuf> = "", Any, "File of librdkafka's properties (key = value a line): TLS, SASL, and their secrets";
    }
    @tls: Tls, "TLS of the gRPC port and of the metrics; docs/security.md." {
        cert: Option<PathBuf> = "", Any, "PEM file of the certificate, and of those between it and its authority, loaded again when it changes; unset, there is no TLS";
        key: Option<PathBuf> = "", Any, "PEM file of the certificate's private key, which nobody else may read";
        client_ca: Option<PathBuf> = "", Any, "PEM file of the authorities that vouch for clients' certificates";
        clients: ClientCertificates = "none", Any, "Whether clients show certificates";
    }
    @limits: Limits, "What bounds memory and work." {
        batch_events: usize = "10000", Within(1, 10_000), "Events in a batch, at most";
        message_bytes: usize = "8388608", Within(MIB / 16, 64 * MIB), "Size of a gRPC message, at most, in bytes";
        streams: usize = "40000", Within(1, 1_000_000), "Open event streams, at most";
        stream_credit_events: u64 = "20000", Within(10_000, 10_000_000), "Events that a stream may have unacknowledged";
        stream_idle_s: u64 = "3600", Within(0, 604_800), "Seconds without a batch after which a stream is ended; 0 means never";
        buffered_bytes: usize = "268435456", Within(MIB, 65_536 * MIB), "Bytes of events in memory before they are durable, at most";
        request_bytes: usize = "268435456", Within(MIB, 65_536 * MIB), "Bytes of requests in memory until they are decoded, and of what they became until it is durable, at most";
        answer_bytes: usize = "268435456", Within(16 * MIB, 65_536 * MIB), "Bytes of answers in memory until they are sent, at most";
        request_arrival_ms: u64 = "30000", Within(100, 3_600_000), "How long a message of a request may take to arrive, in ms";
        answer_taking_ms: u64 = "60000", Within(100, 3_600_000), "How long a client may take to take a message of an answer, in ms; then it loses its connection";
        append_wait_ms: u64 = "2000", Within(1, 60_000), "How long a batch may wait for room in memory, in ms";
        concurrent_queries: usize = "64", Within(1, 10_000), "Queries at the same time, at most";
        calls: usize = "4096", Within(1, 1_000_000), "Calls at the same time other than open event streams, at most";
        watches: usize = "256", Within(0, 100_000), "Open watches, at most";
        store_cache_bytes: u64 = "33554432", Within(MIB, 65_536 * MIB), "Bytes of memory in which the store keeps what it read, at most";
        caller_batch_events: u32 = "250", Within(1, 10_000), "Events in a batch of a caller with a limit of events in a second, at most, unless the callers' file gives him a number of his own";
        caller_events_per_s: u32 = "5000", Within(0, 1_000_000_000), "Events that a caller may send in a second, unless the callers' file gives him a number of his own; 0 means as many as are taken";
        connections: usize = "20000", Within(1, 1_000_000), "Open gRPC connections, at most";
    }
    @checkpoint: Checkpoint, "How state is written." {
        interval_ms: u64 = "5000", Within(10, 3_600_000), "Time between two checkpoints of the state, in ms";
    }
    @backup: Backup, "What `quaymeter backup` may do." {
        remote: bool = "false", Any, "Give backups to callers on other machines too";
        hold_s: u64 = "21600", Within(60, 604_800), "Seconds that a backup may take, and keep the log from being removed, at most";
    }
    @metrics: Metrics, "What is exported." {
        per_enterprise: bool = "true", Any, "Export totals per enterprise";
        enterprises_max: usize = "5000", Within(0, 1_000_000), "Enterprises whose totals are exported, at most";
        enterprise_figures: exported::Figures = "all", Any, "Figures of enterprises that are exported";
        enterprise_roles: exported::Roles = "all", Any, "Roles in which enterprises are exported";
        enterprise_fullness: bool = "true", Any, "Tell empty, laden and unknown boxes of enterprises apart in what is exported";
        sources_max: usize = "200", Within(0, 10_000), "Sources that have metrics of their own, at most; the rest are counted together";
    }
    @trail: Trail, "The audit trail; docs/security-trail.md." {
        dir: Option<PathBuf> = "", Any, "Directory of the audit trail; unset, trail in the data directory";
        file_bytes: u64 = "16777216", Within(MIB / 16, 1024 * MIB), "Bytes from which on a file of the trail is closed; each day (UTC) has its own in any case";
        days: i32 = "400", Within(1, 36_600), "Days that the trail is kept";
        bytes_max: u64 = "4294967296", Within(MIB, 1_048_576 * MIB), "Bytes of the trail kept, at most";
    }
    @traces: Traces, "Traces of batches, for a collector of OpenTelemetry; docs/traces.md." {
        otlp_endpoint: Option<Collector> = "", Any, "Collector that is given traces, by OTLP over gRPC; unset, nothing is traced";
        sample: Share = "0", Any, "Share of batches that are traced of those whose callers do not say whether to trace them";
        batches_per_second: u64 = "100", Within(1, 1_000), "Batches that are traced in a second, at most, whatever callers say";
    }
}

/// First, second, n: the first must be at least the second plus n.
const AT_LEAST: &[(&str, &str, i64)] = &[
    ("quarter_days", "horizon_days", 2),
    // A slot, kept as long as quarter-hours, is found by its owner's day, which may begin a
    // UTC day before it.
    ("day_days", "quarter_days", 1),
    ("limits.stream_credit_events", "limits.batch_events", 0),
    ("limits.buffered_bytes", "limits.message_bytes", 0),
    ("limits.request_bytes", "limits.message_bytes", 0),
    ("kafka.replication", "kafka.min_insync", 0),
];

impl Config {
    /// The configuration that all sources together give.
    ///
    /// # Errors
    /// All faults of all sources at once.
    pub fn resolve(sources: Sources) -> Result<Self, Error> {
        let mut found = resolve::Found::gather(sources);
        let mut config = assemble(&mut found);
        found.relate(AT_LEAST);
        for (first, second) in [
            ("listen", "http_listen"),
            ("listen", "health_listen"),
            ("http_listen", "health_listen"),
        ] {
            found.differ(first, second);
        }
        found.require("kafka.brokers", "log.kind", "kafka");
        tls::check(&mut found);
        let properties = found.properties("kafka.properties");
        if let Some(config) = &mut config {
            config.properties = properties;
        }
        found.finish(config)
    }

    /// As TOML, with help: a file that resolves to this very configuration, but
    /// for librdkafka's properties from the environment. They may be secret.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut group = "";
        for (setting, (name, value)) in SETTINGS.iter().zip(self.values()) {
            let (section, key) = name.split_once('.').unwrap_or(("", name));
            if section != group {
                group = section;
                text += &format!("\n[{group}]\n");
            }
            text += &format!("# {}: {}.\n", setting.help, setting.expected());
            text += &match value {
                Some(value) => format!("{key} = {value}\n"),
                None => format!("# {key} =\n"),
            };
        }
        text
    }
}
