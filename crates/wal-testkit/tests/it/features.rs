//! What users compose, on real files: each strategy's syncs counted below the real storage, choices per
//! append, batches, rotation, reading, following, codecs, events.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use wal_codec::{Json, KeyValue, KvMap, KvRecord, Postcard};
use wal_core::*;
use wal_fs::{FileSettings, FileStorage, RealFs};
use wal_recovery::{Recovery, Verdict};
use wal_sync::{Always, Batch, GroupCommit, Interval, Os};
use wal_testkit::{FaultFs, Faults};

/// A log on real files whose system calls are counted.
struct CountedFiles {
    dir: tempfile::TempDir,
    faults: Faults,
    fs: FaultFs<RealFs>,
}

impl CountedFiles {
    fn new() -> Self {
        let fs = FaultFs::new(RealFs);
        CountedFiles { dir: tempfile::tempdir().unwrap(), faults: fs.faults().clone(), fs }
    }

    fn storage(&self) -> FileStorage<FaultFs<RealFs>> {
        let settings = FileSettings::default().preallocate_bytes(64 << 10);
        FileStorage::create_with_file_system(self.fs.clone(), self.dir.path(), settings).unwrap()
    }

    fn open(&self, strategy: impl SyncStrategy) -> Wal {
        self.open_with(strategy, Settings::default())
    }

    fn open_with(&self, strategy: impl SyncStrategy, settings: Settings) -> Wal {
        let (recovered, _) = Recovery::new(self.storage()).run().unwrap();
        Wal::builder(strategy).settings(settings).open(recovered).unwrap()
    }

    /// Syncs of data, those of rotation and of directories not included.
    fn syncs(&self) -> u64 {
        self.faults.counters().data_syncs
    }
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("never happened: {what}");
}

/// Stalls every data sync while it is shut.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn install(&self, faults: &Faults) {
        let gate = self.clone();
        faults.on_sync(move |_| {
            let mut shut = gate.0.0.lock().unwrap();
            while *shut {
                shut = gate.0.1.wait(shut).unwrap();
            }
        });
    }
    fn shut(&self, shut: bool) {
        *self.0.0.lock().unwrap() = shut;
        self.0.1.notify_all();
    }
}

fn count(log: &Wal) -> usize {
    log.iter(Lsn::ZERO).unwrap().collect::<Result<Vec<_>>>().unwrap().len()
}

/// F1.
#[test]
fn always_syncs_once_for_each_append_and_once_for_a_batch() {
    let files = CountedFiles::new();
    let log = files.open(Always::new());
    log.append(b"the first one creates the segment").unwrap();
    for i in 1..=50 {
        let before = files.syncs();
        let lsn = log.append(format!("{i}").as_bytes()).unwrap();
        assert_eq!((files.syncs() - before, log.durable_lsn()), (1, lsn));
    }
    let before = files.syncs();
    log.append_batch(&vec![vec![7; 100]; 5000]).unwrap();
    assert_eq!(files.syncs() - before, 1);
}

/// F3.
#[test]
fn sixteen_writers_share_syncs_under_group_commit() {
    let files = CountedFiles::new();
    let log = files.open(GroupCommit::new());
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let lsn = log.append(&[1; 100]).unwrap();
                    assert!(
                        log.durable_lsn() >= lsn,
                        "acknowledged before the sync that covers it"
                    );
                }
            });
        }
    });
    let syncs = files.syncs();
    assert!(syncs < 800, "{syncs} syncs for 1600 appends");
}

