//! Every metric of the service, declared once, as typed handles. Names are
//! written out in full; [`enterprise`] has the totals per enterprise.

mod applied;
pub mod catalogue;
pub mod enterprise;
mod kind;
mod lag;
mod process;
mod source;
mod told;

pub use kind::By;
pub use lag::Lag;
pub use process::resident_bytes;
pub use source::{Outcomes, Source};
pub use told::{Level, Tally};

use crate::config;
use crate::pb::Reason;
use catalogue::Described;
use enterprise::Enterprises;
use kind::{Kind, Recording};
use metrics::Unit;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use source::Sources;
use std::sync::Arc;

pub use metrics::{Counter, Gauge, Histogram};

/// Bucket bounds of everything in seconds: from a fsync to a slow query.
const SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// Bucket bounds of events in a batch.
const BATCH_EVENTS: &[f64] = &[
    1.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0,
];

/// Bucket bounds from an append to its being visible: after a stop it takes its time.
const FRESHNESS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
];

/// Bucket bounds of values in a commit, of which 100,000 are a reason for it.
const COMMIT_VALUES: &[f64] = &[10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5, 3e5];

/// Bucket bounds of how late events are: from a second to the correction horizon.
const LATENESS: &[f64] = &[
    1.0,
    5.0,
    15.0,
    60.0,
    300.0,
    900.0,
    3600.0,
    14_400.0,
    43_200.0,
    86_400.0,
    259_200.0,
    604_800.0,
    3_024_000.0,
];

