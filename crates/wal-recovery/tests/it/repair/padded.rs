//! Logs with padding: what recovery, salvage and readers make of it, and that no block with a record is written
//! again, on a disk where that would ruin it.

use std::path::{Path, PathBuf};

use crate::support::*;
use wal_core::format::FrameKind;
use wal_core::*;
use wal_fs::{DirectSettings, DirectStorage, FileSettings, FileStorage, LastBlock};
use wal_recovery::{Applied, Mode, Recovery, Report, Until, Verdict, Verify, View};
use wal_testkit::{Atom, AtomKind, CrashPolicy, Fate, ModelFs, Moment};

const DIR: &str = "/wal";
const BLOCK: usize = 512;

fn storage(fs: &ModelFs, spares: usize) -> DirectStorage<ModelFs> {
    storage_of_blocks(fs, spares, BLOCK as u32)
}

fn storage_of_blocks(fs: &ModelFs, spares: usize, block: u32) -> DirectStorage<ModelFs> {
    fs.set_powersafe(false);
    let settings = DirectSettings::default().block_bytes(Some(block)).max_spares(spares);
    let settings = settings.preallocate_bytes(2048).last_block(LastBlock::Padded);
    DirectStorage::create_with_file_system(fs.clone(), DIR, settings).unwrap()
}

fn try_recover(fs: &ModelFs, spares: usize, mode: Mode) -> Result<(Recovered, Report)> {
    Recovery::new(storage(fs, spares)).mode(mode).verify(Verify::All).threads(1).run()
}

/// One piece after the other is ruined with all of its sector, while the others are kept or dropped.
fn ruined(moment: &Moment) -> Vec<ModelFs> {
    let pending = moment.pending(BLOCK as u64);
    let is_bytes = |atom: &Atom| matches!(atom.kind, AtomKind::Bytes { .. });
    let mut left = Vec::new();
    for others in [Fate::Kept, Fate::Dropped] {
        left.push(moment.crash_with(BLOCK as u64, &mut |_| others));
        for at in (0..pending.len()).filter(|&at| is_bytes(&pending[at])) {
            let mut asked = 0..;
            left.push(moment.crash_with(BLOCK as u64, &mut |_| {
                if asked.next() == Some(at) { Fate::TornSectors(at as u64 + 1) } else { others }
            }));
        }
    }
    left
}

/// The power fails at every change of a recovery, and of the one after it.
#[test]
fn a_recovery_ruins_nothing_wherever_the_power_fails() {
    let mut states = 0;
    for (lens, spares) in [(&[20, 30][..], 0), (&[10, 900, 488, 470, 3], 1), (&[2000; 3], 1)] {
        let (fs, whole) = acknowledged(lens, |fs| storage(fs, spares));
        let mut seen = vec![fs];
        for depth in 0..3 {
            let mut left = Vec::new();
            for fs in seen {
                fs.record_moments();
                let (recovered, report) = try_recover(&fs, spares, Mode::TornTail)
                    .unwrap_or_else(|e| panic!("{lens:?}, recovery {depth}: {e}"));
                assert_eq!(content(recovered), whole, "{lens:?}, recovery {depth}: {report}");
                let mut moments = fs.take_moments();
                moments.push(fs.moment());
                states += 1;
                left.extend(moments.iter().flat_map(ruined));
            }
            // Of all that was left, as much as is looked at in a second.
            let step = left.len().div_ceil(200).max(1);
            seen = left.into_iter().step_by(step).collect();
        }
    }
    assert!(states > 300, "{states}");
}

/// The power fails at every change of this recovery; each of these records is there after the next one.
fn stays(
    fs: &ModelFs,
    what: &str,
    recovery: impl FnOnce() -> Result<(Recovered, Report)>,
    whole: &Content,
) {
    fs.record_moments();
    let (recovered, report) = recovery().unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(content(recovered), *whole, "{what}: {report}");
    let mut moments = fs.take_moments();
    moments.push(fs.moment());
    assert!(moments.len() > 2, "{what}: nothing was changed");
    for left in moments.iter().flat_map(ruined) {
        let outcome = Recovery::new(storage(&left, 0)).threads(1).verify(Verify::All).run();
        let (recovered, report) = outcome.unwrap_or_else(|e| panic!("{what}, then: {e}"));
        let found = content(recovered);
        assert!(found.starts_with(whole), "{what}, then: {report}");
    }
}

