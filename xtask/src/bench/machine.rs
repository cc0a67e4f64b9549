//! Where it was measured.

use std::fs;
use std::path::Path;
use std::thread::available_parallelism;

use super::report::Machine;

/// This machine, and the disk that a directory lies on, as far as the system tells.
pub(super) fn describe(dir: &Path) -> Machine {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let system = format!("{} {} {}", std::env::consts::OS, release.trim(), std::env::consts::ARCH);
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    Machine {
        system: system.split_whitespace().collect::<Vec<_>>().join(" "),
        processors: available_parallelism().map_or(1, usize::from),
        file_system: dir.canonicalize().ok().and_then(|dir| file_system(&mounts, &dir)),
    }
}

/// The kind of the file system that is mounted nearest above a directory.
fn file_system(mounts: &str, dir: &Path) -> Option<String> {
    let mount = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        Some((words.nth(1)?, words.next()?))
    };
    let above = mounts.lines().filter_map(mount).filter(|(place, _)| dir.starts_with(place));
    above.max_by_key(|(place, _)| place.len()).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_counts() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/disk xfs rw 0 0\n";
        let kind = |dir: &str| file_system(mounts, Path::new(dir));
        assert_eq!(kind("/home/x").as_deref(), Some("ext4"));
        assert_eq!(kind("/tmp/x").as_deref(), Some("tmpfs"));
        assert_eq!(kind("/tmp/disk/log").as_deref(), Some("xfs"));
        assert_eq!(kind("/tmp/diskette").as_deref(), Some("tmpfs"));
        assert_eq!(file_system("", Path::new("/")), None);
    }
}