/// F2, F9: the timer fires on an idle log, and the bound holds while a sync is slow.
#[test]
fn batch_syncs_an_idle_tail_and_keeps_its_bound_beside_a_slow_sync() {
    let files = CountedFiles::new();
    let log =
        files.open(Batch::from_bounds(Some(32), None, Some(Duration::from_millis(5))).unwrap());
    let lsn = log.append(b"idle").unwrap();
    eventually("the idle tail is synced", || log.durable_lsn() == lsn);

    let gate = Gate::default();
    gate.install(&files.faults);
    gate.shut(true);
    let (tx, rx) = mpsc::channel();
    let writer = log.clone();
    let appender = thread::spawn(move || {
        for _ in 0..100 {
            tx.send(writer.append(b"x").unwrap()).unwrap();
        }
    });
    thread::sleep(Duration::from_millis(100));
    let acknowledged = rx.try_iter().count() as u64;
    let claim = log.claim().power_loss.records.unwrap();
    assert_eq!(claim, 31);
    assert!(acknowledged <= claim, "{acknowledged} records acknowledged and not durable");
    assert!(acknowledged > 0);
    gate.shut(false);
    appender.join().unwrap();
    assert_eq!(rx.iter().count() as u64 + acknowledged, 100);
}

/// F9: by bytes.
#[test]
fn batch_syncs_by_bytes() {
    let files = CountedFiles::new();
    let log = files.open(Batch::of_bytes(10_000).unwrap());
    log.append(&[0; 100]).unwrap();
    let before = files.syncs();
    for _ in 0..99 {
        log.append(&[0; 100]).unwrap();
    }
    assert_eq!((files.syncs() - before, log.durable_lsn()), (1, Lsn::new(100)));
}

/// F4.
#[test]
fn interval_syncs_in_the_background() {
    let files = CountedFiles::new();
    let log = files.open(Interval::new(Duration::from_millis(20)).unwrap());
    log.append(b"the first one creates the segment").unwrap();
    for _ in 0..3 {
        let before = files.syncs();
        let mut last = Lsn::ZERO;
        for _ in 0..100 {
            last = log.append(b"x").unwrap();
        }
        eventually("the interval passes", || log.durable_lsn() >= last);
        let syncs = files.syncs() - before;
        assert!((1..20).contains(&syncs), "{syncs} syncs");
    }
}

/// F5, F6.
#[test]
fn os_syncs_only_on_request_and_a_critical_record_at_once() {
    let files = CountedFiles::new();
    let log = files.open(Os::new());
    log.append(b"the first one creates the segment").unwrap();
    let before = files.syncs();
    for _ in 0..1000 {
        log.append(b"x").unwrap();
    }
    assert_eq!(files.syncs(), before);
    assert_eq!(log.written_lsn(), Lsn::new(1001));
    assert_eq!(log.sync().unwrap(), Lsn::new(1001));
    assert_eq!((files.syncs() - before, log.durable_lsn()), (1, Lsn::new(1001)));
    log.append_with(b"acks=0", Durability::Buffered).unwrap();
    log.append_with(b"acks=1", Durability::Written).unwrap();
    assert_eq!(files.syncs() - before, 1);
    let critical = log.append_with(b"acks=all", Durability::Durable).unwrap();
    assert_eq!((files.syncs() - before, log.durable_lsn()), (2, critical));
}

/// F8, F12.
#[tokio::test]
async fn asynchronous_appends_return_at_once_and_flush_together() {
    let files = CountedFiles::new();
    let log = files.open(Os::new()).asynchronous();
    for i in 0..1000 {
        log.append_with(format!("{i}").as_bytes(), Durability::Buffered).await.unwrap();
    }
    assert_eq!(log.sync().await.unwrap(), Lsn::new(1000));
    let batch: Vec<_> = (0..3000).map(|i| format!("{i}").into_bytes()).collect();
    let range = log.append_batch_with(&batch, Durability::Durable).await.unwrap();
    assert_eq!((range.len(), log.blocking().durable_lsn()), (3000, range.last));
    log.close().await.unwrap();
    assert_eq!(count(&files.open(Os::new())), 4000);
}

/// Says that a test did not run, past the capture of the test harness.
fn skip(what: &str) {
    use std::io::Write;
    std::io::stderr().write_all(format!("skipped: {what}\n").as_bytes()).unwrap();
}

