//! What a recovery takes out of a log is copied to the byte, and the report says from where.

use std::sync::{Arc, Mutex};

use crate::support::*;
use bytes::Bytes;
use wal_core::*;
use wal_recovery::{Mode, Recovery, Report, Until, Verify};

/// A memory that keeps what is set aside where a test can look at it.
#[derive(Clone)]
struct Copying {
    memory: MemoryStorage,
    copies: Arc<Mutex<Vec<Bytes>>>,
}

impl LogStorage for Copying {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }
    fn describe(&self) -> String {
        "copying".into()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        self.memory.lock()
    }
    fn list(&self) -> Io<'_, Listing> {
        self.memory.list()
    }
    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        self.memory.stage(name, capacity)
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        self.memory.open(name, access)
    }
    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        self.memory.remove(names)
    }
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.copies.lock().unwrap().push(data.clone());
        self.memory.set_aside(label, data)
    }
}

/// Segments 1, 6 and 9 of three sessions that were all closed.
fn closed() -> Image {
    let storage = memory_of(&three_sessions());
    open(storage.clone()).close().unwrap();
    let mut image = image_of(&storage);
    image.retain(|name, _| *name <= 14);
    image
}

struct Taken {
    report: Report,
    copies: Vec<Bytes>,
    after: Image,
}

fn recover_with(image: &Image, set: impl FnOnce(Recovery) -> Recovery) -> Taken {
    let storage = Copying { memory: memory_of(image), copies: Arc::default() };
    let (_, report) = set(Recovery::new(storage.clone()).threads(1)).run().unwrap();
    let copies = storage.copies.lock().unwrap().clone();
    Taken { report, copies, after: image_of(&storage.memory) }
}

impl Taken {
    /// Segment, offset and first LSN of each cut, which is a copy of the bytes there.
    fn cuts(&self, image: &Image) -> Vec<(u64, usize, u64)> {
        let cuts = &self.report.cut;
        assert_eq!(cuts.len(), self.copies.len(), "{}", self.report);
        let copies = self.copies.iter().zip(cuts);
        copies
            .map(|(copy, cut)| {
                let (segment, offset) = (cut.segment.get(), cut.offset as usize);
                let used = image[&segment].iter().rposition(|&b| b != 0).unwrap() + 1;
                assert_eq!(copy[..], image[&segment][offset..used], "{}", self.report);
                assert_eq!((copy.len() as u64, cut.saved_as.is_some()), (cut.bytes, true));
                (segment, offset, cut.first_lsn.get())
            })
            .collect()
    }
}

#[test]
fn an_end_inside_a_batch_copies_the_batch_and_all_behind_it() {
    let image = closed();
    let batch = offsets_of(&image[&1], 1)[1];
    let behind = || image.keys().filter(|&&name| name > 1).map(|&name| (name, 0, name));
    let taken = recover_with(&image, |recovery| recovery.until(Until::Lsn(Lsn::new(3))));
    assert_eq!(taken.cuts(&image), [(1, batch, 4)].into_iter().chain(behind()).collect::<Vec<_>>());
    // At its last record the segment stays as it is.
    let taken = recover_with(&image, |recovery| recovery.until(Until::Lsn(Lsn::new(5))));
    assert_eq!(taken.cuts(&image), behind().collect::<Vec<_>>());
    assert_eq!(taken.after[&1], image[&1]);
    let last = offsets_of(&image[&1], 1)[2];
    let taken = recover_with(&image, |recovery| recovery.until(Until::Lsn(Lsn::new(4))));
    assert_eq!(taken.cuts(&image)[0], (1, last, 5));
}

#[test]
fn an_end_where_the_log_ends_changes_nothing() {
    let image = closed();
    for lsn in [14, 15, u64::MAX] {
        let taken = recover_with(&image, |recovery| recovery.until(Until::Lsn(Lsn::new(lsn))));
        assert_eq!((taken.copies.len(), taken.report.records), (0, 14), "{}", taken.report);
        assert!(taken.after == image, "{}", taken.report);
    }
}

#[test]
fn a_recovery_that_ends_before_damage_copies_from_there_on_without_trailing_zeros() {
    let mut image = closed();
    let bad = offsets_of(&image[&6], 6)[1];
    image.get_mut(&6).unwrap()[bad + 30 - 4] ^= 1;
    image.get_mut(&9).unwrap().extend_from_slice(&[0; 50]);
    let taken =
        recover_with(&image, |recovery| recovery.mode(Mode::PointInTime).verify(Verify::All));
    let rest = image.keys().filter(|&&name| name > 6).map(|&name| (name, 0, name));
    assert_eq!(taken.cuts(&image), [(6, bad, 8)].into_iter().chain(rest).collect::<Vec<_>>());
    assert_eq!(taken.report.last_lsn, Lsn::new(7));
}

#[test]
fn a_torn_tail_that_is_not_copied_is_reported_all_the_same() {
    let mut image = three_sessions();
    let last = image.get_mut(&9).unwrap();
    last.truncate(last.len() - 3);
    let torn = offsets_of(last, 9).into_iter().rfind(|at| *at < last.len()).unwrap();
    let bytes = last.len() - torn;
    for save in [false, true] {
        let taken = recover_with(&image, |recovery| recovery.save_cut(save));
        let [cut] = &taken.report.cut[..] else { panic!("{}", taken.report) };
        assert_eq!((cut.segment.get(), cut.offset, cut.bytes), (9, torn as u64, bytes as u64));
        assert_eq!((cut.first_lsn, cut.saved_as.is_some()), (Lsn::new(14), save));
        assert_eq!(taken.copies.len(), usize::from(save));
    }
}
