//! The real engine and the real recovery above `CrashStorage`.

use wal_core::*;
use wal_recovery::{Recovery, Verdict};
use wal_sync::{Always, Os};
use wal_testkit::{CrashPolicy, CrashStorage, FaultStorage, Reuse, Rot, StorageCall, SyncFault};

const NAME: Lsn = Lsn::FIRST;

fn bytes(storage: &dyn LogStorage, name: Lsn) -> Vec<u8> {
    let segment = storage.open(name, Access::Read).wait().unwrap();
    segment.read_at(0, usize::MAX).wait().unwrap().to_vec()
}

fn settings() -> Settings {
    Settings::default().segment_size(4096).buffer_bytes(4096)
}

fn open(storage: impl LogStorage, strategy: impl SyncStrategy) -> Wal {
    let (recovered, _) = Recovery::new(storage).threads(1).run().unwrap();
    Wal::builder(strategy).settings(settings()).manual_driver().open(recovered).unwrap()
}

fn records(log: &Wal) -> Vec<Vec<u8>> {
    log.iter(Lsn::ZERO).unwrap().map(|entry| entry.unwrap().record.to_vec()).collect()
}

/// Of some size, so that many are several segments.
fn record(i: usize) -> Vec<u8> {
    format!("record {i} ").repeat(1 + i % 40).into_bytes()
}

/// Appends until the power goes off after so many changes; how many records were acknowledged.
fn append_until_dark(log: &Wal, from: usize) -> usize {
    (from..).find(|i| log.append(&record(*i)).is_err()).unwrap_or_default()
}

#[test]
fn what_was_acknowledged_as_durable_survives_every_crash() {
    let mut crashes = 0;
    for calls in 0..120 {
        for seed in 0..8 {
            let storage = CrashStorage::new(MemoryStorage::new());
            storage
                .reuse([Reuse::AsBelow, Reuse::OldFrames, Reuse::Garbage(seed)][seed as usize % 3]);
            let log = open(storage.clone(), Always::new());
            storage.power_off_after(calls);
            let acknowledged = append_until_dark(&log, 0);
            let next = storage.crash(CrashPolicy::Seeded(seed)).unwrap();
            drop(log);
            let log = open(next.clone(), Always::new());
            let found = records(&log);
            assert!(
                found.len() == acknowledged || found.len() == acknowledged + 1,
                "{calls} calls, seed {seed}: {acknowledged} acknowledged, {} found",
                found.len()
            );
            assert!(found.iter().enumerate().all(|(i, bytes)| *bytes == record(i)));
            // What recovery returned survives an immediate second crash.
            let last = next.crash(CrashPolicy::DropUnsynced).unwrap();
            assert_eq!(records(&open(last, Always::new())), found);
            crashes += 2;
        }
    }
    assert_eq!(crashes, 2 * 120 * 8);
}

#[test]
fn what_was_only_written_is_lost_in_order() {
    let (mut losses, mut whole) = (0, 0);
    for seed in 0..100 {
        let storage = CrashStorage::new(MemoryStorage::new());
        let log = open(storage.clone(), Os::new());
        for i in 0..30 {
            log.append(&record(i)).unwrap();
        }
        let next = storage.crash(CrashPolicy::Seeded(seed)).unwrap();
        drop(log);
        let found = records(&open(next, Os::new()));
        assert!(found.iter().enumerate().all(|(i, bytes)| *bytes == record(i)));
        if found.len() < 30 { losses += 1 } else { whole += 1 }
    }
    assert!(losses > 10 && whole > 0, "{losses} losses, {whole} without");
}

#[test]
fn a_failed_sync_poisons_whatever_became_of_the_bytes() {
    for fault in [SyncFault::MarkedClean, SyncFault::StillDirty, SyncFault::Reverted(3)] {
        let storage = CrashStorage::new(MemoryStorage::new());
        let log = open(storage.clone(), Always::new());
        log.append(&record(0)).unwrap();
        storage.fail_sync(1, fault);
        assert_eq!(log.append(&record(1)).unwrap_err().kind(), ErrorKind::Io);
        // The next sync would say Ok; nobody asks for it.
        assert_eq!(log.append(&record(2)).unwrap_err().kind(), ErrorKind::Poisoned);
        drop(log);
        let next = storage.crash(CrashPolicy::DropUnsynced).unwrap();
        let found = records(&open(next, Always::new()));
        assert_eq!(found[0], record(0), "{fault:?}");
        assert!(found.len() <= 2);
    }
}

#[test]
fn a_full_storage_is_told_and_recovered() {
    let storage = CrashStorage::new(MemoryStorage::new());
    let log = open(storage.clone(), Always::new());
    log.append(&record(0)).unwrap();
    storage.set_capacity(Some(storage.used_bytes() + 10));
    assert_eq!(log.append(&record(1)).unwrap_err().kind(), ErrorKind::Full);
    drop(log);
    storage.set_capacity(None);
    // The process is killed first, and then the power is lost.
    for power_loss in [false, true] {
        let storage = match power_loss {
            false => storage.process_crash(),
            true => storage.crash(CrashPolicy::KeepAll).unwrap(),
        };
        let (_, report) = Recovery::new(storage.clone()).run().unwrap();
        assert!(matches!(report.verdict(), Verdict::Clean | Verdict::TornTail), "{report}");
        let log = open(storage, Always::new());
        assert_eq!(records(&log), [record(0)]);
    }
}

