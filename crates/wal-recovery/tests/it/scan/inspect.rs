//! Inspecting beside a writer: what is tried again, what is told at once, and what is told at last.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::support::*;
use bytes::Bytes;
use wal_core::*;
use wal_recovery::{Inspect, Report, Verdict};

/// A storage beside whose back somebody works.
#[derive(Clone)]
struct Busy {
    memory: MemoryStorage,
    /// So many openings fail.
    failing: Arc<AtomicU64>,
    kind: ErrorKind,
    lists: Arc<AtomicU64>,
    /// Every other listing lacks this segment.
    comes_and_goes: Option<Lsn>,
}

impl Busy {
    fn new(image: &Image) -> Self {
        Busy {
            memory: memory_of(image),
            failing: Arc::default(),
            kind: ErrorKind::NotFound,
            lists: Arc::default(),
            comes_and_goes: None,
        }
    }
    fn failing(self, times: u64, kind: ErrorKind) -> Self {
        self.failing.store(times, Ordering::SeqCst);
        Busy { kind, ..self }
    }
    fn inspect(&self) -> Result<Report> {
        Inspect::new(self.clone()).threads(1).run()
    }
    /// How often the whole log was scanned.
    fn scans(&self) -> u64 {
        self.lists.load(Ordering::SeqCst)
    }
}

impl LogStorage for Busy {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }
    fn describe(&self) -> String {
        "busy".into()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        self.memory.lock()
    }
    fn list(&self) -> Io<'_, Listing> {
        let before = self.lists.fetch_add(1, Ordering::SeqCst);
        let mut listing = self.memory.list().wait().unwrap();
        listing
            .segments
            .retain(|&name| before.is_multiple_of(2) || Some(name) != self.comes_and_goes);
        Io::ready(Ok(listing))
    }
    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        self.memory.stage(name, capacity)
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        let take = |left: u64| left.checked_sub(1);
        match self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take) {
            Ok(_) => Io::ready(Err(Error::new(self.kind, "open segment"))),
            Err(_) => self.memory.open(name, access),
        }
    }
    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        self.memory.remove(names)
    }
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.memory.set_aside(label, data)
    }
}

fn damaged() -> Image {
    let mut image = three_sessions();
    image.get_mut(&6).unwrap()[534] ^= 1;
    image
}

#[test]
fn a_log_that_is_well_is_scanned_once() {
    let busy = Busy::new(&three_sessions());
    assert_eq!(busy.inspect().unwrap().verdict(), Verdict::Clean);
    assert_eq!(busy.scans(), 1);
}

#[test]
fn a_segment_that_vanished_is_not_missed_at_the_next_look() {
    for times in 1..5 {
        let busy = Busy::new(&three_sessions()).failing(times, ErrorKind::NotFound);
        let report = busy.inspect().unwrap();
        assert_eq!((report.verdict(), report.records), (Verdict::Clean, 14));
        assert_eq!(busy.scans(), times + 1);
    }
    let busy = Busy::new(&three_sessions()).failing(100, ErrorKind::NotFound);
    assert_eq!(busy.inspect().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(busy.scans(), 5, "there is an end to it");
}

#[test]
fn an_error_of_the_storage_is_told_at_once() {
    let busy = Busy::new(&three_sessions()).failing(1, ErrorKind::Denied);
    assert_eq!(busy.inspect().unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(busy.scans(), 1);
}

#[test]
fn damage_is_looked_at_twice_and_told_however_the_log_changes() {
    let busy = Busy::new(&damaged());
    assert_eq!(busy.inspect().unwrap().verdict(), Verdict::Corrupt);
    assert_eq!(busy.scans(), 2, "the same segments, the same damage");
    let busy = Busy { comes_and_goes: Some(Lsn::new(1)), ..Busy::new(&damaged()) };
    assert_eq!(busy.inspect().unwrap().verdict(), Verdict::Corrupt);
    assert_eq!(busy.scans(), 5, "other segments each time");
    // Damage that was a segment in the making is gone with it.
    let mut image = three_sessions();
    image.get_mut(&9).unwrap()[60] ^= 1;
    let busy = Busy { comes_and_goes: Some(Lsn::new(9)), ..Busy::new(&image) };
    assert_eq!(busy.inspect().unwrap().verdict(), Verdict::Clean);
    assert_eq!(busy.scans(), 2);
}

#[test]
fn the_report_says_how_long_it_took() {
    for image in [Image::new(), three_sessions()] {
        let inspect = Inspect::new(memory_of(&image)).clock(Ticking::default());
        assert!(inspect.run().unwrap().elapsed >= Duration::from_secs(1));
    }
}
