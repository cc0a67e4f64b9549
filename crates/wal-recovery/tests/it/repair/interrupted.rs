//! A recovery that is cut short at any of its steps, and then run again.

use crate::support::*;
use wal_core::*;
use wal_fs::{FileSettings, FileStorage};
use wal_recovery::{Mode, Recovery, Until, Verify};
use wal_testkit::{CrashPolicy, FaultFs, ModelFs};

#[derive(Clone, Copy, Debug)]
struct How {
    mode: Mode,
    until: Until,
}

impl How {
    fn run(self, storage: impl LogStorage) -> Result<Recovered> {
        // So little that a segment of some KiB is written in pieces.
        let recovery = Recovery::new(storage).memory_limit(1 << 20);
        let recovery = recovery.mode(self.mode).until(self.until);
        Ok(recovery.verify(Verify::All).threads(1).run()?.0)
    }
}

/// Logs that need work, each with a way to recover it.
fn cases() -> Vec<(&'static str, Image, How)> {
    let image = three_sessions();
    let damaged = |change: &dyn Fn(&mut Image)| {
        let mut image = image.clone();
        change(&mut image);
        image
    };
    let flip = |name: u64, at: usize| damaged(&|image| image.get_mut(&name).unwrap()[at] ^= 4);
    let torn = damaged(&|image| {
        let last = image.get_mut(&9).unwrap();
        last.truncate(last.len() - 5);
        last.extend_from_slice(&[0; 700]);
    });
    let footer = damaged(&|image| {
        let bytes = image.get_mut(&1).unwrap();
        bytes.truncate(bytes.len() - 30);
    });
    let gap = damaged(&|image| drop(image.remove(&6)));
    let several = damaged(&|image| {
        image.get_mut(&1).unwrap()[564] ^= 1;
        image.get_mut(&6).unwrap()[514] ^= 1;
        image.get_mut(&9).unwrap()[544] ^= 1;
    });
    let all_headers_but_one = damaged(&|image| {
        image.get_mut(&1).unwrap()[60] ^= 1;
        image.get_mut(&9).unwrap()[60] ^= 1;
    });
    let leftovers = {
        let storage = memory_of(&image);
        let log = open(storage.clone());
        log.truncate_after(Lsn::new(7)).unwrap();
        log.append(b"instead").unwrap();
        drop(log);
        let mut left = image_of(&storage);
        left.insert(9, image[&9].clone());
        left
    };
    let mut cases = vec![
        ("torn", torn.clone(), Mode::TornTail, Until::End),
        ("unclosed", image.clone(), Mode::TornTail, Until::End),
        ("footer", footer, Mode::TornTail, Until::End),
        ("leftovers", leftovers, Mode::TornTail, Until::End),
        ("until batch", image.clone(), Mode::TornTail, Until::Lsn(Lsn::new(3))),
        ("until end of segment", torn.clone(), Mode::TornTail, Until::Lsn(Lsn::new(8))),
        ("until nothing", torn.clone(), Mode::TornTail, Until::Lsn(Lsn::ZERO)),
        ("until in the last", torn, Mode::TornTail, Until::Lsn(Lsn::new(11))),
    ];
    for mode in [Mode::PointInTime, Mode::Salvage] {
        for (what, name, at) in [
            ("first frame of the first", 1, 524),
            ("batch of the first", 1, 574),
            ("first frame of the second", 6, 524),
            ("first frame of the last", 9, 524),
            ("batch of the last", 9, 574),
            ("header of the first", 1, 50),
            ("header of the second", 6, 50),
            ("header of the last", 9, 50),
        ] {
            cases.push((what, flip(name, at), mode, Until::End));
        }
        cases.push(("gap", gap.clone(), mode, Until::End));
        cases.push(("several", several.clone(), mode, Until::End));
        cases.push(("headers", all_headers_but_one.clone(), mode, Until::End));
        cases.push(("several, until", several.clone(), mode, Until::Lsn(Lsn::new(1))));
    }
    cases.extend(without_headers(&image));
    cases.extend(large());
    cases.into_iter().map(|(what, image, mode, until)| (what, image, How { mode, until })).collect()
}

