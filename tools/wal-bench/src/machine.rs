//! Where it was measured, and who else was at work there.

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
        others: None,
    }
}

/// Time of all processors, as the system counts it, at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    all: u64,
    /// Not idle, or given to other machines.
    busy: u64,
    /// Of this process and of children that have ended.
    own: u64,
}

impl Times {
    /// Now; none where the system does not tell.
    pub(super) fn now() -> Option<Self> {
        let read = |file| fs::read_to_string(file).ok();
        Times::parse(&read("/proc/stat")?, &read("/proc/self/stat")?)
    }

    fn parse(system: &str, process: &str) -> Option<Self> {
        let numbers = |words: &str| -> Vec<u64> {
            words.split_whitespace().map_while(|word| word.parse().ok()).collect()
        };
        // User, nice, system, idle, waiting for a disk, two kinds of interrupts, stolen.
        let cpu = numbers(system.lines().next()?.strip_prefix("cpu ")?);
        let [user, nice, kernel, idle, waiting, irq, softirq, stolen, ..] = cpu[..] else {
            return None;
        };
        let busy = user + nice + kernel + irq + softirq + stolen;
        // Behind the name, which may hold anything, and the state, which is a letter.
        let fields = process.rsplit_once(')')?.1.split_whitespace().skip(11).take(4);
        let own = fields.map(|ticks| ticks.parse::<u64>().ok()).sum::<Option<_>>()?;
        Some(Times { all: busy + idle + waiting, busy, own })
    }

    /// The share of the processors that others took since then.
    pub(super) fn others_since(self, then: Self) -> f64 {
        let (all, busy) = (self.all - then.all, self.busy - then.busy);
        busy.saturating_sub(self.own - then.own) as f64 / all.max(1) as f64
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
    fn what_others_took_is_what_was_neither_idle_nor_ours() {
        let system = |user, idle| format!("cpu  {user} 1 2 {idle} 40 5 6 7 0 0\ncpu0 1 2\n");
        let process = |own| format!("77 (a) b) R 1 2 3 4 -1 6 7 8 9 10 {own} 2 3 4 20 0\n");
        let then = Times::parse(&system(100, 1000), &process(10)).unwrap();
        assert_eq!(then, Times { all: 1161, busy: 121, own: 19 });
        let now = Times::parse(&system(180, 1020), &process(40)).unwrap();
        assert_eq!(now.others_since(then), 0.5, "50 of 100");
        assert_eq!(Times::parse("cpu  1 2", &process(1)), None);
    }

    #[test]
    fn the_system_tells_its_times_on_linux() {
        if cfg!(target_os = "linux") {
            let then = Times::now().unwrap();
            assert!((0.0..=1.0).contains(&Times::now().unwrap().others_since(then)));
        }
    }

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
