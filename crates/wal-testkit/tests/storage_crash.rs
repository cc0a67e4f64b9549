//! The real `FileStorage` over the model: a crash at every call of every operation.

use std::collections::BTreeMap;

use bytes::Bytes;
use wal_core::{Access, LogStorage, Lsn, Result, WriteMode};
use wal_fs::{FileSettings, FileStorage};
use wal_testkit::{CrashPolicy, FaultFs, Faults, ModelFs};

type Storage = FileStorage<FaultFs<ModelFs>>;

/// Longer than a sector, and no two sectors alike, so that a torn header shows.
fn header(mark: u8) -> Bytes {
    (0..1300u32).map(|i| mark ^ (i / 7) as u8).collect::<Vec<_>>().into()
}

fn settings() -> FileSettings {
    FileSettings::default().preallocate_bytes(2048)
}

fn start() -> (Storage, ModelFs, Faults) {
    let fs = FaultFs::new(ModelFs::new());
    let (model, faults) = (fs.inner().clone(), fs.faults().clone());
    (FileStorage::create_with_file_system(fs, "/var/wal", settings()).unwrap(), model, faults)
}

fn create(storage: &Storage, name: u64, mark: u8) -> Result<()> {
    let segment = storage.create(Lsn::new(name), header(mark), 4096).wait()?;
    // Frames that the next user of a recycled file must not take for its own.
    segment.write_at(1300, vec![mark; 2000].into(), WriteMode::Cached).wait()
}

/// What the image holds: segment names, and the first 1300 bytes of each.
fn recover(image: ModelFs) -> BTreeMap<u64, Bytes> {
    let storage = FileStorage::with_file_system(image, "/var/wal", settings()).unwrap();
    let listing = storage.list().wait().unwrap();
    assert!(listing.foreign.is_empty(), "{:?}", listing.foreign);
    let lock = storage.lock().wait().unwrap();
    let segments = listing.segments.into_iter().map(|lsn| {
        let segment = storage.open(lsn, Access::Read).wait().unwrap();
        (lsn.get(), segment.read_at(0, 1300).wait().unwrap())
    });
    let found = segments.collect();
    // The log goes on, whatever the crash left.
    storage.create(Lsn::new(1000), header(99), 4096).wait().unwrap();
    drop(lock);
    found
}

/// Runs `operation` on what `prepare` built, with the power lost after each of its calls in turn.
/// `check` sees what was found and whether the operation had returned `Ok`.
fn crash_everywhere(
    prepare: impl Fn(&Storage),
    operation: impl Fn(&Storage) -> Result<()>,
    check: impl Fn(&BTreeMap<u64, Bytes>, bool),
) {
    let mut calls = 0;
    loop {
        let (storage, model, faults) = start();
        let _lock = storage.lock().wait().unwrap();
        prepare(&storage);
        faults.clear_trace();
        faults.power_off_after(calls);
        let done = operation(&storage).is_ok();
        let seeds = if done { 1000 } else { 100 };
        let policies = [CrashPolicy::DropUnsynced, CrashPolicy::KeepAll]
            .into_iter()
            .chain((0..seeds).map(CrashPolicy::Seeded));
        for policy in policies {
            let found = recover(model.crash(policy));
            let shown = || {
                let lines = faults.trace_lines().join("\n  ");
                format!("crash {policy:?} after {calls} calls:\n  {lines}\n")
            };
            let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                check(&found, done);
            }));
            assert!(checked.is_ok(), "{}", shown());
        }
        // The process may die as well without the power going off.
        check(&recover(model.process_crash()), done);
        if done {
            break;
        }
        calls += 1;
    }
    assert!(calls >= 2, "only {calls} crash points: nothing was tested");
}

#[test]
fn create_leaves_nothing_or_a_whole_header() {
    crash_everywhere(
        |_| {},
        |storage| create(storage, 1, 1),
        |found, done| {
            assert!(found.len() <= 1);
            assert!(!done || found.contains_key(&1));
            assert!(found.get(&1).is_none_or(|bytes| *bytes == header(1)));
        },
    );
}

#[test]
fn create_from_a_recycled_file_leaves_nothing_or_a_whole_header() {
    crash_everywhere(
        |storage| {
            create(storage, 1, 1).unwrap();
            create(storage, 9, 9).unwrap();
            storage.remove(Lsn::new(1)).wait().unwrap();
        },
        |storage| create(storage, 17, 17),
        |found, done| {
            assert_eq!(found.get(&9), Some(&header(9)));
            assert!(!found.contains_key(&1));
            assert!(!done || found.contains_key(&17));
            assert!(found.get(&17).is_none_or(|bytes| *bytes == header(17)));
        },
    );
}

