//! A disk without a free byte: with a reserve and without, the log makes room itself. A crash on the way is never a
//! refusal, and takes nothing but what the truncation was to take.

use std::sync::Arc;

use wal_core::*;
use wal_fs::{FileSettings, FileStorage, FileSystem};
use wal_recovery::{FindingKind, Mode, Recovery, Report, Verify};
use wal_testkit::{CrashPolicy, ModelFs, SimulatedClock};

const DIR: &str = "/wal";
const SEGMENT: u64 = 4096;
const RECORD: usize = 900;
/// Of these records every segment takes three.
const RECORDS: u64 = 18;
/// Where the second segment begins.
const SECOND: u64 = 4;
const BEFORE: Lsn = Lsn::new(10);

fn storage(fs: &ModelFs, reserve: u64) -> FileStorage<ModelFs> {
    storage_with(fs, reserve, 0)
}

fn storage_with(fs: &ModelFs, reserve: u64, spares: usize) -> FileStorage<ModelFs> {
    let settings = FileSettings::default().preallocate_bytes(0).max_spares(spares);
    let settings = settings.reserve_bytes(Some(reserve));
    FileStorage::create_with_file_system(fs.clone(), DIR, settings).unwrap()
}

fn open(recovered: Recovered) -> Wal {
    let settings = Settings::default().segment_size(SEGMENT);
    Wal::builder(Always)
        .settings(settings)
        .clock(SimulatedClock::new())
        .manual_driver()
        .open(recovered)
        .unwrap()
}

fn record(n: u64) -> Vec<u8> {
    vec![n as u8; RECORD]
}

fn full(fs: &ModelFs) {
    fs.set_capacity(Some(fs.used_bytes()));
}

/// A log of some segments, whose process died and left an end that nothing proves, on a disk that is full since.
fn died(reserve: u64) -> ModelFs {
    let fs = ModelFs::new();
    let log = open(Recovery::new(storage(&fs, reserve)).run().unwrap().0);
    for n in 1..=RECORDS {
        log.append(&record(n)).unwrap();
    }
    let fs = fs.process_crash();
    full(&fs);
    fs
}

fn recovery(fs: &ModelFs, reserve: u64) -> Recovery {
    Recovery::new(storage(fs, reserve)).clock(SimulatedClock::new()).threads(1)
}

fn holds(log: &Wal, from: u64, what: &str) {
    let found = log.iter(Lsn::ZERO).unwrap().map(|entry| entry.unwrap());
    let found: Vec<_> = found.map(|entry| (entry.lsn.get(), entry.record.to_vec())).collect();
    let expected: Vec<_> = (from..=RECORDS).map(|n| (n, record(n))).collect();
    let lsns = |records: &[(u64, Vec<u8>)]| records.iter().map(|(lsn, _)| *lsn).collect::<Vec<_>>();
    assert!(found == expected, "{what}: LSN {:?}, not from {from}", lsns(&found));
}

#[test]
fn without_a_reserve_nothing_opens_and_with_one_everything_works() {
    let error = recovery(&died(0), 0).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");

    let fs = died(3 * 8192);
    let (recovered, _) = recovery(&fs, 3 * 8192).run().unwrap();
    let log = open(recovered);
    holds(&log, 1, "opened");
    assert_eq!(log.truncate_before(BEFORE).unwrap(), BEFORE);
    log.close().unwrap();
    drop(log);
    // What was taken is there again, as far as the truncation made room.
    let (_, report) = recovery(&fs, 3 * 8192).run().unwrap();
    assert!(report.reserve_bytes > 8192, "{report}");
    assert_eq!(report.records, RECORDS - BEFORE.get() + 1);
}

/// A backup made of links has the same files, and gets nothing of what is written to them.
#[test]
fn files_of_a_backup_made_of_links_are_not_written_to() {
    let fs = died(3 * 8192);
    let backup = std::path::Path::new("/backup");
    fs.create_dir(backup).unwrap();
    let names = ["RESERVE-1", "RESERVE-2", "RESERVE-3"];
    for name in names {
        fs.link(&std::path::Path::new(DIR).join(name), &backup.join(name)).unwrap();
    }
    let error = recovery(&fs, 3 * 8192).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    for name in names {
        let bytes = fs.contents(&backup.join(name)).unwrap();
        assert!(bytes.len() == 8192 && bytes.iter().all(|byte| *byte == 0), "{name}");
    }
    fs.remount();
    let (recovered, _) = recovery(&fs, 3 * 8192).run().unwrap();
    holds(&open(recovered), 1, "with room again");
}

#[test]
fn the_reserve_is_kept_at_close_and_shown() {
    let fs = ModelFs::new();
    let log = open(recovery(&fs, 3 * 8192).run().unwrap().0);
    let report = wal_recovery::inspect(storage(&fs, 3 * 8192)).unwrap();
    assert_eq!(report.reserve_bytes, 0, "nothing was written yet");
    log.append(b"first").unwrap();
    log.close().unwrap();
    drop(log);
    let report = wal_recovery::inspect(storage(&fs, 3 * 8192)).unwrap();
    assert_eq!(report.reserve_bytes, 3 * 8192);
    assert!(report.foreign.is_empty(), "{report}");
}

