//! Where segments begin and end, what is written behind the last frame, and what truncation leaves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::*;
use bytes::Bytes;
use wal_core::format::{FRAME_HEADER_LEN, Footer, SEGMENT_HEADER_LEN, SegmentHeader};
use wal_core::*;

/// What a recycled file holds behind its new header.
const LEFTOVER: u8 = 0xa5;

/// A memory that recycles: segments begin full of old bytes, removed ones are overwritten at once.
#[derive(Clone, Default)]
struct Recycler {
    memory: MemoryStorage,
    capacity: Arc<AtomicU64>,
    bytes_read: Arc<AtomicU64>,
    opened: Arc<Mutex<Vec<Lsn>>>,
    /// The names of each removal.
    removed: Arc<Mutex<Vec<Vec<u64>>>>,
}

impl Recycler {
    fn open_log(&self, settings: Settings) -> Wal {
        let recovered = empty_log(self.clone());
        Wal::builder(os()).settings(settings).manual_driver().open(recovered).unwrap()
    }
    fn bytes_of(&self, name: u64) -> Vec<u8> {
        let segment = self.memory.open(Lsn::new(name), Access::Read).wait().unwrap();
        segment.read_at(0, 1 << 30).wait().unwrap().to_vec()
    }
    fn names(&self) -> Vec<u64> {
        self.memory.list().wait().unwrap().segments.into_iter().map(Lsn::get).collect()
    }
}

struct Counted(Arc<dyn Segment>, Arc<AtomicU64>);

impl Segment for Counted {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        self.0.write_at(offset, data, mode)
    }
    fn sync(&self) -> Io<'_, ()> {
        self.0.sync()
    }
    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        self.1.fetch_add(len as u64, Ordering::SeqCst);
        self.0.read_at(offset, len)
    }
    fn len(&self) -> Io<'_, u64> {
        self.0.len()
    }
    fn truncate(&self, len: u64) -> Io<'_, ()> {
        self.0.truncate(len)
    }
}

impl LogStorage for Recycler {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.memory.capabilities();
        capabilities.recycles = true;
        capabilities
    }
    fn describe(&self) -> String {
        "recycler".into()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        self.memory.lock()
    }
    fn list(&self) -> Io<'_, Listing> {
        self.memory.list()
    }
    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        self.capacity.store(capacity, Ordering::SeqCst);
        let mut staged = self.memory.stage(name, capacity).wait().unwrap();
        staged.write_at(0, vec![LEFTOVER; capacity as usize].into()).wait().unwrap();
        Io::ready(Ok(staged))
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        self.opened.lock().unwrap().push(name);
        let inner = self.memory.open(name, access).wait();
        Io::ready(inner.map(|s| Arc::new(Counted(s, self.bytes_read.clone())) as Arc<dyn Segment>))
    }
    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        self.removed.lock().unwrap().push(names.iter().map(|name| name.get()).collect());
        for name in names {
            let segment = self.memory.open(*name, Access::Write).wait().unwrap();
            let len = segment.len().wait().unwrap() as usize;
            segment.write_at(0, vec![LEFTOVER; len].into(), WriteMode::Cached).wait().unwrap();
        }
        self.memory.remove(names)
    }
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.memory.set_aside(label, data)
    }
}

/// Of the removals of one call a crash may leave any: it must not matter which.
#[test]
fn what_order_must_hold_is_kept() {
    let recycler = Recycler::default();
    let log = recycler.open_log(Settings::default().segment_size(4096));
    for _ in 0..40 {
        log.append(&[1; 1000]).unwrap();
    }
    let names = recycler.names();
    assert!(names.len() > 10, "{names:?}");
    let removed = || std::mem::take(&mut *recycler.removed.lock().unwrap());
    let newest = || *recycler.names().last().unwrap();
    // The header of a new segment tells the start before anything goes, also where a segment begins: otherwise a front
    // that was truncated would look like one that is missing.
    log.truncate_before(Lsn::new(names[1])).unwrap();
    assert_eq!((removed(), newest()), (vec![names[..1].to_vec()], 41));
    log.truncate_before(Lsn::new(names[4])).unwrap();
    assert_eq!((removed(), newest()), (vec![names[1..4].to_vec()], 41));
    let header = recycler.bytes_of(41);
    assert_eq!(SegmentHeader::decode(&header, Lsn::new(41)).unwrap().log_start, Lsn::new(names[4]));
    // Within a segment: the same, however many are to go.
    log.truncate_before(Lsn::new(names[7] + 1)).unwrap();
    assert_eq!(removed(), [&names[4..7]]);
    // At the back: the header of a new segment tells it, of all.
    log.truncate_after(Lsn::new(names[9] - 1)).unwrap();
    assert_eq!(removed(), [&names[9..]]);
    let header = SegmentHeader::decode(&recycler.bytes_of(41), Lsn::new(41)).unwrap();
    assert_eq!(header.follows, Lsn::new(names[9] - 1));
}

