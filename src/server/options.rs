//! What a configuration means for each part of the service.

use super::RULES_VERSION;
use crate::audit;
use crate::config::{Config, LogKind};
use crate::log::committer::{self, Group};
use crate::log::dir::{DataDir, ShapingSettings};
use crate::log::kafka;
use crate::log::kafka::connection::Connection;
use crate::log::kafka::topics::Topics;
use crate::log::kafka::whole::Whole;
use crate::log::readable::Readable;
use crate::meter::Rules;
use crate::meter::cell::{DAY_MS, Keeping};
use crate::metrics::Metrics;
use crate::query::{self, explain::Past};
use crate::store;
use crate::trace;
use crate::trail;
use crate::worker;
use std::sync::Arc;
use std::time::Duration;

/// The settings that shape numbers.
pub fn shaping(config: &Config) -> ShapingSettings {
    ShapingSettings {
        reporting_zone: config
            .reporting_zone
            .iana_name()
            .unwrap_or("UTC")
            .to_owned(),
        teu_45ft_milli: config.teu_45ft_milli as u32,
        horizon_days: config.horizon_days as u32,
        quarter_days: config.quarter_days as u32,
        day_days: config.day_days as u32,
        rules_version: RULES_VERSION,
    }
}

/// Of the log's writer, whose groups are measured.
pub fn committer_options(config: &Config, metrics: &Arc<Metrics>) -> committer::Options {
    let metrics = Arc::clone(metrics);
    let observe = move |group: Group| {
        let Some(written) = group.written else {
            metrics.log_refused.increment(group.batches);
            return;
        };
        metrics.log_events.increment(group.events);
        metrics.log_bytes.increment(written.bytes);
        metrics.log_fsync_seconds.record(written.sync.as_secs_f64());
        metrics
            .log_end_offset
            .set((written.first_offset + group.events) as f64);
    };
    committer::Options {
        queue_bytes: u32::try_from(config.limits.buffered_bytes).unwrap_or(u32::MAX),
        observe: Box::new(observe),
        ..committer::Options::default()
    }
}

/// Of the store.
pub fn store_options(config: &Config) -> store::Options {
    store::Options {
        cache_bytes: config.limits.store_cache_bytes,
        ..store::Options::default()
    }
}

/// Of questions.
pub fn query_settings(config: &Config) -> query::Settings {
    query::Settings {
        horizon_days: config.horizon_days as u32,
        calls_max: config.limits.concurrent_queries,
        watches_max: config.limits.watches,
        ..query::Settings::default()
    }
}

/// What single events are explained from.
///
/// # Errors
/// Brokers that the client library does not take.
pub fn past(config: &Config, dir: &DataDir) -> Result<Past, kafka::Error> {
    let rules = audit::Rules {
        zone: config.reporting_zone.clone(),
        horizon_days: config.horizon_days,
        quarter_days: config.quarter_days,
        day_days: config.day_days,
        teu_45ft_milli: config.teu_45ft_milli,
    };
    if config.log.kind == LogKind::Embedded {
        return Ok(Past::new(dir.log(), rules));
    }
    let connection = Connection::of(config)?;
    let topic = Topics::of(&config.kafka.prefix).events;
    let partitions = config.kafka.partitions as u32;
    let open = move |partition| {
        let whole = Whole::open(&connection, &topic, partition, partitions)?;
        Ok(Box::new(whole) as Box<dyn Readable>)
    };
    Ok(Past::in_partitions(partitions, Box::new(open), rules))
}

/// Where is counted what becomes of traces.
pub fn trace_counts(metrics: &Metrics) -> trace::Counts {
    let spans = |outcome| metrics.trace_spans.with([outcome]);
    trace::Counts {
        exported: spans("exported"),
        failed: spans("failed"),
        dropped: spans("dropped"),
        limited: metrics.traces_limited.clone(),
    }
}

/// Where is counted what becomes of the audit trail.
pub fn trail_counts(metrics: &Metrics) -> trail::Counts {
    trail::Counts {
        written: metrics.trail_records.clone(),
        lost: metrics.trail_lost.clone(),
        damaged: metrics.trail_damaged.clone(),
    }
}

/// Of the one writer of cells.
pub fn worker_options(config: &Config) -> worker::Options {
    worker::Options {
        rules: Rules {
            horizon_ms: i64::from(config.horizon_days) * DAY_MS,
            teu_45ft_milli: config.teu_45ft_milli as u32,
        },
        keeping: Keeping {
            zone: config.reporting_zone.clone(),
            quarter_days: config.quarter_days,
            day_days: config.day_days,
        },
        checkpoint_interval: Duration::from_millis(config.checkpoint.interval_ms),
        log: worker::retention::Limits {
            // As long as the day cells, so that all can be recounted.
            days: match config.log_days {
                0 => config.day_days,
                days => days,
            },
            bytes_max: (config.log_bytes_max > 0).then_some(config.log_bytes_max),
        },
    }
}