/// Declares the handles and their registration once.
macro_rules! metrics {
    ($($field:ident: $type:ty = $name:literal $labels:tt, $unit:ident, $help:literal;)*) => {
        /// The metrics of one service. Each has its own recorder, so that
        /// several services can live in one process.
        pub struct Metrics {
            recorder: Recording,
            handle: PrometheusHandle,
            settings: config::Metrics,
            reasons: Vec<(Reason, Tally)>,
            sources: Sources,
            $(#[doc = $help] pub $field: $type,)*
        }

        /// What there is of these metrics to be told.
        const DESCRIBED: &[Described] = &[
            $(Described {
                name: $name,
                kind: <$type>::TYPE,
                labels: &$labels,
                unit: Unit::$unit,
                help: $help,
            },)*
        ];

        impl Metrics {
            fn declare(recorder: Recording, settings: &config::Metrics) -> Self {
                Self {
                    handle: recorder.handle(),
                    settings: settings.clone(),
                    reasons: Vec::new(),
                    sources: Sources::new(settings.sources_max),
                    $($field: {
                        <$type>::describe(&*recorder, $name, Unit::$unit, $help);
                        <$type>::new(&recorder, $name, &$labels)
                    },)*
                    recorder,
                }
            }
        }
    };
}

// A line each: field, type, name, labels, unit, help.
#[rustfmt::skip]
metrics! {
    events_accepted: Tally = "quaymeter_events_accepted_total" [], Count, "Events accepted, duplicates included";
    events_refused: By<Tally, 1> = "quaymeter_events_refused_total" ["reason"], Count, "Events refused, by reason";
    events_warned: By<Tally, 1> = "quaymeter_events_warned_total" ["reason"], Count, "Warnings given, by reason";
    source_events: By<Counter, 2> = "quaymeter_source_events_total" ["source", "outcome"], Count, "Events by source, accepted (duplicates included) or refused";
    source_refused: By<Counter, 2> = "quaymeter_source_refused_total" ["source", "reason"], Count, "Events refused, by source and reason";
    source_warned: By<Counter, 2> = "quaymeter_source_warned_total" ["source", "reason"], Count, "Warnings given, by source and reason";
    source_applied: By<Counter, 2> = "quaymeter_source_applied_total" ["source", "outcome"], Count, "Records applied since the process started, by source and by what became of them: new, duplicate, revision, retraction, superseded or conflict";
    source_lateness_seconds: By<Histogram, 1> = "quaymeter_source_lateness_seconds" ["source"], Seconds, "From the instant of an ACTUAL event to its receipt, by source";
    source_acknowledged: By<Gauge, 1> = "quaymeter_source_last_acknowledged_timestamp_seconds" ["source"], Seconds, "When events of the source were last acknowledged";
    sources_omitted: Counter = "quaymeter_sources_omitted_batches_total" [], Count, "Batches of sources beyond metrics.sources_max, which are counted as source other";
    batches: By<Counter, 1> = "quaymeter_batches_total" ["method"], Count, "Batches received, by gRPC method";
    batch_events: Histogram = "quaymeter_batch_events" [], Count, "Events in a batch";
    ack_seconds: Histogram = "quaymeter_ack_seconds" [], Seconds, "From a batch received whole, or let go on by its caller's limit, to its acknowledgement";
    streams: Level = "quaymeter_streams" [], Count, "Open event streams";
    credit_violations: Counter = "quaymeter_credit_violations_total" [], Count, "Streams ended because they sent beyond their credit";
    credit_stalls: Counter = "quaymeter_credit_stalls_total" [], Count, "Times that a stream had used up its credit and had to wait for acknowledgements";
    discarded: By<Counter, 1> = "quaymeter_discarded_total" ["reason"], Count, "Calls and connections refused or ended to keep within limits, by the limit";
    connections: Gauge = "quaymeter_connections" [], Count, "Open gRPC connections";
    calls: Gauge = "quaymeter_calls" [], Count, "Calls in progress other than open event streams";
    request_bytes: Gauge = "quaymeter_request_bytes" [], Bytes, "Bytes of requests in memory, and of what they became until it is durable";
    answer_bytes: Gauge = "quaymeter_answer_bytes" [], Bytes, "Bytes of answers in memory that are not sent yet";
    buffered_bytes: Gauge = "quaymeter_buffered_bytes" [], Bytes, "Bytes of events in memory that are not durable yet";
    log_events: Counter = "quaymeter_log_appended_events_total" [], Count, "Events appended to the log";
    log_bytes: Counter = "quaymeter_log_appended_bytes_total" [], Bytes, "Bytes appended to the log";
    log_append_seconds: Histogram = "quaymeter_log_append_seconds" [], Seconds, "From a batch handed to the log to its being durable there: written and synced, or acknowledged by the brokers";
    log_fsync_seconds: Histogram = "quaymeter_log_fsync_seconds" [], Seconds, "One sync of the log to disk";
    log_refused: Counter = "quaymeter_log_refused_batches_total" [], Count, "Batches that could not be written to the log, for example to a full disk";
    log_end_offset: Level = "quaymeter_log_end_offset" [], Count, "Offset after the log's last durable record";
    log_start_offset: Gauge = "quaymeter_log_start_offset" [], Count, "Offset of the first record that the log keeps";
    log_kept_bytes: Gauge = "quaymeter_log_bytes" [], Bytes, "Bytes of the log that are kept";
    log_beyond_limit_bytes: Gauge = "quaymeter_log_beyond_limit_bytes" [], Bytes, "Bytes of the log beyond log_bytes_max that cannot be removed, because corrections, a restart or a backup need them";
    store_bytes: Gauge = "quaymeter_store_bytes" [], Bytes, "Bytes of the checkpoint store on the disk";
    disk_free_bytes: Gauge = "quaymeter_disk_free_bytes" [], Bytes, "Room left to this process on the file system of the data directory";
    disk_size_bytes: Gauge = "quaymeter_disk_size_bytes" [], Bytes, "Size of the file system of the data directory";
    ledger_chunks: Gauge = "quaymeter_ledger_chunks" [], Count, "Stored chunks of the ledger's journal, about 1 MiB each";
    pairing_points: Gauge = "quaymeter_pairing_points" [], Count, "Places of events in pairing lists";
    names: Gauge = "quaymeter_names" [], Count, "Names of facilities, enterprises and sources that are known";
    backups: By<Counter, 1> = "quaymeter_backups_total" ["outcome"], Count, "Backups given, by outcome";
    applied_offset: Gauge = "quaymeter_applied_offset" [], Count, "Offset after the last record that answers include";
    view_offset: By<Gauge, 1> = "quaymeter_view_offset" ["partition"], Count, "Offset after the last record of a partition that answers include";
    freshness_seconds: Histogram = "quaymeter_freshness_seconds" [], Seconds, "From a record's append to its being included in answers; of each publication its latest record";
    last_append: Gauge = "quaymeter_last_append_timestamp_seconds" [], Seconds, "When the latest record that answers include was appended";
    complete_through: Gauge = "quaymeter_complete_through_timestamp_seconds" [], Seconds, "The least, over the sources active in the last 15 minutes, of their latest ACTUAL instant; 0 while there is none";
    changelog_breaks: Counter = "quaymeter_changelog_breaks_total" [], Count, "Chains of a changelog found broken; each is counted anew";
    dead_letters: Counter = "quaymeter_dead_letters_total" [], Count, "Records in Kafka that are none of ours and were put away";
    commit_seconds: Histogram = "quaymeter_commit_seconds" [], Seconds, "One commit of what was counted to Kafka";
    commit_values: Histogram = "quaymeter_commit_values" [], Count, "Changed values in one commit to Kafka";
    commit_retries: Counter = "quaymeter_commit_retries_total" [], Count, "Steps of a commit to Kafka that were tried again";
    aborts: Counter = "quaymeter_aborts_total" [], Count, "Times that what was not committed to Kafka was dropped and is counted again";
    assigned_partitions: Gauge = "quaymeter_assigned_partitions" [], Count, "Partitions of Kafka that this instance counts";
    rebalances: Counter = "quaymeter_rebalances_total" [], Count, "Times that the group gave partitions to this instance or took some away";
    restoring_partitions: Gauge = "quaymeter_restoring_partitions" [], Count, "Partitions given to this instance whose state is not restored yet";
    restore_seconds: Histogram = "quaymeter_restore_seconds" [], Seconds, "One restore of a partition's state";
    checkpoint_seconds: Histogram = "quaymeter_checkpoint_seconds" [], Seconds, "One checkpoint of the state";
    checkpoint_failures: Counter = "quaymeter_checkpoint_failures_total" [], Count, "Checkpoints that could not be written, for example to a full disk";
    checkpoint_offset: Level = "quaymeter_checkpoint_offset" [], Count, "Offset after the last record in the last checkpoint";
    applied_events: Counter = "quaymeter_applied_events_total" [], Count, "Records applied, restored from state";
    applied_duplicates: Counter = "quaymeter_applied_duplicates_total" [], Count, "Records that changed nothing: same revision and content";
    applied_revisions: Counter = "quaymeter_applied_revisions_total" [], Count, "Records that replaced an older statement";
    applied_retractions: Counter = "quaymeter_applied_retractions_total" [], Count, "Records that took an identity back";
    applied_superseded: Counter = "quaymeter_applied_superseded_total" [], Count, "Records older than what was known";
    applied_conflicts: Counter = "quaymeter_applied_conflicts_total" [], Count, "Records of the same revision with other content";
    repaired_durations: Counter = "quaymeter_repaired_durations_total" [], Count, "Durations taken back because their events paired anew";
    forgotten_identities: Counter = "quaymeter_forgotten_identities_total" [], Count, "Identities forgotten";
    undecodable_records: Counter = "quaymeter_undecodable_records_total" [], Count, "Records of the log that could not be decoded";
    identities: Gauge = "quaymeter_identities" [], Count, "Identities that are known";
    cells: By<Gauge, 1> = "quaymeter_cells" ["grain"], Count, "Cells kept, by grain";
    requests: By<Counter, 2> = "quaymeter_grpc_requests_total" ["method", "code"], Count, "gRPC calls ended, by method and code";
    request_seconds: By<Histogram, 1> = "quaymeter_grpc_request_seconds" ["method"], Seconds, "gRPC calls from start to end, by method";
    query_seconds: Histogram = "quaymeter_query_seconds" [], Seconds, "Work of answering a query, without waiting";
    watches: Gauge = "quaymeter_watches" [], Count, "Open watches";
    enterprises_omitted: Gauge = "quaymeter_enterprises_omitted" [], Count, "Enterprises whose totals are not exported, beyond the limit";
    enterprise_series_omitted: Gauge = "quaymeter_enterprise_series_omitted" [], Count, "Series of exported enterprises that the settings leave out";
    registry_loads: Counter = "quaymeter_registry_loads_total" [], Count, "Times that the enterprise registry was loaded";
    registry_load_failures: Counter = "quaymeter_registry_load_failures_total" [], Count, "Times that the enterprise registry could not be loaded and the names stayed as they were";
    registry_enterprises: Gauge = "quaymeter_registry_enterprises" [], Count, "Enterprises in the registry that is loaded";
    callers: Gauge = "quaymeter_callers" [], Count, "Callers that are configured";
    callers_reloads: Counter = "quaymeter_callers_reloads_total" [], Count, "Times that the callers and their keys were read";
    callers_reload_failures: Counter = "quaymeter_callers_reload_failures_total" [], Count, "Times that the callers or their keys could not be read and stayed as they were";
    jwks_fetch_failures: Counter = "quaymeter_jwks_fetch_failures_total" [], Count, "Times that an issuer's keys could not be fetched and stayed as they were";
    unauthenticated: By<Counter, 1> = "quaymeter_unauthenticated_total" ["cause"], Count, "Calls refused because it was not known who calls, by cause";
    not_allowed: By<Counter, 1> = "quaymeter_not_allowed_total" ["right"], Count, "Calls refused because the caller may not call the method, by the right that he lacks";
    trace_spans: By<Counter, 1> = "quaymeter_trace_spans_total" ["outcome"], Count, "Spans made for traces: exported; failed, because the collector did not take them; or dropped, because too many waited for it";
    traces_limited: Counter = "quaymeter_traces_limited_total" [], Count, "Batches that were not traced because traces.batches_per_second others were";
    pseudonyms_reload_failures: Counter = "quaymeter_pseudonym_keys_reload_failures_total" [], Count, "Times that the changed file of the pseudonyms' keys could not be loaded and the keys stayed as they were";
    trail_records: Counter = "quaymeter_trail_records_total" [], Count, "Records of the audit trail that were written and synced";
    trail_lost: Counter = "quaymeter_trail_lost_total" [], Count, "Notes that came into no record of the audit trail: the disk refused, or too many waited";
    trail_damaged: Counter = "quaymeter_trail_damaged_total" [], Count, "Times that a file of the audit trail was found damaged at the start";
    tls_loads: Counter = "quaymeter_tls_loads_total" [], Count, "Times that the certificate, its key and the clients' authorities were loaded";
    tls_load_failures: Counter = "quaymeter_tls_load_failures_total" [], Count, "Times that they could not be loaded and TLS stayed as it was";
    tls_expiry: Gauge = "quaymeter_tls_certificate_expiry_timestamp_seconds" [], Seconds, "When the certificate ends that is shown to clients; 0 without TLS";
    tls_failures: By<Counter, 1> = "quaymeter_tls_handshake_failures_total" ["port"], Count, "TLS handshakes that failed, by port: the client does not trust us, or we not him, or he speaks no TLS";
    build_info: By<Gauge, 1> = "quaymeter_build_info" ["version"], Count, "1, with the version";
}

/// The limits that something may be discarded for, as statuses and connections
/// name them; with `_` for spaces they are the labels.
const LIMITS: [&str; 41] = [
    "connections",
    "connections of strangers",
    "refusals of strangers",
    "refusals of callers",
    "handshakes",
    "a handshake to end",
    "connections that say nothing",
    "answers to be taken",
    "streams",
    "calls",
    "calls of health and reflection",
    "calls in progress",
    "watches",
    "dumps",
    "explanations under way",
    "lists of events of a cell",
    "backups",
    "credit",
    "bytes of requests",
    "bytes of one source",
    "events per second of this caller",
    "bytes per second of this caller",
    "streams of this caller",
    "queries of this caller",
    "refused messages of this caller",
    "streams of one caller",
    "watches of one caller",
    "calls of one caller",
    "questions of one caller",
    "bytes of requests of one caller",
    "callers",
    "bytes of answers",
    "bytes waiting to be durable",
    "bytes of a message",
    "parties and containers of a batch",
    "a request to arrive",
    "cells for one question",
    "rows to watch",
    "events of the cell",
    "events that may pair",
    "other",
];

/// Above every reason's number.
const REASONS_END: i32 = 200;

impl Metrics {
    /// The metrics, all at zero.
    ///
    /// # Errors
    /// The exporter refuses the buckets.
    pub fn new(settings: &config::Metrics) -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new()
            .with_recommended_naming(true)
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
            .set_buckets_for_metric(Matcher::Full("quaymeter_batch_events".into()), BATCH_EVENTS)?
            .set_buckets_for_metric(
                Matcher::Full("quaymeter_commit_values".into()),
                COMMIT_VALUES,
            )?
            .set_buckets_for_metric(
                Matcher::Full("quaymeter_freshness_seconds".into()),
                FRESHNESS,
            )?
            .set_buckets_for_metric(
                Matcher::Full("quaymeter_source_lateness_seconds".into()),
                LATENESS,
            )?
            .build_recorder();
        let mut metrics = Self::declare(Arc::new(recorder), settings);
        metrics
            .build_info
            .with([env!("CARGO_PKG_VERSION")])
            .set(1.0);
        metrics.describe_process();
        // A counter that begins to exist at 1 has no increase to see.
        let known = (1..REASONS_END).filter_map(|number| Reason::try_from(number).ok());
        metrics.reasons = known
            .map(|reason| (reason, metrics.tally(reason)))
            .collect();
        for (_, tally) in &metrics.reasons {
            tally.increment(0);
        }
        for limit in LIMITS {
            metrics.limit(limit).absolute(0);
        }
        Ok(metrics)
    }

    /// The counter of a reason: of refusals or of warnings. None for what is no
    /// reason.
    pub fn reason(&self, reason: Reason) -> Option<Tally> {
        let mut known = self.reasons();
        known
            .find(|&(known, _)| known == reason)
            .map(|(_, tally)| tally.clone())
    }

    /// The counters of all reasons.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, &Tally)> {
        self.reasons.iter().map(|(reason, tally)| (*reason, tally))
    }

    fn tally(&self, reason: Reason) -> Tally {
        let counters = if is_warning(reason) {
            &self.events_warned
        } else {
            &self.events_refused
        };
        counters.with([&label(reason.as_str_name(), "REASON_")])
    }

    /// The counter of what is discarded for a limit, by its name in statuses.
    pub fn limit(&self, name: &str) -> Counter {
        let known = LIMITS.into_iter().find(|limit| *limit == name);
        self.discarded
            .with([&known.unwrap_or("other").replace(' ', "_")])
    }

    /// Counts one gRPC call that has ended.
    pub fn request(&self, method: &'static str, code: tonic::Code, seconds: f64) {
        let code = if code == tonic::Code::Ok {
            "OK".into()
        } else {
            format!("{code:?}")
        };
        self.requests.with([method, &code]).increment(1);
        self.request_seconds.with([method]).record(seconds);
    }

    /// Moves recorded durations into their buckets. The caller calls it every
    /// few seconds: without it they pile up in memory between two scrapes.
    pub fn run_upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// To be given what is known of enterprises; none if the settings say so.
    pub fn enterprises(&self) -> Option<Enterprises> {
        let settings = &self.settings;
        settings.per_enterprise.then(|| Enterprises::new(settings))
    }

    /// Everything in the Prometheus text format, with what was told of enterprises and
    /// of partitions; in pages of whole lines.
    pub fn render(&self, enterprises: Option<Enterprises>, lags: &[Lag]) -> Vec<String> {
        let enterprises = enterprises.map(Enterprises::finish).unwrap_or_default();
        self.enterprises_omitted.set(enterprises.omitted as f64);
        let left_out = enterprises.series_omitted as f64;
        self.enterprise_series_omitted.set(left_out);
        self.measure_process();
        let service = [self.handle.render(), lag::render(lags)];
        service.into_iter().chain(enterprises.text).collect()
    }
}

