//! A recovery in little memory: what is moved, copied and salvaged is never held as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::support::*;
use wal_core::format::SEGMENT_HEADER_LEN;
use wal_core::*;
use wal_recovery::{Inspect, Mode, Recovery, Verify};

const LIMIT: u64 = 1 << 20;

/// Memory that notes the largest piece that was read or written at once.
#[derive(Clone, Default)]
struct Scale {
    memory: MemoryStorage,
    largest: Arc<AtomicUsize>,
}

impl Scale {
    fn weigh(&self, len: usize) {
        self.largest.fetch_max(len, Ordering::Relaxed);
    }
    fn largest(&self) -> usize {
        self.largest.swap(0, Ordering::Relaxed)
    }
    fn wrap(&self, segment: Arc<dyn Segment>) -> Arc<dyn Segment> {
        Arc::new(Weighed(segment, self.clone()))
    }
}

struct Weighed(Arc<dyn Segment>, Scale);

impl Segment for Weighed {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        self.1.weigh(data.len());
        self.0.write_at(offset, data, mode)
    }
    fn sync(&self) -> Io<'_, ()> {
        self.0.sync()
    }
    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        let read = self.0.read_at(offset, len).wait();
        self.1.weigh(read.as_ref().map_or(0, Bytes::len));
        Io::ready(read)
    }
    fn len(&self) -> Io<'_, u64> {
        self.0.len()
    }
    fn truncate(&self, len: u64) -> Io<'_, ()> {
        self.0.truncate(len)
    }
}

struct WeighedStaged(Staged, Scale);

impl StagedSegment for WeighedStaged {
    fn write_at(&mut self, offset: u64, data: Bytes) -> Io<'_, ()> {
        self.1.weigh(data.len());
        self.0.write_at(offset, data)
    }
    fn sync(&mut self) -> Io<'_, ()> {
        self.0.sync()
    }
    fn publish(self: Box<Self>, how: Publish) -> Io<'static, Arc<dyn Segment>> {
        let WeighedStaged(staged, scale) = *self;
        staged.publish(how).map(move |segment| scale.wrap(segment))
    }
}

impl LogStorage for Scale {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }
    fn describe(&self) -> String {
        self.memory.describe()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        self.memory.lock()
    }
    fn list(&self) -> Io<'_, Listing> {
        self.memory.list()
    }
    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        let staged = self.memory.stage(name, capacity).wait();
        Io::ready(staged.map(|staged| Staged::new(WeighedStaged(staged, self.clone()))))
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        let segment = self.memory.open(name, access).wait();
        Io::ready(segment.map(|segment| self.wrap(segment)))
    }
    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        self.memory.remove(names)
    }
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.weigh(data.len());
        self.memory.set_aside(label, data)
    }
}

/// A segment of 10 MiB of records of which nothing is proven, on scales.
fn unproven() -> (Scale, usize) {
    written(|_, _| {})
}

/// The same; `then` is called behind each record.
fn written(then: impl Fn(&Wal, usize)) -> (Scale, usize) {
    let scale = Scale::default();
    let (recovered, _) = Recovery::new(scale.memory.clone()).run().unwrap();
    let log = Wal::builder(lazy()).manual_driver().open(recovered).unwrap();
    let count = 2_700;
    for i in 0..count {
        log.append(&vec![i as u8; 4000 + i % 97]).unwrap();
        then(&log, i);
    }
    drop(log);
    (scale, count)
}

fn count(recovered: Recovered) -> usize {
    let log = Wal::builder(always()).manual_driver().open(recovered).unwrap();
    log.iter(Lsn::ZERO).unwrap().inspect(|entry| assert!(entry.is_ok())).count()
}

#[test]
fn an_end_of_any_size_is_moved_in_pieces() {
    let (scale, records) = unproven();
    scale.largest();
    let recovery = Recovery::new(scale.clone()).memory_limit(LIMIT).threads(4);
    let (recovered, report) = recovery.run().unwrap();
    assert!(report.rewritten_bytes > 10 << 20, "{report}");
    // Half of the limit may be one frame; the rest is windows and pieces.
    let largest = scale.largest();
    assert!(largest <= LIMIT as usize / 4, "{largest} bytes at once");
    assert_eq!(count(recovered), records);
    // Sealed, and nothing behind the footer.
    let (_, report) = recover(scale.memory, Mode::Strict).unwrap();
    assert!(report.clean && report.segments.iter().all(|s| s.sealed), "{report}");
}

