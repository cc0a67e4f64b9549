//! What crashes leave of files in particular; what they leave of any storage is in the conformance kit.

use bytes::Bytes;
use wal_core::{LogStorage, Lsn, Publish, Result, WriteMode};
use wal_fs::{FileSettings, FileStorage};
use wal_testkit::{CrashPolicy, ModelFs};

type Storage = FileStorage<ModelFs>;

/// Longer than a sector, and no two sectors alike, so that a torn header shows.
fn header(mark: u8) -> Bytes {
    (0..1300u32).map(|i| mark ^ (i / 7) as u8).collect::<Vec<_>>().into()
}

fn settings() -> FileSettings {
    FileSettings::default().preallocate_bytes(2048)
}

fn start() -> (Storage, ModelFs) {
    let model = ModelFs::new();
    let storage = FileStorage::create_with_file_system(model.clone(), "/var/wal", settings());
    (storage.unwrap(), model)
}

fn create(storage: &Storage, name: u64, mark: u8) -> Result<()> {
    let segment = storage.create(Lsn::new(name), header(mark), 4096, Publish::New).wait()?;
    // Frames that the next user of a recycled file must not take for its own.
    segment.write_at(1300, vec![mark; 2000].into(), WriteMode::Cached).wait()
}

#[test]
fn taking_the_lock_removes_leftovers_and_nothing_else() {
    let (storage, model) = start();
    let lock = storage.lock().wait().unwrap();
    create(&storage, 1, 1).unwrap();
    create(&storage, 9, 9).unwrap();
    storage.remove(&[Lsn::new(1)]).wait().unwrap();
    // Killed: who lets go of the lock leaves no leftovers.
    let next = model.process_crash();
    drop((lock, storage));
    let path = std::path::Path::new("/var/wal");
    let names = |fs: &ModelFs| -> Vec<_> {
        let entries = wal_fs::FileSystem::read_dir(fs, path).unwrap();
        entries.into_iter().map(|entry| entry.name.into_string().unwrap()).collect()
    };
    assert!(names(&next).iter().any(|name| name.starts_with("spare-")));
    let storage = FileStorage::with_file_system(next.clone(), "/var/wal", settings()).unwrap();
    let _lock = storage.lock().wait().unwrap();
    let left = names(&next.crash(CrashPolicy::DropUnsynced));
    assert_eq!(left, ["00000000000000000009.wal", "LOCK", "OWNER-00000000000000000002"]);
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
    let (storage, model) = start();
    let segment = storage.create(Lsn::FIRST, header(1), 8192, Publish::New).wait().unwrap();
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
