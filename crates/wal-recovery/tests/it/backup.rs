//! Backups: beside a writer that does the worst at any moment, of damaged logs, and of places that hold no log.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tempfile::TempDir;
use wal_core::*;
use wal_fs::{FileSettings, FileStorage};
use wal_recovery::{Backup, Mode, Verdict, inspect};

use crate::support::*;

/// What somebody else does meanwhile.
type Meanwhile = Box<dyn FnOnce() + Send>;

/// A storage in which something happens right before one of the calls that look at it.
#[derive(Clone)]
struct Interrupted {
    inner: SharedFiles,
    shared: Arc<Shared>,
}

type SharedFiles = Arc<FileStorage>;

struct Shared {
    looks: AtomicUsize,
    at: usize,
    meanwhile: Mutex<Option<Meanwhile>>,
}

impl Shared {
    fn look(&self) {
        if self.looks.fetch_add(1, Ordering::SeqCst) == self.at {
            let meanwhile = self.meanwhile.lock().unwrap().take();
            meanwhile.into_iter().for_each(|meanwhile| meanwhile());
        }
    }
}

impl Interrupted {
    fn new(inner: &SharedFiles, at: usize, meanwhile: impl FnOnce() + Send + 'static) -> Self {
        let meanwhile = Mutex::new(Some(Box::new(meanwhile) as Meanwhile));
        let shared = Arc::new(Shared { looks: AtomicUsize::new(0), at, meanwhile });
        Interrupted { inner: inner.clone(), shared }
    }
}

struct InterruptedSegment(Arc<dyn Segment>, Arc<Shared>);

impl Segment for InterruptedSegment {
    fn write_at(&self, _: u64, _: Bytes, _: WriteMode) -> Io<'_, ()> {
        panic!("a backup writes to its source")
    }
    fn sync(&self) -> Io<'_, ()> {
        panic!("a backup syncs its source")
    }
    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        self.1.look();
        self.0.read_at(offset, len)
    }
    fn len(&self) -> Io<'_, u64> {
        self.1.look();
        self.0.len()
    }
    fn truncate(&self, _: u64) -> Io<'_, ()> {
        panic!("a backup cuts its source")
    }
}

impl LogStorage for Interrupted {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        panic!("a backup locks its source")
    }
    fn list(&self) -> Io<'_, Listing> {
        self.shared.look();
        self.inner.list()
    }
    fn stage(&self, _: Lsn, _: u64) -> Io<'_, Staged> {
        panic!("a backup makes a segment in its source")
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        assert_eq!(access, Access::Read);
        self.shared.look();
        let shared = self.shared.clone();
        let opened = self.inner.open(name, access);
        opened.map(|segment| Arc::new(InterruptedSegment(segment, shared)) as Arc<dyn Segment>)
    }
    fn remove(&self, _: &[Lsn]) -> Io<'_, ()> {
        panic!("a backup removes a segment of its source")
    }
    fn set_aside(&self, _: &str, _: Bytes) -> Io<'_, String> {
        panic!("a backup puts bytes into its source")
    }
}

/// Removed segments become others here.
fn files(dir: &TempDir) -> SharedFiles {
    let settings = FileSettings::default().max_spares(4).preallocate_bytes(4096);
    Arc::new(FileStorage::create_with(dir.path(), settings).unwrap())
}

/// About twelve records of this size make a segment.
fn record(n: u64) -> Vec<u8> {
    n.to_le_bytes().repeat(40)
}

fn append(log: &Wal, count: u64) {
    for _ in 0..count {
        log.append(&record(log.next_lsn().get())).unwrap();
    }
}

/// Looks at a copy: it is clean, it holds what was appended, and all of it. Returns the LSNs.
fn lsns_of(copy: &MemoryStorage) -> Vec<u64> {
    let report = inspect(copy.clone()).unwrap();
    assert!(report.clean && report.verdict() == Verdict::Clean, "{report}");
    let content = content(recover(copy.clone(), Mode::Strict).unwrap().0);
    assert_eq!(content.len() as u64, report.records);
    for (lsn, bytes) in &content {
        assert_eq!(*bytes, record(*lsn));
    }
    content.into_iter().map(|(lsn, _)| lsn).collect()
}

