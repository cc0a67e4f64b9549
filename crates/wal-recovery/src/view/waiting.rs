//! Waiting for what is appended.

use std::thread;
use std::time::Duration;

use wal_core::{Changes, LogStorage, Lsn};

use crate::view::records::Records;

/// So long a reader waits the first time, where nothing tells it of changes.
const SHORTEST: Duration = Duration::from_millis(20);
/// So long at most.
const LONGEST: Duration = Duration::from_secs(1);

/// When a reader that waits looks again.
#[derive(Default)]
pub(crate) struct Waiting {
    changes: Option<Box<dyn Changes>>,
    asked: bool,
    /// Looks in vain since the last record.
    in_vain: u32,
    last: Lsn,
}

impl Waiting {
    fn wait(&mut self, storage: &dyn LogStorage, last: Lsn, limit: Duration) {
        if !self.asked {
            self.asked = true;
            self.changes = storage.changes();
            if self.changes.is_some() {
                // What changed before is told by nobody.
                return;
            }
        }
        if last != self.last {
            (self.last, self.in_vain) = (last, 0);
        }
        let pause = SHORTEST.saturating_mul(1 << self.in_vain.min(6)).min(LONGEST).min(limit);
        self.in_vain += 1;
        match &mut self.changes {
            Some(changes) => changes.wait(pause),
            None => thread::sleep(pause),
        }
    }
}

impl Records {
    /// Waits until there may be more to read, for who was told by `None` that there is none: until the storage tells of
    /// a change, but for a second at most, and no longer than `limit`. May return early.
    ///
    /// Where the storage tells of nothing ([`LogStorage::changes`]), it waits for 20 ms, and longer each time, up to a
    /// second, until there is a record again. What a reader does between two waits costs the same for every log, however
    /// many segments it has.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wal_core::{Always, Lsn, MemoryStorage, Wal};
    /// use wal_recovery::View;
    /// let storage = MemoryStorage::new();
    /// let log = Wal::builder(Always).open(storage.clone().into_empty_log()?)?;
    /// let mut records = View::open(storage)?.records(Lsn::ZERO);
    /// let writer = std::thread::spawn(move || log.append(b"news"));
    /// let news = loop {
    ///     match records.next() {
    ///         Some(entry) => break entry?,
    ///         None => records.wait(Duration::from_secs(1)),
    ///     }
    /// };
    /// assert_eq!(news.record, "news");
    /// # writer.join().unwrap()?;
    /// # Ok::<(), wal_core::Error>(())
    /// ```
    pub fn wait(&mut self, limit: Duration) {
        self.waiting.wait(&*self.storage, self.trail.last, limit);
    }
}