/// Whether a reason is one to warn and not to refuse: those from 101 on.
pub fn is_warning(reason: Reason) -> bool {
    reason >= Reason::ContainerCheckDigit
}

/// A value of a proto enum as a label: `GATE_DIRECTION_IN` without its prefix
/// is `in`.
fn label(name: &'static str, prefix: &str) -> String {
    strip(name, prefix).to_ascii_lowercase()
}

fn strip(name: &'static str, prefix: &str) -> &'static str {
    name.strip_prefix(prefix).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::LIMITS;
    use std::collections::BTreeSet;

    /// What stands as code in the columns `reason` of a page's tables.
    fn reasons(page: &str) -> BTreeSet<String> {
        let (mut reasons, mut column) = (BTreeSet::new(), None);
        for line in page.lines() {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            if let Some(at) = cells.iter().position(|cell| *cell == "`reason`") {
                column = Some(at);
            } else if cells.len() == 1 {
                column = None;
            } else if let Some(cell) = column.and_then(|at| cells.get(at)) {
                let code = cell.split('`').skip(1).step_by(2);
                reasons.extend(code.map(str::to_owned));
            }
        }
        reasons
    }

    #[test]
    fn each_limit_stands_on_its_page_by_the_name_that_it_is_counted_by() {
        let limits = LIMITS.into_iter().filter(|limit| *limit != "other");
        let labels: BTreeSet<_> = limits.map(|limit| limit.replace(' ', "_")).collect();
        assert_eq!(labels, reasons(include_str!("../docs/limits.md")));
    }
}