#[test]
fn create_over_a_segment_leaves_the_old_one_or_the_new_one() {
    crash_everywhere(
        |storage| create(storage, 1, 1).unwrap(),
        |storage| create(storage, 1, 2),
        |found, done| {
            let bytes = found.get(&1).expect("a segment vanished");
            assert!(*bytes == header(2) || !done && *bytes == header(1));
        },
    );
}

#[test]
fn remove_leaves_the_segment_or_nothing() {
    for spares in [0, 2] {
        crash_everywhere(
            |storage| {
                create(storage, 1, 1).unwrap();
                create(storage, 9, 9).unwrap();
                for lsn in 100..100 + spares {
                    create(storage, lsn, 0).unwrap();
                    storage.remove(Lsn::new(lsn)).wait().unwrap();
                }
            },
            |storage| storage.remove(Lsn::new(1)).wait(),
            |found, done| {
                assert_eq!(found.get(&9), Some(&header(9)));
                assert!(found.get(&1).is_none_or(|bytes| !done && *bytes == header(1)));
            },
        );
    }
}

#[test]
fn taking_the_lock_removes_leftovers_and_nothing_else() {
    let (storage, model, _) = start();
    let lock = storage.lock().wait().unwrap();
    create(&storage, 1, 1).unwrap();
    create(&storage, 9, 9).unwrap();
    storage.remove(Lsn::new(1)).wait().unwrap();
    drop((lock, storage));
    let path = std::path::Path::new("/var/wal");
    let names = |fs: &ModelFs| -> Vec<_> {
        let entries = wal_fs::FileSystem::read_dir(fs, path).unwrap();
        entries.into_iter().map(|entry| entry.name.into_string().unwrap()).collect()
    };
    assert!(names(&model).iter().any(|name| name.starts_with("spare-")));
    let next = model.process_crash();
    let storage = FileStorage::with_file_system(next.clone(), "/var/wal", settings()).unwrap();
    let _lock = storage.lock().wait().unwrap();
    let left = names(&next.crash(CrashPolicy::DropUnsynced));
    assert_eq!(left, ["00000000000000000009.wal", "LOCK"]);
}

#[test]
fn bytes_set_aside_are_durable() {
    let (storage, model, _) = start();
    let name = storage.set_aside("tail", vec![7; 5000].into()).wait().unwrap();
    for seed in 0..100 {
        let image = model.crash(CrashPolicy::Seeded(seed));
        assert_eq!(image.contents(&storage.dir().join(&name)).unwrap(), [7; 5000]);
    }
}

#[test]
fn the_directory_itself_is_durable() {
    let fs = ModelFs::new();
    FileStorage::create_with_file_system(fs.clone(), "/a/b/c", settings()).unwrap();
    let image = fs.crash(CrashPolicy::DropUnsynced);
    FileStorage::with_file_system(image, "/a/b/c", settings()).unwrap();
    // Made by somebody who did not sync.
    let fs = ModelFs::new();
    wal_fs::FileSystem::create_dir(&fs, "/wal".as_ref()).unwrap();
    FileStorage::create_with_file_system(fs.clone(), "/wal", settings()).unwrap();
    let image = fs.crash(CrashPolicy::DropUnsynced);
    FileStorage::with_file_system(image, "/wal", settings()).unwrap();
}

#[test]
fn synced_and_written_through_bytes_survive_preallocation_and_crash() {
    let (storage, model, _) = start();
    let segment = storage.create(Lsn::FIRST, header(1), 8192).wait().unwrap();
    let mut end = 1300;
    for i in 0..40u8 {
        let mode = if i % 3 == 0 { WriteMode::Through } else { WriteMode::Cached };
        segment.write_at(end, vec![i; 150].into(), mode).wait().unwrap();
        end += 150;
        if mode == WriteMode::Cached {
            segment.sync().wait().unwrap();
        }
        for seed in 0..20 {
            let bytes = model
                .crash(CrashPolicy::Seeded(seed))
                .contents(&storage.dir().join("00000000000000000001.wal"));
            let bytes = bytes.unwrap();
            assert!(bytes.len() as u64 >= end);
            for (j, written) in bytes[1300..end as usize].chunks(150).enumerate() {
                assert_eq!(written, [j as u8; 150]);
            }
            assert!(bytes[end as usize..].iter().all(|b| *b == 0));
        }
    }
}
