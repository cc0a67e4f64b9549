//! What is told of an end that is cut off, and where an end that is moved begins.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use support::*;
use wal_core::*;
use wal_recovery::{Mode, Verdict};

fn cut_tails(recovered: &Recovered) -> usize {
    recovered.events.iter().filter(|event| matches!(event, Event::TailCut { .. })).count()
}

#[test]
fn only_bytes_that_are_cut_off_the_end_of_a_log_are_a_tail() {
    let whole = three_sessions();
    let mut torn = whole.clone();
    torn.get_mut(&9).unwrap().extend_from_slice(&[0x55; 30]);
    let (recovered, report) = recover(memory_of(&torn), Mode::TornTail).unwrap();
    assert_eq!((report.verdict(), cut_tails(&recovered)), (Verdict::TornTail, 1), "{report}");
    // Half of a footer in front of other segments.
    let mut footer = whole.clone();
    let bytes = footer.get_mut(&1).unwrap();
    bytes.truncate(bytes.len() - 30);
    let (recovered, report) = recover(memory_of(&footer), Mode::TornTail).unwrap();
    assert_eq!((report.verdict(), cut_tails(&recovered)), (Verdict::Corrupt, 0), "{report}");
    // A blank that is missing: something was cut off before.
    let storage = recycling(memory_of(&whole));
    let (recovered, report) = recover(storage, Mode::TornTail).unwrap();
    assert_eq!((report.verdict(), report.damages[0].bytes), (Verdict::TornTail, 0), "{report}");
    assert_eq!(cut_tails(&recovered), 0, "{report}");
}

/// The log was written on a device that asked for less.
#[test]
fn what_is_moved_begins_where_the_storage_wants_it() {
    let image = three_sessions();
    let whole = content_of(&image);
    let storage = aligned(memory_of(&image));
    let (recovered, report) = recover(storage.clone(), Mode::Strict).unwrap();
    assert!(report.rewritten_bytes > 0, "{report}");
    assert_eq!(content(recovered), whole);
    let after = image_of(&storage);
    let (&name, bytes) = after.iter().next_back().unwrap();
    assert_eq!((name, header_of(bytes, name).data_offset), (14, 512));
}

/// Memory whose only segment is another one from the third time on that it is opened: after its
/// header was read, and its frames.
#[derive(Clone)]
struct Changing {
    scanned: MemoryStorage,
    moved: MemoryStorage,
    opened: Arc<AtomicU64>,
}

impl LogStorage for Changing {
    fn capabilities(&self) -> Capabilities {
        self.scanned.capabilities()
    }
    fn describe(&self) -> String {
        self.scanned.describe()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        self.scanned.lock()
    }
    fn list(&self) -> Io<'_, Listing> {
        self.scanned.list()
    }
    fn create(&self, name: Lsn, header: Bytes, capacity: u64) -> Io<'_, Arc<dyn Segment>> {
        self.scanned.create(name, header, capacity)
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        let before = self.opened.fetch_add(1, Ordering::SeqCst);
        if before < 2 { self.scanned.open(name, access) } else { self.moved.open(name, access) }
    }
    fn remove(&self, name: Lsn) -> Io<'_, ()> {
        self.scanned.remove(name)
    }
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.scanned.set_aside(label, data)
    }
}

#[test]
fn nothing_is_moved_that_is_not_what_was_scanned() {
    let mut image = three_sessions();
    image.retain(|&name, _| name == 9);
    let offsets = offsets_of(&image[&9], 9);
    let last = offsets[offsets.len() - 2];
    let mut vanished = image.clone();
    vanished.get_mut(&9).unwrap()[last..].fill(0);
    let mut renumbered = image.clone();
    forge(renumbered.get_mut(&9).unwrap(), 9, last, |frame| frame[8] += 1);
    for moved in [vanished, renumbered] {
        let scanned = memory_of(&image);
        let opened = Arc::default();
        let storage = Changing { scanned: scanned.clone(), moved: memory_of(&moved), opened };
        let error = recover(storage, Mode::TornTail).unwrap_err();
        assert_eq!(
            (error.kind(), error.at_segment()),
            (ErrorKind::Io, Some(Lsn::new(9))),
            "{error}"
        );
        assert!(image_of(&scanned) == image, "{error}");
    }
}