/// Where a footer would share a block with records, the segment is copied.
#[test]
fn an_end_within_a_block_is_not_sealed_in_its_place() {
    // Written without padding.
    for closed in [true, false] {
        let fs = ModelFs::new();
        let settings = FileSettings::default().preallocate_bytes(0);
        let log = open(FileStorage::create_with_file_system(fs.clone(), DIR, settings).unwrap());
        for n in 0..5_u8 {
            log.append(&[n; 30]).unwrap();
        }
        let whole = try_content(&log).unwrap();
        if closed {
            log.close().unwrap();
        }
        drop(log);
        let fs = fs.crash(CrashPolicy::KeepAll);
        let what = format!("written without padding, closed: {closed}");
        stays(&fs, &what, || try_recover(&fs, 0, Mode::Strict), &whole);
    }
    // One write of three records, and then the second one rots.
    let fs = ModelFs::new();
    let log = open_with(storage(&fs, 0), lazy());
    for record in [[b'a'; 40], [b'b'; 40], [b'c'; 40]] {
        log.append_with(&record, Durability::Buffered).unwrap();
    }
    log.sync().unwrap();
    let whole = try_content(&log).unwrap();
    drop(log);
    let fs = fs.crash(CrashPolicy::KeepAll);
    flip(&fs, frames(&fs)[1].1 + 30);
    let before_damage = || try_recover(&fs, 0, Mode::PointInTime);
    stays(&fs, "cut before damage", before_damage, &whole[..1].to_vec());
}

/// Padded in blocks of 512 bytes, then in blocks of 4096.
#[test]
fn larger_blocks_get_padding_of_their_own_in_front_of_a_footer() {
    let fs = ModelFs::new();
    for session in 0..3_u8 {
        let log = open(storage(&fs, 0));
        for n in 0..3 {
            log.append(&[session * 3 + n; 100]).unwrap();
        }
        if session == 2 {
            drop(log);
        } else {
            log.close().unwrap();
        }
    }
    let whole = content(try_recover(&fs.crash(CrashPolicy::KeepAll), 0, Mode::Strict).unwrap().0);
    assert_eq!(whole.len(), 9);
    for mode in [Mode::Strict, Mode::Salvage] {
        let fs = fs.crash(CrashPolicy::KeepAll);
        if mode == Mode::Salvage {
            // The last record of the first segment; what follows is copied as it is.
            flip(&fs, frames(&fs)[4].1 + 30);
        }
        for recovery in 0..3 {
            let storage = storage_of_blocks(&fs, 0, 4096);
            let run = Recovery::new(storage).mode(mode).verify(Verify::All).threads(1).run();
            let (recovered, report) = run.unwrap_or_else(|e| panic!("{mode:?} {recovery}: {e}"));
            let found = content(recovered);
            if mode == Mode::Strict {
                assert_eq!(found, whole, "{recovery}: {report}");
            } else {
                assert_eq!(found.len(), 8, "{recovery}: {report}");
            }
            assert_eq!(report.clean, recovery > 0, "{mode:?} {recovery}: {report}");
            assert!(report.damages.is_empty() || recovery == 0, "{mode:?} {recovery}: {report}");
        }
    }
}

/// Ten durable records in five writes, the last of them synced, and then the process died.
fn ten_in_five() -> ModelFs {
    let fs = ModelFs::new();
    let log = open_with(storage(&fs, 0), lazy());
    for n in 0..5_u8 {
        log.append_batch(&[vec![b'a' + n; 50], vec![b'A' + n; 60]]).unwrap();
        log.sync().unwrap();
    }
    drop(log);
    fs.process_crash()
}

fn ones(fs: &ModelFs) -> PathBuf {
    let path = Path::new(DIR).join("00000000000000000001.wal");
    assert!(fs.contents(&path).is_ok());
    path
}

