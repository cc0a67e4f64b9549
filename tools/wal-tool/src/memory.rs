//! How much memory this process has, where the system tells.

/// Bytes that are resident now.
pub fn resident() -> Option<u64> {
    bytes(&status()?, "VmRSS:")
}

/// The most bytes that ever were.
pub fn peak() -> Option<u64> {
    bytes(&status()?, "VmHWM:")
}

fn status() -> Option<String> {
    std::fs::read_to_string("/proc/self/status").ok()
}

fn bytes(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_in_bytes() {
        assert_eq!(
            bytes("VmPeak:\t 9 kB\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n", "VmHWM:"),
            Some(2 << 20)
        );
        assert_eq!(bytes("VmRSS: 1 kB", "VmHWM:"), None);
    }
}
