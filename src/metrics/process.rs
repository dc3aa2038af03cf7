//! Metrics of the process, under the names that every Prometheus client gives them.

use super::Metrics;
use metrics_process::Collector;
use std::fs;

impl Metrics {
    pub(super) fn describe_process(&self) {
        metrics::with_local_recorder(&*self.recorder, || Collector::default().describe());
    }

    pub(super) fn measure_process(&self) {
        metrics::with_local_recorder(&*self.recorder, || Collector::default().collect());
    }
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