/// The oldest segments go first, and no more of them than needed.
#[test]
fn without_a_reserve_what_is_to_be_truncated_goes_first() {
    let fs = died(0);
    let (recovered, report) = recovery(&fs, 0).make_room_before(BEFORE).run().unwrap();
    let front = report.findings.iter().find(|finding| finding.kind == FindingKind::Front);
    assert!(front.is_some(), "{report}");
    let log = open(recovered);
    assert_eq!(log.first_lsn(), Lsn::new(SECOND), "one segment of three records made room enough");
    holds(&log, SECOND, "opened");
    log.truncate_before(BEFORE).unwrap();
    holds(&log, BEFORE.get(), "truncated");
    log.close().unwrap();
    drop(log);
    let (_, report) = recovery(&fs, 0).mode(Mode::Strict).run().unwrap();
    assert!(report.findings.is_empty(), "{report}");
}

#[test]
fn nothing_goes_that_the_truncation_would_keep() {
    let fs = died(0);
    let error = recovery(&fs, 0).make_room_before(Lsn::new(SECOND - 1)).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    fs.remount();
    let (recovered, _) = recovery(&fs, 0).run().unwrap();
    holds(&open(recovered), 1, "with room again");
}

/// Opens what a crash left, with room again.
fn reopened(fs: &ModelFs, what: &str) -> (Wal, Report) {
    fs.remount();
    let (recovered, report) = recovery(fs, 0).run().unwrap_or_else(|e| panic!("{what}: {e}"));
    (open(recovered), report)
}

/// At every change of a recovery and a truncation without a reserve the power fails.
#[test]
fn a_crash_on_the_way_leaves_a_log_that_says_what_is_missing() {
    let fs = died(0);
    fs.record_moments();
    let (recovered, _) = recovery(&fs, 0).make_room_before(BEFORE).run().unwrap();
    let log = open(recovered);
    log.truncate_before(BEFORE).unwrap();
    let mut moments = fs.take_moments();
    moments.push(fs.moment());
    drop(log);
    let mut missing = 0;
    for (n, moment) in moments.iter().enumerate() {
        for policy in [CrashPolicy::DropUnsynced, CrashPolicy::KeepAll, CrashPolicy::Seeded(7)] {
            let what = format!("change {n}, {policy:?}");
            let (log, report) = reopened(&moment.crash(policy), &what);
            let first = log.first_lsn().get();
            assert!([1, SECOND, BEFORE.get()].contains(&first), "{what}: it begins at {first}");
            holds(&log, first, &what);
            let told = report.findings.iter().any(|finding| finding.kind == FindingKind::Front);
            assert_eq!(told, first == SECOND, "{what}: {report}");
            missing += u32::from(told);
        }
    }
    assert!(missing > 0, "no crash came in between");
}

/// With a reserve the header of the truncation comes first, and there is no moment at which the front is missing.
#[test]
fn a_crash_in_a_truncation_with_a_reserve_takes_no_front() {
    for spares in [0, 2] {
        truncated_on_a_full_disk(3 * 8192, spares, &[1, BEFORE.get()]);
    }
}

/// Without one the oldest segment goes first.
#[test]
fn a_truncation_of_an_open_log_makes_room() {
    for spares in [0, 2] {
        truncated_on_a_full_disk(0, spares, &[1, SECOND, BEFORE.get()]);
    }
}

/// The log is open, somebody else fills the disk, and a truncation makes room. The power fails at every change of it: the
/// log begins with one of these records then.
fn truncated_on_a_full_disk(reserve: u64, spares: usize, begins: &[u64]) {
    let fs = ModelFs::new();
    let log = open(Recovery::new(storage_with(&fs, reserve, spares)).run().unwrap().0);
    for n in 1..=RECORDS {
        log.append(&record(n)).unwrap();
    }
    full(&fs);
    fs.record_moments();
    assert_eq!(log.truncate_before(BEFORE).unwrap(), BEFORE, "reserve {reserve}");
    let mut moments = fs.take_moments();
    moments.push(fs.moment());
    holds(&log, BEFORE.get(), "truncated");
    for (n, moment) in moments.iter().enumerate() {
        let what = format!("reserve {reserve}, change {n}");
        let (log, report) = reopened(&moment.crash(CrashPolicy::DropUnsynced), &what);
        let first = log.first_lsn().get();
        assert!(begins.contains(&first), "{what}: it begins at {first}");
        holds(&log, first, &what);
        let told = report.findings.iter().any(|finding| finding.kind == FindingKind::Front);
        assert_eq!(told, first == SECOND, "{what}: {report}");
    }
    // Appends get nothing of the reserve.
    let kept = storage(&fs, reserve).reserve().wait().unwrap();
    assert_eq!(kept, reserve, "filled again by the truncation");
    full(&fs);
    let refused = (0..9).find_map(|_| log.append(&record(0)).err());
    assert_eq!(refused.map(|error| error.kind()), Some(ErrorKind::Full));
    assert_eq!(storage(&fs, reserve).reserve().wait().unwrap(), kept);
}