/// Backs up a log of 60 records, of which something is done at each look. `judge` is given the LSNs of the copy.
fn at_every_look(meanwhile: fn(&Wal, &SharedFiles), judge: impl Fn(&[u64])) {
    for at in 0.. {
        let dir = TempDir::new().unwrap();
        let storage = files(&dir);
        let log = open(storage.clone());
        append(&log, 60);
        let (writer, place) = (log.clone(), storage.clone());
        let source = Interrupted::new(&storage, at, move || meanwhile(&writer, &place));
        let (copy, shared) = (MemoryStorage::new(), source.shared.clone());
        let report = Backup::new(source, copy.clone()).run();
        let report = report.unwrap_or_else(|error| panic!("at look {at}: {error}"));
        let lsns = lsns_of(&copy);
        assert_eq!(report.records, lsns.len() as u64, "at look {at}");
        assert_eq!(lsns.last().copied().unwrap_or(0), report.last_lsn.get(), "at look {at}");
        judge(&lsns);
        // The log is none the worse for it.
        match log.append(b"more") {
            Ok(_) => log.close().unwrap(),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Closed, "{error}"),
        }
        recover(storage, Mode::Strict).unwrap();
        if shared.looks.load(Ordering::SeqCst) <= at {
            assert!(at > 50, "only {at} looks");
            return;
        }
    }
}

fn is_contiguous(lsns: &[u64]) -> bool {
    lsns.windows(2).all(|pair| pair[0] + 1 == pair[1])
}

#[test]
fn segments_are_begun_meanwhile() {
    at_every_look(
        |log, _| append(log, 30),
        |lsns| assert!(is_contiguous(lsns) && lsns[0] == 1 && lsns.len() >= 60, "{lsns:?}"),
    );
}

#[test]
fn the_front_goes_meanwhile_and_its_files_become_other_segments() {
    at_every_look(
        |log, _| {
            log.truncate_before(Lsn::new(30)).unwrap();
            append(log, 40);
            log.truncate_before(Lsn::new(55)).unwrap();
            append(log, 40);
        },
        |lsns| {
            assert!(is_contiguous(lsns), "{lsns:?}");
            assert!([1, 30, 55].contains(&lsns[0]) && *lsns.last().unwrap() >= 60, "{lsns:?}");
        },
    );
}

#[test]
fn the_back_goes_meanwhile_and_others_are_appended() {
    at_every_look(
        |log, _| {
            log.truncate_after(Lsn::new(20)).unwrap();
            append(log, 25);
        },
        |lsns| {
            let kept = lsns.iter().filter(|&&lsn| lsn <= 20).count();
            assert_eq!(kept, 20, "{lsns:?}");
            // All that were cut, or none of them.
            let behind = &lsns[20..];
            assert!(is_contiguous(behind), "{lsns:?}");
            match behind.first() {
                Some(21) => assert!(*behind.last().unwrap() >= 60, "{lsns:?}"),
                first => assert!(first.is_none_or(|&first| first == 61), "{lsns:?}"),
            }
        },
    );
}

#[test]
fn the_log_is_closed_and_opened_meanwhile() {
    at_every_look(
        |log, storage| {
            log.close().unwrap();
            let log = open(storage.clone());
            append(&log, 20);
            log.truncate_before(Lsn::new(40)).unwrap();
            append(&log, 20);
        },
        |lsns| {
            assert!(is_contiguous(lsns), "{lsns:?}");
            assert!([1, 40].contains(&lsns[0]) && *lsns.last().unwrap() >= 60, "{lsns:?}");
        },
    );
}