/// F11.
#[test]
fn a_log_in_memory_or_on_a_memory_file_system() {
    let memory = MemoryStorage::new();
    let log = Wal::builder(Always::new()).open(memory.clone().into_empty_log().unwrap()).unwrap();
    log.append(b"x").unwrap();
    drop(log);
    let (recovered, _) = Recovery::new(memory).run().unwrap();
    assert_eq!(count(&Wal::builder(Always::new()).open(recovered).unwrap()), 1);

    let tmpfs = Path::new("/dev/shm");
    if !tmpfs.is_dir() {
        skip("a_log_in_memory_or_on_a_memory_file_system: there is no /dev/shm here");
        return;
    }
    let dir = tempfile::tempdir_in(tmpfs).unwrap();
    let (recovered, _) = Recovery::new(FileStorage::create(dir.path()).unwrap()).run().unwrap();
    let log = Wal::builder(Always::new()).open(recovered).unwrap();
    log.append(b"x").unwrap();
    assert_eq!(count(&log), 1);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Transfer {
    from: String,
    cents: u64,
}

/// F13: custom record types, key-value records, and a clear error for the wrong codec.
#[test]
fn codecs_on_real_files() {
    let transfer = Transfer { from: "alice".into(), cents: 500 };
    let files = CountedFiles::new();
    let (recovered, _) = Recovery::new(files.storage()).run().unwrap();
    let log = Wal::builder(Always::new()).codec(Postcard::new()).open(recovered).unwrap();
    let lsn = log.append(&transfer).unwrap();
    log.append_batch(&[transfer.clone(), transfer.clone()]).unwrap();
    assert_eq!(log.read(lsn).unwrap().record, transfer);
    log.close().unwrap();
    drop(log);
    let (recovered, _) = Recovery::new(files.storage()).run().unwrap();
    let wrong = Wal::builder(Always::new()).codec(Json::<Transfer>::new()).open(recovered);
    let error = wrong.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::CodecMismatch);
    assert!(
        error.to_string().contains("postcard") && error.to_string().contains("json"),
        "{error}"
    );

    let files = CountedFiles::new();
    let open = || {
        let (recovered, _) = Recovery::new(files.storage()).run().unwrap();
        Wal::builder(Always::new()).codec(KeyValue).open(recovered).unwrap()
    };
    let now = Timestamp::from_micros(1_000_000);
    let log = open();
    let put =
        |key: &str, value: &str, version| KvRecord::put(key.to_owned(), value.to_owned(), version);
    log.append(&put("a", "1", 1)).unwrap();
    log.append(&put("b", "2", 1)).unwrap();
    log.append(&KvRecord::delete("a", 2)).unwrap();
    log.append(&put("c", "3", 1).expiring_after(now, Duration::from_secs(1))).unwrap();
    drop(log);
    let mut map = KvMap::new();
    for entry in open().iter(Lsn::ZERO).unwrap() {
        map.apply(entry.unwrap().record);
    }
    assert!(map.get(b"a", now).is_none(), "a tombstone");
    assert_eq!(map.get(b"b", now).unwrap().as_ref(), b"2");
    assert!(map.get(b"c", now).is_some());
    assert!(map.get(b"c", Timestamp::from_micros(2_000_001)).is_none(), "expired");
}