type Case = (&'static str, Image, Mode, Until);

/// Segments that are given new headers, and some that cannot be.
fn without_headers(image: &Image) -> Vec<Case> {
    let damaged = |change: &dyn Fn(u64, &mut Vec<u8>)| {
        let mut image = image.clone();
        image.iter_mut().for_each(|(name, bytes)| change(*name, bytes));
        image
    };
    let without = |lost: &[u64]| {
        damaged(&|name, bytes| {
            if lost.contains(&name) {
                bytes[..512].fill(0);
            }
        })
    };
    let short = damaged(&|_, bytes| bytes.truncate(99));
    let salvage = |what, image| (what, image, Mode::Salvage, Until::End);
    vec![
        salvage("first header lost", without(&[1])),
        salvage("second header lost", without(&[6])),
        salvage("last header lost", without(&[9])),
        salvage("all headers lost", without(&[1, 6, 9])),
        salvage("nothing is known", short),
    ]
}

/// More than is held in memory at once.
fn large() -> Vec<Case> {
    let storage = MemoryStorage::new();
    let (recovered, _) = recover(storage.clone(), Mode::Strict).unwrap();
    let log = Wal::builder(lazy()).manual_driver().open(recovered).unwrap();
    for i in 0..9_u64 {
        log.append(&[i as u8; 1500]).unwrap();
    }
    drop(log);
    let image = image_of(&storage);
    let without = |lost: std::ops::Range<usize>| {
        let mut image = image.clone();
        image.values_mut().for_each(|bytes| bytes[lost.clone()].fill(0));
        image
    };
    vec![
        ("moved in pieces", image.clone(), Mode::TornTail, Until::End),
        ("torn, moved in pieces", without(8_000..8_100), Mode::TornTail, Until::End),
        ("salvaged in pieces", without(0..512), Mode::Salvage, Until::End),
    ]
}

/// What a recovered log holds, and that it can go on.
fn finish(recovered: Recovered) -> (Content, Lsn) {
    let next = recovered.next_lsn();
    let log = Wal::builder(always()).manual_driver().open(recovered).unwrap();
    let content = try_content(&log).unwrap();
    assert_eq!(log.append(b"after").unwrap(), next);
    assert_eq!(try_content(&log).unwrap().len(), content.len() + 1);
    (content, next)
}

#[test]
fn a_recovery_that_fails_anywhere_is_finished_by_the_next_one() {
    let mut interruptions = 0;
    for (what, image, how) in cases() {
        let expected = how.run(memory_of(&image)).map(finish).unwrap();
        for changes in 0.. {
            let mut over = false;
            for effective in [false, true] {
                let memory = memory_of(&image);
                let fading = Fading::new(memory.clone(), changes, effective);
                let outcome = how.run(fading.clone());
                over = outcome.is_ok();
                assert_eq!(over, !fading.is_dead(), "{what}, {how:?}, {changes}");
                drop(outcome);
                let again = how.run(memory).unwrap_or_else(|e| {
                    panic!("{what}, {how:?}, after {changes} changes ({effective}): {e}")
                });
                let found = finish(again);
                assert_eq!(found, expected, "{what}, {how:?}, {changes} changes, {effective}");
                interruptions += 1;
            }
            if over {
                break;
            }
        }
    }
    println!("{interruptions} interrupted recoveries");
}

const DIR: &str = "/wal";

fn file_storage(fs: impl wal_fs::FileSystem) -> Result<impl LogStorage> {
    let settings = FileSettings::default().preallocate_bytes(8192).max_spares(2);
    FileStorage::create_with_file_system(fs, DIR, settings)
}

/// The image in files, all of it durable.
fn disk_of(image: &Image) -> ModelFs {
    let fs = ModelFs::new();
    let storage = file_storage(fs.clone()).unwrap();
    for (&name, bytes) in image {
        let len = bytes.len() as u64;
        storage.create(Lsn::new(name), bytes.clone().into(), len, Publish::New).wait().unwrap();
    }
    drop(storage);
    assert!(!fs.has_pending());
    fs
}

#[test]
fn power_loss_in_a_recovery_changes_nothing_of_its_outcome() {
    let mut crashes = 0;
    for (what, image, how) in cases() {
        let expected = how.run(memory_of(&image)).map(finish).unwrap();
        for changes in 0.. {
            let disk = disk_of(&image);
            let fs = FaultFs::new(disk.clone());
            fs.faults().power_off_after(changes);
            let outcome = file_storage(fs).and_then(|storage| how.run(storage));
            let over = outcome.is_ok();
            drop(outcome);
            let mut policies = vec![CrashPolicy::DropUnsynced, CrashPolicy::KeepAll];
            policies.extend((0..4).map(|n| CrashPolicy::Seeded(changes * 7 + n)));
            for policy in policies {
                // Once more in the middle of the second recovery.
                let image = disk.crash(policy);
                let fs = FaultFs::new(image.clone());
                fs.faults().power_off_after(changes % 5);
                drop(file_storage(fs).and_then(|storage| how.run(storage)));
                let image = image.crash(policy);
                let recovered = how
                    .run(file_storage(image.clone()).unwrap())
                    .unwrap_or_else(|e| panic!("{what}, {how:?}, {changes}, {policy:?}: {e}"));
                drop(recovered);
                // What it returned survives at once, and needs no repair any more.
                let image = image.crash(CrashPolicy::DropUnsynced);
                let strict = How { mode: Mode::Strict, until: Until::End };
                let storage = file_storage(image).unwrap();
                let recovered = strict
                    .run(storage)
                    .unwrap_or_else(|e| panic!("{what}, {how:?}, {changes}, {policy:?}: {e}"));
                let found = finish(recovered);
                assert_eq!(found, expected, "{what}, {how:?}, {changes}, {policy:?}");
                crashes += 1;
            }
            if over {
                break;
            }
        }
    }
    println!("{crashes} crashes");
}

#[test]
fn bytes_that_a_failed_sync_left_in_the_cache_only_are_made_durable() {
    use wal_testkit::SyncFault;
    let mut failed = 0;
    for fault in [SyncFault::MarkedClean, SyncFault::StillDirty] {
        for nth in 1..14 {
            let fs = ModelFs::new();
            let log = open_with(file_storage(fs.clone()).unwrap(), lazy());
            fs.fail_sync(nth, fault);
            let run = || -> Result<()> {
                for i in 0..30_u64 {
                    log.append(&[i as u8; 300])?;
                    if i % 7 == 6 {
                        log.sync()?;
                    }
                }
                log.close()
            };
            failed += u64::from(run().is_err());
            drop(log);
            // The process ends, the cache stays: reads show what may not be on the disk.
            let fs = fs.process_crash();
            let storage = file_storage(fs.clone()).unwrap();
            let (recovered, _) = Recovery::new(storage).threads(1).run().unwrap();
            let next = recovered.next_lsn();
            let log = Wal::builder(always()).manual_driver().open(recovered).unwrap();
            let found = try_content(&log).unwrap();
            log.append(b"after").unwrap();
            for policy in [CrashPolicy::DropUnsynced, CrashPolicy::KeepAll] {
                let storage = file_storage(fs.crash(policy)).unwrap();
                let (recovered, _) = recover(storage, Mode::Strict).unwrap();
                let mut expected = found.clone();
                expected.push((next.get(), b"after".to_vec()));
                assert_eq!(content(recovered), expected, "{fault:?}, sync {nth}, {policy:?}");
            }
        }
    }
    assert!(failed > 10, "{failed}");
}

#[test]
fn power_loss_after_a_process_crash_never_looks_like_damage() {
    let mut crashes = 0;
    for unsynced in [0, 1, 5, 40] {
        for changes in 0.. {
            let fs = ModelFs::new();
            let log = open_with(file_storage(fs.clone()).unwrap(), lazy());
            for i in 0..5_u64 {
                log.append(&[i as u8; 100]).unwrap();
            }
            log.sync().unwrap();
            for i in 0..unsynced {
                log.append_batch(&[&[i as u8; 33][..], &[i as u8; 40]]).unwrap();
            }
            let whole = try_content(&log).unwrap();
            drop(log);
            // The records are in the cache, not on the disk, when a recovery begins that is cut short.
            let fs = fs.process_crash();
            let faults = FaultFs::new(fs.clone());
            faults.faults().power_off_after(changes);
            let outcome = file_storage(faults).and_then(|storage| Recovery::new(storage).run());
            let over = outcome.is_ok();
            drop(outcome);
            for seed in 0..20 {
                let policy = match seed {
                    0 => CrashPolicy::DropUnsynced,
                    1 => CrashPolicy::KeepAll,
                    _ => CrashPolicy::Seeded(seed * 1000 + changes),
                };
                let storage = file_storage(fs.crash(policy)).unwrap();
                let (recovered, report) = recover(storage, Mode::TornTail)
                    .unwrap_or_else(|e| panic!("{unsynced}, {changes}, {policy:?}: {e}"));
                let found = content(recovered);
                assert!(whole.starts_with(&found), "{unsynced}, {changes}, {policy:?}");
                assert!(found.len() >= if over { whole.len() } else { 5 }, "{report}");
                crashes += 1;
            }
            if over {
                break;
            }
        }
    }
    println!("{crashes} crashes");
}
