//! How much memory and how many files there are.

use std::fmt;
use std::fs;
use std::path::Path;

use wal_tool::memory;

/// At one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Bytes of this process in memory; 0 where the system does not tell.
    memory: u64,
    files: u64,
    /// Bytes in all files.
    disk: u64,
}

impl Look {
    /// Of this process, and of the logs in this folder.
    pub(super) fn at(dir: &Path) -> Self {
        let mut look = Look { memory: memory::resident().unwrap_or(0), ..Look::default() };
        look.count(dir);
        look
    }

    /// A file may be gone before it is looked at.
    fn count(&mut self, dir: &Path) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => self.count(&entry.path()),
                Ok(found) => {
                    self.files += 1;
                    self.disk += found.len();
                }
                Err(_) => {}
            }
        }
    }

    /// Of each figure what stands at `place` (0 to 1) when those of all `looks` are sorted.
    fn quantile(looks: &[Look], place: f64) -> Look {
        let of = |figure: fn(&Look) -> u64| {
            let mut figures: Vec<_> = looks.iter().map(figure).collect();
            figures.sort_unstable();
            let at = (figures.len().saturating_sub(1) as f64 * place).round() as usize;
            figures.get(at).copied().unwrap_or(0)
        };
        Look {
            memory: of(|look| look.memory),
            files: of(|look| look.files),
            disk: of(|look| look.disk),
        }
    }

    /// Whether this is no more than `before`, but for a share, and for a little where it is small.
    fn is_within(&self, before: &Look, share: u64) -> bool {
        let within = |figure: fn(&Look) -> u64, little: u64| {
            let before = figure(before);
            figure(self) <= before + (before / share).max(little)
        };
        within(|look| look.memory, 1 << 20)
            && within(|look| look.files, 3)
            && within(|look| look.disk, 3 << 20)
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.memory {
            0 => write!(f, "memory unknown here")?,
            memory => write!(f, "{:.1} MiB of memory", mib(memory))?,
        }
        write!(f, ", {} files of {:.1} MiB", self.files, mib(self.disk))
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// All looks, in order.
#[derive(Default)]
pub(super) struct Watch(Vec<Look>);

impl Watch {
    pub(super) fn add(&mut self, look: Look) {
        self.0.push(look);
    }

    /// The last third beside the third before; the first is for warming up.
    pub(super) fn verdict(&self) -> Verdict {
        let third = self.0.len() / 3;
        let (before, last) = self.0[third..].split_at((self.0.len() - third) / 2);
        let third =
            |looks| Third { median: Look::quantile(looks, 0.5), most: Look::quantile(looks, 1.0) };
        Verdict { before: third(before), last: third(last) }
    }
}

/// What was usual in a third of the time, and what the most.
#[derive(Clone, Copy, Debug)]
struct Third {
    median: Look,
    most: Look,
}

/// Whether it grew.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict {
    before: Third,
    last: Third,
}

impl Verdict {
    /// What leaks raises the median, which is the same within a twentieth otherwise. The most is a matter of
    /// which threads happen to meet, and differs by a fifth.
    pub(super) fn is_flat(&self) -> bool {
        self.last.median.is_within(&self.before.median, 20)
            && self.last.most.is_within(&self.before.most, 5)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_flat() { "flat" } else { "GREW" };
        let Verdict { before, last } = self;
        write!(
            f,
            "{word}: usually {} in the middle third, {} in the last; ",
            before.median, last.median
        )?;
        write!(f, "at most {}, {}", before.most, last.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn verdict(memory: impl Fn(u64) -> u64) -> Verdict {
        let mut watch = Watch::default();
        (0..600).for_each(|at| watch.add(Look { memory: memory(at), files: 9, disk: 9 * MIB }));
        watch.verdict()
    }

    #[test]
    fn what_grows_is_told_from_what_warms_up() {
        assert!(verdict(|_| 20 * MIB).is_flat());
        assert!(verdict(|at| 20 * MIB - (200 - at.min(200)) * 50_000).is_flat());
        assert!(verdict(|at| 20 * MIB + at % 7 * 100_000).is_flat());
        assert!(!verdict(|at| 20 * MIB + at * 10_000).is_flat());
        assert!(!verdict(|at| 20 * MIB + at / 480 * 2 * MIB).is_flat());
        assert!(verdict(|at| 20 * MIB + at / 590 * 3 * MIB).is_flat());
        assert!(!verdict(|at| 20 * MIB + at / 590 * 5 * MIB).is_flat());
        let text = verdict(|at| 20 * MIB + at % 7 / 6 * MIB).to_string();
        let usual = "flat: usually 20.0 MiB of memory, 9 files of 9.0 MiB in the middle third, ";
        assert!(text.starts_with(usual) && text.contains("; at most 21.0 MiB"), "{text}");
    }

    #[test]
    fn files_are_counted_in_folders() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("log")).unwrap();
        fs::write(dir.path().join("log/a"), [0; 100]).unwrap();
        fs::write(dir.path().join("b"), [0; 11]).unwrap();
        let look = Look::at(dir.path());
        assert_eq!((look.files, look.disk), (2, 111));
        assert!(look.memory > 100_000 || !cfg!(target_os = "linux"));
    }
}
