//! The end of a log that nothing proves durable: it is made so without any place being overwritten
//! that may hold an acknowledged record. The power fails at every change of the recovery, and again
//! in the recovery after that; each time any of the places under a write may turn to zeros or garbage.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::support::*;
use bytes::Bytes;
use wal_core::*;
use wal_fs::{FileSettings, FileStorage};
use wal_recovery::{Mode, Recovery, Report, Verdict, Verify, View};
use wal_testkit::{Atom, AtomKind, CrashPolicy, Fate, ModelFs, Moment};

const DIR: &str = "/wal";

fn storage(fs: &ModelFs, spares: usize) -> FileStorage<ModelFs> {
    let settings = FileSettings::default().preallocate_bytes(2048).max_spares(spares);
    FileStorage::create_with_file_system(fs.clone(), DIR, settings).unwrap()
}

fn try_recover(fs: &ModelFs, spares: usize) -> Result<(Recovered, Report)> {
    Recovery::new(storage(fs, spares)).verify(Verify::All).threads(1).run()
}

/// What a power loss may leave of each pending write of bytes: one place after the other is spoilt,
/// all others are kept or dropped. With it come all and none.
fn spoilt(moment: &Moment) -> Vec<ModelFs> {
    const ATOM: u64 = 512;
    let is_bytes = |atom: &Atom| matches!(atom.kind, AtomKind::Bytes { .. });
    let pending = moment.pending(ATOM);
    let mut left = Vec::new();
    for others in [Fate::Kept, Fate::Dropped] {
        left.push(moment.crash_with(ATOM, &mut |_| others));
        for at in (0..pending.len()).filter(|&at| is_bytes(&pending[at])) {
            for bad in [Fate::Zeroed, Fate::Garbage(at as u64 + 1), Fate::Stale] {
                let mut asked = 0..;
                left.push(moment.crash_with(ATOM, &mut |_| {
                    if asked.next() == Some(at) { bad } else { others }
                }));
            }
        }
    }
    left
}

/// All states in which a power loss in a recovery of `fs` may leave it, and the state after it.
fn interrupted(fs: &ModelFs, spares: usize, whole: &Content, what: &str) -> Vec<ModelFs> {
    fs.record_moments();
    let outcome = try_recover(fs, spares);
    let mut moments = fs.take_moments();
    moments.push(fs.moment());
    let (recovered, report) = outcome.unwrap_or_else(|e| panic!("{what}: {e}"));
    // Whatever a crash did here is none but a torn tail.
    assert_ne!(report.verdict(), Verdict::Corrupt, "{what}: {report}");
    assert_eq!(&content(recovered), whole, "{what}: {report}");
    let mut seen = BTreeSet::new();
    let states = moments.iter().flat_map(spoilt);
    states.filter(|fs| seen.insert(files(fs))).collect()
}

fn files(fs: &ModelFs) -> Vec<(String, Vec<u8>)> {
    use std::path::Path;
    use wal_fs::FileSystem;
    let names = fs.read_dir(Path::new(DIR)).unwrap();
    let name = |entry: wal_fs::DirEntry| entry.name.to_string_lossy().into_owned();
    let read = |name: String| {
        let bytes = fs.contents(&Path::new(DIR).join(&name)).unwrap();
        (name, bytes)
    };
    let mut files: Vec<_> = names.into_iter().map(name).map(read).collect();
    files.sort();
    files
}

#[test]
fn no_power_loss_in_a_recovery_takes_an_acknowledged_record() {
    let mut crashes = 0;
    for spares in [0, 1] {
        // One segment all of which is unproven; one with a tail; a tail of several sectors.
        for lens in [&[8][..], &[8; 8], &[700, 5, 1300]] {
            let (fs, whole) = acknowledged(lens, |fs| storage(fs, spares));
            let what = format!("{lens:?}, {spares} spares");
            for (nth, once) in interrupted(&fs, spares, &whole, &what).into_iter().enumerate() {
                let what = format!("{what}, crash {nth}");
                for twice in interrupted(&once, spares, &whole, &what) {
                    let (recovered, report) =
                        try_recover(&twice, spares).unwrap_or_else(|e| panic!("{what}: {e}"));
                    assert_eq!(content(recovered), whole, "{what}: {report}");
                    // What it returned is durable and needs no repair.
                    let fs = twice.crash(CrashPolicy::DropUnsynced);
                    let (recovered, _) = recover(storage(&fs, spares), Mode::Strict).unwrap();
                    assert_eq!(content(recovered), whole, "{what}, closed");
                    crashes += 1;
                }
            }
        }
    }
    println!("{crashes} crashes in a second recovery");
    assert!(crashes > 500, "{crashes}");
}

