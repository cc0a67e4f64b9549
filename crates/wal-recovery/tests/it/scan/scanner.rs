//! What a scan tells: how much it read, how far it is, why it stopped, and what changed under it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::*;
use bytes::Bytes;
use wal_core::*;
use wal_recovery::{Applied, Inspect, Recovery, Report, Until, Verdict, Verify, View};

fn inspect(image: &Image) -> Report {
    Inspect::new(memory_of(image)).threads(1).run().unwrap()
}

/// Records in one segment, each durable before the next one.
fn one_segment(records: &[Vec<u8>]) -> MemoryStorage {
    let storage = MemoryStorage::new();
    let log = Wal::builder(always()).manual_driver();
    let log = log.open(storage.clone().into_empty_log().unwrap()).unwrap();
    for record in records {
        log.append(record).unwrap();
    }
    storage
}

#[test]
fn believing_the_footers_reads_the_footers() {
    let storage = memory_of(&three_sessions());
    open(storage.clone()).close().unwrap();
    let report = Inspect::new(storage).verify(Verify::Footers).threads(1).run().unwrap();
    assert_eq!(report.records_scanned, 0, "{report}");
    let footers = report.segments.iter().map(|s| s.bytes - 512 - s.data_bytes);
    assert_eq!(report.bytes_scanned, footers.sum::<u64>(), "{report}");
}

#[test]
fn progress_is_told_as_soon_as_a_step_is_full() {
    const STEP: usize = 256 << 10;
    for (less, told) in [(0, true), (1, false)] {
        let storage = one_segment(&[vec![7; STEP - 512 - 24 - less], vec![7; 10]]);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let tell = seen.clone();
        let inspect = Inspect::new(storage).threads(1);
        inspect
            .progress(move |p| tell.lock().unwrap().push((p.records, p.bytes_done)))
            .run()
            .unwrap();
        let seen = seen.lock().unwrap();
        assert_eq!(seen.contains(&(1, STEP as u64)), told, "{seen:?}");
        assert_eq!(seen.last().unwrap().0, 2, "{seen:?}");
    }
}

#[test]
fn a_batch_that_contradicts_itself_is_damage_and_not_a_newer_format() {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    log.append(b"one").unwrap();
    log.append_batch(&[&b"two"[..], b"three"]).unwrap();
    drop(log);
    let mut image = image_of(&storage);
    let bytes = image.get_mut(&1).unwrap();
    let batch = offsets_of(bytes, 1)[1];
    forge(bytes, 1, batch, |frame| frame[28] = 200);
    let report = inspect(&image);
    assert_eq!((report.damages.len(), report.records), (1, 1), "{report}");
    assert!(report.damages[0].reason.contains("lengths add up to 200 bytes"), "{report}");
}

#[test]
fn the_reason_names_what_proves_the_damage() {
    let storage = one_segment(&[b"one".to_vec(), b"two".to_vec()]);
    let image = image_of(&storage);
    let offsets = offsets_of(&image[&1], 1);
    let mut first = image.clone();
    first.get_mut(&1).unwrap()[offsets[0] + 24] ^= 1;
    let report = inspect(&first);
    let told = format!("the frame of LSN 2 at offset {} proves", offsets[1]);
    assert!(report.damages[0].reason.contains(&told), "{report}");
    // A footer that is not the end, as of a segment that was not shortened yet.
    open(storage.clone()).close().unwrap();
    let mut last = image_of(&storage);
    last.retain(|&name, _| name == 1);
    let bytes = last.get_mut(&1).unwrap();
    let footer = *offsets_of(bytes, 1).iter().rev().nth(1).unwrap();
    bytes[footer - 1] ^= 1;
    bytes.extend_from_slice(&[0; 40]);
    let report = inspect(&last);
    let told = format!("a footer at offset {footer} proves");
    assert!(report.damages[0].reason.contains(&told), "{report}");
}

/// A log whose writer appends while the first frames are being read.
#[derive(Clone)]
struct Growing {
    before: MemoryStorage,
    after: MemoryStorage,
    grown: Arc<AtomicBool>,
    lists: Arc<AtomicU64>,
}

struct GrowingSegment(Arc<dyn Segment>, Arc<dyn Segment>, Arc<AtomicBool>);

impl GrowingSegment {
    fn now(&self) -> &dyn Segment {
        if self.2.load(Ordering::SeqCst) { &*self.1 } else { &*self.0 }
    }
}

impl Segment for GrowingSegment {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        self.now().write_at(offset, data, mode)
    }
    fn sync(&self) -> Io<'_, ()> {
        self.now().sync()
    }
    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        let read = self.now().read_at(offset, len);
        if offset == 512 {
            self.2.store(true, Ordering::SeqCst);
        }
        read
    }
    fn len(&self) -> Io<'_, u64> {
        self.now().len()
    }
    fn truncate(&self, len: u64) -> Io<'_, ()> {
        self.now().truncate(len)
    }
}