/// The kinds and offsets of the frames of the first segment.
fn frames(fs: &ModelFs) -> Vec<(u8, usize)> {
    let bytes = fs.contents(&ones(fs)).unwrap();
    let mut offsets = offsets_of(&bytes, 1);
    offsets.pop();
    offsets.into_iter().map(|at| (bytes[at + 22], at)).collect()
}

fn flip(fs: &ModelFs, at: usize) {
    let mut byte = fs.contents(&ones(fs)).unwrap()[at..=at].to_vec();
    byte[0] ^= 4;
    fs.put_back(&ones(fs), at as u64, &byte).unwrap();
}

#[test]
fn the_log_is_made_of_frames_and_padding_by_turns() {
    let fs = ten_in_five();
    let kinds: Vec<_> = frames(&fs).iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [1, 8].repeat(5));
    let (_, report) = try_recover(&fs, 0, Mode::Strict).unwrap();
    assert_eq!((report.records, report.verdict()), (10, Verdict::Clean), "{report}");
    assert_eq!(report.segments[0].frames, 10, "{report}");
    // Only the last batch of two was moved, and what is left of the segment ends with a block, so it was not
    // copied for its footer.
    assert_eq!(report.rewritten_bytes, 24 + 2 * 4 + 50 + 60, "{report}");
    // The end was moved; its padding was not, but the new segment has its own, and both have footers that
    // begin with a block.
    let view = storage(&fs, 0);
    let image = image_of(&view);
    for (name, frames) in [(1, 4), (9, 1)] {
        let bytes = &image[&name];
        let footer = offsets_of(bytes, name)[2 * frames];
        assert_eq!((bytes[footer + 22], footer % BLOCK), (FrameKind::Footer as u8, 0), "{name}");
    }
    let (recovered, report) = try_recover(&fs, 0, Mode::Strict).unwrap();
    assert_eq!((report.records, report.verdict(), report.clean), (10, Verdict::Clean, true));
    assert_eq!(content(recovered).len(), 10);
}

#[test]
fn damage_to_padding_of_a_durable_write_is_damage_and_costs_a_salvage_nothing() {
    let whole = content(try_recover(&ten_in_five(), 0, Mode::Strict).unwrap().0);
    let paddings: Vec<_> = frames(&ten_in_five()).into_iter().filter(|f| f.0 == 8).collect();
    for (n, &(_, at)) in paddings.iter().enumerate() {
        for inside in [0, 5, 30] {
            let fs = ten_in_five();
            flip(&fs, at + inside);
            let what = format!("padding {n} at {at}+{inside}");
            let outcome = try_recover(&fs, 0, Mode::TornTail);
            if n + 1 == paddings.len() {
                // Rot in the very last write, which nothing later proves.
                let (recovered, report) = outcome.unwrap();
                assert_eq!(report.verdict(), Verdict::TornTail, "{what}: {report}");
                assert_eq!(content(recovered), whole, "{what}");
                continue;
            }
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
            assert_eq!(error.offset(), Some(at as u64), "{what}: {error}");
            let skipping = View::open(storage(&fs, 0)).unwrap().skip_corrupted(true);
            let mut records = skipping.records(Lsn::ZERO);
            assert_eq!(records.by_ref().filter(Result::is_ok).count(), 10, "{what}");
            assert!(records.holes().is_empty(), "{what}: {:?}", records.holes());
            let (recovered, report) = try_recover(&fs, 0, Mode::Salvage).unwrap();
            assert!(report.holes.is_empty(), "{what}: {report}");
            assert_eq!(content(recovered), whole, "{what}: {report}");
        }
    }
}

