//! Memory of a process, from Linux's `/proc`.

use std::fs;

/// The most bytes that process `pid` ever had in memory.
pub fn peak_bytes(pid: u32) -> Option<u64> {
    status_bytes(&pid.to_string(), "VmHWM:")
}

fn status_bytes(process: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