/// What a salvage takes out is copied, also where there is no space for the copy.
#[test]
fn copies_of_what_is_taken_out_find_room_in_the_reserve() {
    for reserve in [0, 3 * 8192] {
        let fs = died(reserve);
        fs.remount();
        let path = std::path::Path::new("/wal/00000000000000000004.wal");
        let file = fs.open(path, Access::Write).unwrap();
        wal_fs::File::write_at(&file, &[0xaa; 64], 1500).unwrap();
        drop(file);
        full(&fs);
        let outcome = recovery(&fs, reserve).mode(Mode::Salvage).verify(Verify::All).run();
        if reserve == 0 {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Full);
            continue;
        }
        let (recovered, report) = outcome.unwrap();
        let saved = report.cut.iter().filter_map(|cut| cut.saved_as.as_ref());
        let saved: Vec<_> = saved.collect();
        assert!(!saved.is_empty(), "{report}");
        for name in saved {
            let bytes = fs.contents(&std::path::Path::new(DIR).join(name)).unwrap();
            assert!(bytes.windows(64).any(|window| window == [0xaa; 64]), "{name}");
        }
        drop(open(recovered));
    }
}

/// What every storage under the kit wraps has to be forwarded, or the reserve is none.
#[test]
fn wrappers_hand_the_reserve_on() {
    let fs = ModelFs::new();
    let storage: Arc<dyn LogStorage> = Arc::new(storage(&fs, 3 * 8192));
    let _lock = storage.lock().wait().unwrap();
    storage.fill_reserve(SEGMENT).wait().unwrap();
    assert_eq!(storage.reserve().wait().unwrap(), 3 * 8192);
    full(&fs);
    let create = || storage.create(Lsn::FIRST, vec![1; 600].into(), SEGMENT, Publish::New).wait();
    assert_eq!(create().err().unwrap().kind(), ErrorKind::Full);
    storage.open_reserve(true);
    create().unwrap();
    storage.open_reserve(false);
    assert_eq!(storage.reserve().wait().unwrap(), 2 * 8192);
}

/// The segment that is written is the whole log: it stays, whatever finds no room.
#[test]
fn the_last_segment_of_a_log_is_no_last_resort() {
    for left in [0, 8, 64, 200, 600] {
        let fs = ModelFs::new();
        let log = open(recovery(&fs, 0).run().unwrap().0);
        log.append(&record(1)).unwrap();
        log.append(&record(2)).unwrap();
        fs.set_capacity(Some(fs.used_bytes() + left));
        let truncated = log.truncate_before(Lsn::new(3));
        drop(log);
        let fs = fs.process_crash();
        fs.remount();
        let (recovered, report) = recovery(&fs, 0).run().unwrap();
        assert_eq!(recovered.next_lsn(), Lsn::new(3), "{left} bytes left, {truncated:?}: {report}");
        assert_eq!(report.records, if truncated.is_ok() { 0 } else { 2 }, "{left}: {report}");
    }
}

/// A truncation at the back died before it had removed anything. Its leftovers are no segments of the log.
#[test]
fn room_is_not_made_of_what_the_log_ends_with() {
    let fs = ModelFs::new();
    let log = open(recovery(&fs, 0).run().unwrap().0);
    for n in 1..=RECORDS {
        log.append(&record(n)).unwrap();
    }
    fs.record_moments();
    log.truncate_after(Lsn::new(2)).unwrap();
    let moments = fs.take_moments();
    drop(log);
    for before in 3..=RECORDS + 1 {
        for (at, moment) in moments.iter().enumerate() {
            let what = format!("change {at}, before {before}");
            let fs = moment.process_crash();
            full(&fs);
            let outcome = recovery(&fs, 0).make_room_before(Lsn::new(before)).run();
            let first = outcome.as_ref().ok().map(|(recovered, _)| recovered.first_lsn());
            drop(outcome);
            fs.remount();
            let (recovered, report) =
                recovery(&fs, 0).run().unwrap_or_else(|e| panic!("{what}: {e}"));
            // What was to stay is there: all that the truncation left, from a segment in front of `before` on.
            let last = recovered.last_lsn();
            assert!([Lsn::new(2), Lsn::new(RECORDS)].contains(&last), "{what}: {first:?} {report}");
            assert!(recovered.first_lsn().get() <= before.min(last.get()), "{what}: {report}");
            assert_eq!(recovered.next_lsn(), Lsn::new(RECORDS + 1), "{what}: {report}");
        }
    }
}