#[test]
fn an_interrupted_move_is_no_damage_in_any_mode() {
    let mut both = 0;
    for mode in [Mode::Strict, Mode::TornTail, Mode::PointInTime, Mode::Salvage] {
        for spares in [0, 1] {
            let (fs, whole) = acknowledged(&[8; 8], |fs| storage(fs, spares));
            for left in interrupted(&fs, spares, &whole, "once") {
                let view = View::open(storage(&left, spares)).unwrap();
                let seen =
                    view.records(Lsn::ZERO).map(|e| e.map(|e| (e.lsn.get(), e.record.to_vec())));
                assert_eq!(seen.collect::<Result<Content>>().unwrap(), whole, "{mode}");
                let (recovered, report) = match recover(storage(&left, spares), mode) {
                    // The footer of the last segment was under the pen once more.
                    Err(e) if mode == Mode::Strict && e.kind() == ErrorKind::TornTail => continue,
                    outcome => outcome.unwrap_or_else(|e| panic!("{mode}: {e}")),
                };
                assert_ne!(report.verdict(), Verdict::Corrupt, "{report}");
                assert!(report.skipped == 0 && report.holes.is_empty(), "{report}");
                both += u64::from(report.segments.len() == 2 && !report.segments[0].sealed);
                assert_eq!(content(recovered), whole, "{mode}: {report}");
            }
        }
    }
    assert!(both > 20, "{both} with both segments, the old one without a footer");
}

#[test]
fn what_is_moved_is_what_nothing_proves() {
    let storage = MemoryStorage::new();
    let log = open_with(storage.clone(), lazy());
    for i in 0..5_u64 {
        log.append(&[i as u8; 100]).unwrap();
    }
    log.sync().unwrap();
    log.append_batch(&[&b"six"[..], b"seven"]).unwrap();
    log.append(b"eight").unwrap();
    let whole = try_content(&log).unwrap();
    drop(log);
    let before = image_of(&storage);
    let offsets = offsets_of(&before[&1], 1);
    let (recovered, report) = recover(storage.clone(), Mode::TornTail).unwrap();
    assert_eq!(report.rewritten_bytes, (offsets[7] - offsets[5]) as u64, "{report}");
    assert_eq!(content(recovered), whole);
    let after = image_of(&storage);
    assert_eq!(after.keys().copied().collect::<Vec<_>>(), [1, 6]);
    // Of the old segment nothing was changed but what is behind record 5.
    assert_eq!(after[&1][..offsets[5]], before[&1][..offsets[5]]);
    let (old, new) = (header_of(&after[&1], 1), header_of(&after[&6], 6));
    assert_eq!((new.follows, new.created), (Lsn::new(5), old.created));
    assert!(new.generation > old.generation);
    // Nothing is left to do.
    let (_, report) = recover(storage.clone(), Mode::Strict).unwrap();
    assert_eq!((report.rewritten_bytes, report.clean), (0, true));
    assert_eq!(image_of(&storage), after);
}

fn cut_tails(recovered: &Recovered) -> usize {
    recovered.events().iter().filter(|event| matches!(event, Event::TailCut { .. })).count()
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
    let mut lacks = whole.clone();
    forge_header(lacks.get_mut(&9).unwrap(), |header| header[157] = 1);
    let storage = memory_of(&lacks);
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
    assert_eq!((name, header_of(bytes, name).data_offset), (14, 1024));
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
    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        self.scanned.stage(name, capacity)
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        let before = self.opened.fetch_add(1, Ordering::SeqCst);
        // For the look before the lock, for the header, and for the walk.
        if before < 3 { self.scanned.open(name, access) } else { self.moved.open(name, access) }
    }
    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        self.scanned.remove(names)
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
        assert_eq!((error.kind(), error.segment()), (ErrorKind::Io, Some(Lsn::new(9))), "{error}");
        assert!(image_of(&scanned) == image, "{error}");
    }
}

/// A clock may say the same time twice.
#[test]
fn an_end_that_was_moved_is_told_by_its_header_and_not_by_its_creation() {
    #[derive(Clone)]
    struct Still;
    impl Clock for Still {
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
        fn wall(&self) -> Timestamp {
            Timestamp::from_micros(7)
        }
    }
    let storage = MemoryStorage::new();
    for _ in 0..2 {
        let (recovered, _) = Recovery::new(storage.clone()).clock(Still).run().unwrap();
        let log = Wal::builder(always()).clock(Still).manual_driver().open(recovered).unwrap();
        log.append(b"x").unwrap();
        log.close().unwrap();
    }
    let mut image = image_of(&storage);
    let first = image.get_mut(&1).unwrap();
    first.truncate(first.len() - 1);
    let (_, report) = recover(memory_of(&image), Mode::TornTail).unwrap();
    assert_eq!(report.verdict(), Verdict::Corrupt, "its footer is damaged: {report}");
    assert_eq!(report.records, 2, "{report}");
}
