//! What a process holds, and what it held at most.

use std::fs;

pub const MIB: u64 = 1 << 20;

/// What every test allows beyond what its settings allow: what the allocator
/// keeps, what is in transit between two tasks, and the neighbour's own work with
/// its state, log and checkpoints.
const SLACK: u64 = 64 * MIB;

/// The memory of a process from now on.
pub struct Memory {
    pid: u32,
    baseline: u64,
}

impl Memory {
    /// Forgets what it held at most before.
    pub fn of(pid: u32) -> Self {
        // Resets the peak to what is held now.
        fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
        Self {
            pid,
            baseline: bytes(pid, "VmRSS:"),
        }
    }

    /// How much more it holds now.
    pub fn grown(&self) -> u64 {
        bytes(self.pid, "VmRSS:").saturating_sub(self.baseline)
    }

    /// It never held more than this beyond what it held at the start. Tells how
    /// much it was.
    #[track_caller]
    pub fn stayed_within(&self, bound: u64) {
        let peak = bytes(self.pid, "VmHWM:").saturating_sub(self.baseline);
        let (peak_mib, bound_mib) = (peak / MIB, (bound + SLACK) / MIB);
        println!("peak {peak_mib} MiB above the start, at most {bound_mib} MiB allowed");
        assert!(peak <= bound + SLACK, "{peak_mib} MiB of {bound_mib} MiB");
    }
}

fn bytes(pid: u32, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kib = line.unwrap().trim().strip_suffix("kB").unwrap().trim();
    kib.parse::<u64>().unwrap() * 1024
}
