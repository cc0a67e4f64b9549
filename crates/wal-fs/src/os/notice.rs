//! What Linux tells of changes in a directory (`inotify`).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
use rustix::fs::{Timespec as Time, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};
use wal_core::Changes;

/// Notices changes of names in a directory, and of its files.
pub(super) struct Noticed(OwnedFd);

impl Noticed {
    /// From now on.
    ///
    /// # Errors
    /// `NotFound`, or the system allows no more of it.
    pub(super) fn begin(dir: &Path) -> io::Result<Self> {
        let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let names = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
        let itself = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        // Who touches a file changes its times, which is `ATTRIB`.
        let bytes = WatchFlags::MODIFY | WatchFlags::ATTRIB;
        add_watch(&inotify, dir, names | itself | bytes)?;
        Ok(Noticed(inotify))
    }

    /// Forgets what it was told.
    fn drain(&self) {
        let mut buf = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.0, &mut buf);
        while reader.next().is_ok() {}
    }
}

impl Changes for Noticed {
    fn wait(&mut self, limit: Duration) {
        let limit = Timespec {
            tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        // A signal may end it early, which does no harm.
        if poll(&mut fds, Some(&limit)).is_ok_and(|ready| ready > 0) {
            self.drain();
        }
    }
}

/// Sets the time at which a file was changed. Who notices changes is told.
pub(super) fn touch(file: &std::fs::File) {
    let omit = Time { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let now = Time { tv_sec: 0, tv_nsec: UTIME_NOW };
    // Only a reader that waits gains by it; that reader looks later by itself.
    let _ = futimens(file, &Timestamps { last_access: omit, last_modification: now });
}

#[cfg(test)]
mod tests {
    use std::fs;

    use wal_core::{Clock, SystemClock};

    use super::*;

    /// Whether a wait ends long before its limit.
    fn is_told(noticed: &mut Noticed, limit: Duration) -> bool {
        let clock = SystemClock::new();
        noticed.wait(limit);
        clock.monotonic() < limit
    }

    #[test]
    fn every_kind_of_change_is_told_once_and_a_look_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        fs::create_dir(&log).unwrap();
        let (one, two) = (log.join("one"), log.join("two"));
        fs::write(&one, "1").unwrap();
        let mut noticed = Noticed::begin(&log).unwrap();
        let (long, short) = (Duration::from_secs(20), Duration::from_millis(30));
        let changes: [&dyn Fn(); 6] = [
            &|| fs::write(&one, "2").unwrap(),
            &|| touch(&fs::File::open(&one).unwrap()),
            &|| fs::rename(&one, &two).unwrap(),
            &|| fs::write(&one, "new").unwrap(),
            &|| fs::remove_file(&two).unwrap(),
            &|| fs::rename(&log, dir.path().join("elsewhere")).unwrap(),
        ];
        for (i, change) in changes.iter().enumerate() {
            assert!(!is_told(&mut noticed, short), "before change {i}");
            if i < 5 {
                fs::read(&one).or_else(|_| fs::read(&two)).unwrap();
                assert!(!is_told(&mut noticed, short), "a look before change {i}");
            }
            change();
            assert!(is_told(&mut noticed, long), "change {i}");
        }
        assert!(Noticed::begin(&log).is_err(), "there is no such directory any more");
    }
}
