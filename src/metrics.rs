//! Every metric of the service, declared once, as typed handles. Names are
//! written out in full; [`enterprise`] has the totals per enterprise.

mod applied;
mod enterprise;
mod told;

pub use enterprise::EnterpriseTotal;
pub use told::{Level, Tally};

use crate::config;
use crate::pb::Reason;
use metrics::{Key, Label, Level as Loudness, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use std::fs;
use std::marker::PhantomData;
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

static METADATA: Metadata<'static> = Metadata::new("quaymeter", Loudness::INFO, None);

/// Declares the handles and their registration once.
macro_rules! metrics {
    ($($field:ident: $type:ty = $name:literal $labels:tt, $unit:ident, $help:literal;)*) => {
        /// The metrics of one service. Each has its own recorder, so that
        /// several services can live in one process.
        pub struct Metrics {
            handle: PrometheusHandle,
            enterprises_max: Option<usize>,
            reasons: Vec<(Reason, Tally)>,
            $(#[doc = $help] pub $field: $type,)*
        }

        impl Metrics {
            fn declare(recorder: Recording, enterprises_max: Option<usize>) -> Self {
                Self {
                    handle: recorder.handle(),
                    enterprises_max,
                    reasons: Vec::new(),
                    $($field: {
                        <$type>::describe(&*recorder, $name, Unit::$unit, $help);
                        <$type>::new(&recorder, $name, &$labels)
                    },)*
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
    batches: By<Counter, 1> = "quaymeter_batches_total" ["method"], Count, "Batches received, by gRPC method";
    batch_events: Histogram = "quaymeter_batch_events" [], Count, "Events in a batch";
    ack_seconds: Histogram = "quaymeter_ack_seconds" [], Seconds, "From a batch received whole to its acknowledgement";
    streams: Level = "quaymeter_streams" [], Count, "Open event streams";
    credit_violations: Counter = "quaymeter_credit_violations_total" [], Count, "Streams ended because they sent beyond their credit";
    discarded: By<Counter, 1> = "quaymeter_discarded_total" ["reason"], Count, "Calls and connections refused or ended to keep within limits, by the limit";
    connections: Gauge = "quaymeter_connections" [], Count, "Open gRPC connections";
    calls: Gauge = "quaymeter_calls" [], Count, "Calls in progress other than open event streams";
    request_bytes: Gauge = "quaymeter_request_bytes" [], Bytes, "Bytes of requests in memory, and of what they became until it is durable";
    answer_bytes: Gauge = "quaymeter_answer_bytes" [], Bytes, "Bytes of answers in memory that are not sent yet";
    buffered_bytes: Gauge = "quaymeter_buffered_bytes" [], Bytes, "Bytes of events in memory that are not durable yet";
    log_events: Counter = "quaymeter_log_appended_events_total" [], Count, "Events appended to the log";
    log_bytes: Counter = "quaymeter_log_appended_bytes_total" [], Bytes, "Bytes appended to the log";
    log_fsync_seconds: Histogram = "quaymeter_log_fsync_seconds" [], Seconds, "One sync of the log to disk";
    log_refused: Counter = "quaymeter_log_refused_batches_total" [], Count, "Batches that could not be written to the log, for example to a full disk";
    log_end_offset: Level = "quaymeter_log_end_offset" [], Count, "Offset after the log's last durable record";
    log_start_offset: Gauge = "quaymeter_log_start_offset" [], Count, "Offset of the first record that the log keeps";
    log_kept_bytes: Gauge = "quaymeter_log_bytes" [], Bytes, "Bytes of the log that are kept";
    log_beyond_limit_bytes: Gauge = "quaymeter_log_beyond_limit_bytes" [], Bytes, "Bytes of the log beyond log_bytes_max that cannot be removed, because corrections, a restart or a backup need them";
    store_bytes: Gauge = "quaymeter_store_bytes" [], Bytes, "Bytes of the checkpoint store on the disk";
    ledger_chunks: Gauge = "quaymeter_ledger_chunks" [], Count, "Stored chunks of the ledger's journal, about 1 MiB each";
    pairing_points: Gauge = "quaymeter_pairing_points" [], Count, "Places of events in pairing lists";
    names: Gauge = "quaymeter_names" [], Count, "Names of facilities, enterprises and sources that are known";
    backups: By<Counter, 1> = "quaymeter_backups_total" ["outcome"], Count, "Backups given, by outcome";
    applied_offset: Gauge = "quaymeter_applied_offset" [], Count, "Offset after the last record that answers include";
    changelog_breaks: Counter = "quaymeter_changelog_breaks_total" [], Count, "Chains of a changelog found broken; each is counted anew";
    dead_letters: Counter = "quaymeter_dead_letters_total" [], Count, "Records in Kafka that are none of ours and were put away";
    commit_seconds: Histogram = "quaymeter_commit_seconds" [], Seconds, "One commit of what was counted to Kafka";
    aborts: Counter = "quaymeter_aborts_total" [], Count, "Times that what was not committed to Kafka was dropped and is counted again";
    assigned_partitions: Gauge = "quaymeter_assigned_partitions" [], Count, "Partitions of Kafka that this instance counts";
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
    registry_loads: Counter = "quaymeter_registry_loads_total" [], Count, "Times that the enterprise registry was loaded";
    registry_load_failures: Counter = "quaymeter_registry_load_failures_total" [], Count, "Times that the enterprise registry could not be loaded and the names stayed as they were";
    registry_enterprises: Gauge = "quaymeter_registry_enterprises" [], Count, "Enterprises in the registry that is loaded";
    resident_bytes: Gauge = "quaymeter_process_resident_memory_bytes" [], Bytes, "Memory that the process holds";
    build_info: By<Gauge, 1> = "quaymeter_build_info" ["version"], Count, "1, with the version";
}

/// The limits that something may be discarded for, as statuses and connections
/// name them; with `_` for spaces they are the labels.
const LIMITS: [&str; 21] = [
    "connections",
    "connections that say nothing",
    "answers to be taken",
    "streams",
    "calls",
    "calls of health and reflection",
    "calls in progress",
    "watches",
    "dumps",
    "backups",
    "credit",
    "bytes of requests",
    "bytes of answers",
    "bytes waiting to be durable",
    "bytes of a message",
    "parties and containers of a batch",
    "a request to arrive",
    "cells for one question",
    "rows to watch",
    "bytes of one answer",
    "other",
];

type Recording = Arc<PrometheusRecorder>;

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
            .build_recorder();
        let enterprises_max = settings.per_enterprise.then_some(settings.enterprises_max);
        let mut metrics = Self::declare(Arc::new(recorder), enterprises_max);
        metrics
            .build_info
            .with([env!("CARGO_PKG_VERSION")])
            .set(1.0);
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

    /// Everything in the Prometheus text format. `enterprises` are the totals
    /// of classifier ACTUAL, all roles of an enterprise in a row; those of
    /// enterprises beyond the limit are left out and counted, so their order
    /// should be the same at every scrape.
    pub fn render<'a>(&self, enterprises: impl Iterator<Item = EnterpriseTotal<'a>>) -> String {
        let (totals, omitted) = match self.enterprises_max {
            Some(most) => enterprise::render(enterprises, most),
            None => Default::default(),
        };
        self.enterprises_omitted.set(omitted as f64);
        if let Some(bytes) = resident_bytes() {
            self.resident_bytes.set(bytes as f64);
        }
        self.handle.render() + &totals
    }
}

/// One kind of metric without labels.
trait Kind: Sized {
    fn describe(recorder: &PrometheusRecorder, name: &'static str, unit: Unit, help: &'static str);
    fn register(recorder: &PrometheusRecorder, key: &Key) -> Self;
    fn new(recorder: &Recording, name: &'static str, _: &[&'static str; 0]) -> Self {
        Self::register(recorder, &Key::from_static_name(name))
    }
}

macro_rules! kinds {
    ($($type:ident: $describe:ident, $register:ident;)*) => {$(
        impl Kind for $type {
            fn describe(
                recorder: &PrometheusRecorder,
                name: &'static str,
                unit: Unit,
                help: &'static str,
            ) {
                recorder.$describe(name.into(), Some(unit), help.into());
            }
            fn register(recorder: &PrometheusRecorder, key: &Key) -> Self {
                recorder.$register(key, &METADATA)
            }
        }
    )*};
}

kinds! {
    Counter: describe_counter, register_counter;
    Gauge: describe_gauge, register_gauge;
    Histogram: describe_histogram, register_histogram;
}

macro_rules! told {
    ($($type:ident: $kind:ident;)*) => {$(
        impl Kind for $type {
            fn describe(
                recorder: &PrometheusRecorder,
                name: &'static str,
                unit: Unit,
                help: &'static str,
            ) {
                $kind::describe(recorder, name, unit, help);
            }
            fn register(recorder: &PrometheusRecorder, key: &Key) -> Self {
                $type::of($kind::register(recorder, key))
            }
        }
    )*};
}

told! {
    Tally: Counter;
    Level: Gauge;
}

/// A metric with `N` labels. A look-up costs some 0.3 µs: keep the handle where
/// that matters.
pub struct By<K, const N: usize> {
    recorder: Recording,
    name: &'static str,
    labels: [&'static str; N],
    kind: PhantomData<fn() -> K>,
}

#[expect(private_bounds, reason = "the three kinds are all there are")]
impl<K: Kind, const N: usize> By<K, N> {
    fn describe(recorder: &PrometheusRecorder, name: &'static str, unit: Unit, help: &'static str) {
        K::describe(recorder, name, unit, help);
    }

    fn new(recorder: &Recording, name: &'static str, labels: &[&'static str; N]) -> Self {
        Self {
            recorder: Arc::clone(recorder),
            name,
            labels: *labels,
            kind: PhantomData,
        }
    }

    /// The one with these values, in the order of the labels. Values must come
    /// from a closed list: each new one is a series for good.
    pub fn with(&self, values: [&str; N]) -> K {
        let labels = self.labels.iter().zip(values);
        let labels: Vec<_> = labels
            .map(|(&l, value)| Label::new(l, value.to_owned()))
            .collect();
        K::register(&self.recorder, &Key::from_parts(self.name, labels))
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

/// Memory that the process holds, in bytes: from `/proc/self/status`, which counts
/// in kB whatever the page size; none where there is no such file.
pub fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib * 1024)
}