#[test]
fn behind_the_last_frame_of_a_recycled_segment_is_one_blank_header() {
    let recycler = Recycler::default();
    let log = recycler.open_log(Settings::default().segment_size(4096));
    let mut end = SEGMENT_HEADER_LEN;
    for len in [5, 0, 300] {
        log.append(&vec![1; len]).unwrap();
        end += FRAME_HEADER_LEN + len;
        let bytes = recycler.bytes_of(1);
        assert_ne!(bytes[end - 1], LEFTOVER);
        assert_eq!(bytes[end..end + FRAME_HEADER_LEN], [0; FRAME_HEADER_LEN]);
        assert!(bytes[end + FRAME_HEADER_LEN..].iter().all(|&b| b == LEFTOVER));
    }
    // A write that holds nothing leaves no blank either.
    log.sync().unwrap();
    assert_eq!(log.stats().writes, 3);
    assert_eq!(records(&log).len(), 3);
}

#[test]
fn a_sealed_segment_ends_with_its_footer_and_nothing_of_what_was_there_before() {
    let recycler = Recycler::default();
    let log = recycler.open_log(Settings::default().segment_size(4096));
    log.append(b"x").unwrap();
    assert_eq!(recycler.bytes_of(1).len(), 4096);
    log.close().unwrap();
    let bytes = recycler.bytes_of(1);
    assert_eq!(Footer::frame_len(&bytes), Some(bytes.len() as u32 - 512 - 25));
}

#[test]
fn frames_and_the_blank_behind_them_fill_a_segment_but_no_more() {
    let recycler = Recycler::default();
    let log = recycler.open_log(Settings::default().segment_size(4096));
    // 512 + n * 128 + 24 <= 4096
    for i in 1..=28 {
        log.append(&[1; 128 - FRAME_HEADER_LEN]).unwrap();
        assert_eq!(recycler.names(), if i <= 27 { vec![1] } else { vec![1, 28] });
    }
    assert_eq!(recycler.names(), [1, 28]);
    // The last place is used to the byte: 512 + 27 * 128 + 128 - 24.
    let recycler = Recycler::default();
    let log = recycler.open_log(Settings::default().segment_size(4096));
    for _ in 0..27 {
        log.append(&[1; 128 - FRAME_HEADER_LEN]).unwrap();
    }
    log.append(&[1; 128 - 2 * FRAME_HEADER_LEN]).unwrap();
    assert_eq!((recycler.names(), recycler.bytes_of(1).len()), (vec![1], 4096));
}

#[test]
fn one_write_may_go_through_many_segments() {
    let recycler = Recycler::default();
    let settings = Settings::default().segment_size(4096).buffer_delay(Duration::from_secs(3600));
    let log = recycler.open_log(settings);
    for i in 0..100_u8 {
        log.append_with(&[i; 1000], Durability::Buffered).unwrap();
    }
    assert_eq!(recycler.names(), [0_u64; 0]);
    assert_eq!(log.sync().unwrap(), Lsn::new(100));
    assert_eq!(recycler.names().len(), 34);
    for (i, entry) in log.iter(Lsn::ZERO).unwrap().enumerate() {
        assert_eq!(entry.unwrap().record, vec![i as u8; 1000]);
    }
}

#[test]
fn memory_is_bounded_to_the_byte() {
    let probe = Probe::default();
    let settings = Settings::default().buffer_bytes(4096).buffer_delay(Duration::from_secs(3600));
    let log = probe.open_still(os(), settings);
    let held = (0..200).map(|_| {
        let lsn = log.append_with(&[1; 128 - FRAME_HEADER_LEN], Durability::Buffered).unwrap();
        lsn.since(log.written_lsn())
    });
    assert_eq!(held.max(), Some(32), "32 frames of 128 bytes");
}