#[test]
fn what_is_salvaged_and_what_is_set_aside_comes_in_pieces() {
    let sync = |log: &Wal, i| {
        if i == 2_000 {
            log.sync().unwrap();
        }
    };
    let (scale, records) = written(sync);
    let segment = scale.memory.open(Lsn::FIRST, Access::Write).wait().unwrap();
    // The header is lost, and a record in the middle.
    for offset in [0, 5 << 20] {
        let zeros = vec![0; SEGMENT_HEADER_LEN].into();
        segment.write_at(offset, zeros, WriteMode::Cached).wait().unwrap();
    }
    scale.largest();
    let recovery = Recovery::new(scale.clone()).memory_limit(LIMIT).mode(Mode::Salvage);
    let (recovered, report) = recovery.verify(Verify::All).run().unwrap();
    let largest = scale.largest();
    assert!(largest <= LIMIT as usize / 4, "{largest} bytes at once");
    let cut: u64 = report.cut.iter().map(|cut| cut.bytes).sum();
    assert!(report.cut.len() > 40 && cut > 10 << 20, "{} copies", report.cut.len());
    // The record, or the two between which the bytes are.
    assert!(count(recovered) >= records - 2, "{report}");
}

#[test]
fn a_frame_that_is_too_large_is_a_typed_error() {
    let scale = Scale::default();
    let (recovered, _) = Recovery::new(scale.clone()).run().unwrap();
    let log = Wal::builder(lazy()).manual_driver().open(recovered).unwrap();
    log.append(&vec![7; 600 << 10]).unwrap();
    drop(log);
    let image = image_of(&scale.memory);
    for threads in [1, 4] {
        let error = Recovery::new(scale.clone()).memory_limit(LIMIT).threads(threads).run();
        let error = error.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
        let text = error.to_string();
        for part in ["a frame of 614424 bytes", "limit is 1048576 bytes", "memory_limit"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(text.matches("memory_limit").count(), 2, "{text}");
        let inspected = Inspect::new(scale.clone()).memory_limit(LIMIT).run();
        assert_eq!(inspected.unwrap_err().kind(), ErrorKind::OutOfMemory);
    }
    assert_eq!(image_of(&scale.memory), image, "nothing was changed");
    // Bytes that only claim to be a large frame are damage, or a torn tail, and no reason to stop.
    let segment = scale.memory.open(Lsn::FIRST, Access::Write).wait().unwrap();
    segment.write_at(300 << 10, vec![1].into(), WriteMode::Cached).wait().unwrap();
    let (recovered, report) = Recovery::new(scale).memory_limit(LIMIT).run().unwrap();
    assert_eq!((recovered.next_lsn(), report.records), (Lsn::FIRST, 0), "{report}");
}

#[test]
fn the_largest_frame_of_many_segments_is_read_by_one_thread() {
    let storage = MemoryStorage::new();
    for _ in 0..6 {
        let (recovered, _) = Recovery::new(storage.clone()).run().unwrap();
        let log = Wal::builder(always()).manual_driver().open(recovered).unwrap();
        log.append(&vec![7; 3 << 20]).unwrap();
        log.close().unwrap();
    }
    // For four threads it would be 2 MiB each.
    let inspect = Inspect::new(storage.clone()).memory_limit(16 << 20).threads(4);
    assert_eq!(inspect.run().unwrap().records, 6);
    let inspect = Inspect::new(storage).memory_limit(4 << 20).threads(4);
    assert_eq!(inspect.run().unwrap_err().kind(), ErrorKind::OutOfMemory);
}

#[test]
fn a_limit_that_is_too_low_is_invalid() {
    let error = Recovery::new(MemoryStorage::new()).memory_limit(LIMIT - 1).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let error = Inspect::new(MemoryStorage::new()).memory_limit(0).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}