/// F15 (size), F30: rotation, preallocation, recycling, and what is told of them.
#[test]
fn segments_rotate_are_recycled_and_tell_of_it() {
    let files = CountedFiles::new();
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = events.clone();
    let (recovered, _) = Recovery::new(files.storage()).run().unwrap();
    let log = Wal::builder(Os::new())
        .settings(Settings::default().segment_size(256 << 10))
        .on_event(move |event| sink.lock().unwrap().push(event.clone()))
        .open(recovered)
        .unwrap();
    for _ in 0..10_000 {
        log.append_with(&[5; 100], Durability::Buffered).unwrap();
    }
    log.sync().unwrap();
    assert!(log.stats().segments_created >= 4);
    let creates = |files: &CountedFiles| files.faults.counters().creates;
    log.truncate_before(Lsn::new(9_900)).unwrap();
    let before = creates(&files);
    for _ in 0..4_000 {
        log.append_with(&[6; 100], Durability::Buffered).unwrap();
    }
    log.sync().unwrap();
    assert_eq!(creates(&files), before, "new segments come from removed ones");
    assert_eq!(count(&log), 10_000 - 9_899 + 4_000);
    drop(log);
    let (_, report) = Recovery::new(files.storage()).run().unwrap();
    assert_eq!((report.verdict(), report.records), (Verdict::Clean, 4_101), "{report}");
    let events = events.lock().unwrap();
    let seen = |f: fn(&Event) -> bool| events.iter().any(f);
    assert!(seen(|e| matches!(e, Event::SegmentCreated { .. })));
    assert!(seen(|e| matches!(e, Event::SegmentSealed { .. })));
    assert!(seen(|e| matches!(e, Event::SegmentRemoved { .. })));
    assert!(seen(|e| matches!(e, Event::Synced { .. })));
    assert!(seen(|e| matches!(e, Event::TruncatedBefore { .. })));
}

/// F30: a cut tail is told of.
#[test]
fn a_cut_tail_is_an_event() {
    let files = CountedFiles::new();
    let log = files.open(Always::new());
    log.append(b"whole").unwrap();
    log.append_with(b"torn", Durability::Written).unwrap();
    drop(log);
    let file = files.dir.path().join("00000000000000000001.wal");
    let mut bytes = std::fs::read(&file).unwrap();
    let torn = bytes.windows(4).position(|w| w == b"torn").unwrap();
    bytes[torn + 3] = 0;
    std::fs::write(&file, bytes).unwrap();
    let (recovered, report) = Recovery::new(files.storage()).run().unwrap();
    assert_eq!((report.verdict(), report.records), (Verdict::TornTail, 1));
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = events.clone();
    let builder = Wal::builder(Always::new());
    let log =
        builder.on_event(move |e| sink.lock().unwrap().push(e.clone())).open(recovered).unwrap();
    assert!(matches!(events.lock().unwrap()[..], [Event::TailCut { .. }, ..]));
    assert_eq!(log.append(b"goes on").unwrap(), Lsn::new(2));
}

/// F26.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_from_a_position_and_follow_the_tail() {
    let files = CountedFiles::new();
    let log = files
        .open_with(GroupCommit::new(), Settings::default().segment_size(64 << 10))
        .asynchronous();
    let follower = log.follow(Lsn::new(500)).unwrap();
    let reader = tokio::spawn(follower.map(|e| e.unwrap().lsn.get()).collect::<Vec<_>>());
    for _ in 0..40 {
        log.append_batch(&vec![vec![3; 50]; 100]).await.unwrap();
    }
    let some: Vec<_> =
        log.stream(Lsn::new(3990)).unwrap().map(|e| e.unwrap().lsn.get()).collect().await;
    assert_eq!(some, (3990..=4000).collect::<Vec<_>>());
    assert_eq!(log.read(Lsn::new(1234)).await.unwrap().lsn, Lsn::new(1234));
    log.close().await.unwrap();
    assert_eq!(reader.await.unwrap(), (500..=4000).collect::<Vec<_>>());
}

/// A full disk leaves a log that opens and goes on once there is room.
#[test]
fn a_full_disk_poisons_and_recovers() {
    let files = CountedFiles::new();
    let log = files.open(Always::new());
    log.append(b"kept").unwrap();
    files.faults.fail_once(wal_testkit::Call::Write, 1, std::io::ErrorKind::StorageFull);
    assert_eq!(log.append(b"no room").unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(log.append(b"more").unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(count(&log), 1, "reads go on");
    drop(log);
    let log = files.open(Always::new());
    assert_eq!(log.append(b"room again").unwrap(), Lsn::new(2));
    assert_eq!(count(&log), 2);
}
