//! How far behind its log each partition is counted. Written as text: an instance that
//! lost a partition tells nothing of it any more, and the recorder drops no series.

use std::fmt::Write as _;

/// Its name.
pub const NAME: &str = "quaymeter_lag_events";
/// What it tells.
pub const HELP: &str = "Records of a partition that this instance counts and answers do not include yet, up to the end that is named: high_watermark, or last_stable, which leaves open transactions out; of the embedded log, which is partition 0, both are the same";
/// Its labels.
pub const LABELS: &[&str] = &["partition", "end"];

/// A partition that is counted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Which.
    pub partition: u32,
    /// Records up to the high watermark that are not included in answers.
    pub high_watermark: u64,
    /// Records up to the last stable offset that are not.
    pub last_stable: u64,
}

pub(super) fn render(lags: &[Lag]) -> String {
    let mut text = String::new();
    if lags.is_empty() {
        return text;
    }
    text += &format!("# HELP {NAME} {HELP}.\n# TYPE {NAME} gauge\n");
    for lag in lags {
        for (end, records) in [
            ("high_watermark", lag.high_watermark),
            ("last_stable", lag.last_stable),
        ] {
            let partition = lag.partition;
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "{NAME}{{partition=\"{partition}\",end=\"{end}\"}} {records}"
            );
        }
    }
    text + "\n"
}