#[test]
fn truncation_keeps_the_record_it_names_and_nothing_void() {
    let recycler = Recycler::default();
    let log = recycler.open_log(Settings::default().segment_size(4096));
    for _ in 0..12 {
        log.append(&[1; 1000]).unwrap();
    }
    assert_eq!(recycler.names(), [1, 4, 7, 10]);
    // The first record of a segment.
    assert_eq!(log.truncate_after(Lsn::new(7)).unwrap(), Lsn::new(7));
    assert_eq!(recycler.names(), [1, 4, 7, 13]);
    assert_eq!(log.iter(Lsn::ZERO).unwrap().map(|e| e.unwrap().lsn.get()).last(), Some(7));
    assert_eq!(log.append(b"next").unwrap(), Lsn::new(13));
    // The last record of all.
    assert_eq!(log.truncate_before(Lsn::new(13)).unwrap(), Lsn::new(13));
    assert_eq!(records(&log), [(13, "next".to_owned())]);
    assert_eq!(recycler.names(), [13, 14], "it begins a segment, and the next one says so");
}

#[test]
fn a_truncation_is_on_record_before_anything_is_removed_and_removes_once() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = events.clone();
    let memory = MemoryStorage::new();
    let log = Wal::builder(os())
        .settings(Settings::default().segment_size(4096))
        .manual_driver()
        .on_event(move |event| sink.lock().unwrap().push(event.clone()))
        .open(memory.clone().into_empty_log().unwrap())
        .unwrap();
    let names = |kind: fn(&Event) -> Option<Lsn>| {
        events.lock().unwrap().drain(..).filter_map(|e| kind(&e)).map(Lsn::get).collect::<Vec<_>>()
    };
    let changed: fn(&Event) -> Option<Lsn> = |event| match event {
        Event::SegmentCreated { first_lsn, .. } | Event::SegmentRemoved { first_lsn, .. } => {
            Some(*first_lsn)
        }
        _ => None,
    };
    for _ in 0..12 {
        log.append(&[1; 1000]).unwrap();
    }
    assert_eq!(names(changed), [1, 4, 7, 10]);
    log.truncate_before(Lsn::new(5)).unwrap();
    assert_eq!(names(changed), [13, 1], "first the header that says so");
    log.truncate_after(Lsn::new(8)).unwrap();
    assert_eq!(names(changed), [13, 10], "the empty one is replaced, and 13 follows 8");
    log.truncate_before(Lsn::new(8)).unwrap();
    assert_eq!(names(changed), [13, 4]);
}

#[test]
fn a_late_record_of_a_large_segment_is_found_by_the_index() {
    let recycler = Recycler::default();
    let log = recycler.open_log(Settings::default().segment_size(8 << 20));
    for _ in 0..70 {
        log.append(&vec![1; 100_000]).unwrap();
    }
    log.read(Lsn::new(35)).unwrap();
    let read = recycler.bytes_read.load(Ordering::SeqCst);
    assert!(read < 500_000, "{read} bytes were read to find one of 100000");
}

#[test]
fn a_segment_that_goes_while_it_is_read_was_truncated_and_is_not_damaged() {
    let recycler = Recycler::default();
    let log = recycler.open_log(Settings::default().segment_size(8 << 20));
    for _ in 0..70 {
        log.append(&vec![1; 100_000]).unwrap();
    }
    let mut reader = log.iter(Lsn::ZERO).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().lsn, Lsn::FIRST);
    log.truncate_before(Lsn::MAX).unwrap();
    let error = reader.find_map(Result::err).unwrap();
    assert_eq!(error.kind(), ErrorKind::NotInLog, "{error}");
    assert!(reader.next().is_none());

    let recycler = Recycler::default();
    let log = recycler.open_log(Settings::default());
    log.append(b"good").unwrap();
    log.append(b"damaged").unwrap();
    let segment = recycler.memory.open(Lsn::FIRST, Access::Write).wait().unwrap();
    segment.write_at(566, Bytes::from_static(b"?"), WriteMode::Cached).wait().unwrap();
    let error = log.read(Lsn::new(2)).unwrap_err();
    assert_eq!((error.kind(), error.lsn()), (ErrorKind::Corrupt, Some(Lsn::new(2))), "{error}");
}