#[test]
fn a_lost_write_before_later_ones_is_damage_and_not_an_end() {
    let storage = CrashStorage::new(MemoryStorage::new());
    let log = open(storage.clone(), Always::new());
    log.append(&record(0)).unwrap();
    storage.lose_write(1);
    log.append(&record(1)).unwrap();
    log.append(&record(2)).unwrap();
    let next = storage.crash(CrashPolicy::KeepAll).unwrap();
    drop(log);
    assert_eq!(Recovery::new(next).run().unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn rot_in_a_sealed_segment_is_damage() {
    let storage = CrashStorage::new(MemoryStorage::new());
    let log = open(storage.clone(), Always::new());
    for i in 0..10 {
        log.append(&record(i)).unwrap();
    }
    log.close().unwrap();
    storage.rot(NAME, Rot::Zeroed { offset: 700, len: 64 }).unwrap();
    let recovered = Recovery::new(storage).verify(wal_recovery::Verify::All).run();
    assert_eq!(recovered.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn it_stands_under_single_failures() {
    let storage = CrashStorage::new(MemoryStorage::new());
    let faults = FaultStorage::new(storage.clone());
    let control = faults.control();
    let log = open(faults, Always::new());
    log.append(&record(0)).unwrap();
    control.fail_write_after(1, 20, std::io::ErrorKind::StorageFull);
    assert_eq!(log.append(&record(1)).unwrap_err().kind(), ErrorKind::Full);
    drop(log);
    let storage = storage.crash(CrashPolicy::KeepAll).unwrap();
    let faults = FaultStorage::new(storage.clone());
    faults.control().fail_once(StorageCall::Sync, 1, std::io::ErrorKind::Other);
    assert_eq!(Recovery::new(faults).run().unwrap_err().kind(), ErrorKind::Io);
    let log = open(storage, Always::new());
    assert_eq!(records(&log), [record(0)]);
}

#[test]
fn nothing_is_acknowledged_while_a_sync_is_slow() {
    let storage = CrashStorage::new(MemoryStorage::new());
    let faults = FaultStorage::new(storage.clone());
    let control = faults.control();
    let log = std::sync::Arc::new(open(faults, Always::new()));
    log.append(&record(0)).unwrap();
    control.hold_syncs();
    let appending = std::thread::spawn({
        let log = log.clone();
        move || log.append(&record(1))
    });
    control.wait_until_sync_started();
    assert!(!appending.is_finished());
    // The power goes off in the middle of it: the record was written, and nobody was told.
    let found = |policy| {
        let image = MemoryStorage::new();
        storage.crash_into(policy, &image).unwrap();
        records(&open(image, Always::new()))
    };
    assert_eq!(found(CrashPolicy::DropUnsynced), [record(0)]);
    assert_eq!(found(CrashPolicy::KeepAll), [record(0), record(1)]);
    control.release();
    appending.join().unwrap().unwrap();
    assert_eq!(found(CrashPolicy::DropUnsynced), [record(0), record(1)]);
}

#[test]
fn frames_of_an_older_generation_are_never_read() {
    let mut lay_on_old_frames = 0;
    for seed in 0..60 {
        let storage = CrashStorage::new(MemoryStorage::new());
        storage.reuse(Reuse::OldFrames);
        let log = open(storage.clone(), Always::new());
        let mut next = 0;
        let mut acknowledged = |log: &Wal, n: usize| {
            (0..n).for_each(|_| {
                log.append(&record(next)).unwrap();
                next += 1;
            });
            next
        };
        // Several segments, of which the old ones go and give their space to new ones.
        for _ in 0..4 {
            let end = acknowledged(&log, 25) as u64;
            log.truncate_before(Lsn::new(end - 5)).unwrap();
        }
        let end = acknowledged(&log, 1 + seed as usize % 7);
        let last = storage.list().wait().unwrap().segments.pop().unwrap();
        let behind = bytes(&storage, last);
        lay_on_old_frames += usize::from(behind[behind.len() - 100..].iter().any(|b| *b != 0));
        storage.power_off_after(seed % 2);
        let unacknowledged = log.append(&record(end));
        assert!(unacknowledged.is_err());
        let next = storage.crash(CrashPolicy::Seeded(seed)).unwrap();
        drop(log);
        let log = open(next, Always::new());
        let entries: Vec<_> = log.iter(Lsn::ZERO).unwrap().map(Result::unwrap).collect();
        let last = entries.last().unwrap().lsn.get() as usize;
        assert!(last == end || last == end + 1, "seed {seed}: {end} acknowledged, {last} found");
        for entry in &entries {
            assert_eq!(entry.record, record(entry.lsn.get() as usize - 1));
        }
    }
    assert!(lay_on_old_frames > 30, "only {lay_on_old_frames} of 60 lay on old frames");
}
