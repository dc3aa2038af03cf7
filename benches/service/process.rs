//! What the kernel tells of a process: its processor time and its memory.

use anyhow::Context as _;
use std::fs;
use std::time::Instant;

/// Clock ticks in a second, as Linux reports them everywhere.
const TICKS_PER_S: f64 = 100.0;

/// Processor time of a process so far, in seconds.
pub fn cpu_s(pid: u32) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = text.rsplit_once(')').context("a process without a name")?;
    // User and system time are the 14th and 15th field.
    let fields = rest.split_whitespace().skip(11).take(2);
    let ticks: f64 = fields
        .map(str::parse::<f64>)
        .sum::<Result<_, _>>()
        .context("processor time")?;
    Ok(ticks / TICKS_PER_S)
}

/// A number of `/proc/<pid>/status` in MiB: `VmRSS` or `VmHWM`.
pub fn memory_mib(pid: u32, name: &str) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    let kib: f64 = number.with_context(|| format!("no {name}"))?.parse()?;
    Ok(kib / 1024.0)
}

/// How many processors two processes take: the generator, which is this one,
/// and what it drives.
pub struct Watch {
    started: Instant,
    pid: u32,
    before: (f64, f64),
}

impl Watch {
    /// From now on.
    pub fn start(pid: u32) -> anyhow::Result<Self> {
        let before = (cpu_s(std::process::id())?, cpu_s(pid)?);
        Ok(Self {
            started: Instant::now(),
            pid,
            before,
        })
    }

    /// Seconds, and the processors that the generator and the other took.
    pub fn stop(self) -> anyhow::Result<(f64, f64, f64)> {
        let seconds = self.started.elapsed().as_secs_f64();
        let generator = cpu_s(std::process::id())? - self.before.0;
        let other = cpu_s(self.pid)? - self.before.1;
        Ok((seconds, generator / seconds, other / seconds))
    }
}
