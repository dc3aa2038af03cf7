//! On what it was measured.

use crate::disk;
use crate::report::Report;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Notes the machine, the commit and the time.
pub fn describe(report: &mut Report, dir: &Path) -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    report.fact("machine.cpu", line("/proc/cpuinfo", "model name"));
    report.fact("machine.cores", cores);
    let memory = line("/proc/meminfo", "MemTotal");
    let kib: Option<f64> = memory.trim_end_matches(" kB").parse().ok();
    let mib = kib.map(|kib| (kib / 1024.0).round());
    report.fact("machine.memory_mib", mib);
    report.fact("machine.kernel", read("/proc/sys/kernel/osrelease"));
    report.fact("machine.disk", disk::file_system(dir)?);
    report.fact("machine.load_before", load());
    report.fact(
        "machine.commit",
        output("git", &["describe", "--always", "--dirty"]),
    );
    report.fact("machine.date", jiff::Timestamp::now().to_string());
    Ok(())
}

/// The load average of the last minute: of others too.
pub fn load() -> Option<f64> {
    let text = read("/proc/loadavg");
    text.split(' ').next()?.parse().ok()
}

fn read(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn line(path: &str, name: &str) -> String {
    let text = read(path);
    let found = text.lines().find_map(|line| line.strip_prefix(name));
    let value = found.and_then(|rest| rest.split_once(':'));
    value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}