/// What a crash left, as far as it is intact.
#[test]
fn a_torn_tail_is_left_out_and_records_that_nothing_proves_are_kept() {
    let image = three_sessions();
    let (&name, bytes) = image.last_key_value().unwrap();
    let whole = content_of(&image);
    let mut torn = image.clone();
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap();
    for cut in [1, 9, 20] {
        torn.insert(name, [&bytes[..=end - cut], &[0xa5; 7]].concat());
        let copy = MemoryStorage::new();
        let report = Backup::new(memory_of(&torn), copy.clone()).run().unwrap();
        let found = inspect(copy.clone()).unwrap();
        assert_eq!((found.verdict(), found.clean), (Verdict::Clean, true), "{found}");
        let kept = content(recover(copy, Mode::Strict).unwrap().0);
        assert_eq!(kept, whole[..whole.len() - 1], "{cut}");
        assert_eq!(report.records as usize, kept.len());
    }
}

#[test]
fn damage_is_an_error_that_names_the_segment_and_leads_to_no_copy() {
    let dir = TempDir::new().unwrap();
    let log = open(files(&dir));
    append(&log, 60);
    log.close().unwrap();
    drop(log);
    let storage = files(&dir);
    let image = image_of(&storage);
    assert!(image.len() > 4);
    for (&name, bytes) in &image {
        for at in [3, 40, bytes.len() / 2, bytes.len() - 3] {
            let mut damaged = image.clone();
            damaged.get_mut(&name).unwrap()[at] ^= 0x10;
            let source = memory_of(&damaged);
            let error = Backup::new(source.clone(), MemoryStorage::new()).run();
            // What nobody can tell from a crash is one: no footer at the end of the log.
            let (newest, _) = image.last_key_value().unwrap();
            if name == *newest && inspect(source).unwrap().verdict() == Verdict::TornTail {
                error.unwrap();
                continue;
            }
            let error = error.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported),
                "byte {at} of segment {name}: {error}"
            );
            assert_eq!(error.segment(), Some(Lsn::new(name)), "byte {at}: {error}");
        }
    }
    // One that is missing in the middle.
    let mut gap = image.clone();
    let middle = *image.keys().nth(2).unwrap();
    gap.remove(&middle);
    let error = Backup::new(memory_of(&gap), MemoryStorage::new()).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    // A missing front nobody can prove: it is told.
    let mut front = image.clone();
    front.pop_first();
    let report = Backup::new(memory_of(&front), MemoryStorage::new()).run().unwrap();
    assert!(report.findings.iter().any(|finding| finding.may_miss_records()), "{report}");
}

#[test]
fn a_target_that_is_not_empty_and_places_without_a_log() {
    let source = memory_of(&three_sessions());
    let target = memory_of(&three_sessions());
    let before = image_of(&target);
    let error = Backup::new(source.clone(), target.clone()).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
    assert_eq!(image_of(&target), before);
    let (nothing, copy) = (MemoryStorage::new(), MemoryStorage::new());
    let report = Backup::new(nothing, copy).run().unwrap();
    assert_eq!((report.records, report.segments, report.log_id), (0, 0, None));
    let photos = TempDir::new().unwrap();
    fs::write(photos.path().join("photo.jpg"), "").unwrap();
    let photos = FileStorage::open(photos.path()).unwrap();
    let error = Backup::new(photos, MemoryStorage::new()).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotALog, "{error}");
    let little = Backup::new(source, MemoryStorage::new()).memory_limit(1000).run();
    assert_eq!(little.unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn it_is_told_how_far_it_is() {
    let source = memory_of(&three_sessions());
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = told.clone();
    let backup = Backup::new(source, MemoryStorage::new());
    backup.progress(move |progress| tell.lock().unwrap().push(*progress)).run().unwrap();
    let told = told.lock().unwrap();
    let last = told.last().unwrap();
    assert_eq!((last.segments_done, last.segments, last.records), (3, 3, 14), "{told:?}");
    assert!(told.iter().all(|progress| progress.bytes_done <= progress.bytes));
}

/// Whatever call to the target fails, it is an error.
#[test]
fn a_target_that_fails_is_an_error() {
    for left in 0.. {
        let target = Fading::new(MemoryStorage::new(), left, false);
        let outcome = Backup::new(memory_of(&three_sessions()), target.clone()).run();
        if !target.is_dead() {
            outcome.unwrap();
            assert!(left > 6, "{left}");
            return;
        }
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Io);
    }
}
