//! Percentiles of what was timed.

use anyhow::ensure;
use std::time::Duration;

/// The 99th percentile in milliseconds: the least time that 99 % did not exceed.
pub fn p99_ms(times: Vec<Duration>) -> anyhow::Result<f64> {
    percentile_ms(times, 99)
}

/// So high a percentile in milliseconds.
pub fn percentile_ms(mut times: Vec<Duration>, percent: usize) -> anyhow::Result<f64> {
    ensure!(!times.is_empty(), "nothing was timed");
    times.sort_unstable();
    let rank = (times.len() * percent).div_ceil(100);
    Ok(times[rank.saturating_sub(1)].as_secs_f64() * 1e3)
}
