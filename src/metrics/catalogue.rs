//! All metrics as a page of Markdown, made from what declares them.

use super::enterprise::{FAMILIES, GAUGES, TURNS, TURNS_HELP, TURNS_TAKEN_BACK, taken_back};
use super::{DESCRIBED, Metrics, lag};
use metrics::Unit;
use std::fmt::Write as _;

/// What there is of a metric to be told.
pub(super) struct Described {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) labels: &'static [&'static str],
    pub(super) unit: Unit,
    pub(super) help: &'static str,
}

const HEAD: &str = "\
# Metrics

What `GET /metrics` on the side port answers, in the Prometheus text format. **This page is made from the code** (`make docs` renews it;
a test keeps both in step). Counters only rise while a process lives, but for those of enterprises, which go on from what was counted
before. Names keep to the [conventions of Prometheus](https://prometheus.io/docs/practices/naming/).

";

const ENTERPRISES: &str = "
## Of enterprises

Figures of classifier ACTUAL. Throughput is what was added less what was taken back by corrections: both only rise, so
`increase(quaymeter_enterprise_teu_total[1h]) - increase(quaymeter_enterprise_teu_taken_back_total[1h])` is right whatever was corrected.
They are exact, and go on after a restart where they were. **A box counts for each of its parties:** never add up roles.

On Kafka each enterprise is exported by one instance alone: by that which counts the partition in which the enterprise's id would lie if
it were a facility. When the partition moves, its series end on one instance and begin on the other, so a sum over instances is right.

| metric | type | labels | what it tells |
|---|---|---|---|
";

const CHOSEN: &str = "
What is exported is chosen by settings: `metrics.per_enterprise` (all or nothing), `metrics.enterprises_max` (how many enterprises, in the
order in which they were first seen; the rest are counted in `quaymeter_enterprises_omitted`), `metrics.enterprise_figures`,
`metrics.enterprise_roles` and `metrics.enterprise_fullness` (whether empty and laden boxes are told apart). Series that these leave out are
counted in `quaymeter_enterprise_series_omitted`. `metrics.sources_max` bounds the sources that have series of their own.
";

const PROCESS: &str = "
## Of the process

`process_cpu_seconds_total`, `process_max_fds`, `process_open_fds`, `process_resident_memory_bytes`, `process_start_time_seconds`,
`process_threads`, `process_virtual_memory_bytes` and `process_virtual_memory_max_bytes`, as from every client of Prometheus.

## Of the service

| metric | type | labels | what it tells |
|---|---|---|---|
";

impl Metrics {
    /// The page.
    pub fn page() -> String {
        let mut page = HEAD.to_owned() + ENTERPRISES.trim_start();
        for family in &FAMILIES {
            let labels: Vec<_> = ["enterprise", "role"]
                .into_iter()
                .chain(family.labels.iter().copied())
                .collect();
            let (name, help) = (family.name, family.help);
            let added = format!("{help}, ever added");
            row(
                &mut page,
                &format!("{name}_total"),
                "counter",
                &labels,
                &added,
            );
            let name = format!("{name}_taken_back_total");
            row(&mut page, &name, "counter", &labels, &taken_back(help));
        }
        let labels = ["enterprise", "role"];
        let added = format!("{TURNS_HELP}, ever added");
        row(&mut page, TURNS, "histogram", &labels, &added);
        row(
            &mut page,
            TURNS_TAKEN_BACK,
            "histogram",
            &labels,
            &taken_back(TURNS_HELP),
        );
        for gauge in &GAUGES {
            row(&mut page, gauge.name, "gauge", gauge.labels, gauge.help);
        }
        page += CHOSEN;
        page += PROCESS;
        for Described {
            name,
            kind,
            labels,
            unit,
            help,
        } in DESCRIBED
        {
            let unit = match unit {
                Unit::Seconds => " (seconds)",
                Unit::Bytes => " (bytes)",
                _ => "",
            };
            row(&mut page, name, kind, labels, &format!("{help}{unit}"));
        }
        row(&mut page, lag::NAME, "gauge", lag::LABELS, lag::HELP);
        page
    }
}

fn row(page: &mut String, name: &str, kind: &str, labels: &[&str], help: &str) {
    let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
    let labels = labels.join(", ");
    // Writing to a string does not fail.
    let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {help} |");
}