impl LogStorage for Growing {
    fn capabilities(&self) -> Capabilities {
        self.before.capabilities()
    }
    fn describe(&self) -> String {
        "growing".into()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        self.before.lock()
    }
    fn list(&self) -> Io<'_, Listing> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        self.before.list()
    }
    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        self.before.stage(name, capacity)
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        let before = self.before.open(name, access).wait();
        let after = self.after.open(name, access).wait();
        let both = before.and_then(|before| Ok((before, after?)));
        Io::ready(both.map(|(before, after)| {
            Arc::new(GrowingSegment(before, after, self.grown.clone())) as Arc<dyn Segment>
        }))
    }
    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        self.before.remove(names)
    }
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.before.set_aside(label, data)
    }
}

#[test]
fn what_is_appended_during_an_inspection_belongs_to_it() {
    let after = image_of(&one_segment(&vec![b"record".to_vec(); 6]));
    let third = offsets_of(&after[&1], 1)[3];
    let mut before = after.clone();
    before.get_mut(&1).unwrap().truncate(third);
    let storage = Growing {
        before: memory_of(&before),
        after: memory_of(&after),
        grown: Arc::default(),
        lists: Arc::default(),
    };
    let lists = storage.lists.clone();
    let report = Inspect::new(storage).threads(1).run().unwrap();
    assert_eq!((report.verdict(), report.records), (Verdict::Clean, 6), "{report}");
    assert_eq!(lists.load(Ordering::SeqCst), 1, "it was not taken for damage first");
}

#[test]
fn a_time_that_is_up_is_noticed_before_the_next_segment_is_read() {
    use wal_testkit::{FaultStorage, StorageCall};
    for seconds in 0..3 {
        // One look at the clock per header; reading one more of them would fail.
        let storage = FaultStorage::new(memory_of(&three_sessions()));
        storage.control().fail_once(StorageCall::Open, seconds + 1, std::io::ErrorKind::Other);
        let inspect = Inspect::new(storage).threads(1).clock(Ticking::default());
        let error = inspect.time_limit(Duration::from_secs(seconds)).run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{seconds}: {error}");
    }
}

#[test]
fn the_time_of_a_log_is_that_of_its_last_record() {
    #[derive(Clone)]
    struct Wall(u64);
    impl Clock for Wall {
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
        fn wall(&self) -> Timestamp {
            Timestamp::from_micros(self.0)
        }
    }
    let storage = MemoryStorage::new();
    let (recovered, _) = Recovery::new(storage.clone()).clock(Wall(5)).run().unwrap();
    let log = Wal::builder(always()).clock(Wall(5)).manual_driver().open(recovered).unwrap();
    log.append(b"one").unwrap();
    log.append(b"two").unwrap();
    drop(log);
    // The log is ended at another time, by a segment that holds nothing.
    let recovery = Recovery::new(storage.clone()).clock(Wall(9)).until(Until::Lsn(Lsn::FIRST));
    let (recovered, _) = recovery.run().unwrap();
    let image = image_of(&storage);
    let (&name, bytes) = image.iter().next_back().unwrap();
    assert_eq!(header_of(bytes, name).created, Timestamp::from_micros(9));
    assert_eq!(
        (recovered.last_lsn(), recovered.last_time()),
        (Lsn::FIRST, Timestamp::from_micros(5))
    );
}

#[test]
fn what_was_written_again_is_in_the_printed_report() {
    let storage = one_segment(&[b"one".to_vec()]);
    let (_, report) = Recovery::new(storage.clone()).threads(1).run().unwrap();
    assert_eq!(report.rewritten_bytes, 27);
    assert!(report.to_string().contains("\nrewritten  27 bytes\n"), "{report}");
    let (_, report) = Recovery::new(storage).threads(1).run().unwrap();
    assert!(!report.to_string().contains("rewritten"), "{report}");
}

#[test]
fn times_are_those_of_the_clock_although_it_was_set_back() {
    struct Wall(u64);
    impl Clock for Wall {
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
        fn wall(&self) -> Timestamp {
            Timestamp::from_micros(self.0)
        }
    }
    let storage = MemoryStorage::new();
    for wall in [1_000_000, 5_000_000, 2_000_000, 6_000_000] {
        let (recovered, _) = Recovery::new(storage.clone()).clock(Wall(wall)).run().unwrap();
        let log = Wal::builder(always()).clock(Wall(wall)).manual_driver();
        let log = log.open(recovered).unwrap();
        log.append(b"x").unwrap();
        log.close().unwrap();
    }
    let records = View::open(storage.clone()).unwrap().records(Lsn::ZERO);
    let times: Vec<_> = records.map(|entry| entry.unwrap().timestamp.as_micros()).collect();
    assert_eq!(times, [1_000_000, 5_000_000, 2_000_000, 6_000_000]);
    // A replay until a moment takes everything in front of the first record that is later.
    let view = View::open(storage).unwrap().clock(Wall(0)).time_limit(Duration::ZERO);
    for (time, total) in
        [(999_999, 0), (1_000_000, 1), (2_000_000, 1), (5_000_000, 3), (6_000_000, 4)]
    {
        let until = Until::Time(Timestamp::from_micros(time));
        let report = view.replay(Lsn::ZERO, until, |_| Ok(Applied::Applied)).unwrap();
        assert_eq!((report.total, report.applied), (total, total), "{time}");
    }
}