#[test]
fn a_salvage_goes_on_over_padding_and_begins_anew_only_behind_damage() {
    let fs = ten_in_five();
    let data: Vec<_> = frames(&fs).into_iter().filter(|frame| frame.0 == 1).collect();
    flip(&fs, data[1].1 + 40);
    let (recovered, report) = try_recover(&fs, 0, Mode::Salvage).unwrap();
    let lsns: Vec<_> = content(recovered).iter().map(|(lsn, _)| *lsn).collect();
    assert_eq!(lsns, [1, 2, 5, 6, 7, 8, 9, 10], "{report}");
    assert_eq!(storage(&fs, 0).list().wait().unwrap().segments, [Lsn::FIRST, Lsn::new(5)]);
    // As if nothing had been.
    let (_, report) = try_recover(&fs, 0, Mode::Strict).unwrap();
    assert_eq!((report.records, report.clean), (8, true), "{report}");
}

#[test]
fn ends_that_were_asked_for_and_readers_that_begin_anywhere_step_over_padding() {
    for keep in 1..=10 {
        let fs = ten_in_five();
        let recovery = Recovery::new(storage(&fs, 0)).until(Until::Lsn(Lsn::new(keep)));
        let (recovered, report) = recovery.threads(1).run().unwrap();
        assert_eq!(content(recovered).len() as u64, keep, "{report}");
        // What was cut begins where the frame of the next record does, not with the padding before it.
        for cut in report.cut.iter().filter(|cut| cut.segment == Lsn::FIRST) {
            let is_frame =
                frames(&ten_in_five()).iter().any(|f| f.0 == 1 && f.1 as u64 == cut.offset);
            assert!(is_frame || cut.offset == 0, "up to {keep}: {report}");
        }
    }
    let fs = ten_in_five();
    for sealed in [false, true] {
        if sealed {
            drop(try_recover(&fs, 0, Mode::Strict).unwrap());
        }
        let view = View::open(storage(&fs, 0)).unwrap();
        for from in 1..=10 {
            let mut seen = Vec::new();
            let report = view
                .visit(Lsn::new(from), Until::End, |entry| {
                    seen.push((entry.lsn.get(), entry.record[0]));
                    Ok(Applied::Applied)
                })
                .unwrap();
            let first = |lsn: u64| if lsn % 2 == 1 { b'a' } else { b'A' } + (lsn as u8 - 1) / 2;
            assert_eq!(seen, (from..=10).map(|lsn| (lsn, first(lsn))).collect::<Vec<_>>());
            assert_eq!(report.total, 11 - from);
            assert_eq!(view.records(Lsn::new(from)).count() as u64, 11 - from);
        }
    }
}

/// On real files, through the engine: of the blocks of a segment none is written twice.
#[cfg(target_os = "linux")]
#[test]
fn no_block_of_a_padded_log_is_written_again() {
    for last_block in [LastBlock::Rewritten, LastBlock::Padded] {
        let dir = tempfile::tempdir().unwrap();
        let settings = DirectSettings::default().preallocate_bytes(0).max_spares(0);
        let (fs, settings) =
            (wal_testkit::FaultFs::new(wal_fs::RealFs), settings.last_block(last_block));
        let faults = fs.faults().clone();
        let storage = DirectStorage::create_with_file_system(fs, dir.path(), settings).unwrap();
        let recovered = Recovery::new(storage).threads(1).run().unwrap().0;
        let log = Wal::builder(always()).manual_driver().open(recovered).unwrap();
        log.append(b"first").unwrap();
        faults.clear_trace();
        for n in 0..50_u8 {
            log.append(&vec![n; usize::from(n) * 311 % 9000]).unwrap();
        }
        log.close().unwrap();
        let mut blocks = Vec::new();
        for line in faults.trace_lines() {
            let Some(place) = line.strip_prefix("write ").and_then(|l| l.rsplit(' ').next()) else {
                continue;
            };
            let (at, len) = place.split_once('+').unwrap();
            let (at, len): (u64, u64) = (at.parse().unwrap(), len.parse().unwrap());
            assert_eq!((at % 4096, len % 4096), (0, 0), "{line}");
            blocks.extend((at..at + len).step_by(4096));
        }
        let written = blocks.len();
        blocks.dedup();
        assert!(written > 50 && blocks.is_sorted(), "{blocks:?}");
        match last_block {
            LastBlock::Padded => assert_eq!(blocks.len(), written),
            _ => assert!(blocks.len() < written),
        }
    }
}
